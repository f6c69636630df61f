//! The subject client: `subject-client --runtime core|tokio|smol|blocking ITEM...`, where an item is
//! `[-X METHOD] [-H 'Name: value']... [-d BODY [--chunked]] URL`.
//!
//! Performs the items with one client and prints one JSON line for each.

use antiphon_core::h1::ClientConfig;
use antiphon_tests::subject::Runtime;
use antiphon_tests::subject::item::Item;
use std::error::Error;
use std::io::Write;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1).peekable();
    let mut runtime = Runtime::Core;
    if args.next_if_eq("--runtime").is_some() {
        let name = args.next().ok_or("--runtime needs a value")?;
        runtime = Runtime::named(&name).ok_or(format!("no runtime {name}"))?;
    }
    let items = Item::parse(args)?;
    runtime.perform(ClientConfig::DEFAULT, &items, |outcome| {
        println!("{}", outcome.json());
        let _ = std::io::stdout().flush();
    });
    Ok(())
}
