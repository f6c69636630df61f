//! [`Trace`]: what happened in a world, line by line, for a person to read; and its hash, which is the same for
//! two runs of one seed.

use super::rng::mix;
use antiphon_core::Instant;
use std::fmt;

/// The lines, if they are wanted at all: a run without a trace formats nothing.
#[derive(Debug, Default)]
pub struct Trace {
    lines: Option<Vec<String>>,
    hash: u64,
}

impl Trace {
    /// A trace that keeps lines, or one that does nothing.
    pub fn new(on: bool) -> Trace {
        Trace {
            lines: on.then(Vec::new),
            hash: 0,
        }
    }

    /// Whether lines are kept.
    pub fn is_on(&self) -> bool {
        self.lines.is_some()
    }

    /// Adds a line.
    pub fn note(&mut self, now: Instant, what: fmt::Arguments<'_>) {
        if let Some(lines) = &mut self.lines {
            let t = now.since_origin();
            let line = format!("{:>4}.{:09}  {what}", t.as_secs(), t.subsec_nanos());
            self.hash = line.bytes().fold(self.hash, |h, b| {
                (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3)
            });
            self.hash = mix(self.hash);
            lines.push(line);
        }
    }

    /// The hash of all lines.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The lines.
    pub fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}
