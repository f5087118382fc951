//! The destinations of certificates and challenge responses: what `edge` reads them from.

use std::sync::Arc;

use portcullis_edge::{ChallengeAnswers, NamedCertificates};

/// Where obtained certificates and challenge responses go.
#[derive(Clone, Debug)]
pub struct CertSinks {
    /// Certificates for visitors.
    pub issued: Arc<NamedCertificates>,
    /// Certificates for TLS-ALPN-01 validation by the authority.
    pub challenges: Arc<NamedCertificates>,
    /// Responses for HTTP-01 validation by the authority.
    pub answers: Arc<ChallengeAnswers>,
}
