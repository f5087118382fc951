//! The tasks of connections and streams. Their worker ends them; a panic in one ends only that one.

use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use portcullis_model::Cut;

use super::connection::{Connection, StreamAbort};
use crate::context::InternalErrors;

/// Runs a connection until it or the worker ends it. A panic ends this connection only.
pub(crate) fn drive(
    conn: &Connection,
    conversation: Pin<&mut impl Future<Output = ()>>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    conn.set_waker(cx.waker());
    if conn.is_cut() {
        return Poll::Ready(());
    }
    poll_catching_panics(conversation, cx, &conn.context.internal_errors)
}

/// Ends quietly, and counts, where `future` panics.
fn poll_catching_panics(
    future: Pin<&mut impl Future<Output = ()>>,
    cx: &mut Context<'_>,
    internal_errors: &InternalErrors,
) -> Poll<()> {
    catch_unwind(AssertUnwindSafe(|| future.poll(cx))).unwrap_or_else(|_| {
        internal_errors.panicked();
        Poll::Ready(())
    })
}

/// Runs one stream of an HTTP/2 or HTTP/3 connection as a task that can be cut separately.
pub(crate) fn spawn_stream(conn: &Rc<Connection>, stream: impl Future<Output = ()> + 'static) {
    let abort = StreamAbort::new(conn);
    let conn = conn.clone();
    // Boxed, because the runtime moves a task several times before it runs.
    let mut stream = Box::pin(stream);
    tokio::task::spawn_local(poll_fn(move |cx| {
        if abort.is_aborted() {
            conn.count_cut(Cut::FlowControlStall);
            // Dropping the stream resets it.
            return Poll::Ready(());
        }
        conn.set_active_stream(Some(&abort));
        let polled = poll_catching_panics(stream.as_mut(), cx, &conn.context.internal_errors);
        conn.set_active_stream(None);
        polled
    }));
}

#[cfg(test)]
mod tests {
    use core::pin::pin;
    use core::task::Waker;

    use super::*;

    #[test]
    fn a_panic_stays_in_its_connection_and_is_counted() {
        let internal_errors = InternalErrors::default();
        let mut cx = Context::from_waker(Waker::noop());
        let panics = pin!(async { panic!("on purpose") });
        assert!(poll_catching_panics(panics, &mut cx, &internal_errors).is_ready());
        assert!(poll_catching_panics(pin!(async {}), &mut cx, &internal_errors).is_ready());
        assert_eq!(internal_errors.panics(), 1);
    }
}
