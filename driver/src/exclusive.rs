//! [`Exclusive`]: makes a value that is only `Send` also `Sync`, so that `&Request` and `&Response` can be held
//! across an `.await` of a task that may move between threads.

use std::sync::{Mutex, PoisonError};

/// A value that is used through `&mut`, almost always. The mutex is never contended, and not locked at all for
/// `&mut` access; it is what safe Rust has for `std::sync::Exclusive`, which is not stable.
#[derive(Debug)]
pub(crate) struct Exclusive<T>(Mutex<T>);

impl<T> Exclusive<T> {
    pub(crate) const fn new(value: T) -> Exclusive<T> {
        Exclusive(Mutex::new(value))
    }

    pub(crate) fn get(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// A look through `&`: locks.
    pub(crate) fn look<U>(&self, at: impl FnOnce(&T) -> U) -> U {
        at(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
