//! The trailer section behind a chunked body (RFC 9112, section 7.1.2).

use http::{HeaderMap, HeaderName, HeaderValue};

use super::decoder::Malformed;
use crate::request::fields;

/// Fields behind a body. Checksums and timings are a few.
const TRAILERS: usize = 32;

/// Reads the trailer section with its empty line. What is not allowed in a trailer is dropped, as
/// all of it may be (RFC 9110, section 6.5.1).
pub(crate) fn trailers(section: &[u8]) -> Result<Option<HeaderMap>, Malformed> {
    let mut lines = [httparse::EMPTY_HEADER; TRAILERS];
    let Ok(httparse::Status::Complete((length, lines))) =
        httparse::parse_headers(section, &mut lines)
    else {
        return if section.is_empty() { Ok(None) } else { Err(Malformed) };
    };
    if length != section.len() {
        return Err(Malformed);
    }
    let mut trailers = HeaderMap::with_capacity(lines.len());
    for field in lines {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Malformed)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| Malformed)?;
        if fields::is_allowed_trailer(name.as_str()) {
            trailers.append(name, value);
        }
    }
    Ok((!trailers.is_empty()).then_some(trailers))
}
