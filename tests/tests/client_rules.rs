//! `docs/client.md` lists the rules of the client and the tests that hold them. Here it is read: every rule is there, no
//! cell is blank, and every test that is named exists.

use std::collections::BTreeMap;
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

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Every test function of the workspace: its name, and the files that have one of that name.
fn tests() -> BTreeMap<String, Vec<String>> {
    let root = root();
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
        let mut folders = vec![root.join(member)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|e| e == "rs") {
                    let text = fs::read_to_string(&path).unwrap();
                    let file = path.strip_prefix(&root).unwrap().with_extension("");
                    for name in functions(&text) {
                        found.entry(name).or_default().push(file.display().to_string());
                    }
                }
            }
        }
    }
    found
}

/// Functions directly below an attribute that ends in `test`, `test]` or the like, also inside macros.
fn functions(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut tested = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") {
            tested |= line.starts_with("#[test") || line.contains("::test");
            continue;
        }
        let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
        let line = line.strip_prefix("async ").unwrap_or(line);
        if let Some(rest) = line.strip_prefix("fn ")
            && tested
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

#[test]
fn every_rule_of_the_client_names_tests_that_exist() {
    let page = fs::read_to_string(root().join("docs/client.md")).unwrap();
    let tests = tests();
    let mut problems = Vec::new();
    let mut wanted: Vec<String> = RULES
        .iter()
        .flat_map(|(group, last)| (1..=*last).map(move |n| format!("{group}{n}")))
        .collect();
    wanted.extend(MORE.iter().map(|s| s.to_string()));
    let mut references = 0;
    for line in page.lines().filter(|l| l.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let rule = cells[0];
        let Some(at) = wanted.iter().position(|w| w == rule) else {
            continue;
        };
        wanted.remove(at);
        if cells.len() != 5 {
            problems.push(format!("{rule}: {} cells instead of 5", cells.len()));
            continue;
        }
        for (cell, what) in cells[1..].iter().zip(["what it says", "core", "tokio and smol", "blocking"]) {
            if cell.is_empty() {
                problems.push(format!("{rule}: nothing under {what:?}"));
            }
        }
        for cell in &cells[2..] {
            let names: Vec<&str> = quoted(cell).collect();
            // Where there is no test, there is a reason.
            if names.is_empty() && !cell.starts_with("not ") {
                problems.push(format!("{rule}: no test in {cell:?}"));
            }
            for name in names {
                references += 1;
                let (file, function) = name.rsplit_once("::").unwrap_or(("", name));
                let exists = tests
                    .get(function)
                    .is_some_and(|files| files.iter().any(|f| f.ends_with(file)));
                if !exists {
                    problems.push(format!("{rule}: there is no test {name}"));
                }
            }
        }
    }
    problems.extend(wanted.iter().map(|rule| format!("{rule}: not in the table")));
    assert!(problems.is_empty(), "docs/client.md:\n{}", problems.join("\n"));
    assert!(references > 150, "only {references} tests are named");
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
    ";
    assert_eq!(functions(text), ["plain", "with_attributes", "with_a_comment"]);
}
