//! Deadlines of requests in flight, checked together four times a second.
//!
//! A timer per wait would cost the timer wheel two visits per request; waits here are seconds
//! long, so a list that one task walks each [`TICK`](portcullis_model::TICK) is enough. A deadline
//! first wakes its task, which then responds or stops; if the task cannot (because a visitor who
//! reads nothing keeps it from running), its stream or connection is cut a second later.

use core::cell::{Cell, RefCell};
use core::task::{Context, Waker};
use core::time::Duration;
use std::rc::Rc;

use portcullis_model::Time;

/// How long a task may take to notice that its deadline has passed.
const GRACE: Duration = Duration::from_secs(1);
/// The same where others wait.
const PRESSED_GRACE: Duration = Duration::from_millis(250);

/// What a task that does not notice its deadline loses: a stream, or its connection.
pub(crate) trait Abort {
    /// Ends it, unless it is waited for; `task` is the task that did not run.
    fn abort(&self, task: Option<&Waker>);
}

/// Every deadline of one worker.
#[derive(Default)]
pub(crate) struct Deadlines {
    /// An unused slot has no due time.
    slots: RefCell<Vec<Rc<DeadlineSlot>>>,
    free: RefCell<Vec<usize>>,
}

/// Reused, so that a request costs no allocation.
#[derive(Default)]
struct DeadlineSlot {
    due: Cell<Option<Time>>,
    /// An earlier one, where others wait for the place that is held meanwhile.
    tightened: Cell<Option<Time>>,
    /// The earlier one has passed.
    was_hurried: Cell<bool>,
    passed: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    stalled: RefCell<Option<Rc<dyn Abort>>>,
}

/// One deadline; dropping it forgets it.
pub(crate) struct Deadline {
    list: Rc<Deadlines>,
    slot: Rc<DeadlineSlot>,
    place: usize,
}

impl Deadlines {
    /// A deadline for something that `stalled` waits for.
    pub(crate) fn start(self: &Rc<Self>, stalled: Rc<dyn Abort>, due: Time) -> Deadline {
        let mut slots = self.slots.borrow_mut();
        let place = self.free.borrow_mut().pop().unwrap_or_else(|| {
            slots.push(Rc::default());
            slots.len() - 1
        });
        let slot = slots[place].clone();
        slot.due.set(Some(due));
        slot.tightened.set(None);
        slot.was_hurried.set(false);
        slot.passed.set(false);
        *slot.stalled.borrow_mut() = Some(stalled);
        Deadline { list: self.clone(), slot, place }
    }

    /// Wakes the tasks whose deadline has passed, and cuts the connections of those that were
    /// woken and did not run. `pressed`: a request waits for an origin connection.
    pub(crate) fn check(&self, now: Time, pressed: bool) {
        for slot in self.slots.borrow().iter() {
            let hurried = slot.tightened.get().filter(|_| pressed || slot.was_hurried.get());
            let due = slot.due.get().map(|due| hurried.map_or(due, |hurried| due.min(hurried)));
            let Some(due) = due.filter(|due| now >= *due) else {
                continue;
            };
            slot.was_hurried.set(hurried == Some(due));
            let grace = if slot.was_hurried.get() { PRESSED_GRACE } else { GRACE };
            let waker = slot.waker.borrow();
            if !slot.passed.replace(true) {
                if let Some(waker) = &*waker {
                    waker.wake_by_ref();
                }
            } else if now >= due + grace
                && let Some(stalled) = &*slot.stalled.borrow()
            {
                stalled.abort(waker.as_ref());
            }
        }
    }
}

impl Deadline {
    /// Moves it.
    pub(crate) fn set(&self, due: Time) {
        self.slot.due.set(Some(due));
        self.slot.tightened.set(None);
        self.slot.was_hurried.set(false);
        self.slot.passed.set(false);
    }

    /// Has it pass earlier while others wait for the place that is held.
    pub(crate) fn tighten(&self, due: Option<Time>) {
        self.slot.tightened.set(due);
    }

    /// Whether it passed because others waited.
    pub(crate) fn was_tightened(&self) -> bool {
        self.slot.was_hurried.get()
    }

    /// Whether it has passed. Otherwise the task of `cx` is woken when it does.
    pub(crate) fn passed(&self, cx: &Context<'_>) -> bool {
        let mut waker = self.slot.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        self.slot.passed.get()
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.slot.due.set(None);
        *self.slot.stalled.borrow_mut() = None;
        self.list.free.borrow_mut().push(self.place);
    }
}
