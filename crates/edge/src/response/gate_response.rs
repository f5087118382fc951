//! An answer on its way to a visitor, whichever protocol it leaves by.

use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Response, StatusCode};

use super::body::ResponseBody;
use crate::header_block::HeaderBlock;
use crate::origin::tunnel::Tunnel;

/// An answer of the gate's own or of an origin.
pub(crate) struct GateResponse {
    pub(crate) status: StatusCode,
    /// Without what frames the message or is for one hop.
    pub(crate) fields: HeaderBlock,
    /// The announced length of its body, in responses to `HEAD` too.
    pub(crate) length: Option<u64>,
    /// An origin's has its own `Date`.
    pub(crate) dated: bool,
    /// Nothing can follow it on the same HTTP/1.1 connection.
    pub(crate) last: bool,
    pub(crate) body: ResponseBody,
    /// The origin's end of a connection that leaves HTTP behind this answer.
    pub(crate) upgrade: Option<Box<Tunnel>>,
}

impl GateResponse {
    /// For HTTP/2 and HTTP/3. An answer to `HEAD` leaves its body here.
    pub(crate) fn into_response(mut self, for_head: bool) -> Response<ResponseBody> {
        if for_head && let Some(whole) = self.body.take_whole().filter(|whole| !whole.is_empty()) {
            self.length = Some(whole.len() as u64);
        }
        self.body.log_status(self.status);
        let mut headers = self.fields.into_map();
        if let Some(length) = self.length {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }
}
