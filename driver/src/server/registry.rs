//! Which connections a server has: for the cap, for shutting down, and for knowing when the drain is over. What
//! a shutdown means for a connection decides the core.

use super::Shared;
use antiphon_core::Instant;
use antiphon_core::server::shutdown::{Shutdown, ShutdownConfig};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// The connections of one server. Locked when one opens or closes, never per request.
pub(crate) struct Registry {
    state: Mutex<State>,
    /// A shutdown has begun: what connections look at, each time they are woken.
    stopping: AtomicBool,
    clock: Box<dyn Fn() -> Instant + Send + Sync>,
}

pub(crate) struct State {
    slots: Vec<Option<Arc<Shared>>>,
    free: Vec<u32>,
    /// All connections, switched ones included: those that the cap counts.
    total: usize,
    /// Counts the connections that speak HTTP: those that a drain waits for.
    pub(crate) shutdown: Shutdown,
    /// The task in `serve`.
    server: Option<Waker>,
}

impl Registry {
    pub(crate) fn new(config: ShutdownConfig, clock: Box<dyn Fn() -> Instant + Send + Sync>) -> Registry {
        Registry {
            state: Mutex::new(State {
                slots: Vec::new(),
                free: Vec::new(),
                total: 0,
                shutdown: Shutdown::new(config),
                server: None,
            }),
            stopping: AtomicBool::new(false),
            clock,
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a shutdown has begun.
    pub(crate) fn is_stopping(&self) -> bool {
        // Connections are woken after it was set, which orders this load behind the store.
        self.stopping.load(Ordering::Relaxed)
    }

    /// Begins the shutdown: accepting stops, idle connections close, busy ones close after their exchange.
    pub(crate) fn shutdown(&self) {
        let mut state = self.lock();
        state.shutdown.begin((self.clock)());
        self.stopping.store(true, Ordering::Relaxed);
        let connections = state.connections();
        let server = state.server.take();
        drop(state);
        for shared in connections {
            shared.lock().wake_driver(None);
        }
        if let Some(server) = server {
            server.wake();
        }
    }

    /// Drops the connections that are left.
    pub(crate) fn kill(&self) {
        let connections = self.lock().connections();
        for shared in connections {
            let mut state = shared.lock();
            state.kill = true;
            state.wake_driver(None);
        }
    }
}

impl State {
    /// All connections, switched ones included.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// The task in `serve` waits for a change.
    pub(crate) fn watch(&mut self, waker: &Waker) {
        match &self.server {
            Some(w) if w.will_wake(waker) => {}
            _ => self.server = Some(waker.clone()),
        }
    }

    fn connections(&self) -> Vec<Arc<Shared>> {
        self.slots.iter().flatten().cloned().collect()
    }

    /// `None`: the server is stopping, close it.
    fn add(&mut self, shared: Arc<Shared>) -> Option<u32> {
        if !self.shutdown.opened() {
            return None;
        }
        self.total += 1;
        Some(match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(shared);
                slot
            }
            None => {
                self.slots.push(Some(shared));
                (self.slots.len() - 1) as u32
            }
        })
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("stopping", &self.is_stopping())
            .finish_non_exhaustive()
    }
}

/// A connection's place in the registry, left when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    registry: Arc<Registry>,
    slot: Option<u32>,
}

impl Place {
    /// `None`: the server is stopping.
    pub(crate) fn new(registry: Arc<Registry>, shared: Arc<Shared>) -> Option<Place> {
        let slot = registry.lock().add(shared)?;
        Some(Place {
            registry,
            slot: Some(slot),
        })
    }

    /// The connection no longer speaks HTTP: a drain does not wait for it, the cap still counts it.
    pub(crate) fn switched(&mut self) {
        let registry = self.registry.clone();
        self.leave(registry.lock());
    }

    /// Both counts change under one lock: who sees the drain over sees no connection left.
    fn leave(&mut self, mut state: MutexGuard<'_, State>) {
        let mut shared = None;
        if let Some(slot) = self.slot.take() {
            shared = state.slots[slot as usize].take();
            state.free.push(slot);
            state.shutdown.closed();
        }
        let server = state.server.take();
        drop(state);
        // The connection's state may be the last reference: not under the registry's lock.
        drop(shared);
        if let Some(server) = server {
            server.wake();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let registry = self.registry.clone();
        let mut state = registry.lock();
        state.total -= 1;
        self.leave(state);
    }
}
