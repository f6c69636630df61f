//! What the applications of a simulated world are made of: body streams, a channel between tasks, a latch, and
//! futures that are dropped half-way.

use super::checks::Pattern;
use super::plan::BodyPlan;
use super::rng::Rng;
use super::runtime::SimTimer;
use super::world::Sim;
use antiphon_driver::{BoxError, Bytes, Timer};
use futures_core::Stream;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

macro_rules! opaque {
    ($($name:ident $(<$t:ident>)?),+) => {$(
        impl $(<$t>)? fmt::Debug for $name $(<$t>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )+};
}

opaque!(Source, Sender<T>, Receiver<T>, Latch);

/// A failure that was planned.
#[derive(Debug)]
pub struct Planned(pub &'static str);

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Planned {}

/// A body that an application streams out, by its plan.
pub struct Source {
    sim: Sim,
    pattern: Pattern,
    plan: BodyPlan,
    at: u64,
    rng: Rng,
    timer: Option<SimTimer>,
    /// The pause before the next piece was made.
    paused: bool,
}

impl Source {
    /// The stream of `plan`.
    pub fn new(sim: &Sim, pattern: Pattern, plan: BodyPlan) -> Source {
        Source {
            sim: sim.clone(),
            pattern,
            plan,
            at: 0,
            rng: sim.rng(),
            timer: None,
            paused: false,
        }
    }
}

impl Stream for Source {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if !this.paused {
            this.paused = true;
            if this.rng.chance(this.plan.sleeps) {
                let d = Duration::from_micros(this.rng.size(2_000) + 1);
                this.timer = Some(this.sim.timer_at(this.sim.clock() + d));
            } else if this.rng.chance(this.plan.yields) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        if let Some(timer) = &mut this.timer {
            if timer.poll(cx).is_pending() {
                return Poll::Pending;
            }
            this.timer = None;
        }
        this.paused = false;
        let end = this.plan.fails_at.unwrap_or(this.plan.len);
        if this.at == end {
            if this.plan.fails_at.is_some() {
                this.sim.count(super::faults::Fault::BodyFailed);
                return Poll::Ready(Some(Err(Planned("a stream that fails").into())));
            }
            return Poll::Ready(None);
        }
        let n = (1 + this.rng.below(this.plan.piece)).min(end - this.at);
        let bytes = this.pattern.bytes(this.at, n as usize);
        this.at += n;
        Poll::Ready(Some(Ok(bytes.into())))
    }
}

struct Line<T> {
    items: VecDeque<T>,
    room: usize,
    /// The sender, or the receiver, is gone.
    sender_gone: bool,
    receiver_gone: bool,
    sender: Option<Waker>,
    receiver: Option<Waker>,
}

/// The sending end.
pub struct Sender<T>(Arc<Mutex<Line<T>>>);
/// The receiving end.
pub struct Receiver<T>(Arc<Mutex<Line<T>>>);

/// A channel from one task to another, with room for so many.
pub fn channel<T>(room: usize) -> (Sender<T>, Receiver<T>) {
    let line = Arc::new(Mutex::new(Line {
        items: VecDeque::new(),
        room,
        sender_gone: false,
        receiver_gone: false,
        sender: None,
        receiver: None,
    }));
    (Sender(line.clone()), Receiver(line))
}

impl<T> Sender<T> {
    /// Waits for room. False if nobody will receive.
    pub async fn send(&self, item: T) -> bool {
        let mut item = Some(item);
        poll_fn(|cx| {
            let mut line = lock(&self.0);
            if line.receiver_gone {
                return Poll::Ready(false);
            }
            if line.items.len() >= line.room {
                line.sender = Some(cx.waker().clone());
                return Poll::Pending;
            }
            line.items.extend(item.take());
            let waker = line.receiver.take();
            drop(line);
            waker.into_iter().for_each(Waker::wake);
            Poll::Ready(true)
        })
        .await
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut line = lock(&self.0);
        line.sender_gone = true;
        let waker = line.receiver.take();
        drop(line);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl<T> Receiver<T> {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut line = lock(&self.0);
        match line.items.pop_front() {
            Some(item) => {
                let waker = line.sender.take();
                drop(line);
                waker.into_iter().for_each(Waker::wake);
                Poll::Ready(Some(item))
            }
            None if line.sender_gone => Poll::Ready(None),
            None => {
                line.receiver = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The next one; `None` once the sender is gone.
    pub async fn receive(&self) -> Option<T> {
        poll_fn(|cx| self.poll(cx)).await
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut line = lock(&self.0);
        line.receiver_gone = true;
        let waker = line.sender.take();
        drop(line);
        waker.into_iter().for_each(Waker::wake);
    }
}

/// Pieces of a body that come through a channel; `None` among them is the end, and without one it has failed.
impl Stream for Receiver<Option<Bytes>> {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx).map(|item| match item {
            Some(Some(bytes)) => Some(Ok(bytes)),
            Some(None) => None,
            None => Some(Err(Planned("the other task has failed").into())),
        })
    }
}

/// Counts down; whoever waits goes on at zero.
#[derive(Clone)]
pub struct Latch(Arc<Mutex<(usize, Option<Waker>)>>);

impl Latch {
    /// A latch of `n`.
    pub fn new(n: usize) -> Latch {
        Latch(Arc::new(Mutex::new((n, None))))
    }

    /// One less.
    pub fn down(&self) {
        let mut latch = lock(&self.0);
        latch.0 -= 1;
        let waker = if latch.0 == 0 { latch.1.take() } else { None };
        drop(latch);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Waits for zero.
    pub async fn wait(&self) {
        poll_fn(|cx| {
            let mut latch = lock(&self.0);
            if latch.0 == 0 {
                return Poll::Ready(());
            }
            latch.1 = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// The future's output, or `None` if it is still pending after `polls` polls: it is dropped right then, at
/// whatever it awaits.
pub async fn dropped_after<F: Future>(sim: &Sim, polls: Option<u64>, future: F) -> Option<F::Output> {
    let mut future = Some(Box::pin(future));
    let mut left = polls;
    poll_fn(|cx| {
        let Some(running) = &mut future else {
            return Poll::Ready(None);
        };
        match running.as_mut().poll(cx) {
            Poll::Ready(out) => Poll::Ready(Some(out)),
            Poll::Pending => {
                if let Some(n) = &mut left
                    && !sim.looks_around()
                {
                    *n = n.saturating_sub(1);
                    if *n == 0 {
                        future = None;
                        return Poll::Ready(None);
                    }
                }
                Poll::Pending
            }
        }
    })
    .await
}
