//! What the connections of one worker are served with.

use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderValue;

use crate::admission::Admission;
use crate::context::WorkerContext;
use crate::serve::RequestService;
use crate::tls::config::TlsConfigs;

/// What the connections of one worker are served with.
pub(crate) struct ServerState {
    pub(crate) context: Rc<WorkerContext>,
    pub(crate) admission: Admission,
    pub(crate) service: Rc<RequestService>,
    pub(crate) tls: Arc<ArcSwap<TlsConfigs>>,
    /// By listener: what its responses say of HTTP/3.
    pub(crate) alternatives: Vec<Option<HeaderValue>>,
}
