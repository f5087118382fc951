//! Upgraded connections (`WebSocket`): after both sides agreed, bytes pass both ways until one
//! side ends or both fall silent.
//!
//! Nothing but the request itself is sent to the origin before the origin has agreed (status
//! 101), so that an upgrade cannot be used to smuggle a request past the gate.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use portcullis_model::{ActivityId, ActivityTimeouts, Limits, SourceKey};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use crate::origin::{Lease, Pool};
use crate::transport::VisitorIo;
use crate::visit::Visit;
use crate::worker::House;

/// Bytes held for each direction.
const BUFFER: usize = 8 * 1024;

/// The origin's end of an upgraded connection.
pub(crate) struct Tunnel {
    pub(crate) stream: TcpStream,
    /// What the origin sent right behind its agreement.
    pub(crate) ahead: Bytes,
    /// Counts against the origin's connections while the tunnel lasts.
    pub(crate) lease: Lease,
    pub(crate) activity: ActivityId,
    pub(crate) passage: Passage,
}

/// The right to one upgraded connection, from the question for it to its end.
pub(crate) struct Passage {
    house: Rc<House>,
    pool: Rc<Pool>,
    source: SourceKey,
    terms: TunnelTerms,
}

/// How long an upgraded connection may be silent, and how long it may last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TunnelTerms {
    pub(crate) idle: Duration,
    pub(crate) age: Duration,
}

impl Passage {
    /// `None` if there are as many already as there may be.
    pub(crate) fn open(
        house: &Rc<House>,
        pool: &Rc<Pool>,
        source: SourceKey,
        limits: &Limits,
        patience: &ActivityTimeouts,
    ) -> Option<Self> {
        if !pool.open_tunnel() {
            return None;
        }
        if !house.tables.open_tunnel(source, &limits.tunnels) {
            pool.close_tunnel();
            return None;
        }
        let terms = TunnelTerms {
            idle: patience.tunnel_idle_timeout.unwrap_or(limits.tunnel_idle_timeout),
            age: patience.max_tunnel_age.unwrap_or(limits.max_tunnel_age),
        };
        Some(Self { house: house.clone(), pool: pool.clone(), source, terms })
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.pool.close_tunnel();
        self.house.tables.close_tunnel(self.source);
    }
}

/// Passes bytes until it is over. `ahead` is what the visitor sent behind its request.
pub(crate) async fn pass(
    visit: &Rc<Visit>,
    tunnel: Tunnel,
    mut visitor: VisitorIo,
    ahead: Bytes,
) -> io::Result<()> {
    visit.enter_tunnel(tunnel.passage.terms);
    let _held = (tunnel.lease, tunnel.passage);
    let mut origin =
        Counted { stream: tunnel.stream, activity: tunnel.activity, house: visit.house.clone() };
    origin.write_all(&ahead).await?;
    let (house, sent) = (&visit.house, tunnel.ahead.len() as u64);
    house.meter.transferred(tunnel.activity, 0, sent);
    visitor.write_all(&tunnel.ahead).await?;
    tokio::io::copy_bidirectional_with_sizes(&mut visitor, &mut origin, BUFFER, BUFFER).await?;
    Ok(())
}

/// The origin's bytes, counted as they pass.
struct Counted {
    stream: TcpStream,
    activity: ActivityId,
    house: Rc<House>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let sent = (buffer.filled().len() - before) as u64;
        self.house.meter.transferred(self.activity, 0, sent);
        result
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(received)) = result {
            let received = received as u64;
            self.house.meter.transferred(self.activity, received, 0);
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
