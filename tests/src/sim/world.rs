//! [`World`]: the virtual clock, the queue of what is to come, and the tasks, run one at a time in an order that
//! the seed decides. Networks and the runtime's traits live in `runtime.rs`.
//!
//! A world ends when all its tasks have. On the way it watches that nobody spins and that nobody sleeps who
//! could go on: whenever nothing is to happen for a while, it polls everybody once more, and a task that moves
//! something then was not woken when it should have been.

use super::checks::{Check, Violation};
use super::faults::{Fault, Faults, Plant};
use super::rng::{Rng, mix};
use super::runtime::{Conn, Listening, Net};
use super::trace::Trace;
use antiphon_core::Instant;
use std::cell::RefCell;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// Polls of one task without a byte, an end or a moment's progress.
const IDLE_POLLS: u32 = 400;
/// Calls of a stream in one poll of one task.
const CALLS: u32 = 20_000;
/// Polls of all tasks together.
const POLLS: u64 = 2_000_000;
/// A gap in the queue of events that is worth looking around.
const GAP: Duration = Duration::from_millis(3);

/// How the world treats its tasks.
#[derive(Clone, Copy, Debug)]
pub struct Manners {
    /// How often, in 256 times, the clock moves although tasks are ready.
    pub busy: u32,
    /// Each poll gives a new waker and makes the one before inert.
    pub new_wakers: bool,
    /// How often a timer fires late.
    pub late_timers: u32,
    /// How often a poll of one task is followed by one of another for no reason.
    pub spurious: u32,
    /// Whether to look for tasks that sleep too long.
    pub look_around: bool,
    /// When the world is to have ended.
    pub horizon: Duration,
    /// A defect, to see that it is found.
    pub plant: Option<Plant>,
}

impl Manners {
    /// A world without trouble.
    pub const GOOD: Manners = Manners {
        busy: 0,
        new_wakers: false,
        late_timers: 0,
        spurious: 0,
        look_around: true,
        horizon: Duration::from_secs(3600),
        plant: None,
    };
}

type Local = Pin<Box<dyn Future<Output = ()>>>;

thread_local! {
    /// What was spawned on this thread and has no place yet. A world never leaves its thread, so that tasks
    /// need not be `Send`.
    static INBOX: RefCell<Vec<(String, Local)>> = const { RefCell::new(Vec::new()) };
}

/// Who is to be polled.
#[derive(Debug, Default)]
struct Ready {
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    tasks: Vec<usize>,
    state: Vec<Slot>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    queued: bool,
    /// Wakers of other epochs are inert.
    epoch: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ready {
    fn push(&self, task: usize, epoch: Option<u64>) {
        let mut line = lock(&self.line);
        let slot = &mut line.state[task];
        if epoch.is_none_or(|e| e == slot.epoch) && !slot.queued {
            slot.queued = true;
            line.tasks.push(task);
        }
    }
}

struct TaskWaker {
    ready: Arc<Ready>,
    task: usize,
    epoch: u64,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.push(self.task, Some(self.epoch));
    }
}

struct Task {
    name: String,
    future: Local,
    waker: Waker,
    /// The world's progress when it was polled last, and how often it was polled since.
    seen: u64,
    polls: u32,
}

/// Something that will happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Timer { slot: usize, generation: u64 },
    Readable { conn: usize, side: usize },
    Writable { conn: usize, side: usize },
    Acceptable { listener: usize },
}

#[derive(Debug, PartialEq, Eq)]
struct Due {
    at: Instant,
    /// What is due at once happens in any order.
    tie: u32,
    seq: u64,
    event: Event,
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
pub(super) struct TimerSlot {
    pub(super) generation: u64,
    pub(super) waker: Option<Waker>,
}

/// What all handles share.
pub(super) struct State {
    pub(super) now: Instant,
    queue: BinaryHeap<Reverse<Due>>,
    seq: u64,
    pub(super) rng: Rng,
    pub(super) faults: Faults,
    pub(super) trace: Trace,
    pub(super) manners: Manners,
    pub(super) net: Net,
    pub(super) conns: Vec<Conn>,
    pub(super) listeners: Vec<Listening>,
    pub(super) timers: Vec<TimerSlot>,
    pub(super) free_timers: Vec<usize>,
    pub(super) generation: u64,
    /// Grows whenever something has really happened.
    pub(super) progress: u64,
    calls: u32,
    looking: bool,
    pub(super) to_wake: Vec<Waker>,
    violation: Option<Violation>,
}

impl State {
    pub(super) fn at(&mut self, at: Instant, event: Event) {
        self.seq += 1;
        let due = Due {
            at: at.max(self.now),
            tie: self.rng.bits() as u32,
            seq: self.seq,
            event,
        };
        self.queue.push(Reverse(due));
    }

    pub(super) fn note(&mut self, what: fmt::Arguments<'_>) {
        self.trace.note(self.now, what);
    }

    pub(super) fn violate(&mut self, violation: Violation) {
        self.note(format_args!("VIOLATION {violation}"));
        self.violation.get_or_insert(violation);
    }

    /// A stream was called.
    pub(super) fn call(&mut self) {
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
    ready: Arc<Ready>,
}

/// The lock. Whoever was to be woken under it is woken when it has been left.
pub(super) struct Locked<'a>(Option<MutexGuard<'a, State>>);

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
    pub(super) fn lock(&self) -> Locked<'_> {
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

/// How a world ended.
#[derive(Debug)]
pub struct Outcome {
    /// The first promise that was broken.
    pub violation: Option<Violation>,
    /// What was done to it.
    pub faults: Faults,
    /// The virtual time it took.
    pub time: Duration,
    /// Polls of tasks.
    pub polls: u64,
    /// Connections that were made.
    pub connections: u64,
    /// A number that is the same for two runs of one seed.
    pub digest: u64,
    /// What happened, if that was wanted.
    pub trace: Trace,
}

/// A simulated world. Make one, spawn tasks through [`sim`](World::sim), [`run`](World::run) it.
pub struct World {
    sim: Sim,
    tasks: Vec<Option<Task>>,
    free: Vec<usize>,
    live: usize,
    rng: Rng,
    polls: u64,
    /// The progress at which everybody was polled last.
    looked: u64,
}

impl World {
    /// A world in which nothing happens yet. What was spawned on this thread before, and never ran, is dropped.
    pub fn new(seed: u64, manners: Manners, net: Net, trace: bool) -> World {
        drain_inbox();
        let mut rng = Rng::new(seed);
        let state = State {
            now: Instant::ZERO,
            queue: BinaryHeap::new(),
            seq: 0,
            rng: rng.fork(),
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
        };
        World {
            sim: Sim {
                state: Arc::new(Mutex::new(state)),
                ready: Arc::default(),
            },
            tasks: Vec::new(),
            free: Vec::new(),
            live: 0,
            rng,
            polls: 0,
            looked: 0,
        }
    }

    /// The world's runtime.
    pub fn sim(&self) -> &Sim {
        &self.sim
    }

    /// Runs until all tasks have ended, or a promise is broken.
    pub fn run(mut self) -> Outcome {
        let manners = self.sim.lock().manners;
        loop {
            self.adopt();
            if self.sim.lock().violation.is_some() {
                break;
            }
            if self.polls > POLLS {
                self.violate(Check::Spins, "too many polls altogether".to_string());
                break;
            }
            if self.rng.chance(manners.spurious) && self.live > 0 {
                let task = self.rng.below(self.tasks.len() as u64) as usize;
                if self.tasks[task].is_some() {
                    self.sim.ready.push(task, None);
                    self.sim.lock().faults.add(Fault::SpuriousWake);
                }
            }
            let line = lock(&self.sim.ready.line).tasks.len();
            if line > 0 && self.rng.chance(manners.busy) && self.event_within(Duration::from_millis(1)) {
                self.sim.lock().faults.add(Fault::BusyScheduler);
                self.fire();
                continue;
            }
            if let Some(task) = self.pick() {
                self.poll(task, &manners);
                continue;
            }
            if self.live == 0 {
                break;
            }
            let progress = self.sim.lock().progress;
            if manners.look_around && self.looked != progress && !self.event_within(GAP) {
                self.looked = progress;
                self.look_around(&manners);
                if self.sim.lock().violation.is_some() {
                    break;
                }
                self.adopt();
                if !lock(&self.sim.ready.line).tasks.is_empty() {
                    continue;
                }
            }
            if !self.fire() {
                let names = self.names();
                self.violate(
                    Check::Ends,
                    format!("nothing will happen any more, but these wait: {names}"),
                );
                break;
            }
            if self.sim.lock().now.since_origin() > manners.horizon {
                let names = self.names();
                self.violate(
                    Check::Deadline,
                    format!("these go on beyond the end of time: {names}"),
                );
                break;
            }
        }
        self.end()
    }

    fn violate(&self, check: Check, what: String) {
        self.sim.lock().violate(Violation::new(check, what));
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.tasks.iter().flatten().map(|t| t.name.as_str()).collect();
        names.join(", ")
    }

    /// Gives the spawned ones their places.
    fn adopt(&mut self) {
        let new = INBOX.with_borrow_mut(std::mem::take);
        for (name, future) in new {
            let task = self.free.pop().unwrap_or_else(|| {
                self.tasks.push(None);
                lock(&self.sim.ready.line).state.push(Slot::default());
                self.tasks.len() - 1
            });
            self.live += 1;
            self.tasks[task] = Some(Task {
                name,
                future,
                waker: self.waker(task),
                seen: 0,
                polls: 0,
            });
            self.sim.ready.push(task, None);
            self.sim.lock().progress += 1;
        }
    }

    /// A waker for a task; the one before becomes inert.
    fn waker(&self, task: usize) -> Waker {
        let mut line = lock(&self.sim.ready.line);
        line.state[task].epoch += 1;
        let epoch = line.state[task].epoch;
        let ready = self.sim.ready.clone();
        Waker::from(Arc::new(TaskWaker { ready, task, epoch }))
    }

    fn pick(&mut self) -> Option<usize> {
        let mut line = lock(&self.sim.ready.line);
        if line.tasks.is_empty() {
            return None;
        }
        let i = self.rng.below(line.tasks.len() as u64) as usize;
        let task = line.tasks.swap_remove(i);
        line.state[task].queued = false;
        Some(task)
    }

    fn poll(&mut self, id: usize, manners: &Manners) {
        let Some(mut task) = self.tasks[id].take() else {
            return;
        };
        self.polls += 1;
        if manners.new_wakers {
            task.waker = self.waker(id);
        }
        {
            let mut state = self.sim.lock();
            state.calls = 0;
            if manners.new_wakers {
                state.faults.add(Fault::NewWaker);
            }
            if state.progress == task.seen {
                task.polls += 1;
                if task.polls + 10 > IDLE_POLLS {
                    state.note(format_args!("{} is polled", task.name));
                }
                if task.polls == IDLE_POLLS {
                    let what = format!("{} was polled {IDLE_POLLS} times for nothing", task.name);
                    state.violate(Violation::new(Check::Spins, what));
                }
            } else {
                (task.seen, task.polls) = (state.progress, 0);
            }
        }
        let mut cx = Context::from_waker(&task.waker);
        let polled = catch_unwind(AssertUnwindSafe(|| task.future.as_mut().poll(&mut cx)));
        match polled {
            Ok(Poll::Pending) => self.tasks[id] = Some(task),
            Ok(Poll::Ready(())) => self.bury(id, task),
            Err(panic) => {
                let what = format!("{}: {}", task.name, said(&*panic));
                self.violate(Check::Panics, what);
                self.bury(id, task);
            }
        }
    }

    fn bury(&mut self, id: usize, task: Task) {
        // Whoever still holds its waker must not wake its successor.
        drop(self.waker(id));
        self.free.push(id);
        self.live -= 1;
        {
            let mut state = self.sim.lock();
            state.progress += 1;
            state.note(format_args!("{} ends", task.name));
        }
        drop(task);
    }

    fn event_within(&self, gap: Duration) -> bool {
        let state = self.sim.lock();
        let near = state.now + gap;
        state.queue.peek().is_some_and(|due| due.0.at <= near)
    }

    /// Polls everybody once; nobody may have anything to do.
    fn look_around(&mut self, manners: &Manners) {
        self.sim.lock().looking = true;
        self.poll_all(manners);
        self.sim.lock().looking = false;
    }

    fn poll_all(&mut self, manners: &Manners) {
        for id in 0..self.tasks.len() {
            if self.tasks[id].is_none() {
                continue;
            }
            let before = self.sim.lock().progress;
            let name = self.tasks[id].as_ref().map(|t| t.name.clone());
            self.poll(id, manners);
            let state = self.sim.lock();
            if state.progress != before && state.violation.is_none() {
                drop(state);
                let name = name.unwrap_or_default();
                self.violate(
                    Check::Ends,
                    format!("{name} could go on, and nobody had woken it"),
                );
                return;
            }
        }
    }

    /// Lets the next event happen. False if there is none.
    fn fire(&mut self) -> bool {
        let mut state = self.sim.lock();
        let Some(Reverse(due)) = state.queue.pop() else {
            return false;
        };
        if due.at > state.now {
            state.now = due.at;
            state.progress += 1;
        }
        let waker = match due.event {
            Event::Timer { slot, generation } => {
                if state.timers[slot].generation != generation {
                    return true;
                }
                state.timers[slot].waker.take()
            }
            Event::Readable { conn, side } => {
                let lost = state.manners.plant == Some(Plant::LoseReadWake) && state.rng.chance(16);
                state.conns[conn].take_reader(side, due.at).filter(|_| !lost)
            }
            Event::Writable { conn, side } => {
                let lost = state.manners.plant == Some(Plant::LoseWriteWake);
                state.conns[conn].take_writer(side, due.at).filter(|_| !lost)
            }
            Event::Acceptable { listener } => state.listeners[listener].waker.take(),
        };
        state.to_wake.extend(waker);
        true
    }

    fn end(mut self) -> Outcome {
        // Dropping a task may start another: until there is none. A violation is final by now.
        loop {
            self.tasks.clear();
            if drain_inbox() == 0 {
                break;
            }
        }
        let mut state = self.sim.lock();
        let digest = [
            state.rng.state(),
            self.rng.state(),
            state.now.since_origin().as_nanos() as u64,
            state.progress,
            self.polls,
            state.faults.digest(),
        ];
        Outcome {
            violation: state.violation.take(),
            faults: state.faults.clone(),
            time: state.now.since_origin(),
            polls: self.polls,
            connections: state.conns.len() as u64,
            digest: digest.into_iter().fold(0, |h, n| mix(h ^ n)),
            trace: std::mem::take(&mut state.trace),
        }
    }
}

/// Drops what was spawned and has no place; says how much.
fn drain_inbox() -> usize {
    let left = INBOX.with_borrow_mut(std::mem::take);
    left.len()
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic".to_string())
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("tasks", &self.live)
            .finish_non_exhaustive()
    }
}
