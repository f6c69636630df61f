//! Antiphon's own suite, for the core and every runtime alike, and the subject programs that black-box suites
//! drive.
//!
//! | where | what |
//! |---|---|
//! | [`case`](mod@case) | reads the transcripts in `cases/` |
//! | [`echo`] | what the subject server does with a request, decided once for all runtimes |
//! | [`subject`] | the subjects: a server and a client on each runtime |
//! | [`json`] | the JSON that they print |
//! | [`machine`], [`replay`], [`replay_client`] | the core on an in-memory link, in virtual time |
//! | [`trace`](mod@trace) | replays traces that `antiphon_core::h1::trace` recorded |
//! | [`sim`] | simulated worlds: clients, servers and networks in virtual time, one for each seed |
//! | [`peer`], [`wire`] | the other side of the socket tests: bare sockets, strict reading |

pub mod case;
pub mod echo;
pub mod json;
pub mod machine;
pub mod peer;
pub mod replay;
pub mod replay_client;
pub mod sim;
pub mod subject;
pub mod trace;
pub mod wire;

/// The programs in the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// The program in the document on simulation, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../docs/simulation.md")]
pub struct Simulation;
