//! What a load client is to do: the kinds of requests, how many, and what has to come back.

use crate::{HELLO, LONG};
use bytes::Bytes;
use std::error::Error;

/// How many requests of kind C2 are under way at once.
pub const AT_ONCE: usize = 64;

/// Whatever went wrong.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// What the requests are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// C1: `GET /`, one after the other.
    Small,
    /// C2: `GET /`, 64 at a time.
    Many,
    /// C3: `GET /stream`.
    Download,
    /// C4: `POST /len` with 1 MiB.
    Upload,
}

/// What is to be done; cheap to clone.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the requests are.
    pub kind: Kind,
    /// Where they go.
    pub url: String,
    /// The body of an upload.
    pub upload: Bytes,
    /// How many requests are measured.
    pub n: usize,
    /// How many go before them.
    pub warm: usize,
}

impl Plan {
    /// The plan that the arguments `BASEURL KIND N` ask for; the warm-up is `RIG_WARM` requests (an environment variable),
    /// by default the larger of 8 and N/20.
    ///
    /// # Errors
    /// What is not understood.
    pub fn new(base: &str, kind: &str, n: &str) -> Result<Plan, BoxError> {
        let (kind, path) = match kind {
            "C1" => (Kind::Small, "/"),
            "C2" => (Kind::Many, "/"),
            "C3" => (Kind::Download, "/stream"),
            "C4" => (Kind::Upload, "/len"),
            other => return Err(format!("no kind {other:?}: C1, C2, C3 or C4").into()),
        };
        let n: usize = n.parse()?;
        let warm = match std::env::var("RIG_WARM") {
            Ok(text) => text.parse()?,
            Err(_) => (n / 20).max(8),
        };
        Ok(Plan {
            kind,
            url: format!("{}{path}", base.trim_end_matches('/')),
            upload: Bytes::from(vec![b'x'; LONG]),
            n,
            warm,
        })
    }

    /// Checks a response's body of `got` bytes; tells how many body bytes the exchange moved.
    ///
    /// # Errors
    /// It was not as long as it has to be.
    pub fn moved(&self, got: usize) -> Result<u64, BoxError> {
        let (expected, sent) = match self.kind {
            Kind::Small | Kind::Many => (HELLO.len(), 0),
            Kind::Download => (LONG, 0),
            Kind::Upload => (LONG.to_string().len(), LONG),
        };
        if got != expected {
            return Err(format!("{got} body bytes from {}, not {expected}", self.url).into());
        }
        Ok((got + sent) as u64)
    }

    /// How `n` requests are divided among those at work at once.
    pub fn shares(&self, n: usize) -> Vec<usize> {
        let workers = match self.kind {
            Kind::Many => AT_ONCE.min(n.max(1)),
            _ => 1,
        };
        (0..workers)
            .map(|i| n / workers + usize::from(i < n % workers))
            .collect()
    }
}
