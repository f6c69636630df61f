//! Threads for work that blocks: files and name look-ups. Started when needed, at most [`MOST`], gone after
//! [`IDLE`] without work; more work than threads waits in line.
//!
//! The `blocking` crate does the same and more; it would bring six crates.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

const MOST: usize = 64;
const IDLE: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce() + Send>;

struct Pool {
    state: Mutex<State>,
    work: Condvar,
}

struct State {
    line: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

static POOL: Pool = Pool {
    state: Mutex::new(State {
        line: VecDeque::new(),
        threads: 0,
        idle: 0,
    }),
    work: Condvar::new(),
};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    fn run(&'static self, job: Job) {
        let mut state = lock(&self.state);
        state.line.push_back(job);
        if state.idle >= state.line.len() || state.threads >= MOST {
            drop(state);
            self.work.notify_one();
            return;
        }
        state.threads += 1;
        drop(state);
        let started = thread::Builder::new()
            .name("antiphon-blocking".to_string())
            .spawn(|| self.work());
        if started.is_err() {
            let mut state = lock(&self.state);
            state.threads -= 1;
            if state.threads == 0 {
                // Nobody is left to do it: who waits for it is told by its being dropped.
                let unable = std::mem::take(&mut state.line);
                drop(state);
                drop(unable);
            }
        }
    }

    fn work(&self) {
        let mut state = lock(&self.state);
        loop {
            while let Some(job) = state.line.pop_front() {
                drop(state);
                job();
                state = lock(&self.state);
            }
            state.idle += 1;
            let (woken, waited) = self
                .work
                .wait_timeout(state, IDLE)
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if waited.timed_out() && state.line.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}

/// Runs `work` on one of the threads. Dropping the future does not stop it.
pub(crate) fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Unblock<T> {
    let slot = Arc::new(Mutex::new(Slot {
        result: None,
        waker: None,
    }));
    let mut done = Done(Some(slot.clone()));
    POOL.run(Box::new(move || {
        let result = catch_unwind(AssertUnwindSafe(work));
        done.tell(result.map_err(|_| io::Error::other("blocking work panicked")));
    }));
    Unblock(slot)
}

struct Slot<T> {
    result: Option<io::Result<T>>,
    waker: Option<Waker>,
}

/// Tells the result, if only that there is none.
struct Done<T>(Option<Arc<Mutex<Slot<T>>>>);

impl<T> Done<T> {
    fn tell(&mut self, result: io::Result<T>) {
        let Some(slot) = self.0.take() else { return };
        let mut slot = lock(&slot);
        slot.result = Some(result);
        let waker = slot.waker.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Drop for Done<T> {
    fn drop(&mut self) {
        self.tell(Err(io::Error::other("no thread could be started")));
    }
}

/// The result of blocking work, as a future.
pub(crate) struct Unblock<T>(Arc<Mutex<Slot<T>>>);

impl<T> Future for Unblock<T> {
    type Output = io::Result<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let mut slot = lock(&self.0);
        match slot.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                slot.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_elsewhere_and_panics_are_errors() {
        async_io::block_on(async {
            let all: Vec<_> = (0..200)
                .map(|i| unblock(move || (i, thread::current().id())))
                .collect();
            let here = thread::current().id();
            for (i, one) in all.into_iter().enumerate() {
                let (n, there) = one.await.expect("no panic");
                assert!(n == i && there != here);
            }
            assert!(lock(&POOL.state).threads <= MOST);
            assert!(unblock(|| -> () { panic!("on purpose") }).await.is_err());
            assert_eq!(unblock(|| 7).await.ok(), Some(7), "the threads go on");
        });
    }
}
