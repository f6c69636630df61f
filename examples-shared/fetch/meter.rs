//! What the `fetch-*` examples show on standard error: lines, and a progress meter.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Writes a line to standard error, in one call: it is not buffered. That nobody may read it any more is no
/// reason to fail, so `eprintln!`, which panics then, is not used.
pub(crate) fn say(line: impl std::fmt::Display) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Progress on standard error: a bar when the total is known, else a byte count. Silent unless standard error
/// is a terminal. Redrawn at most ten times a second.
#[derive(Debug)]
pub(crate) struct Meter {
    total: Option<u64>,
    done: u64,
    begun: Instant,
    drawn: Option<Instant>,
    shown: bool,
}

impl Meter {
    /// A meter for `total` bytes, if that is known. With `show: false` it never draws.
    pub(crate) fn new(total: Option<u64>, show: bool) -> Meter {
        let shown = show && std::io::stderr().is_terminal();
        Meter {
            total,
            done: 0,
            begun: Instant::now(),
            drawn: None,
            shown,
        }
    }

    /// `n` more bytes went by.
    pub(crate) fn add(&mut self, n: usize) {
        self.done += n as u64;
        if self.shown
            && self
                .drawn
                .is_none_or(|at| at.elapsed() >= Duration::from_millis(100))
        {
            self.draw();
        }
    }

    /// How much there was, in what time.
    pub(crate) fn told(&self) -> String {
        let seconds = self.begun.elapsed().as_secs_f64();
        format!("{} in {seconds:.2} s", bytes(self.done as f64))
    }

    /// Draws the final state and ends the line.
    pub(crate) fn finish(mut self) {
        if self.shown {
            self.draw();
            say("");
        }
    }

    fn draw(&mut self) {
        self.drawn = Some(Instant::now());
        let rate = self.done as f64 / self.begun.elapsed().as_secs_f64().max(0.001);
        let line = match self.total {
            Some(total) if total > 0 => {
                let part = self.done.min(total) as f64 / total as f64;
                let full = (part * 30.0) as usize;
                let bar = format!("{}{}", "#".repeat(full), ".".repeat(30 - full));
                format!("[{bar}] {:3.0}% of {}", part * 100.0, bytes(total as f64))
            }
            _ => bytes(self.done as f64),
        };
        // A meter that cannot be shown is no reason to fail.
        let _ = std::io::stderr().write_all(format!("\r{line}  {}/s   ", bytes(rate)).as_bytes());
    }
}

fn bytes(n: f64) -> String {
    match n {
        n if n >= 1024.0 * 1024.0 * 1024.0 => format!("{:.2} GiB", n / (1024.0 * 1024.0 * 1024.0)),
        n if n >= 1024.0 * 1024.0 => format!("{:.1} MiB", n / (1024.0 * 1024.0)),
        n if n >= 1024.0 => format!("{:.1} KiB", n / 1024.0),
        n => format!("{n:.0} B"),
    }
}
