//! What the `fetch-*` examples show on standard error: lines, and below them a row for each transfer under way.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many rows are shown at most, so that they fit on a screen; of more transfers only the number.
const ROWS: usize = 20;
/// Columns for the name of a transfer: with all the rest of a row, less than 80. A row that wraps would be two.
const NAME: usize = 20;

/// All of standard error, of which there is one.
static BOARD: Mutex<Board> = Mutex::new(Board {
    rows: Vec::new(),
    height: 0,
    painted: None,
});

struct Board {
    rows: Vec<Row>,
    /// How many rows stand on the screen.
    height: usize,
    painted: Option<Instant>,
}

impl Board {
    /// Puts `above` where the rows stood, and the rows below it.
    fn paint(&mut self, above: &str) {
        let mut text = String::new();
        if self.height > 0 {
            // Up to the first of them, and nothing below any more.
            let _ = write!(text, "\x1b[{}A\x1b[J", self.height);
        }
        text += above;
        for row in self.rows.iter().take(ROWS) {
            text += &row.line();
        }
        self.height = self.rows.len().min(ROWS);
        if self.rows.len() > ROWS {
            let _ = writeln!(text, "and {} more", self.rows.len() - ROWS);
            self.height += 1;
        }
        self.painted = Some(Instant::now());
        // In one call: it is not buffered. That nobody may read it any more is no reason to fail, so `eprint!`, which
        // panics then, is not used.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

fn board() -> std::sync::MutexGuard<'static, Board> {
    BOARD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes a line to standard error.
pub(crate) fn say(line: impl std::fmt::Display) {
    board().paint(&format!("{line}\n"));
}

/// What is known of a transfer.
#[derive(Clone, Debug)]
struct Row {
    id: usize,
    name: String,
    total: Option<u64>,
    done: u64,
    begun: Instant,
}

impl Row {
    /// With a bar when the total is known, else a count of bytes.
    fn line(&self) -> String {
        let mut line = self.name.clone();
        match self.total {
            Some(total) if total > 0 => {
                let part = self.done.min(total) as f64 / total as f64;
                let full = (part * 20.0) as usize;
                let bar = format!("{}{}", "#".repeat(full), ".".repeat(20 - full));
                let _ = write!(line, "[{bar}] {:3.0}% of {}", part * 100.0, bytes(total as f64));
            }
            _ => line += &bytes(self.done as f64),
        }
        let rate = self.done as f64 / self.begun.elapsed().as_secs_f64().max(0.001);
        let _ = writeln!(line, "  {}/s", bytes(rate));
        line
    }
}

/// Progress of one transfer: a row on standard error while it lives, if that is a terminal. Painted at most ten times a
/// second.
#[derive(Debug)]
pub(crate) struct Meter {
    row: Row,
    shown: bool,
}

impl Meter {
    /// A meter for `total` bytes, if that is known. Of several at once each has a `name`, and all have another `id`. With
    /// `show: false` nothing is ever shown.
    pub(crate) fn new(id: usize, name: &str, total: Option<u64>, show: bool) -> Meter {
        let shown = show && std::io::stderr().is_terminal();
        let row = Row {
            id,
            name: short(name),
            total,
            done: 0,
            begun: Instant::now(),
        };
        if shown {
            board().rows.push(row.clone());
        }
        Meter { row, shown }
    }

    /// `n` more bytes went by.
    pub(crate) fn add(&mut self, n: usize) {
        self.row.done += n as u64;
        if !self.shown {
            return;
        }
        let mut board = board();
        if let Some(row) = board.rows.iter_mut().find(|row| row.id == self.row.id) {
            row.done = self.row.done;
        }
        if board
            .painted
            .is_none_or(|at| at.elapsed() >= Duration::from_millis(100))
        {
            board.paint("");
        }
    }

    /// How much there was, in what time.
    pub(crate) fn told(&self) -> String {
        let seconds = self.row.begun.elapsed().as_secs_f64();
        format!("{} in {seconds:.2} s", bytes(self.row.done as f64))
    }

    /// Takes the row away; `kept` leaves a last one behind.
    pub(crate) fn finish(self, kept: bool) {
        if self.shown {
            let mut board = board();
            board.rows.retain(|row| row.id != self.row.id);
            board.paint(&if kept { self.row.line() } else { String::new() });
        }
    }
}

/// The last characters of a name, in columns of their own; of none, none.
fn short(name: &str) -> String {
    // Nothing that moves the cursor.
    let letters: Vec<char> = name.chars().filter(|c| !c.is_control()).collect();
    match letters.len() {
        0 => String::new(),
        n => format!(
            "{:NAME$}  ",
            letters[n.saturating_sub(NAME)..].iter().collect::<String>()
        ),
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
