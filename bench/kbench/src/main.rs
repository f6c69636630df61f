//! In-memory cases of the core alone, to be run under callgrind or against the clock.
//!
//! - `kbench list`: the cases.
//! - `kbench CASE N`: runs N iterations and prints nothing; count its instructions from outside.
//! - `kbench time CASE N`: N iterations after a warm-up; prints nanoseconds per iteration.

mod cases;
mod inputs;

use cases::{CASES, Case};
use std::process::ExitCode;
use std::time::Instant;

const USAGE: &str = "usage: kbench list | kbench CASE N | kbench time CASE N";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        ["list"] => {
            CASES.iter().for_each(|c| println!("{:<12} {}", c.name, c.what));
            Ok(())
        }
        ["time", case, n] => parse(case, n).map(|(case, n)| time(case, n)),
        [case, n] => parse(case, n).map(|(case, n)| run(case, n)),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

fn parse(case: &str, n: &str) -> Result<(&'static Case, u64), String> {
    let found = CASES
        .iter()
        .find(|c| c.name == case)
        .ok_or(format!("no case {case:?}; {USAGE}"))?;
    let n = n
        .parse()
        .map_err(|_| format!("{n:?} is no number of iterations; {USAGE}"))?;
    Ok((found, n))
}

fn run(case: &Case, n: u64) {
    let mut iteration = (case.set_up)();
    (0..n).for_each(|_| iteration());
}

fn time(case: &Case, n: u64) {
    let mut iteration = (case.set_up)();
    (0..n / 10 + 1).for_each(|_| iteration());
    let start = Instant::now();
    (0..n).for_each(|_| iteration());
    println!(
        "{} {:.1} ns per iteration",
        case.name,
        start.elapsed().as_nanos() as f64 / n.max(1) as f64
    );
}
