//! Upgraded connections (`WebSocket`): after both sides agreed, bytes pass both ways until one
//! side ends or both fall silent.
//!
//! Nothing but the request itself is sent to the origin before the origin has agreed (status
//! 101), so that an upgrade cannot be used to smuggle a request past the gate.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use portcullis_model::{ActivityId, ActivityTimeouts, Limits, SourceKey};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use super::pool::{Pool, PooledConn};
use crate::conn::connection::{Connection, TunnelTimeouts};
use crate::context::WorkerContext;
use crate::transport::visitor_io::VisitorIo;

/// Bytes held for each direction.
const BUFFER: usize = 8 * 1024;

/// The origin's end of an upgraded connection.
pub(crate) struct Tunnel {
    pub(crate) stream: TcpStream,
    /// What the origin sent right behind its agreement.
    pub(crate) ahead: Bytes,
    /// Counts against the origin's connections while the tunnel lasts.
    pub(crate) lease: PooledConn,
    pub(crate) activity: ActivityId,
    pub(crate) permit: TunnelPermit,
}

/// The right to one upgraded connection, from the question for it to its end.
pub(crate) struct TunnelPermit {
    context: Rc<WorkerContext>,
    pool: Rc<Pool>,
    source: SourceKey,
    terms: TunnelTimeouts,
}

impl TunnelPermit {
    /// `None` if the limit is reached.
    pub(crate) fn open(
        context: &Rc<WorkerContext>,
        pool: &Rc<Pool>,
        source: SourceKey,
        limits: &Limits,
        timeouts: &ActivityTimeouts,
    ) -> Option<Self> {
        if !pool.open_tunnel() {
            return None;
        }
        if !context.tables.open_tunnel(source, &limits.tunnels) {
            pool.close_tunnel();
            return None;
        }
        let terms = TunnelTimeouts {
            idle: timeouts.tunnel_idle_timeout.unwrap_or(limits.tunnel_idle_timeout),
            age: timeouts.max_tunnel_age.unwrap_or(limits.max_tunnel_age),
        };
        Some(Self { context: context.clone(), pool: pool.clone(), source, terms })
    }
}

impl Drop for TunnelPermit {
    fn drop(&mut self) {
        self.pool.close_tunnel();
        self.context.tables.close_tunnel(self.source);
    }
}

/// Passes bytes until it is over. `ahead` is what the visitor sent behind its request.
pub(crate) async fn pass(
    conn: &Rc<Connection>,
    tunnel: Tunnel,
    mut visitor: VisitorIo,
    ahead: Bytes,
) -> io::Result<()> {
    conn.enter_tunnel(tunnel.permit.terms);
    let _held = (tunnel.lease, tunnel.permit);
    let mut origin = CountingStream {
        stream: tunnel.stream,
        activity: tunnel.activity,
        context: conn.context.clone(),
    };
    origin.write_all(&ahead).await?;
    let (context, sent) = (&conn.context, tunnel.ahead.len() as u64);
    context.meter.record_bytes(tunnel.activity, 0, sent);
    visitor.write_all(&tunnel.ahead).await?;
    tokio::io::copy_bidirectional_with_sizes(&mut visitor, &mut origin, BUFFER, BUFFER).await?;
    Ok(())
}

/// The origin's bytes, counted as they pass.
struct CountingStream {
    stream: TcpStream,
    activity: ActivityId,
    context: Rc<WorkerContext>,
}

impl AsyncRead for CountingStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let sent = (buffer.filled().len() - before) as u64;
        self.context.meter.record_bytes(self.activity, 0, sent);
        result
    }
}

impl AsyncWrite for CountingStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(received)) = result {
            let received = received as u64;
            self.context.meter.record_bytes(self.activity, received, 0);
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
