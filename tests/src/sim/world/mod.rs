//! [`World`]: the virtual clock, the queue of what is to come, and the tasks, run one at a time in an order that
//! the seed decides. What handles share lives in `sim.rs`, who is to be polled in `ready.rs`; networks and the runtime's traits
//! in `../runtime.rs`.
//!
//! A world ends when all its tasks have. On the way it watches that nobody spins and that nobody sleeps who
//! could go on: whenever nothing is to happen for a while, it polls everybody once more, and a task that moves
//! something then was not woken when it should have been.

mod ready;
mod sim;

pub use self::sim::Sim;
pub(super) use self::sim::{Event, State, TimerSlot};

use self::ready::{Slot, Task, TaskWaker, lock};
use super::checks::{Check, Violation};
use super::faults::{Fault, Faults, Plant};
use super::rng::{Rng, mix};
use super::runtime::Net;
use super::trace::Trace;
use std::cell::RefCell;
use std::cmp::Reverse;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
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
        let state = State::new(rng.fork(), manners, net, trace);
        World {
            sim: Sim::new(state),
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
