//! What both kinds of adapters, async and blocking, need from other libraries, once: everything in here is std, but
//! without I/O, clock, thread or task. Bytes and the time go in, bytes and decisions come out, as in
//! [`antiphon_core`], whose machines say *when* these are used.
//!
//! | item | feature | what lives there |
//! |---|---|---|
//! | `tls` | `tls` (default), `bundled-roots` | TLS sessions over rustls, for clients and servers |
//! | [`content`] | `gzip` (default), `deflate`, `brotli`, `zstd` | decoders of content codings |
//! | `cookies` | `cookies` (default) | a cookie jar to share, with the public suffix list |
//! | `charset` | `charset` | text by its charset |
//! | `json` | `json` | JSON bodies |
//! | `to_ascii_url` | `idna` | internationalised host names |
//! | [`Progress`] | | how far a call has come |
//! | [`random_boundary`] | | what stands between the parts of a form |
//! | [`trace`] | `tracing` | what observers of a client are told |
//! | [`FilePlace`] | | the path that a `file` URL names |
//! | [`dial_failure`] | | what an I/O error means to happy eyeballs |
//!
//! What the libraries do by themselves: the roots of the operating system are read when a `TlsConfig` is built, and rustls
//! asks the system for random numbers and, to see whether a certificate is valid now, for the date.
//!
//! # Which libraries, and why
//!
//! All are maintained, have licences that go with MIT and Apache-2.0, and build with Rust 1.88. "Tree" is the number of
//! crates that come with one, itself included, on Linux and beside those of the core.
//!
//! | library | tree | why this one |
//! |---|---|---|
//! | rustls with ring | 15 with the next two | TLS without C's memory; ring builds without cmake or bindgen, which aws-lc wants. It brings a C compiler's work, as every provider does today |
//! | rustls-platform-verifier | | the operating system's roots and, on Windows, macOS and Android, its own judgement |
//! | rustls-pki-types | | reads PEM itself; rustls-pemfile is retired |
//! | webpki-roots | 1 more | Mozilla's roots where a system has none; data under CDLA-Permissive-2.0 |
//! | flate2 on miniz_oxide | 6 | no C, no unsafe code on the way; its low-level interface takes bytes and gives bytes |
//! | brotli-decompressor | 3 | the only one that decodes in steps, forbids unsafe code |
//! | ruzstd | 2 | no C; bounds windows and blocks. It has unsafe code in its ring buffer. zstd itself is C with a build script |
//! | psl | 2 | the list as compiled code: nothing to load, nothing to parse. `publicsuffix` wants the list at run time, and somebody who brings it |
//! | encoding_rs | 6 | the encodings of the WHATWG, as browsers decode them |
//! | idna | 30 | the one that `url` uses. Most of its tree is ICU's data; whoever wants less pins `idna_adapter` in their own lock file to 1.0 (unicode-rs) |
//! | serde_json | 5 | what everybody's types speak |

mod boundary;
#[cfg(feature = "charset")]
pub mod charset;
pub mod content;
#[cfg(feature = "cookies")]
pub mod cookies;
mod dial;
mod file_url;
#[cfg(feature = "idna")]
mod idna;
#[cfg(feature = "json")]
pub mod json;
mod progress;
#[cfg(feature = "tls")]
pub mod tls;
pub mod trace;

pub use self::boundary::random_boundary;
pub use self::dial::dial_failure;
pub use self::file_url::{FilePlace, NoFileUrl};
#[cfg(feature = "idna")]
pub use self::idna::{InvalidHost, to_ascii_url};
pub use self::progress::{Meter, Progress};
