//! A waker that knows when its task is awake already.
//!
//! A request's task drives its origin connection itself, so that most wake-ups on that connection
//! come from the task's own doing: it takes a piece of a body, and is told that there is room for
//! the next. Each would run the whole task again for nothing. While the task is at work, such
//! calls are only noted, and answered by looking once more.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use core::task::{Context, Poll, Waker};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;

/// Looks again this often before the task is left to run anew; only a task that has used up its
/// share of the runtime's time gets there.
const LOOKS: usize = 3;

/// The waker of one origin connection.
pub(crate) struct Hush {
    calls: Arc<Calls>,
    waker: Waker,
}

#[derive(Default)]
struct Calls {
    /// Whom to wake; one thread, so that the lock is never waited for.
    task: Mutex<Option<Waker>>,
    awake: AtomicBool,
    called: AtomicBool,
}

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.awake.load(Relaxed) {
            self.called.store(true, Relaxed);
        } else {
            let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(task) = &*task {
                task.wake_by_ref();
            }
        }
    }
}

impl Hush {
    pub(crate) fn new() -> Self {
        let calls = Arc::new(Calls::default());
        let waker = Waker::from(calls.clone());
        Self { calls, waker }
    }

    /// Polls until nothing calls any more. Later calls wake the task of `cx`.
    pub(crate) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.set_task(Some(cx.waker()));
        let calls = &self.calls;
        calls.awake.store(true, Relaxed);
        let mut quiet = Context::from_waker(&self.waker);
        let mut result = Poll::Pending;
        for _ in 0..LOOKS {
            calls.called.store(false, Relaxed);
            result = poll(&mut quiet);
            if result.is_ready() || !calls.called.load(Relaxed) {
                break;
            }
        }
        calls.awake.store(false, Relaxed);
        if result.is_pending() && calls.called.load(Relaxed) {
            cx.waker().wake_by_ref();
        }
        result
    }

    /// Polls once, for nobody: later calls wake no one.
    pub(crate) fn poll_for_nobody(&self, poll: impl FnOnce(&mut Context<'_>)) {
        self.set_task(None);
        poll(&mut Context::from_waker(&self.waker));
    }

    fn set_task(&self, waker: Option<&Waker>) {
        let mut task = self.calls.task.lock().unwrap_or_else(PoisonError::into_inner);
        let same = match (&*task, waker) {
            (Some(task), Some(waker)) => task.will_wake(waker),
            (None, None) => true,
            _ => false,
        };
        if !same {
            *task = waker.cloned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Count(core::sync::atomic::AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn a_call_while_awake_is_answered_by_looking_again_and_later_ones_wake() {
        let count = Arc::new(Count(0.into()));
        let task = Waker::from(count.clone());
        let mut cx = Context::from_waker(&task);
        let hush = Hush::new();
        let mut looks = 0;
        let mut kept = None;
        let result: Poll<()> = hush.poll(&mut cx, |cx| {
            looks += 1;
            if looks == 1 {
                cx.waker().wake_by_ref();
            }
            kept = Some(cx.waker().clone());
            Poll::Pending
        });
        assert!(result.is_pending());
        assert_eq!((looks, count.0.load(Relaxed)), (2, 0));
        kept.expect("kept").wake();
        assert_eq!(count.0.load(Relaxed), 1);
    }

    #[test]
    fn whoever_never_stops_calling_is_left_to_the_runtime() {
        let count = Arc::new(Count(0.into()));
        let task = Waker::from(count.clone());
        let hush = Hush::new();
        let result: Poll<()> = hush.poll(&mut Context::from_waker(&task), |cx| {
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        assert!(result.is_pending());
        assert_eq!(count.0.load(Relaxed), 1);
    }
}
