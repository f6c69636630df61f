//! What the handles of a world share, behind one lock: the clock, the queue of what is to come, the network's
//! connections and timers; and [`Sim`], such a handle.

use super::ready::{Ready, lock};
use super::{CALLS, INBOX, Manners};
use crate::sim::checks::{Check, Violation};
use crate::sim::faults::{Fault, Faults, Plant};
use crate::sim::rng::Rng;
use crate::sim::runtime::{Conn, Listening, Net};
use crate::sim::trace::Trace;
use antiphon_core::Instant;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;

/// Something that will happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) enum Event {
    Timer { slot: usize, generation: u64 },
    Readable { conn: usize, side: usize },
    Writable { conn: usize, side: usize },
    Acceptable { listener: usize },
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) at: Instant,
    /// What is due at once happens in any order.
    tie: u32,
    seq: u64,
    pub(super) event: Event,
}

impl Ord for Due {
    fn cmp(&self, other: &Due) -> Ordering {
        (self.at, self.tie, self.seq).cmp(&(other.at, other.tie, other.seq))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Debug, Default)]
pub(in crate::sim) struct TimerSlot {
    pub(in crate::sim) generation: u64,
    pub(in crate::sim) waker: Option<Waker>,
}

/// What all handles share.
pub(in crate::sim) struct State {
    pub(in crate::sim) now: Instant,
    pub(super) queue: BinaryHeap<Reverse<Due>>,
    seq: u64,
    pub(in crate::sim) rng: Rng,
    pub(in crate::sim) faults: Faults,
    pub(in crate::sim) trace: Trace,
    pub(in crate::sim) manners: Manners,
    pub(in crate::sim) net: Net,
    pub(in crate::sim) conns: Vec<Conn>,
    pub(in crate::sim) listeners: Vec<Listening>,
    pub(in crate::sim) timers: Vec<TimerSlot>,
    pub(in crate::sim) free_timers: Vec<usize>,
    pub(in crate::sim) generation: u64,
    /// Grows whenever something has really happened.
    pub(in crate::sim) progress: u64,
    pub(super) calls: u32,
    pub(super) looking: bool,
    pub(in crate::sim) to_wake: Vec<Waker>,
    pub(super) violation: Option<Violation>,
}

impl State {
    /// Nothing has happened yet.
    pub(super) fn new(rng: Rng, manners: Manners, net: Net, trace: bool) -> State {
        State {
            now: Instant::ZERO,
            queue: BinaryHeap::new(),
            seq: 0,
            rng,
            faults: Faults::NONE,
            trace: Trace::new(trace),
            manners,
            net,
            conns: Vec::new(),
            listeners: Vec::new(),
            timers: Vec::new(),
            free_timers: Vec::new(),
            generation: 0,
            progress: 0,
            calls: 0,
            looking: false,
            to_wake: Vec::new(),
            violation: None,
        }
    }

    pub(in crate::sim) fn at(&mut self, at: Instant, event: Event) {
        self.seq += 1;
        let due = Due {
            at: at.max(self.now),
            tie: self.rng.bits() as u32,
            seq: self.seq,
            event,
        };
        self.queue.push(Reverse(due));
    }

    pub(in crate::sim) fn note(&mut self, what: fmt::Arguments<'_>) {
        self.trace.note(self.now, what);
    }

    pub(in crate::sim) fn violate(&mut self, violation: Violation) {
        self.note(format_args!("VIOLATION {violation}"));
        self.violation.get_or_insert(violation);
    }

    /// A stream was called.
    pub(in crate::sim) fn call(&mut self) {
        self.calls += 1;
        if self.calls == CALLS {
            self.violate(Violation::new(
                Check::Spins,
                "a stream is called without end in one poll",
            ));
        }
        // Only a panic ends such a poll.
        assert!(self.calls < 2 * CALLS, "a poll that does not end");
    }
}

/// The runtime of a world: cheap to clone, for tasks and drivers.
#[derive(Clone)]
pub struct Sim {
    state: Arc<Mutex<State>>,
    pub(super) ready: Arc<Ready>,
}

/// The lock. Whoever was to be woken under it is woken when it has been left.
pub(in crate::sim) struct Locked<'a>(Option<MutexGuard<'a, State>>);

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        self.0.as_ref().expect("taken only when dropped")
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        self.0.as_mut().expect("taken only when dropped")
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let Some(mut state) = self.0.take() else { return };
        let wakers = std::mem::take(&mut state.to_wake);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Sim {
    /// The runtime of a world that begins like this.
    pub(super) fn new(state: State) -> Sim {
        Sim {
            state: Arc::new(Mutex::new(state)),
            ready: Arc::default(),
        }
    }

    pub(in crate::sim) fn lock(&self) -> Locked<'_> {
        Locked(Some(lock(&self.state)))
    }

    /// Starts a task. It need not be `Send`: a world stays on its thread.
    pub fn spawn_named(&self, name: impl Into<String>, future: impl Future<Output = ()> + 'static) {
        INBOX.with_borrow_mut(|inbox| inbox.push((name.into(), Box::pin(future))));
    }

    /// The virtual time.
    pub fn clock(&self) -> Instant {
        self.lock().now
    }

    /// A generator of its own for somebody in the world.
    pub fn rng(&self) -> Rng {
        self.lock().rng.fork()
    }

    /// Counts a fault.
    pub fn count(&self, fault: Fault) {
        self.lock().faults.add(fault);
    }

    /// The trouble so far.
    pub fn faults(&self) -> Faults {
        self.lock().faults.clone()
    }

    /// Whether tasks are polled only to see that they have nothing to do. Who counts polls leaves these out.
    pub fn looks_around(&self) -> bool {
        self.lock().looking
    }

    /// The defect that is planted, if one is.
    pub fn plant(&self) -> Option<Plant> {
        self.lock().manners.plant
    }

    /// Says something in the trace, and that something has happened.
    pub fn note(&self, what: fmt::Arguments<'_>) {
        let mut state = self.lock();
        state.progress += 1;
        state.note(what);
    }

    /// A promise was broken. The first one ends the world.
    pub fn violate(&self, violation: Violation) {
        self.lock().violate(violation);
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").finish_non_exhaustive()
    }
}
