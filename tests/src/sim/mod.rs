//! A simulated world for HTTP/1.1: clients, servers and the network between them in virtual time, every
//! schedule and every fault decided by one seed. `docs/simulation.md` tells how to run it and how to embed it.
//!
//! | module | what lives there |
//! |---|---|
//! | [`rng`] | the one source of chance |
//! | [`link`] | a connection: latency, bandwidth, windows, breaks; pure |
//! | [`faults`] | the kinds of trouble, counted; defects to be planted |
//! | [`uses`] | what the bare machines were used for, counted |
//! | [`world`] | the clock, the queue, the tasks |
//! | [`runtime`] | the world as a runtime of `antiphon-driver` |
//! | [`checks`] | what may never happen, and the bodies that prove it |
//! | [`trace`] | what happened, to be read |
//! | [`plan`] | what a seed decides beforehand |
//! | [`ledger`] | what happened to each exchange, and what must hold of it |
//! | [`app`], [`client`], [`server`] | what applications do |
//! | [`drivers`] | a scenario: the real `Server` and `Client`, with all that applications do |
//! | [`machines`] | a scenario: the bare machines against each other, driver and applications by hand |
//! | [`seed`] | one seed from end to end, and sums over many |
//!
//! Nothing in here knows the rest of this crate.

#[macro_use]
mod counts;

pub mod app;
pub mod checks;
pub mod client;
pub mod drivers;
pub mod faults;
pub mod ledger;
pub mod link;
pub mod machines;
pub mod plan;
pub mod rng;
pub mod runtime;
pub mod seed;
pub mod server;
pub mod trace;
pub mod uses;
pub mod world;
