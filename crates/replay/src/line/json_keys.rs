//! The names that JSON access logs have for the same things.

/// What a value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JsonSlot {
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
pub(super) enum JsonParent {
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
pub(super) type Meaning = (Option<JsonSlot>, Option<JsonParent>);

const fn value(slot: JsonSlot) -> Meaning {
    (Some(slot), None)
}

const fn object(parent: JsonParent) -> Meaning {
    (None, Some(parent))
}

/// The meaning of `key` within `parent`.
pub(super) fn meaning(parent: JsonParent, key: &str) -> Meaning {
    match parent {
        JsonParent::Root | JsonParent::Fields => root(key),
        JsonParent::Request => request(key),
        JsonParent::Headers => headers(key),
        JsonParent::Source => match key {
            "ip" => value(JsonSlot::Client),
            "address" => value(JsonSlot::Remote),
            _ => (None, None),
        },
        JsonParent::Http => match key {
            "request" => object(JsonParent::HttpRequest),
            "response" => object(JsonParent::HttpResponse),
            _ => (None, None),
        },
        JsonParent::HttpRequest => match key {
            "method" => value(JsonSlot::Method),
            "referrer" | "referer" => value(JsonSlot::Referer),
            _ => (None, None),
        },
        JsonParent::HttpResponse => match key {
            "status_code" => value(JsonSlot::Status),
            "bytes" => value(JsonSlot::Bytes),
            "body" => object(JsonParent::ResponseBody),
            _ => (None, None),
        },
        JsonParent::ResponseBody => match key {
            "bytes" => value(JsonSlot::Bytes),
            _ => (None, None),
        },
        JsonParent::Url => match key {
            "original" | "full" => value(JsonSlot::Target),
            "path" => value(JsonSlot::Path),
            "query" => value(JsonSlot::Query),
            "domain" => value(JsonSlot::Host),
            _ => (None, None),
        },
        JsonParent::UserAgent => match key {
            "original" => value(JsonSlot::UserAgent),
            _ => (None, None),
        },
        JsonParent::Event => match key {
            "duration" => value(JsonSlot::Nanos),
            "start" => value(JsonSlot::TimeOther),
            _ => (None, None),
        },
    }
}

/// Names at the top: those of nginx variables (and what people commonly call them), Apache, Traefik, ECS with
/// dots, Cloudflare, Envoy and Istio.
fn root(key: &str) -> Meaning {
    match key {
        "client_ip" | "clientip" | "ClientIP" | "ClientHost" | "true_client_ip" | "real_ip"
        | "source.ip" | "client.ip" => value(JsonSlot::Client),
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
        | "downstream_remote_address" => value(JsonSlot::Remote),
        "client" | "source" => (Some(JsonSlot::Remote), Some(JsonParent::Source)),
        "http_x_forwarded_for"
        | "x_forwarded_for"
        | "xff"
        | "X-Forwarded-For"
        | "x-forwarded-for"
        | "request_X-Forwarded-For"
        | "forwarded_for"
        | "proxy_add_x_forwarded_for" => value(JsonSlot::Forwarded),
        "ts" | "msec" | "@timestamp" | "time_iso8601" | "timestamp" | "StartUTC"
        | "EdgeStartTimestamp" | "start_time" | "datetime" | "date" => value(JsonSlot::Time),
        "time" | "time_local" | "timestamp_iso8601" | "EdgeEndTimestamp" | "StartLocal"
        | "event.start" => value(JsonSlot::TimeOther),
        _ => root_request(key),
    }
}

/// What was asked.
fn root_request(key: &str) -> Meaning {
    match key {
        "request" => (Some(JsonSlot::RequestLine), Some(JsonParent::Request)),
        "request_line" | "requestLine" => value(JsonSlot::RequestLine),
        "request_method"
        | "method"
        | "RequestMethod"
        | "ClientRequestMethod"
        | "http.request.method"
        | "verb"
        | "request_type"
        | "http_method"
        | "requestMethod" => value(JsonSlot::Method),
        "request_uri" | "uri" | "RequestPath" | "ClientRequestURI" | "url.original"
        | "url.full" | "path" | "request_url" | "request_path" | "requestUrl" => {
            value(JsonSlot::Target)
        }
        "url" => (Some(JsonSlot::Target), Some(JsonParent::Url)),
        "document_uri" | "ClientRequestPath" | "url.path" => value(JsonSlot::Path),
        "args" | "query_string" | "query" | "url.query" | "request_query" => value(JsonSlot::Query),
        _ => root_answer(key),
    }
}

/// How it was answered, and the header fields.
fn root_answer(key: &str) -> Meaning {
    match key {
        "status"
        | "DownstreamStatus"
        | "EdgeResponseStatus"
        | "http.response.status_code"
        | "status_code"
        | "response_code"
        | "response_status" => value(JsonSlot::Status),
        "body_bytes_sent"
        | "bytes_sent"
        | "size"
        | "DownstreamContentSize"
        | "EdgeResponseBytes"
        | "http.response.body.bytes"
        | "http.response.bytes"
        | "bytes"
        | "response_size"
        | "responseSize" => value(JsonSlot::Bytes),
        "http_referer"
        | "http_referrer"
        | "referer"
        | "referrer"
        | "request_Referer"
        | "ClientRequestReferer"
        | "http.request.referrer" => value(JsonSlot::Referer),
        "http_user_agent"
        | "userAgent"
        | "useragent"
        | "request_User-Agent"
        | "ClientRequestUserAgent"
        | "user_agent.original"
        | "agent" => value(JsonSlot::UserAgent),
        "user_agent" => (Some(JsonSlot::UserAgent), Some(JsonParent::UserAgent)),
        "http_accept" | "request_Accept" => value(JsonSlot::Accept),
        "http_accept_language" | "request_Accept-Language" => value(JsonSlot::Language),
        "http_host" | "host" | "RequestHost" | "ClientRequestHost" | "url.domain" | "vhost"
        | "virtual_host" | "authority" | "domain" => value(JsonSlot::Host),
        "server_name" => value(JsonSlot::HostOther),
        "request_time" | "duration" | "latency" => value(JsonSlot::Seconds),
        "request_time_ms" | "EdgeTimeToFirstByteMs" | "duration_ms" => value(JsonSlot::Millis),
        "Duration" | "event.duration" => value(JsonSlot::Nanos),
        "http" => object(JsonParent::Http),
        "event" => object(JsonParent::Event),
        "headers" | "request_headers" | "RequestHeaders" => object(JsonParent::Headers),
        // Wrapped once more by those who ship the lines.
        "@nginx_fields" | "@fields" | "attributes" | "nginx" | "access" | "httpRequest" => {
            object(JsonParent::Fields)
        }
        _ => (None, None),
    }
}

fn request(key: &str) -> Meaning {
    match key {
        "client_ip" => value(JsonSlot::Client),
        // With the port, in logs of Caddy before 2.5.
        "remote_ip" | "remote_addr" => value(JsonSlot::Remote),
        "method" => value(JsonSlot::Method),
        "host" => value(JsonSlot::Host),
        "uri" | "url" => value(JsonSlot::Target),
        "headers" => object(JsonParent::Headers),
        _ => (None, None),
    }
}

fn headers(key: &str) -> Meaning {
    let known = [
        ("referer", JsonSlot::Referer),
        ("user-agent", JsonSlot::UserAgent),
        ("accept", JsonSlot::Accept),
        ("accept-language", JsonSlot::Language),
        ("x-forwarded-for", JsonSlot::Forwarded),
    ];
    let slot = known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
    (slot.map(|(_, slot)| slot), None)
}
