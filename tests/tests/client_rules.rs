//! `docs/client.md` lists the rules of the client and the tests that hold them. Here it is read: every rule is there once,
//! no cell is blank, every test and every transcript that is named exists where the column says, and what is not tested is
//! owned up to at the end of the page.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The groups of rules, with the number of the last of each.
const RULES: &[(&str, u32)] = &[
    ("A", 15),
    ("B", 12),
    ("C", 4),
    ("D", 4),
    ("E", 13),
    ("F", 5),
    ("G", 4),
    ("H", 7),
    ("I", 18),
    ("J", 7),
    ("K", 6),
    ("L", 4),
    ("M", 10),
    ("N", 4),
    ("O", 2),
    ("P", 1),
    ("PL", 10),
];
const MORE: &[&str] = &["GO6", "GO7", "GO8", "GO17"];

/// The columns behind the rule and what it says, and where their tests may live. The folder `tests` is for all: what is
/// in there runs against the machines and against every runtime.
const COLUMNS: [(&str, &[&str]); 3] = [
    ("core", &["core/", "support/", "tests/"]),
    (
        "tokio and smol",
        &["driver/", "runtime-tokio/", "runtime-smol/", "tests/"],
    ),
    ("blocking", &["runtime-blocking/", "tests/"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_path_buf()
}

/// The files below `folder` whose names end so, as paths from the root without that end.
fn files(folder: &str, extension: &str) -> Vec<(String, String)> {
    let root = root();
    let (mut found, mut folders) = (Vec::new(), vec![root.join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if path.file_name().is_none_or(|name| name != "target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|e| e == extension) {
                let name = path.strip_prefix(&root).unwrap().with_extension("");
                let name = name.to_str().unwrap().replace('\\', "/");
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

/// Every test function of the workspace: its name, and the files that have one of that name.
fn tests() -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for member in [
        "core",
        "driver",
        "support",
        "runtime-tokio",
        "runtime-smol",
        "runtime-blocking",
        "tests",
    ] {
        for (file, text) in files(member, "rs") {
            // The samples of the reader itself are none.
            if file.ends_with("tests/client_rules") && member == "tests" {
                continue;
            }
            for name in functions(&text) {
                found.entry(name).or_default().push(file.clone());
            }
        }
    }
    found
}

/// Every transcript, as `client/framing: name`.
fn transcripts() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (file, text) in files("tests/cases", "txt") {
        let file = file.strip_prefix("tests/cases/").unwrap();
        for name in text.lines().filter_map(|line| line.strip_prefix("@ ")) {
            found.insert(format!("{file}: {name}"));
        }
    }
    found
}

/// Functions directly below an attribute that is or ends in `test`, and the properties of `quickcheck!`.
fn functions(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut tested, mut properties) = (false, None);
    for whole in text.lines() {
        let line = whole.trim();
        let indent = whole.len() - whole.trim_start().len();
        if line.starts_with("quickcheck! {") {
            properties = Some(indent);
        } else if line == "}" && properties == Some(indent) {
            properties = None;
        }
        if line.starts_with("#[") {
            tested |= line == "#[test]" || line.contains("::test]");
            continue;
        }
        let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
        let line = line.strip_prefix("async ").unwrap_or(line);
        let property = properties.is_some_and(|outer| indent == outer + 4);
        if let Some(rest) = line.strip_prefix("fn ")
            && (tested || property)
        {
            let end = rest.find(['(', '<']).unwrap_or(rest.len());
            names.push(rest[..end].to_string());
        }
        tested &= line.starts_with("//") || line.is_empty();
    }
    names
}

/// What stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Whether `file` is the end of `path`, in whole names.
fn ends(path: &str, file: &str) -> bool {
    path.strip_suffix(file)
        .is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// What is wrong with a page.
fn problems(
    page: &str,
    tests: &BTreeMap<String, Vec<String>>,
    transcripts: &BTreeSet<String>,
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut wanted: Vec<String> = RULES
        .iter()
        .flat_map(|(group, last)| (1..=*last).map(move |n| format!("{group}{n}")))
        .collect();
    wanted.extend(MORE.iter().map(|s| s.to_string()));
    let (page, missing) = page.split_once("\n## What is missing\n").unwrap_or_else(|| {
        problems.push("there is no section \"What is missing\"".to_string());
        (page, "")
    });
    let mut untested = BTreeSet::new();
    let mut in_table = false;
    for line in page.lines() {
        if !line.starts_with('|') {
            in_table = false;
            continue;
        }
        if line == "| rule | what it says | core | tokio and smol | blocking |" {
            in_table = true;
        }
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let rule = cells[0];
        if !in_table || rule == "rule" || rule.starts_with("---") {
            continue;
        }
        match wanted.iter().position(|w| w == rule) {
            Some(at) => drop(wanted.remove(at)),
            None => problems.push(format!("{rule}: no rule, or for the second time")),
        }
        if cells.len() != 5 {
            problems.push(format!("{rule}: {} cells instead of 5", cells.len()));
            continue;
        }
        if cells[1].is_empty() {
            problems.push(format!("{rule}: it says nothing"));
        }
        for (cell, (column, folders)) in cells[2..].iter().zip(COLUMNS) {
            if cell.starts_with("not tested") {
                untested.insert(rule.to_string());
            }
            // Where there is no test, there is a reason.
            if let Some(reason) = cell.strip_prefix("not ") {
                if reason.len() < 12 {
                    problems.push(format!("{rule}, {column}: no reason in {cell:?}"));
                }
                continue;
            }
            let mut names = quoted(cell).peekable();
            if names.peek().is_none() {
                problems.push(format!("{rule}, {column}: no test in {cell:?}"));
            }
            for name in names {
                let exists = match name.rsplit_once("::") {
                    Some((file, function)) => tests.get(function).is_some_and(|files| {
                        let here = |f: &&String| folders.iter().any(|folder| f.starts_with(folder));
                        files.iter().filter(here).any(|f| ends(f, file))
                    }),
                    None => transcripts.contains(name),
                };
                if !exists {
                    problems.push(format!("{rule}, {column}: there is no test {name}"));
                }
            }
        }
    }
    problems.extend(wanted.iter().map(|rule| format!("{rule}: not in the table")));
    let owned: BTreeSet<String> = missing
        .lines()
        .filter_map(|line| line.strip_prefix("- ")?.split_once(':'))
        .flat_map(|(rules, _)| rules.split(", ").map(str::to_string))
        .collect();
    for rule in untested.symmetric_difference(&owned) {
        problems.push(format!("{rule}: not tested, or missing, but not both"));
    }
    problems
}

#[test]
fn every_rule_of_the_client_names_tests_that_exist() {
    let page = fs::read_to_string(root().join("docs/client.md")).unwrap();
    let found = problems(&page, &tests(), &transcripts());
    assert!(found.is_empty(), "docs/client.md:\n{}", found.join("\n"));
    let references = quoted(&page).filter(|name| name.contains("::")).count();
    assert!(references > 300, "only {references} tests are named");
}

#[test]
fn the_reader_knows_a_test_when_it_sees_one() {
    let text = "
        #[test]
        fn plain() {}
        #[tokio::test]
        #[should_panic]
        async fn with_attributes() {}
        fn helper() {}
        #[cfg(test)]
        fn not_one() {}
        #[test]
        // Why.
        fn with_a_comment<T>() {}
        quickcheck! {
            fn a_property(n: u8) -> bool {
                fn inner() {}
                n == n
            }
        }
        fn behind() {}
    ";
    assert_eq!(
        functions(text),
        ["plain", "with_attributes", "with_a_comment", "a_property"]
    );
}

#[test]
fn the_reader_finds_what_is_wrong() {
    let tests = BTreeMap::from([(
        "one".to_string(),
        vec!["core/tests/some".to_string(), "driver/tests/some".to_string()],
    )]);
    let transcripts = BTreeSet::from(["client/some: case".to_string()]);
    let head = "| rule | what it says | core | tokio and smol | blocking |\n|---|---|---|---|---|\n";
    for (row, missing, expected) in [
        (
            "| A1 | x | `some::one` | `tests/some::one` | `client/some: case` |",
            "",
            None,
        ),
        (
            "| A1 | x | `some::one` | `some::one` | not possible: threads |",
            "",
            None,
        ),
        (
            "| A1 | x | `some::one` | `some::one` | not tested: none |",
            "- A1: none",
            None,
        ),
        (
            "| A1 | x | `some::one` | `some::one` | `some::one` |",
            "",
            Some("blocking: there is no test"),
        ),
        (
            "| A1 | x | `me::one` | `some::one` | not possible: threads |",
            "",
            Some("core: there is no test"),
        ),
        (
            "| A1 | x | `some::two` | `some::one` | not possible: threads |",
            "",
            Some("core: there is no test"),
        ),
        (
            "| A1 | x | `some::one` | `some::one` | `client/some: no case` |",
            "",
            Some("there is no test client"),
        ),
        (
            "| A1 | x | `some::one` | `some::one` | |",
            "",
            Some("no test in \"\""),
        ),
        (
            "| A1 | x | `some::one` | `some::one` | not so |",
            "",
            Some("no reason"),
        ),
        (
            "| A1 | | `some::one` | `some::one` | not possible: threads |",
            "",
            Some("it says nothing"),
        ),
        ("| A1 | x | `some::one` | `some::one` |", "", Some("4 cells")),
        (
            "| A99 | x | `some::one` | `some::one` | not possible: threads |",
            "",
            Some("no rule"),
        ),
        (
            "| A1 | x | `some::one` | `some::one` | not tested: none |",
            "",
            Some("not both"),
        ),
        (
            "| A1 | x | `some::one` | `some::one` | not possible: threads |",
            "- A1: none",
            Some("not both"),
        ),
    ] {
        let page = format!("{head}{row}\n\n## What is missing\n\n{missing}\n");
        let mut found = problems(&page, &tests, &transcripts);
        found.retain(|p| !p.ends_with("not in the table"));
        match expected {
            None => assert!(found.is_empty(), "{row}: {found:?}"),
            Some(says) => assert!(found.iter().any(|p| p.contains(says)), "{row}: {found:?}"),
        }
    }
}
