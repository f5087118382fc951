//! The names that JSON access logs have for the same things.

/// What a value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// The visitor's address, as the server worked it out.
    Client,
    /// The address of the connection.
    Remote,
    /// A list of X-Forwarded-For.
    Forwarded,
    /// When the request began or was logged.
    Time,
    /// A later or coarser time, if there is no other.
    TimeOther,
    /// `GET /path HTTP/1.1`.
    RequestLine,
    Method,
    /// A path with its query.
    Target,
    /// A path without its query, if there is no target.
    Path,
    Query,
    Status,
    Bytes,
    Referer,
    UserAgent,
    Accept,
    Language,
    Host,
    /// A host, if there is no other: the name of the server block.
    HostOther,
    /// Seconds, or a text with its unit.
    Seconds,
    Millis,
    Nanos,
}

/// Number of slots.
pub(super) const SLOTS: usize = 21;

/// The object that a name is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parent {
    Root,
    /// An object with the fields of the root.
    Fields,
    /// Caddy's `request`.
    Request,
    /// Header fields by their names, each with a list of values.
    Headers,
    /// ECS: `client`, `source`.
    Source,
    Http,
    HttpRequest,
    HttpResponse,
    ResponseBody,
    Url,
    UserAgent,
    Event,
}

/// What a name means: for a text or number, and for an object.
pub(super) type Meaning = (Option<Slot>, Option<Parent>);

const fn value(slot: Slot) -> Meaning {
    (Some(slot), None)
}

const fn object(parent: Parent) -> Meaning {
    (None, Some(parent))
}

/// The meaning of `key` within `parent`.
pub(super) fn meaning(parent: Parent, key: &str) -> Meaning {
    match parent {
        Parent::Root | Parent::Fields => root(key),
        Parent::Request => request(key),
        Parent::Headers => headers(key),
        Parent::Source => match key {
            "ip" => value(Slot::Client),
            "address" => value(Slot::Remote),
            _ => (None, None),
        },
        Parent::Http => match key {
            "request" => object(Parent::HttpRequest),
            "response" => object(Parent::HttpResponse),
            _ => (None, None),
        },
        Parent::HttpRequest => match key {
            "method" => value(Slot::Method),
            "referrer" | "referer" => value(Slot::Referer),
            _ => (None, None),
        },
        Parent::HttpResponse => match key {
            "status_code" => value(Slot::Status),
            "bytes" => value(Slot::Bytes),
            "body" => object(Parent::ResponseBody),
            _ => (None, None),
        },
        Parent::ResponseBody => match key {
            "bytes" => value(Slot::Bytes),
            _ => (None, None),
        },
        Parent::Url => match key {
            "original" | "full" => value(Slot::Target),
            "path" => value(Slot::Path),
            "query" => value(Slot::Query),
            "domain" => value(Slot::Host),
            _ => (None, None),
        },
        Parent::UserAgent => match key {
            "original" => value(Slot::UserAgent),
            _ => (None, None),
        },
        Parent::Event => match key {
            "duration" => value(Slot::Nanos),
            "start" => value(Slot::TimeOther),
            _ => (None, None),
        },
    }
}

/// Names at the top: those of nginx variables (and what people commonly call them), Apache, Traefik, ECS with
/// dots, Cloudflare, Envoy and Istio.
fn root(key: &str) -> Meaning {
    match key {
        "client_ip" | "clientip" | "ClientIP" | "ClientHost" | "true_client_ip" | "real_ip"
        | "source.ip" | "client.ip" => value(Slot::Client),
        "remote_addr"
        | "remote_ip"
        | "remoteIP"
        | "remoteIp"
        | "remote_host"
        | "remote"
        | "ip"
        | "ClientAddr"
        | "source.address"
        | "client.address"
        | "remote_address"
        | "downstream_remote_address" => value(Slot::Remote),
        "client" | "source" => (Some(Slot::Remote), Some(Parent::Source)),
        "http_x_forwarded_for"
        | "x_forwarded_for"
        | "xff"
        | "X-Forwarded-For"
        | "x-forwarded-for"
        | "request_X-Forwarded-For"
        | "forwarded_for"
        | "proxy_add_x_forwarded_for" => value(Slot::Forwarded),
        "ts" | "msec" | "@timestamp" | "time_iso8601" | "timestamp" | "StartUTC"
        | "EdgeStartTimestamp" | "start_time" | "datetime" | "date" => value(Slot::Time),
        "time" | "time_local" | "timestamp_iso8601" | "EdgeEndTimestamp" | "StartLocal"
        | "event.start" => value(Slot::TimeOther),
        "request" => (Some(Slot::RequestLine), Some(Parent::Request)),
        "request_line" | "requestLine" => value(Slot::RequestLine),
        "request_method"
        | "method"
        | "RequestMethod"
        | "ClientRequestMethod"
        | "http.request.method"
        | "verb"
        | "request_type"
        | "http_method"
        | "requestMethod" => value(Slot::Method),
        "request_uri" | "uri" | "RequestPath" | "ClientRequestURI" | "url.original"
        | "url.full" | "path" | "request_url" | "request_path" | "requestUrl" => {
            value(Slot::Target)
        }
        "url" => (Some(Slot::Target), Some(Parent::Url)),
        "document_uri" | "ClientRequestPath" | "url.path" => value(Slot::Path),
        "args" | "query_string" | "query" | "url.query" | "request_query" => value(Slot::Query),
        "status"
        | "DownstreamStatus"
        | "EdgeResponseStatus"
        | "http.response.status_code"
        | "status_code"
        | "response_code"
        | "response_status" => value(Slot::Status),
        "body_bytes_sent"
        | "bytes_sent"
        | "size"
        | "DownstreamContentSize"
        | "EdgeResponseBytes"
        | "http.response.body.bytes"
        | "http.response.bytes"
        | "bytes"
        | "response_size"
        | "responseSize" => value(Slot::Bytes),
        "http_referer"
        | "http_referrer"
        | "referer"
        | "referrer"
        | "request_Referer"
        | "ClientRequestReferer"
        | "http.request.referrer" => value(Slot::Referer),
        "http_user_agent"
        | "userAgent"
        | "useragent"
        | "request_User-Agent"
        | "ClientRequestUserAgent"
        | "user_agent.original"
        | "agent" => value(Slot::UserAgent),
        "user_agent" => (Some(Slot::UserAgent), Some(Parent::UserAgent)),
        "http_accept" | "request_Accept" => value(Slot::Accept),
        "http_accept_language" | "request_Accept-Language" => value(Slot::Language),
        "http_host" | "host" | "RequestHost" | "ClientRequestHost" | "url.domain" | "vhost"
        | "virtual_host" | "authority" | "domain" => value(Slot::Host),
        "server_name" => value(Slot::HostOther),
        "request_time" | "duration" | "latency" => value(Slot::Seconds),
        "request_time_ms" | "EdgeTimeToFirstByteMs" | "duration_ms" => value(Slot::Millis),
        "Duration" | "event.duration" => value(Slot::Nanos),
        "http" => object(Parent::Http),
        "event" => object(Parent::Event),
        "headers" | "request_headers" | "RequestHeaders" => object(Parent::Headers),
        // Wrapped once more by those who ship the lines.
        "@nginx_fields" | "@fields" | "attributes" | "nginx" | "access" | "httpRequest" => {
            object(Parent::Fields)
        }
        _ => (None, None),
    }
}

fn request(key: &str) -> Meaning {
    match key {
        "client_ip" => value(Slot::Client),
        // With the port, in logs of Caddy before 2.5.
        "remote_ip" | "remote_addr" => value(Slot::Remote),
        "method" => value(Slot::Method),
        "host" => value(Slot::Host),
        "uri" | "url" => value(Slot::Target),
        "headers" => object(Parent::Headers),
        _ => (None, None),
    }
}

fn headers(key: &str) -> Meaning {
    let known = [
        ("referer", Slot::Referer),
        ("user-agent", Slot::UserAgent),
        ("accept", Slot::Accept),
        ("accept-language", Slot::Language),
        ("x-forwarded-for", Slot::Forwarded),
    ];
    let slot = known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
    (slot.map(|(_, slot)| slot), None)
}
