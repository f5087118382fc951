//! How browsers ask: which header fields, in which order, with which values.
//!
//! The shapes are those that the named browsers send over HTTP/1.1 to a site they trust. A gate
//! that distinguishes visitors from attackers by the shape of their requests must be rehearsed with
//! realistic shapes, on both sides: the imitating attacker uses this very module.

use serde::Serialize;

use crate::site::AssetKind;

/// A browser, or another program that people use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Browser {
    /// Chrome on Windows.
    ChromeWindows,
    /// Chrome on Android.
    ChromeAndroid,
    /// Edge on Windows.
    EdgeWindows,
    /// Firefox on Windows.
    FirefoxWindows,
    /// Firefox on Android.
    FirefoxAndroid,
    /// Safari on a Mac.
    SafariMac,
    /// Safari on an iPhone.
    SafariIphone,
    /// A text browser, as some people who cannot see use: no script, no pictures.
    Text,
    /// A feed reader.
    FeedReader,
}

/// What a browser asks for, as far as its headers show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FetchKind {
    /// A page, from elsewhere or typed.
    Landing,
    /// A page, by a link on this site.
    Link,
    /// A form is sent, with a body of this many bytes.
    Form(usize),
    /// Something that a page needs.
    Asset(AssetKind),
    /// A feed.
    Feed,
}

/// One request to be written down.
pub(crate) struct BrowserRequest<'a> {
    pub host: &'a str,
    pub path: &'a str,
    pub fetch: FetchKind,
    /// The page that the visitor comes from, on this site.
    pub referrer: Option<&'a str>,
    /// The cookie field's value, if there are cookies.
    pub cookie: Option<&'a str>,
}

/// The browsers that people and imitating attackers use, without feed readers.
pub(crate) const COMMON: [Browser; 7] = [
    Browser::ChromeAndroid,
    Browser::SafariIphone,
    Browser::ChromeWindows,
    Browser::EdgeWindows,
    Browser::SafariMac,
    Browser::FirefoxWindows,
    Browser::FirefoxAndroid,
];

enum BrowserFamily {
    Chromium { brands: &'static str, mobile: &'static str, platform: &'static str },
    Firefox,
    Safari,
    Text,
    Feed,
}

const CHROME: &str =
    "\"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\", \"Google Chrome\";v=\"140\"";
const EDGE: &str = "\"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\", \"Microsoft Edge\";v=\"140\"";

impl Browser {
    /// The `User-Agent` field's value.
    pub(crate) fn user_agent(self) -> &'static str {
        match self {
            Browser::ChromeWindows => {
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/140.0.0.0 Safari/537.36"
            }
            Browser::ChromeAndroid => {
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/140.0.0.0 Mobile Safari/537.36"
            }
            Browser::EdgeWindows => {
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0"
            }
            Browser::FirefoxWindows => {
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0"
            }
            Browser::FirefoxAndroid => {
                "Mozilla/5.0 (Android 15; Mobile; rv:143.0) Gecko/143.0 Firefox/143.0"
            }
            Browser::SafariMac => {
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like \
                 Gecko) Version/18.6 Safari/605.1.15"
            }
            Browser::SafariIphone => {
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1"
            }
            Browser::Text => "Lynx/2.9.2 libwww-FM/2.14 SSL-MM/1.4.1 OpenSSL/3.5.1",
            Browser::FeedReader => "FreshRSS/1.27.1 (Linux; https://freshrss.org)",
        }
    }

    /// Whether pictures, style and script are fetched.
    pub(crate) fn fetches_assets(self) -> bool {
        !matches!(self, Browser::Text | Browser::FeedReader)
    }

    fn family(self) -> BrowserFamily {
        let chromium =
            |brands, mobile, platform| BrowserFamily::Chromium { brands, mobile, platform };
        match self {
            Browser::ChromeWindows => chromium(CHROME, "?0", "\"Windows\""),
            Browser::ChromeAndroid => chromium(CHROME, "?1", "\"Android\""),
            Browser::EdgeWindows => chromium(EDGE, "?0", "\"Windows\""),
            Browser::FirefoxWindows | Browser::FirefoxAndroid => BrowserFamily::Firefox,
            Browser::SafariMac | Browser::SafariIphone => BrowserFamily::Safari,
            Browser::Text => BrowserFamily::Text,
            Browser::FeedReader => BrowserFamily::Feed,
        }
    }

    /// Writes the whole head of a request as this browser does.
    pub(crate) fn write_head(self, request: &BrowserRequest<'_>, out: &mut Vec<u8>) {
        let mut headers = HeaderWriter { out };
        let method = if matches!(request.fetch, FetchKind::Form(_)) { "POST" } else { "GET" };
        headers.write_line(&[method, " ", request.path, " HTTP/1.1"]);
        headers.field("Host", request.host);
        match self.family() {
            BrowserFamily::Chromium { brands, mobile, platform } => {
                self.chromium(request, &mut headers, [brands, mobile, platform]);
            }
            BrowserFamily::Firefox => self.firefox(request, &mut headers),
            BrowserFamily::Safari => self.safari(request, &mut headers),
            BrowserFamily::Text => self.text_browser(request, &mut headers),
            BrowserFamily::Feed => {
                headers.field("User-Agent", self.user_agent());
                headers.field("Accept", "application/rss+xml, application/xml;q=0.9, */*;q=0.5");
                headers.field("Accept-Encoding", "gzip");
                headers.field("Connection", "keep-alive");
            }
        }
        headers.write_line(&[]);
    }

    fn chromium(
        self,
        request: &BrowserRequest<'_>,
        headers: &mut HeaderWriter<'_>,
        hints: [&str; 3],
    ) {
        let [brands, mobile, platform] = hints;
        headers.field("Connection", "keep-alive");
        match request.fetch {
            FetchKind::Asset(_) => {
                headers.field("sec-ch-ua-platform", platform);
                headers.field("User-Agent", self.user_agent());
                headers.field("sec-ch-ua", brands);
                headers.field("sec-ch-ua-mobile", mobile);
            }
            FetchKind::Landing | FetchKind::Link | FetchKind::Form(_) | FetchKind::Feed => {
                if let FetchKind::Form(length) = request.fetch {
                    headers.field("Content-Length", &length.to_string());
                    headers.field("Cache-Control", "max-age=0");
                }
                headers.field("sec-ch-ua", brands);
                headers.field("sec-ch-ua-mobile", mobile);
                headers.field("sec-ch-ua-platform", platform);
                if matches!(request.fetch, FetchKind::Form(_)) {
                    headers.origin(request.host);
                    headers.field("Content-Type", "application/x-www-form-urlencoded");
                }
                headers.field("Upgrade-Insecure-Requests", "1");
                headers.field("User-Agent", self.user_agent());
            }
        }
        headers.field(
            "Accept",
            match request.fetch {
                FetchKind::Asset(AssetKind::Style) => "text/css,*/*;q=0.1",
                FetchKind::Asset(AssetKind::Script) => "*/*",
                FetchKind::Asset(AssetKind::Image) => {
                    "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
                }
                _ => {
                    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,\
                     image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
                }
            },
        );
        headers.field("Sec-Fetch-Site", request.site());
        headers.field("Sec-Fetch-Mode", request.mode());
        if request.is_navigation() {
            headers.field("Sec-Fetch-User", "?1");
        }
        headers.field("Sec-Fetch-Dest", request.destination());
        headers.referrer(request);
        headers.field("Accept-Encoding", "gzip, deflate, br, zstd");
        headers.field("Accept-Language", "en-GB,en-US;q=0.9,en;q=0.8");
        headers.cookie(request);
    }

    fn firefox(self, request: &BrowserRequest<'_>, headers: &mut HeaderWriter<'_>) {
        headers.field("User-Agent", self.user_agent());
        headers.field(
            "Accept",
            match request.fetch {
                FetchKind::Asset(AssetKind::Style) => "text/css,*/*;q=0.1",
                FetchKind::Asset(AssetKind::Script) => "*/*",
                FetchKind::Asset(AssetKind::Image) => {
                    "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
                }
                _ => "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            },
        );
        headers.field("Accept-Language", "en-GB,en;q=0.5");
        headers.field("Accept-Encoding", "gzip, deflate, br, zstd");
        if let FetchKind::Form(length) = request.fetch {
            headers.field("Content-Type", "application/x-www-form-urlencoded");
            headers.field("Content-Length", &length.to_string());
            headers.origin(request.host);
        }
        headers.field("Connection", "keep-alive");
        headers.referrer(request);
        headers.cookie(request);
        if request.is_navigation() {
            headers.field("Upgrade-Insecure-Requests", "1");
        }
        headers.field("Sec-Fetch-Dest", request.destination());
        headers.field("Sec-Fetch-Mode", request.mode());
        headers.field("Sec-Fetch-Site", request.site());
        if request.is_navigation() {
            headers.field("Sec-Fetch-User", "?1");
            headers.field("Priority", "u=0, i");
        }
    }

    fn safari(self, request: &BrowserRequest<'_>, headers: &mut HeaderWriter<'_>) {
        if let FetchKind::Form(length) = request.fetch {
            headers.field("Content-Type", "application/x-www-form-urlencoded");
            headers.field("Content-Length", &length.to_string());
            headers.origin(request.host);
        }
        headers.field("Sec-Fetch-Dest", request.destination());
        headers.field("User-Agent", self.user_agent());
        headers.field(
            "Accept",
            match request.fetch {
                FetchKind::Asset(AssetKind::Style) => "text/css,*/*;q=0.1",
                FetchKind::Asset(AssetKind::Script) => "*/*",
                FetchKind::Asset(AssetKind::Image) => {
                    "image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,\
                     image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
                }
                _ => "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            },
        );
        headers.referrer(request);
        headers.field("Sec-Fetch-Site", request.site());
        headers.field("Sec-Fetch-Mode", request.mode());
        headers.field("Accept-Language", "en-GB,en;q=0.9");
        headers.field("Priority", if request.is_navigation() { "u=0, i" } else { "u=3, i" });
        headers.field("Accept-Encoding", "gzip, deflate");
        headers.cookie(request);
        headers.field("Connection", "keep-alive");
    }

    fn text_browser(self, request: &BrowserRequest<'_>, headers: &mut HeaderWriter<'_>) {
        headers.field("Accept", "text/html, text/plain, text/sgml, text/css, */*;q=0.01");
        headers.field("Accept-Encoding", "gzip, bzip2");
        headers.field("Accept-Language", "en");
        headers.cookie(request);
        headers.field("User-Agent", self.user_agent());
        headers.referrer(request);
        if let FetchKind::Form(length) = request.fetch {
            headers.field("Content-type", "application/x-www-form-urlencoded");
            headers.field("Content-length", &length.to_string());
        }
    }
}

impl BrowserRequest<'_> {
    fn is_navigation(&self) -> bool {
        matches!(self.fetch, FetchKind::Landing | FetchKind::Link | FetchKind::Form(_))
    }

    fn site(&self) -> &'static str {
        if self.fetch == FetchKind::Landing { "none" } else { "same-origin" }
    }

    fn mode(&self) -> &'static str {
        if self.is_navigation() { "navigate" } else { "no-cors" }
    }

    fn destination(&self) -> &'static str {
        match self.fetch {
            FetchKind::Landing | FetchKind::Link | FetchKind::Form(_) => "document",
            FetchKind::Asset(AssetKind::Style) => "style",
            FetchKind::Asset(AssetKind::Script) => "script",
            FetchKind::Asset(AssetKind::Image) => "image",
            FetchKind::Feed => "empty",
        }
    }
}

struct HeaderWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl HeaderWriter<'_> {
    fn write_line(&mut self, parts: &[&str]) {
        for part in parts {
            self.out.extend_from_slice(part.as_bytes());
        }
        self.out.extend_from_slice(b"\r\n");
    }

    fn field(&mut self, name: &str, value: &str) {
        self.write_line(&[name, ": ", value]);
    }

    fn origin(&mut self, host: &str) {
        self.write_line(&["Origin: http://", host]);
    }

    fn referrer(&mut self, request: &BrowserRequest<'_>) {
        if let Some(path) = request.referrer {
            self.write_line(&["Referer: http://", request.host, path]);
        }
    }

    fn cookie(&mut self, request: &BrowserRequest<'_>) {
        if let Some(cookie) = request.cookie {
            self.field("Cookie", cookie);
        }
    }
}

/// Writes the head of a scripting library that does not hide.
pub(crate) fn write_script_head(host: &str, path: &str, out: &mut Vec<u8>) {
    let mut headers = HeaderWriter { out };
    headers.write_line(&["GET ", path, " HTTP/1.1"]);
    headers.field("Host", host);
    headers.field("User-Agent", "python-requests/2.32.4");
    headers.field("Accept-Encoding", "gzip, deflate");
    headers.field("Accept", "*/*");
    headers.field("Connection", "keep-alive");
    headers.write_line(&[]);
}

/// Writes the head of a tool that claims to be a browser, each time another one, and gets the
/// details wrong: no `Sec-Fetch` fields, one language for all, an invented version.
pub(crate) fn write_rotating_head(host: &str, path: &str, random: u32, out: &mut Vec<u8>) {
    const PLATFORMS: [&str; 6] = [
        "Windows NT 10.0; Win64; x64",
        "Windows NT 6.1; WOW64",
        "X11; Linux x86_64",
        "Macintosh; Intel Mac OS X 10_15_7",
        "Linux; Android 9; SM-G960F",
        "X11; Ubuntu; Linux x86_64",
    ];
    let platform = PLATFORMS[random as usize % PLATFORMS.len()];
    let (major, build) = (60 + random / 7 % 80, random / 601 % 6_000);
    let agent = format!(
        "Mozilla/5.0 ({platform}) AppleWebKit/537.36 (KHTML, like Gecko) \
         Chrome/{major}.0.{build}.{} Safari/537.36",
        random / 13 % 200
    );
    let mut headers = HeaderWriter { out };
    headers.write_line(&["GET ", path, " HTTP/1.1"]);
    headers.field("Host", host);
    headers.field("User-Agent", &agent);
    headers.field("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
    headers.field("Accept-Language", "en-US,en;q=0.5");
    headers.field("Accept-Encoding", "gzip, deflate, br");
    headers.field("Cache-Control", "no-cache");
    headers.field("Connection", "keep-alive");
    headers.write_line(&[]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(browser: Browser, fetch: FetchKind) -> String {
        let mut out = Vec::new();
        let request = BrowserRequest {
            host: "campaign.example",
            path: "/volunteer",
            fetch,
            referrer: Some("/"),
            cookie: Some("token=1"),
        };
        browser.write_head(&request, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn browsers_differ_in_fields_and_order_as_they_do_in_the_world() {
        let mut all = String::new();
        for browser in [Browser::ChromeWindows, Browser::FirefoxWindows, Browser::SafariIphone] {
            for fetch in [FetchKind::Link, FetchKind::Asset(AssetKind::Style), FetchKind::Form(7)] {
                all += &written(browser, fetch).replace("\r\n", "\n");
            }
        }
        all += &written(Browser::Text, FetchKind::Link).replace("\r\n", "\n");
        all += &written(Browser::FeedReader, FetchKind::Feed).replace("\r\n", "\n");
        insta::assert_snapshot!(all);
    }

    #[test]
    fn every_head_is_one_well_formed_request() {
        let browsers = COMMON.into_iter().chain([Browser::Text, Browser::FeedReader]);
        for browser in browsers {
            for fetch in [FetchKind::Landing, FetchKind::Link, FetchKind::Form(3), FetchKind::Feed]
            {
                let text = written(browser, fetch);
                let mut headers = [httparse::EMPTY_HEADER; 32];
                let mut request = httparse::Request::new(&mut headers);
                let parsed = request.parse(text.as_bytes()).unwrap();
                assert_eq!(parsed, httparse::Status::Complete(text.len()), "{text}");
            }
        }
    }
}
