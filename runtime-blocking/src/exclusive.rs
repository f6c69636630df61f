//! [`Exclusive`]: makes a value that is only `Send` also `Sync`, so that requests, responses and bodies can be
//! shared between threads and stand in errors.

use std::sync::{Mutex, PoisonError};

/// A value that is used through `&mut` only, so the mutex is never locked; it is what safe Rust has for
/// `std::sync::Exclusive`, which is not stable.
pub(crate) struct Exclusive<T>(Mutex<T>);

impl<T> Exclusive<T> {
    pub(crate) const fn new(value: T) -> Exclusive<T> {
        Exclusive(Mutex::new(value))
    }

    pub(crate) fn get(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
