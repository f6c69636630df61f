//! What both kinds of adapters, async and blocking, need from other libraries, once: everything in here is std, but
//! without I/O, clock, thread or task. Bytes and the time go in, bytes and decisions come out, as in
//! [`antiphon_core`], whose machines say *when* these are used.
//!
//! | module | feature | what lives there |
//! |---|---|---|
#![cfg_attr(
    feature = "tls",
    doc = "| [`tls`] | `tls` (default), `bundled-roots` | TLS sessions over rustls, for clients and servers |"
)]
//! | [`content`] | `gzip` (default), `deflate`, `brotli`, `zstd` | decoders of content codings |
#![cfg_attr(
    feature = "cookies",
    doc = "| [`cookies`] | `cookies` (default) | a cookie jar to share, with the public suffix list |"
)]
//! | [`dial_failure`] | | what an I/O error means to happy eyeballs |

pub mod content;
#[cfg(feature = "cookies")]
pub mod cookies;
mod dial;
#[cfg(feature = "tls")]
pub mod tls;

pub use antiphon_core as core;
pub use dial::dial_failure;
