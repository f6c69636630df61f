//! Decoders of content codings (RFC 9110, section 8.4.1): coded bytes in, content out, as much as there is room for.
//!
//! What to ask for, and whether a response is to be decoded, is decided in the core
//! ([`client::call::Decode`](antiphon_core::client::call::Decode)); [`CODINGS`] tells it what was compiled in.
//!
//! | coding | feature | memory of a decoder, at most | what is accepted |
//! |---|---|---|---|
//! | `gzip` | `gzip` | 32 KiB window, 11 KiB tables | several members behind one another (RFC 1952, section 2.2) |
//! | `deflate` | `deflate` | the same | zlib (RFC 1950); bare deflate data too, as browsers do |
//! | `br` | `brotli` | 16 MiB window, below 1 MiB tables | RFC 7932; no large windows |
//! | `zstd` | `zstd` | 8 MiB window, below 1 MiB blocks and tables | RFC 8878 with the window of RFC 9659; several frames, skippable ones |
//!
//! Windows take as much as the sender declares (`gzip` and `deflate`: always 32 KiB), so that most need far less. How
//! much content comes out is for the caller to bound: a thousand times what goes in is easily had, and more.
//!
//! No bytes at all are taken for no content: some servers label empty bodies.

#[cfg(feature = "brotli")]
mod brotli;
#[cfg(feature = "deflate")]
mod deflate;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(any(feature = "gzip", feature = "deflate"))]
mod inflate;
#[cfg(feature = "zstd")]
mod zstd;

use antiphon_core::client::call::{Coding, Codings};
use std::error::Error;
use std::fmt;

/// The codings that are compiled in.
pub const CODINGS: Codings = {
    let mut codings = Codings::NONE;
    if cfg!(feature = "gzip") {
        codings = codings.with(Coding::Gzip);
    }
    if cfg!(feature = "deflate") {
        codings = codings.with(Coding::Deflate);
    }
    if cfg!(feature = "brotli") {
        codings = codings.with(Coding::Brotli);
    }
    if cfg!(feature = "zstd") {
        codings = codings.with(Coding::Zstd);
    }
    codings
};

/// A decoder of one body.
///
#[cfg_attr(feature = "gzip", doc = "```")]
#[cfg_attr(not(feature = "gzip"), doc = "```ignore")]
/// use antiphon_core::client::call::Coding;
/// use antiphon_support::content::Decoder;
///
/// let body = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xcbH\xcd\xc9\xc9\x07\x00\x86\xa6\x106\x05\x00\x00\x00";
/// let mut decoder = Decoder::new(Coding::Gzip)?;
/// let (mut input, mut content) = (&body[..], Vec::new());
/// let mut room = [0; 4];
/// loop {
///     let decoded = decoder.decode(input, &mut room)?;
///     input = &input[decoded.consumed..];
///     content.extend_from_slice(&room[..decoded.produced]);
///     if input.is_empty() && decoded.produced < room.len() {
///         break; // here a client receives more, until the body ends
///     }
/// }
/// decoder.finish()?;
/// assert_eq!(content, b"hello");
/// # Ok::<(), antiphon_support::content::DecodeError>(())
/// ```
pub struct Decoder {
    kind: Kind,
    coding: Coding,
    started: bool,
    ended: bool,
    failed: Option<DecodeErrorKind>,
}

/// What [`Decoder::decode`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub struct Decoded {
    /// Bytes of the input that are done with.
    pub consumed: usize,
    /// Bytes of content that are in the output.
    pub produced: usize,
    /// All content has come out, if the body ends here. (`gzip` and `zstd` may go on with another member or frame.)
    pub ended: bool,
}

enum Kind {
    #[cfg(feature = "gzip")]
    Gzip(gzip::Gzip),
    #[cfg(feature = "deflate")]
    Deflate(deflate::Deflate),
    #[cfg(feature = "brotli")]
    Brotli(brotli::Brotli),
    #[cfg(feature = "zstd")]
    Zstd(Box<zstd::Zstd>),
}

impl Kind {
    /// `None`: it is not compiled in.
    fn new(coding: Coding) -> Option<Kind> {
        match coding {
            #[cfg(feature = "gzip")]
            Coding::Gzip => Some(Kind::Gzip(gzip::Gzip::new())),
            #[cfg(feature = "deflate")]
            Coding::Deflate => Some(Kind::Deflate(deflate::Deflate::new())),
            #[cfg(feature = "brotli")]
            Coding::Brotli => Some(Kind::Brotli(brotli::Brotli::new())),
            #[cfg(feature = "zstd")]
            Coding::Zstd => Some(Kind::Zstd(Box::new(zstd::Zstd::new()))),
            _ => None,
        }
    }
}

/// What one step of a decoder did: bytes consumed and produced, and whether it may end here. Neither means that it
/// cannot go on without more input or room.
type Step = Result<Decoded, DecodeErrorKind>;

impl Decoder {
    /// A decoder of a body that is coded so.
    ///
    /// # Errors
    /// [`DecodeErrorKind::NotCompiledIn`].
    pub fn new(coding: Coding) -> Result<Decoder, DecodeError> {
        let Some(kind) = Kind::new(coding) else {
            let kind = DecodeErrorKind::NotCompiledIn;
            return Err(DecodeError { coding, kind });
        };
        Ok(Decoder {
            kind,
            coding,
            started: false,
            ended: false,
            failed: None,
        })
    }

    /// Decodes until the input is used up or the output is full. If it is full there may be more to come out: call
    /// again, with no input if none is left. How input and output are cut changes nothing in what comes out.
    ///
    /// # Errors
    /// What is wrong with the coded bytes, and the same again from then on. What this call had put into `output` is
    /// lost then; what earlier ones gave is right as far as it goes, but was not checked as a whole.
    pub fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Decoded, DecodeError> {
        let (mut consumed, mut produced) = (0, 0);
        loop {
            if let Some(kind) = self.failed {
                return Err(self.error(kind));
            }
            let (rest, room) = (&input[consumed..], &mut output[produced..]);
            self.started |= !rest.is_empty();
            let step = match self.step(rest, room) {
                Ok(step) => step,
                Err(kind) => {
                    self.failed = Some(kind);
                    continue;
                }
            };
            consumed += step.consumed;
            produced += step.produced;
            self.ended = step.ended;
            if step.consumed == 0 && step.produced == 0 {
                let ended = step.ended;
                return Ok(Decoded {
                    consumed,
                    produced,
                    ended,
                });
            }
        }
    }

    /// The body has ended.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`] if more was to come: a part of it was cut off, or was not yet taken out. Or what
    /// [`decode`](Decoder::decode) told.
    pub fn finish(&self) -> Result<(), DecodeError> {
        match self.failed {
            Some(kind) => Err(self.error(kind)),
            None if self.ended || !self.started => Ok(()),
            None => Err(self.error(DecodeErrorKind::Truncated)),
        }
    }

    /// The coding.
    pub const fn coding(&self) -> Coding {
        self.coding
    }

    fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        let coding = self.coding;
        DecodeError { coding, kind }
    }

    #[cfg_attr(
        not(any(feature = "gzip", feature = "deflate", feature = "brotli", feature = "zstd")),
        allow(unused_variables)
    )]
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        match self.kind {
            #[cfg(feature = "gzip")]
            Kind::Gzip(ref mut d) => d.step(input, output),
            #[cfg(feature = "deflate")]
            Kind::Deflate(ref mut d) => d.step(input, output),
            #[cfg(feature = "brotli")]
            Kind::Brotli(ref mut d) => d.step(input, output),
            #[cfg(feature = "zstd")]
            Kind::Zstd(ref mut d) => d.step(input, output),
        }
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("coding", &self.coding)
            .field("ended", &self.ended)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// A body cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    coding: Coding,
    kind: DecodeErrorKind,
}

impl DecodeError {
    /// How the body is coded.
    pub const fn coding(self) -> Coding {
        self.coding
    }

    /// What is wrong.
    pub const fn kind(self) -> DecodeErrorKind {
        self.kind
    }
}

/// What can be wrong with a coded body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// This build has no decoder for the coding: a feature is missing.
    NotCompiledIn,
    /// The body ends before the content does.
    Truncated,
    /// The bytes break the coding's rules.
    Malformed,
    /// The content is not what its checksum or length is of.
    Checksum,
    /// Something stands behind the end.
    TrailingData,
    /// It takes more memory to decode than is allowed.
    WindowTooLarge,
    /// It takes a dictionary, and there is none.
    Dictionary,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot decode the {} content: ", self.coding.name())?;
        f.write_str(match self.kind {
            DecodeErrorKind::NotCompiledIn => "the decoder is not compiled in",
            DecodeErrorKind::Truncated => "it is cut off",
            DecodeErrorKind::Malformed => "it is malformed",
            DecodeErrorKind::Checksum => "its checksum or length does not match",
            DecodeErrorKind::TrailingData => "something stands behind its end",
            DecodeErrorKind::WindowTooLarge => "it needs too large a window",
            DecodeErrorKind::Dictionary => "it needs a dictionary",
        })
    }
}

impl Error for DecodeError {}
