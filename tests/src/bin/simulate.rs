//! Runs simulated worlds, one for each seed, and sums up; on a failure it tells the seed, the promise that was
//! broken and what happened. `docs/simulation.md` explains all of it.

use antiphon_tests::sim::seed::{Kind, Report, Sum, record, run};
use antiphon_tests::trace::replay_file;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

const USAGE: &str = "\
simulate [--seeds N] [--first N] [--jobs N] [--keep-going]    run N seeds (1000), beginning with the first (0)
simulate --seed N [--trace]                                   run one
simulate --record DIR [--seeds N] [--first N] [--jobs N]      also write the traces of the bare machines: DIR/N.jsonl
simulate --record FILE --seed N                               ... of one seed
simulate --replay FILE                                        make the calls of recorded traces again";

/// What is asked for.
struct Options {
    first: u64,
    seeds: u64,
    jobs: usize,
    one: Option<u64>,
    trace: bool,
    keep_going: bool,
    /// A directory, or for one seed a file.
    record: Option<PathBuf>,
    replay: Option<PathBuf>,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            first: 0,
            seeds: 1_000,
            jobs: 1,
            one: None,
            trace: false,
            keep_going: false,
            record: None,
            replay: None,
        };
        while let Some(arg) = args.next() {
            let file = match arg.as_str() {
                "--replay" => Some(&mut options.replay),
                "--record" => Some(&mut options.record),
                _ => None,
            };
            if let Some(file) = file {
                *file = Some(args.next().ok_or(format!("{arg} needs a path"))?.into());
                continue;
            }
            let mut number = || -> Result<u64, String> {
                let value = args.next().ok_or(format!("{arg} needs a number"))?;
                value.parse().map_err(|_| format!("{arg}: {value} is no number"))
            };
            match arg.as_str() {
                "--seeds" => options.seeds = number()?,
                "--first" => options.first = number()?,
                "--jobs" => options.jobs = number()?.clamp(1, 256) as usize,
                "--seed" => options.one = Some(number()?),
                "--trace" => options.trace = true,
                "--keep-going" => options.keep_going = true,
                "--help" | "-h" => return Err(USAGE.to_string()),
                other => return Err(format!("{other} is unknown\n{USAGE}")),
            }
        }
        Ok(options)
    }
}

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    if let Some(file) = &options.replay {
        return ExitCode::from(u8::from(replay(file)));
    }
    let failed = match options.one {
        Some(seed) => one(seed, &options),
        None => many(&options),
    };
    match failed {
        Ok(failed) => ExitCode::from(u8::from(failed)),
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

/// Runs a seed and writes its machines' traces to a file. A seed that runs the drivers writes none.
fn run_recorded(seed: u64, trace: bool, file: &Path) -> Result<Report, String> {
    let (report, traces) = record(seed, trace);
    if report.kind != Kind::Drivers {
        std::fs::write(file, traces).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    Ok(report)
}

/// Makes the calls of all traces in a file again (`docs/trace.md`). Says whether anything differed.
fn replay(file: &Path) -> bool {
    match replay_file(file) {
        Ok(summaries) => {
            for summary in &summaries {
                println!("{summary}");
            }
            false
        }
        Err(difference) => {
            println!("{}: {difference}", file.display());
            true
        }
    }
}

/// Runs one seed. Says whether it failed.
fn one(seed: u64, options: &Options) -> Result<bool, String> {
    let trace = options.trace;
    let report = match &options.record {
        Some(_) if Kind::of(seed) == Kind::Drivers => {
            return Err(format!(
                "seed {seed} runs the drivers: there is nothing to record"
            ));
        }
        Some(file) => run_recorded(seed, trace, file)?,
        None => run(seed, trace),
    };
    for line in &report.trace {
        println!("{line}");
    }
    let mut sum = Sum::EMPTY;
    sum.add(&report);
    print!("{sum}");
    if trace {
        println!("trace         {:016x}", report.trace_hash);
    }
    if let Some(violation) = &report.violation {
        println!("\nseed {seed} FAILED\n  {violation}");
    }
    Ok(report.violation.is_some())
}

/// Runs many, each of them on one thread. Says whether one failed.
fn many(options: &Options) -> Result<bool, String> {
    if let Some(dir) = &options.record {
        std::fs::create_dir_all(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    }
    let begin = Instant::now();
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let results: Mutex<(Sum, Vec<Report>)> = Mutex::new((Sum::EMPTY, Vec::new()));
    let not_written: Mutex<Option<String>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| {
                let mut sum = Sum::EMPTY;
                let mut failures = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= options.seeds {
                        break;
                    }
                    let seed = options.first.wrapping_add(n);
                    let ran = match &options.record {
                        Some(dir) => run_recorded(seed, false, &dir.join(format!("{seed}.jsonl"))),
                        None => Ok(run(seed, false)),
                    };
                    let report = match ran {
                        Ok(report) => report,
                        Err(why) => {
                            stop.store(true, Ordering::Relaxed);
                            not_written
                                .lock()
                                .expect("nobody panics with it")
                                .get_or_insert(why);
                            break;
                        }
                    };
                    sum.add(&report);
                    if report.violation.is_some() {
                        stop.store(!options.keep_going, Ordering::Relaxed);
                        failures.push(report);
                    }
                }
                let mut results = results.lock().expect("nobody panics with it");
                results.0.merge(&sum);
                results.1.append(&mut failures);
            });
        }
    });
    if let Some(why) = not_written.into_inner().expect("all threads have ended") {
        return Err(why);
    }
    let (sum, mut failures) = results.into_inner().expect("all threads have ended");
    let took = begin.elapsed();
    print!("{sum}");
    println!(
        "took          {:.1} s, {:.0} seeds a second",
        took.as_secs_f64(),
        sum.seeds as f64 / took.as_secs_f64()
    );
    failures.sort_by_key(|r| r.seed);
    for report in &failures {
        if let Some(violation) = &report.violation {
            println!("\nseed {} FAILED\n  {violation}", report.seed);
        }
    }
    if let Some(first) = failures.first() {
        println!("\nwhat happened in seed {}:", first.seed);
        for line in run(first.seed, true).trace {
            println!("{line}");
        }
    }
    Ok(!failures.is_empty())
}
