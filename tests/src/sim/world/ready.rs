//! Who is to be polled: the tasks, the line of those that are ready, and the wakers that put them there.

use super::Local;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// Who is to be polled.
#[derive(Debug, Default)]
pub(super) struct Ready {
    pub(super) line: Mutex<Line>,
}

#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) tasks: Vec<usize>,
    pub(super) state: Vec<Slot>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    pub(super) queued: bool,
    /// Wakers of other epochs are inert.
    pub(super) epoch: u64,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ready {
    pub(super) fn push(&self, task: usize, epoch: Option<u64>) {
        let mut line = lock(&self.line);
        let slot = &mut line.state[task];
        if epoch.is_none_or(|e| e == slot.epoch) && !slot.queued {
            slot.queued = true;
            line.tasks.push(task);
        }
    }
}

pub(super) struct TaskWaker {
    pub(super) ready: Arc<Ready>,
    pub(super) task: usize,
    pub(super) epoch: u64,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.push(self.task, Some(self.epoch));
    }
}

pub(super) struct Task {
    pub(super) name: String,
    pub(super) future: Local,
    pub(super) waker: Waker,
    /// The world's progress when it was polled last, and how often it was polled since.
    pub(super) seen: u64,
    pub(super) polls: u32,
}
