//! What visitors read when their request is not answered by the origin.
//!
//! One short page for each case, prepared in advance: refusing must stay cheaper than serving. Each
//! states what happened, what to do, and a word that support can look up; none blames the reader. They
//! work without scripts, with a screen reader and on a phone.

use bytes::Bytes;
use http::StatusCode;
use portcullis_model::{Reason, Verdict};

use super::body::ResponseBody;
use super::gate_response::GateResponse;
use crate::conn::connection::RequestGuard;
use crate::header_block::HeaderBlock;
use portcullis_gate::Head;

/// What the visitor can make use of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseFormat {
    /// A person's browser, opening a page.
    Page,
    /// JSON, for programs.
    Json,
    /// Anything else: a picture, a script, a command line.
    Text,
}

impl ResponseFormat {
    /// `page` is the gate's own finding.
    pub(crate) fn from_head(page: bool, head: &Head<'_>) -> Self {
        let json = |value: &[u8]| memchr::memmem::find(value, b"json").is_some();
        if page {
            Self::Page
        } else if head.first("accept").is_some_and(json) {
            Self::Json
        } else {
            Self::Text
        }
    }
}

/// Why a forwarded request has no answer from the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForwardFailure {
    /// The origin cannot be reached, or broke off.
    Unreachable,
    /// The origin did not answer in time.
    Timeout,
    /// No connection to the origin became free in time.
    Busy,
    /// The request's body did not arrive in time.
    BodySlow,
    /// The request's body grew beyond the limit.
    BodyTooLarge,
    /// Where the request's body ends could be read in two ways.
    BodyMalformed,
}

/// One page in three forms.
struct ErrorPage {
    html: &'static str,
    json: &'static str,
    plain: &'static str,
}

macro_rules! text {
    ($code:literal, $title:literal, $body:literal) => {
        ErrorPage {
            html: concat!(
                "<!doctype html><html lang=\"en-GB\"><head><meta charset=\"utf-8\">",
                "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">",
                "<meta name=\"robots\" content=\"noindex\"><title>",
                $title,
                "</title><style>body{font:1.125rem/1.6 system-ui,sans-serif;max-width:34rem;",
                "margin:12vh auto 2rem;padding:0 1.25rem;color:#1c1c1c;background:#fff}",
                "h1{font-size:1.6rem;line-height:1.25}small{color:#555}",
                "@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}",
                "small{color:#aaa}}</style></head><body><main><h1>",
                $title,
                "</h1><p>",
                $body,
                "</p><p><small>If you contact support, please mention the code <strong>",
                $code,
                "</strong>.</small></p></main></body></html>\n"
            ),
            json: concat!(
                "{\"error\":\"",
                $code,
                "\",\"message\":\"",
                $title,
                ". ",
                $body,
                "\"}\n"
            ),
            plain: concat!($title, ". ", $body, " (", $code, ")\n"),
        }
    };
}

/// How a reason is answered. Reasons that end a connection without an answer never come here.
fn refusal_page(reason: Reason) -> (StatusCode, ErrorPage) {
    match reason {
        Reason::TokenSpent | Reason::SourceRate => (
            StatusCode::TOO_MANY_REQUESTS,
            text!(
                "source-rate",
                "A short pause, please",
                "We are receiving a lot of requests from your network at the moment. Nothing is \
                 wrong with your device. Please wait a few seconds and try again."
            ),
        ),
        Reason::Signature => (
            StatusCode::FORBIDDEN,
            text!(
                "signature",
                "We could not open this page",
                "This site is under attack, and your request looks like those that are part of \
                 it. If you are a person, we are sorry. Please try again in a few minutes, or \
                 begin from the home page."
            ),
        ),
        Reason::Shed => (
            StatusCode::SERVICE_UNAVAILABLE,
            text!(
                "shed",
                "This page is resting",
                "The site is very busy, so we have paused this part to keep the most important \
                 parts working. Please try again in about half a minute."
            ),
        ),
        Reason::TunnelLimit => (
            StatusCode::SERVICE_UNAVAILABLE,
            text!(
                "tunnel-limit",
                "No live connection is free",
                "As many live connections as this site can keep are open. Please close tabs of \
                 this site that you do not need, and try again in a moment."
            ),
        ),
        Reason::UnknownHost => (
            StatusCode::MISDIRECTED_REQUEST,
            text!(
                "unknown-host",
                "There is no site at this address",
                "This server does not serve the address that was asked for. Please check it for \
                 a typing mistake."
            ),
        ),
        Reason::Misdirected => (
            StatusCode::MISDIRECTED_REQUEST,
            text!(
                "misdirected",
                "This connection is for another site",
                "The secure connection was opened for another site than the one that was asked \
                 for. Reloading the page usually helps."
            ),
        ),
        Reason::AmbiguousPath => (
            StatusCode::BAD_REQUEST,
            text!(
                "ambiguous-path",
                "This address can be read in two ways",
                "The address that was asked for contains characters that this site does not \
                 accept there, such as a backslash or two dots. If you followed a link, please \
                 begin from the home page."
            ),
        ),
        Reason::BodyTooLarge => (
            StatusCode::PAYLOAD_TOO_LARGE,
            text!(
                "body-too-large",
                "That is too large to send",
                "What you sent is larger than this site accepts. Please try again with a smaller \
                 file."
            ),
        ),
        Reason::HeaderTooLarge => (
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            text!(
                "header-too-large",
                "Your browser sent too much with this request",
                "Most often, this site has left too many cookies in your browser. Please delete \
                 the cookies of this site and try again."
            ),
        ),
        Reason::TargetTooLong => (
            StatusCode::URI_TOO_LONG,
            text!(
                "target-too-long",
                "This address is too long",
                "The address that was asked for is longer than this site accepts. If you \
                 followed a link, please begin from the home page."
            ),
        ),
        Reason::TooManyRanges => (
            StatusCode::RANGE_NOT_SATISFIABLE,
            text!(
                "too-many-ranges",
                "Too many parts were asked for",
                "Your program asked for many parts of this document, or for the same part twice. \
                 Please download it as a whole."
            ),
        ),
        Reason::NotSupported => (
            StatusCode::NOT_IMPLEMENTED,
            text!(
                "not-supported",
                "This kind of request is not supported",
                "The program that asked used a method or a coding which this site does not offer."
            ),
        ),
        Reason::Malformed
        | Reason::Allowed
        | Reason::Acme
        | Reason::TokenHeld
        | Reason::Exempt
        | Reason::ChallengeIssued
        | Reason::ChallengePassed => (
            StatusCode::BAD_REQUEST,
            text!(
                "malformed",
                "The request could not be understood",
                "What your browser or program sent was incomplete or ambiguous. Please try again; \
                 if it happens once more, try another browser."
            ),
        ),
    }
}

fn failure_page(failure: ForwardFailure) -> (StatusCode, ErrorPage, Option<u32>) {
    match failure {
        ForwardFailure::Unreachable => (
            StatusCode::BAD_GATEWAY,
            text!(
                "origin-unreachable",
                "The site is not answering just now",
                "We could not reach the server behind this page. We know about it. Please try \
                 again in a minute."
            ),
            Some(60),
        ),
        ForwardFailure::Timeout => (
            StatusCode::GATEWAY_TIMEOUT,
            text!(
                "origin-timeout",
                "The site is taking too long",
                "The server behind this page did not answer in time. If you were sending a form, \
                 please check whether it arrived before you send it again."
            ),
            Some(30),
        ),
        ForwardFailure::Busy => (
            StatusCode::SERVICE_UNAVAILABLE,
            text!(
                "origin-busy",
                "The site is very busy",
                "More people are here than the site can serve, and your turn did not \
                 come in time. Please try again in a few seconds."
            ),
            Some(5),
        ),
        ForwardFailure::BodySlow => (
            StatusCode::REQUEST_TIMEOUT,
            text!(
                "body-aborted",
                "The upload stopped",
                "The rest of what you were sending did not arrive. Please check your connection \
                 and try again."
            ),
            None,
        ),
        ForwardFailure::BodyTooLarge => {
            let (status, text) = refusal_page(Reason::BodyTooLarge);
            (status, text, None)
        }
        ForwardFailure::BodyMalformed => {
            let (status, text) = refusal_page(Reason::Malformed);
            (status, text, None)
        }
    }
}

const NO_STORE: &[u8] = b"no-store";
const HTML: &[u8] = b"text/html; charset=utf-8";
/// Bytes that the fields of a page take, and those that come with them sometimes.
const FIELDS: usize = 192;

fn page(
    mut fields: HeaderBlock,
    status: StatusCode,
    text: &ErrorPage,
    wants: ResponseFormat,
    turn: RequestGuard,
) -> GateResponse {
    let (kind, body) = match wants {
        ResponseFormat::Page => (HTML, text.html),
        ResponseFormat::Json => (&b"application/json"[..], text.json),
        ResponseFormat::Text => (&b"text/plain; charset=utf-8"[..], text.plain),
    };
    fields.put("content-type", kind);
    fields.put("cache-control", NO_STORE);
    answer(fields, status, Bytes::from_static(body.as_bytes()), turn)
}

const fn answer(
    fields: HeaderBlock,
    status: StatusCode,
    body: Bytes,
    turn: RequestGuard,
) -> GateResponse {
    let body = ResponseBody::whole(body, turn);
    GateResponse { status, fields, length: None, dated: false, last: false, body, upgrade: None }
}

/// The answer to a refused request. `coded`: it came with a transfer coding.
pub(crate) fn refusal(
    reason: Reason,
    wants: ResponseFormat,
    retry_after: Option<u32>,
    coded: bool,
    turn: RequestGuard,
) -> GateResponse {
    debug_assert!(matches!(reason.verdict(), Verdict::Refuse));
    let mut fields = HeaderBlock::with_capacity(FIELDS);
    put_retry_after(&mut fields, retry_after);
    let (mut status, text) = refusal_page(reason);
    // A transfer coding that is not known is 501, a method 405 (RFC 9110, sections 15.6.2 and 15.5.6).
    if reason == Reason::NotSupported && !coded {
        status = StatusCode::METHOD_NOT_ALLOWED;
        fields.put("allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    }
    let mut answer = page(fields, status, &text, wants, turn);
    // Where the next request begins is anybody's guess; behind CONNECT there is none.
    answer.last = matches!(reason, Reason::Malformed | Reason::NotSupported);
    answer
}

fn put_retry_after(fields: &mut HeaderBlock, seconds: Option<u32>) {
    if let Some(seconds) = seconds {
        fields.put("retry-after", seconds.to_string().as_bytes());
    }
}

/// The response to a certificate authority's challenge (RFC 8555 section 8.3).
pub(crate) fn challenge(proof: &str, turn: RequestGuard) -> GateResponse {
    let mut fields = HeaderBlock::with_capacity(FIELDS);
    fields.put("content-type", b"application/octet-stream");
    fields.put("cache-control", NO_STORE);
    answer(fields, StatusCode::OK, Bytes::copy_from_slice(proof.as_bytes()), turn)
}

/// The answer when the origin gave none.
pub(crate) fn failure(
    failure: ForwardFailure,
    wants: ResponseFormat,
    turn: RequestGuard,
) -> GateResponse {
    let (status, text, retry_after) = failure_page(failure);
    let mut fields = HeaderBlock::with_capacity(FIELDS);
    put_retry_after(&mut fields, retry_after);
    let mut answer = page(fields, status, &text, wants, turn);
    answer.last = matches!(
        failure,
        ForwardFailure::BodySlow | ForwardFailure::BodyTooLarge | ForwardFailure::BodyMalformed
    );
    answer
}

/// A redirect on the same host that keeps method and body. `location` is made of what has been read
/// as a target, and so fits on a line.
pub(crate) fn redirect(location: &str, cookie: Option<&str>, turn: RequestGuard) -> GateResponse {
    let mut fields = HeaderBlock::with_capacity(FIELDS + location.len());
    fields.put("location", location.as_bytes());
    fields.put("cache-control", NO_STORE);
    if let Some(cookie) = cookie {
        fields.put("set-cookie", cookie.as_bytes());
    }
    answer(fields, StatusCode::TEMPORARY_REDIRECT, Bytes::new(), turn)
}

/// The page that continues automatically.
pub(crate) fn wait(seconds: u32, continue_to: &str, turn: RequestGuard) -> GateResponse {
    let mut fields = HeaderBlock::with_capacity(FIELDS + continue_to.len());
    fields.put("refresh", format!("{seconds}; url={continue_to}").as_bytes());
    put_retry_after(&mut fields, Some(seconds));
    fields.put("cache-control", NO_STORE);
    fields.put("content-type", HTML);
    let (before, after) = WAIT;
    let link = escaped(continue_to);
    let body = format!("{before}{link}{after}");
    answer(fields, StatusCode::SERVICE_UNAVAILABLE, body.into(), turn)
}

/// The text before and after the address to continue to.
const WAIT: (&str, &str) = (
    concat!(
        "<!doctype html><html lang=\"en-GB\"><head><meta charset=\"utf-8\">",
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">",
        "<meta name=\"robots\" content=\"noindex\"><title>One moment, please</title>",
        "<style>body{font:1.125rem/1.6 system-ui,sans-serif;max-width:34rem;",
        "margin:12vh auto 2rem;padding:0 1.25rem;color:#1c1c1c;background:#fff}",
        "h1{font-size:1.6rem;line-height:1.25}a{color:#0b57d0}small{color:#555}",
        "@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}",
        "a{color:#8ab4f8}small{color:#aaa}}</style></head><body><main>",
        "<h1>One moment, please</h1><p>A great many requests are reaching this site. Your page ",
        "opens by itself in a few seconds; you need not do anything.</p>",
        "<p>If it does not, please wait a moment and <a href=\""
    ),
    concat!(
        "\">continue to the page</a>.</p><p><small>If you contact support, please mention the ",
        "code <strong>unproven</strong>.</small></p></main></body></html>\n"
    ),
);

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_text() -> Vec<ErrorPage> {
        let failures = [
            ForwardFailure::Unreachable,
            ForwardFailure::Timeout,
            ForwardFailure::Busy,
            ForwardFailure::BodySlow,
            ForwardFailure::BodyTooLarge,
            ForwardFailure::BodyMalformed,
        ];
        let refusals = Reason::ALL.iter().map(|reason| refusal_page(*reason).1);
        refusals.chain(failures.map(|failure| failure_page(failure).1)).collect()
    }

    #[test]
    fn every_page_is_small_calm_and_without_scripts() {
        for text in every_text() {
            assert!(text.html.len() < 2048);
            assert!(text.html.contains("lang=\"en-GB\"") && text.html.contains("viewport"));
            for never in ["<script", "http:", "https:", "  ", "blocked", "!<"] {
                assert!(!text.html.contains(never), "{never}: {}", text.html);
            }
            assert!(!text.plain.trim_end().contains('\n'));
            let quotes = text.json.matches('"').count();
            assert_eq!(quotes, 8, "{}", text.json);
        }
    }

    #[test]
    fn the_way_to_continue_cannot_leave_its_quotes() {
        assert_eq!(escaped("/a?b=1&c=\"><x"), "/a?b=1&amp;c=&quot;&gt;&lt;x");
        assert!(WAIT.0.len() + WAIT.1.len() < 2048);
    }
}
