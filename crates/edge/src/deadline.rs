//! Deadlines of requests under way, checked together four times a second.
//!
//! A timer per wait would cost the timer wheel two visits per request; waits here are seconds
//! long, so a list that one task walks each [`TICK`](portcullis_model::TICK) is enough. A deadline
//! first wakes its task, which then answers or gives up; a task that cannot (because a visitor
//! who reads nothing keeps it from running) has its stream or connection cut a second later.

use core::cell::{Cell, RefCell};
use core::task::{Context, Waker};
use core::time::Duration;
use std::rc::Rc;

use portcullis_model::Time;

use crate::visit::{Cuttable, Visit};

/// How long a task may take to notice that its deadline has passed.
const GRACE: Duration = Duration::from_secs(1);

/// Every deadline of one worker.
#[derive(Default)]
pub(crate) struct Deadlines {
    slots: RefCell<Vec<Option<Rc<Slot>>>>,
    free: RefCell<Vec<usize>>,
}

struct Slot {
    due: Cell<Time>,
    passed: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    stands_still: Cuttable,
}

/// One deadline; dropping it forgets it.
pub(crate) struct Deadline {
    list: Rc<Deadlines>,
    slot: Rc<Slot>,
    place: usize,
}

impl Deadlines {
    /// A deadline for something that `visit` waits for.
    pub(crate) fn new_for(self: &Rc<Self>, visit: &Rc<Visit>, due: Time) -> Deadline {
        let slot = Rc::new(Slot {
            due: Cell::new(due),
            passed: Cell::new(false),
            waker: RefCell::new(None),
            stands_still: visit.running(),
        });
        let mut slots = self.slots.borrow_mut();
        let place = if let Some(place) = self.free.borrow_mut().pop() {
            slots[place] = Some(slot.clone());
            place
        } else {
            slots.push(Some(slot.clone()));
            slots.len() - 1
        };
        Deadline { list: self.clone(), slot, place }
    }

    /// Wakes the tasks whose deadline has passed, and cuts the connections of those that were
    /// woken and did not run.
    pub(crate) fn check(&self, now: Time) {
        for slot in self.slots.borrow().iter().flatten() {
            let due = slot.due.get();
            if now < due {
                continue;
            }
            if slot.passed.replace(true) {
                if now >= due + GRACE {
                    slot.stands_still.cut(slot.waker.borrow().as_ref());
                }
            } else if let Some(waker) = slot.waker.borrow().as_ref() {
                waker.wake_by_ref();
            }
        }
    }
}

impl Deadline {
    /// Moves it.
    pub(crate) fn set(&self, due: Time) {
        self.slot.due.set(due);
        self.slot.passed.set(false);
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
        self.list.slots.borrow_mut()[self.place] = None;
        self.list.free.borrow_mut().push(self.place);
    }
}
