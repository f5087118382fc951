//! How browsers ask: which header fields, in which order, with which values.
//!
//! The shapes are those that the named browsers send over HTTP/1.1 to a site they trust. A gate
//! that tells visitors from attackers by the shape of their requests must be rehearsed with
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
pub(crate) enum Fetch {
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
pub(crate) struct Head<'a> {
    pub host: &'a str,
    pub path: &'a str,
    pub fetch: Fetch,
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

enum Family {
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

    fn family(self) -> Family {
        let chromium = |brands, mobile, platform| Family::Chromium { brands, mobile, platform };
        match self {
            Browser::ChromeWindows => chromium(CHROME, "?0", "\"Windows\""),
            Browser::ChromeAndroid => chromium(CHROME, "?1", "\"Android\""),
            Browser::EdgeWindows => chromium(EDGE, "?0", "\"Windows\""),
            Browser::FirefoxWindows | Browser::FirefoxAndroid => Family::Firefox,
            Browser::SafariMac | Browser::SafariIphone => Family::Safari,
            Browser::Text => Family::Text,
            Browser::FeedReader => Family::Feed,
        }
    }

    /// Writes the whole head of a request as this browser does.
    pub(crate) fn write_head(self, head: &Head<'_>, out: &mut Vec<u8>) {
        let mut fields = Fields { out };
        let method = if matches!(head.fetch, Fetch::Form(_)) { "POST" } else { "GET" };
        fields.line(&[method, " ", head.path, " HTTP/1.1"]);
        fields.put("Host", head.host);
        match self.family() {
            Family::Chromium { brands, mobile, platform } => {
                self.chromium(head, &mut fields, [brands, mobile, platform]);
            }
            Family::Firefox => self.firefox(head, &mut fields),
            Family::Safari => self.safari(head, &mut fields),
            Family::Text => self.text_browser(head, &mut fields),
            Family::Feed => {
                fields.put("User-Agent", self.user_agent());
                fields.put("Accept", "application/rss+xml, application/xml;q=0.9, */*;q=0.5");
                fields.put("Accept-Encoding", "gzip");
                fields.put("Connection", "keep-alive");
            }
        }
        fields.line(&[]);
    }

    fn chromium(self, head: &Head<'_>, fields: &mut Fields<'_>, hints: [&str; 3]) {
        let [brands, mobile, platform] = hints;
        fields.put("Connection", "keep-alive");
        match head.fetch {
            Fetch::Asset(_) => {
                fields.put("sec-ch-ua-platform", platform);
                fields.put("User-Agent", self.user_agent());
                fields.put("sec-ch-ua", brands);
                fields.put("sec-ch-ua-mobile", mobile);
            }
            Fetch::Landing | Fetch::Link | Fetch::Form(_) | Fetch::Feed => {
                if let Fetch::Form(length) = head.fetch {
                    fields.put("Content-Length", &length.to_string());
                    fields.put("Cache-Control", "max-age=0");
                }
                fields.put("sec-ch-ua", brands);
                fields.put("sec-ch-ua-mobile", mobile);
                fields.put("sec-ch-ua-platform", platform);
                if matches!(head.fetch, Fetch::Form(_)) {
                    fields.origin(head.host);
                    fields.put("Content-Type", "application/x-www-form-urlencoded");
                }
                fields.put("Upgrade-Insecure-Requests", "1");
                fields.put("User-Agent", self.user_agent());
            }
        }
        fields.put(
            "Accept",
            match head.fetch {
                Fetch::Asset(AssetKind::Style) => "text/css,*/*;q=0.1",
                Fetch::Asset(AssetKind::Script) => "*/*",
                Fetch::Asset(AssetKind::Image) => {
                    "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
                }
                _ => {
                    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,\
                     image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
                }
            },
        );
        fields.put("Sec-Fetch-Site", head.site());
        fields.put("Sec-Fetch-Mode", head.mode());
        if head.is_navigation() {
            fields.put("Sec-Fetch-User", "?1");
        }
        fields.put("Sec-Fetch-Dest", head.destination());
        fields.referrer(head);
        fields.put("Accept-Encoding", "gzip, deflate, br, zstd");
        fields.put("Accept-Language", "en-GB,en-US;q=0.9,en;q=0.8");
        fields.cookie(head);
    }

    fn firefox(self, head: &Head<'_>, fields: &mut Fields<'_>) {
        fields.put("User-Agent", self.user_agent());
        fields.put(
            "Accept",
            match head.fetch {
                Fetch::Asset(AssetKind::Style) => "text/css,*/*;q=0.1",
                Fetch::Asset(AssetKind::Script) => "*/*",
                Fetch::Asset(AssetKind::Image) => {
                    "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
                }
                _ => "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            },
        );
        fields.put("Accept-Language", "en-GB,en;q=0.5");
        fields.put("Accept-Encoding", "gzip, deflate, br, zstd");
        if let Fetch::Form(length) = head.fetch {
            fields.put("Content-Type", "application/x-www-form-urlencoded");
            fields.put("Content-Length", &length.to_string());
            fields.origin(head.host);
        }
        fields.put("Connection", "keep-alive");
        fields.referrer(head);
        fields.cookie(head);
        if head.is_navigation() {
            fields.put("Upgrade-Insecure-Requests", "1");
        }
        fields.put("Sec-Fetch-Dest", head.destination());
        fields.put("Sec-Fetch-Mode", head.mode());
        fields.put("Sec-Fetch-Site", head.site());
        if head.is_navigation() {
            fields.put("Sec-Fetch-User", "?1");
            fields.put("Priority", "u=0, i");
        }
    }

    fn safari(self, head: &Head<'_>, fields: &mut Fields<'_>) {
        if let Fetch::Form(length) = head.fetch {
            fields.put("Content-Type", "application/x-www-form-urlencoded");
            fields.put("Content-Length", &length.to_string());
            fields.origin(head.host);
        }
        fields.put("Sec-Fetch-Dest", head.destination());
        fields.put("User-Agent", self.user_agent());
        fields.put(
            "Accept",
            match head.fetch {
                Fetch::Asset(AssetKind::Style) => "text/css,*/*;q=0.1",
                Fetch::Asset(AssetKind::Script) => "*/*",
                Fetch::Asset(AssetKind::Image) => {
                    "image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,\
                     image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
                }
                _ => "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            },
        );
        fields.referrer(head);
        fields.put("Sec-Fetch-Site", head.site());
        fields.put("Sec-Fetch-Mode", head.mode());
        fields.put("Accept-Language", "en-GB,en;q=0.9");
        fields.put("Priority", if head.is_navigation() { "u=0, i" } else { "u=3, i" });
        fields.put("Accept-Encoding", "gzip, deflate");
        fields.cookie(head);
        fields.put("Connection", "keep-alive");
    }

    fn text_browser(self, head: &Head<'_>, fields: &mut Fields<'_>) {
        fields.put("Accept", "text/html, text/plain, text/sgml, text/css, */*;q=0.01");
        fields.put("Accept-Encoding", "gzip, bzip2");
        fields.put("Accept-Language", "en");
        fields.cookie(head);
        fields.put("User-Agent", self.user_agent());
        fields.referrer(head);
        if let Fetch::Form(length) = head.fetch {
            fields.put("Content-type", "application/x-www-form-urlencoded");
            fields.put("Content-length", &length.to_string());
        }
    }
}

impl Head<'_> {
    fn is_navigation(&self) -> bool {
        matches!(self.fetch, Fetch::Landing | Fetch::Link | Fetch::Form(_))
    }

    fn site(&self) -> &'static str {
        if self.fetch == Fetch::Landing { "none" } else { "same-origin" }
    }

    fn mode(&self) -> &'static str {
        if self.is_navigation() { "navigate" } else { "no-cors" }
    }

    fn destination(&self) -> &'static str {
        match self.fetch {
            Fetch::Landing | Fetch::Link | Fetch::Form(_) => "document",
            Fetch::Asset(AssetKind::Style) => "style",
            Fetch::Asset(AssetKind::Script) => "script",
            Fetch::Asset(AssetKind::Image) => "image",
            Fetch::Feed => "empty",
        }
    }
}

struct Fields<'a> {
    out: &'a mut Vec<u8>,
}

impl Fields<'_> {
    fn line(&mut self, parts: &[&str]) {
        for part in parts {
            self.out.extend_from_slice(part.as_bytes());
        }
        self.out.extend_from_slice(b"\r\n");
    }

    fn put(&mut self, name: &str, value: &str) {
        self.line(&[name, ": ", value]);
    }

    fn origin(&mut self, host: &str) {
        self.line(&["Origin: http://", host]);
    }

    fn referrer(&mut self, head: &Head<'_>) {
        if let Some(path) = head.referrer {
            self.line(&["Referer: http://", head.host, path]);
        }
    }

    fn cookie(&mut self, head: &Head<'_>) {
        if let Some(cookie) = head.cookie {
            self.put("Cookie", cookie);
        }
    }
}

/// Writes the head of a scripting library that does not hide.
pub(crate) fn write_script_head(host: &str, path: &str, out: &mut Vec<u8>) {
    let mut fields = Fields { out };
    fields.line(&["GET ", path, " HTTP/1.1"]);
    fields.put("Host", host);
    fields.put("User-Agent", "python-requests/2.32.4");
    fields.put("Accept-Encoding", "gzip, deflate");
    fields.put("Accept", "*/*");
    fields.put("Connection", "keep-alive");
    fields.line(&[]);
}

/// Writes the head of a tool that claims to be a browser, each time another one, and gets the
/// details wrong: no `Sec-Fetch` fields, one language for all, an invented version.
pub(crate) fn write_rotating_head(host: &str, path: &str, draw: u32, out: &mut Vec<u8>) {
    const PLATFORMS: [&str; 6] = [
        "Windows NT 10.0; Win64; x64",
        "Windows NT 6.1; WOW64",
        "X11; Linux x86_64",
        "Macintosh; Intel Mac OS X 10_15_7",
        "Linux; Android 9; SM-G960F",
        "X11; Ubuntu; Linux x86_64",
    ];
    let platform = PLATFORMS[draw as usize % PLATFORMS.len()];
    let (major, build) = (60 + draw / 7 % 80, draw / 601 % 6_000);
    let agent = format!(
        "Mozilla/5.0 ({platform}) AppleWebKit/537.36 (KHTML, like Gecko) \
         Chrome/{major}.0.{build}.{} Safari/537.36",
        draw / 13 % 200
    );
    let mut fields = Fields { out };
    fields.line(&["GET ", path, " HTTP/1.1"]);
    fields.put("Host", host);
    fields.put("User-Agent", &agent);
    fields.put("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
    fields.put("Accept-Language", "en-US,en;q=0.5");
    fields.put("Accept-Encoding", "gzip, deflate, br");
    fields.put("Cache-Control", "no-cache");
    fields.put("Connection", "keep-alive");
    fields.line(&[]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(browser: Browser, fetch: Fetch) -> String {
        let mut out = Vec::new();
        let head = Head {
            host: "campaign.example",
            path: "/volunteer",
            fetch,
            referrer: Some("/"),
            cookie: Some("token=1"),
        };
        browser.write_head(&head, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn browsers_differ_in_fields_and_order_as_they_do_in_the_world() {
        let mut all = String::new();
        for browser in [Browser::ChromeWindows, Browser::FirefoxWindows, Browser::SafariIphone] {
            for fetch in [Fetch::Link, Fetch::Asset(AssetKind::Style), Fetch::Form(7)] {
                all += &written(browser, fetch).replace("\r\n", "\n");
            }
        }
        all += &written(Browser::Text, Fetch::Link).replace("\r\n", "\n");
        all += &written(Browser::FeedReader, Fetch::Feed).replace("\r\n", "\n");
        insta::assert_snapshot!(all);
    }

    #[test]
    fn every_head_is_one_well_formed_request() {
        let browsers = COMMON.into_iter().chain([Browser::Text, Browser::FeedReader]);
        for browser in browsers {
            for fetch in [Fetch::Landing, Fetch::Link, Fetch::Form(3), Fetch::Feed] {
                let text = written(browser, fetch);
                let mut fields = [httparse::EMPTY_HEADER; 32];
                let mut request = httparse::Request::new(&mut fields);
                let parsed = request.parse(text.as_bytes()).unwrap();
                assert_eq!(parsed, httparse::Status::Complete(text.len()), "{text}");
            }
        }
    }
}
