//! The messages of a QUIC handshake that the gate reads: the visitor's first message, and
//! whether our answer takes up an earlier session.
//!
//! quinn exposes neither, but takes its TLS from an implementation of its traits. This one wraps
//! quinn's own and reads the handshake bytes, which pass unchanged and in order.

use std::any::Any;
use std::sync::Arc;

use quinn::ConnectionId;
use quinn::crypto::rustls::{HandshakeData, QuicServerConfig};
use quinn::crypto::{
    ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, ServerConfig, Session,
    UnsupportedVersion,
};
use quinn_proto::TransportError;
use quinn_proto::transport_parameters::TransportParameters;

use super::client_hello::{LONGEST, long_vector, number, short_vector, take};
use super::ja4::Ja4;

const SERVER_HELLO: u8 = 2;
const PRE_SHARED_KEY: u16 = 41;

/// What the tap has read, for [`quinn::Connection::handshake_data`].
#[derive(Clone, Debug)]
pub(crate) struct HandshakeInfo {
    /// The visitor's TLS library; `None` where its first message was absurdly long.
    pub(crate) client: Option<Ja4>,
    /// Whether it came back with a ticket that was accepted.
    pub(crate) resumed: bool,
    /// The name that the visitor asked for.
    pub(crate) name: Option<String>,
}

/// quinn's TLS, with the tap.
pub(crate) struct TappedServerConfig(pub(crate) Arc<QuicServerConfig>);

impl ServerConfig for TappedServerConfig {
    fn initial_keys(&self, version: u32, id: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        self.0.initial_keys(version, id)
    }

    fn retry_tag(&self, version: u32, id: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        self.0.retry_tag(version, id, packet)
    }

    fn start_session(
        self: Arc<Self>,
        version: u32,
        parameters: &TransportParameters,
    ) -> Box<dyn Session> {
        let inner = Arc::clone(&self.0).start_session(version, parameters);
        let info = HandshakeInfo { client: None, resumed: false, name: None };
        Box::new(TappedSession { inner, first: Some(Vec::new()), info })
    }
}

struct TappedSession {
    inner: Box<dyn Session>,
    /// The first message as far as it has come, of [`LONGEST`] bytes at most, which is also what the
    /// transport holds of it; `None` once it is whole, or too long.
    first: Option<Vec<u8>>,
    info: HandshakeInfo,
}

impl TappedSession {
    fn tap(&mut self, bytes: &[u8]) {
        let Some(first) = &mut self.first else { return };
        if first.len() + bytes.len() > LONGEST {
            self.first = None;
            return;
        }
        first.extend_from_slice(bytes);
        let Some([_, a, b, c]) = first.first_chunk() else { return };
        let whole = 4 + (usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c));
        if let Some(message) = first.get(..whole) {
            self.info.client = Ja4::of_quic(message);
            self.first = None;
        }
    }
}

/// Whether a `ServerHello` resumes an earlier session: no other pre-shared keys are in use.
fn resumes_session(message: &[u8]) -> bool {
    let look = || {
        let mut rest = message;
        let [SERVER_HELLO, _, _, _] = take(&mut rest, 4)? else { return None };
        let _version_and_random = take(&mut rest, 34)?;
        let _session = short_vector(&mut rest)?;
        let _suite_and_compression = take(&mut rest, 3)?;
        let mut extensions = long_vector(&mut rest)?;
        while !extensions.is_empty() {
            let kind = number(&mut extensions)?;
            long_vector(&mut extensions)?;
            if kind == PRE_SHARED_KEY {
                return Some(());
            }
        }
        None
    };
    look().is_some()
}

impl Session for TappedSession {
    fn initial_keys(&self, id: &ConnectionId, side: quinn::Side) -> Keys {
        self.inner.initial_keys(id, side)
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        let data = self.inner.handshake_data()?.downcast::<HandshakeData>().ok();
        let name = data.and_then(|data| data.server_name);
        Some(Box::new(HandshakeInfo { name, ..self.info.clone() }))
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        self.inner.peer_identity()
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        self.inner.early_crypto()
    }

    fn early_data_accepted(&self) -> Option<bool> {
        self.inner.early_data_accepted()
    }

    fn is_handshaking(&self) -> bool {
        self.inner.is_handshaking()
    }

    fn read_handshake(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        self.tap(bytes);
        self.inner.read_handshake(bytes)
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        self.inner.transport_parameters()
    }

    fn write_handshake(&mut self, out: &mut Vec<u8>) -> Option<Keys> {
        let before = out.len();
        let keys = self.inner.write_handshake(out);
        self.info.resumed |= out.get(before..).is_some_and(resumes_session);
        keys
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        self.inner.next_1rtt_keys()
    }

    fn is_valid_retry(&self, id: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        self.inner.is_valid_retry(id, header, payload)
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        self.inner.export_keying_material(output, label, context)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hello(kinds: &[u16]) -> Vec<u8> {
        let extensions: Vec<u8> = kinds
            .iter()
            .flat_map(|kind| [&kind.to_be_bytes()[..], &[0, 2, 0, 0]].concat())
            .collect();
        let mut body = vec![3; 34];
        body.extend([0, 0x13, 1, 0]);
        body.extend((extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
        [&[SERVER_HELLO, 0, 0, body.len() as u8][..], &body].concat()
    }

    #[test]
    fn an_answer_with_a_shared_key_takes_up_a_session_and_others_do_not() {
        assert!(resumes_session(&hello(&[51, 41, 43])));
        assert!(!resumes_session(&hello(&[51, 43])));
        assert!(!resumes_session(&[]));
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_looked_at_without_a_panic(bytes: Vec<u8>) {
            resumes_session(&bytes);
            resumes_session(&[&[SERVER_HELLO][..], &bytes].concat());
        }
    }
}
