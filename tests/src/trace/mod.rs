//! Replays traces that [`antiphon_core::h1::trace`] recorded: builds the machine with the recorded settings, makes the
//! recorded calls in order, and compares every line that it writes with the recorded one. `docs/trace.md` describes the
//! format.
//!
//! Here: the loop and its outcome. `apply.rs`: one line, one call. `settings.rs`: the first line. `value.rs`: JSON.

mod apply;
mod settings;
pub mod value;

use self::apply::Machine;
use self::value::{Value, Wrong};
use std::fmt;
use std::path::Path;

/// What a trace that was reproduced holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// `server` or `client`.
    pub machine: String,
    /// All lines.
    pub lines: usize,
    /// Lines that are calls.
    pub calls: usize,
    /// Events that were told.
    pub events: usize,
    /// Decisions.
    pub decisions: usize,
    /// Calls that were refused as misuse.
    pub misuses: usize,
    /// Credentials are masked: the same decisions, not the same bytes.
    pub masked: bool,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary {
            machine,
            lines,
            calls,
            events,
            decisions,
            misuses,
            masked,
        } = self;
        let masked = if *masked { ", credentials masked" } else { "" };
        write!(
            f,
            "{machine}: {lines} lines reproduced: {calls} calls ({misuses} refused), {events} events, \
             {decisions} decisions{masked}"
        )
    }
}

/// Where a replay left the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The line, counted from 1.
    pub line: usize,
    /// What the trace says; `None` where the trace has ended.
    pub expected: Option<String>,
    /// What the machine wrote instead; `None` if nothing.
    pub got: Option<String>,
    /// What is wrong with the line itself, if that is the matter.
    pub why: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "(nothing)".to_owned());
        write!(f, "line {}", self.line)?;
        if let Some(why) = &self.why {
            write!(f, ": {why}")?;
        }
        let (expected, got) = (shown(&self.expected), shown(&self.got));
        write!(f, "\n  expected  {expected}\n  got       {got}")
    }
}

impl std::error::Error for Difference {}

/// Replays the traces in a file: one, or several after one another, each with its first line.
///
/// # Errors
/// The first [`Difference`]; a file that cannot be read is one at line 0, and one without a trace at line 1.
pub fn replay_file(path: impl AsRef<Path>) -> Result<Vec<Summary>, Difference> {
    let text = std::fs::read_to_string(&path).map_err(|e| Difference {
        line: 0,
        expected: None,
        got: None,
        why: Some(format!("{}: {e}", path.as_ref().display())),
    })?;
    replay_all(&text)
}

/// Replays traces that follow each other. Lines are counted through all of them.
///
/// # Errors
/// The first [`Difference`].
pub fn replay_all(text: &str) -> Result<Vec<Summary>, Difference> {
    let mut summaries = Vec::new();
    let (mut begin, mut line) = (0, 0);
    while begin < text.len() || summaries.is_empty() {
        let rest = &text[begin..];
        let len = rest[rest.len().min(1)..]
            .find(BEGINNING)
            .map_or(rest.len(), |at| at + 2);
        let trace = &rest[..len];
        summaries.push(replay(trace).map_err(|difference| Difference {
            line: line + difference.line,
            ..difference
        })?);
        begin += len;
        line += trace.lines().count();
    }
    Ok(summaries)
}

/// How the first line of a trace begins, behind the end of another one. No string of a trace holds a line end.
const BEGINNING: &str = "\n{\"trace\":";

/// Replays a trace: lines of JSON.
///
/// # Errors
/// The first [`Difference`], or the line that is no line of a trace.
pub fn replay(trace: &str) -> Result<Summary, Difference> {
    let recorded: Vec<&str> = trace.lines().collect();
    let bad = |at: usize, why: Wrong| Difference {
        line: at + 1,
        expected: recorded.get(at).map(|l| (*l).to_owned()),
        got: None,
        why: Some(why.0),
    };
    let first = recorded.first().copied().unwrap_or_default();
    let first = Value::read(first).map_err(|e| bad(0, e))?;
    let mut machine = Machine::new(&first).map_err(|e| bad(0, e))?;
    let mut summary = Summary {
        machine: machine.role().to_owned(),
        masked: first.get("masked").and_then(Value::bool).map_err(|e| bad(0, e))?,
        ..Summary::default()
    };
    let mut at = 0;
    loop {
        // What the last call (at first: the beginning) wrote, against what was recorded.
        for got in machine.written() {
            if recorded.get(at) != Some(&&got[..]) {
                return Err(Difference {
                    line: at + 1,
                    expected: recorded.get(at).map(|l| (*l).to_owned()),
                    got: Some(got),
                    why: None,
                });
            }
            summary.lines += 1;
            let has = |start: &str| usize::from(got.starts_with(start));
            summary.events += has("{\"told\":\"");
            summary.decisions += has("{\"decision\":");
            summary.misuses += has("{\"misuse\":");
            at += 1;
        }
        let Some(line) = recorded.get(at) else {
            return Ok(summary);
        };
        let call = Value::read(line).map_err(|e| bad(at, e))?;
        summary.calls += 1;
        machine.apply(&call).map_err(|e| bad(at, e))?;
    }
}
