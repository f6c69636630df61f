#!/usr/bin/env bash
# Is the core pure? Looks through core/src for words that mean a socket, a clock, a thread, a task or std; and through
# support/src for those that mean I/O, a clock, a thread or a task. Comments, doc comments and `#[cfg(test)]` modules are
# skipped. With --self-test it adds each word to a copy and must see it.
#
# What a grep can't see (a dependency that pulls std in) core/no-std-proof does.
set -euo pipefail
cd "$(dirname "$0")/.."

# word, as an extended regular expression
forbidden=(
    '\bstd::(net|io|thread|fs|time|sync|env|process)\b'
    'Instant::now'
    'SystemTime'
    '\basync\b'
    '\.await'
    '\bWaker\b'
    'HashMap|HashSet'
    'thread_local!|println!|eprintln!'
)
# What support may not use. It has std: locks, and the readers and writers of slices, are its business.
forbidden_in_support=(
    '\bstd::(net|thread|fs|env|process|os)\b'
    '\bio::(stdin|stdout|stderr)\b'
    'Instant::now'
    'SystemTime'
    'UnixTime::now'
    '\basync\b'
    '\.await'
    '\bWaker\b'
    'thread_local!|println!|eprintln!'
)
# `extern crate std` is allowed below these attributes only: the `http` crate needs std, and so do tests.
std_allowed='#\[cfg\((feature = "http"|all\(test, not\(feature = "http"\)\))\)\]'

# Prints FILE:LINE:CODE of a Rust file without comments, test modules and the contents of strings (which could
# look like the beginning of a comment).
code_of() {
    awk '
        /^[[:space:]]*#\[cfg\(test\)\]/ { pending = 1; next }
        pending && /^[[:space:]]*(pub(\([a-z]*\))? )?mod [a-z_0-9]+;/ { pending = 0; next }
        pending && /^[[:space:]]*(pub(\([a-z]*\))? )?mod / { skip = 1; depth = 0 }
        { pending = 0 }
        skip {
            line = $0
            depth += gsub(/\{/, "", line) - gsub(/\}/, "", line)
            if (depth <= 0) skip = 0
            next
        }
        {
            line = $0
            if (!comment) {
                gsub(/\x27\\?"\x27/, "0", line)
                gsub(/"([^"\\]|\\.)*"/, "\"\"", line)
            }
            while (1) {
                if (comment) {
                    end = index(line, "*/")
                    if (!end) { line = ""; break }
                    line = substr(line, end + 2); comment = 0
                }
                start = index(line, "/*"); slashes = index(line, "//")
                if (slashes && (!start || slashes < start)) { line = substr(line, 1, slashes - 1); break }
                if (!start) break
                rest = substr(line, start + 2); end = index(rest, "*/")
                if (!end) { line = substr(line, 1, start - 1); comment = 1; break }
                line = substr(line, 1, start - 1) substr(rest, end + 2)
            }
            if (line ~ /[^[:space:]]/) print FILENAME ":" FNR ":" line
        }' "$1"
}

# Files that are a test module as a whole (`#[cfg(test)] mod tests;`).
is_test_file() {
    local name parent
    name=$(basename "$1" .rs)
    parent=$(dirname "$1")
    # Not `grep -q`: it leaves at the first match, and pipefail then sees the other grep die of the closed pipe.
    grep -A1 -hs '#\[cfg(test)\]' "$parent"/*.rs "$parent.rs" | grep -E "mod $name;" >/dev/null
}

check() { # DIRECTORY WORD...: 0 if it is pure
    local file code any line found=0
    code=$(find "$1" -name '*.rs' | sort | while IFS= read -r file; do
        if ! is_test_file "$file"; then code_of "$file"; fi
    done)
    any=$(IFS='|'; echo "${*:2}")
    # The names of files don't count.
    if grep -E "^[^:]*:[0-9]*:.*($any)" <<<"$code"; then found=1; fi
    while IFS=: read -r file line _; do
        if ! sed -n "$((line - 1))p" "$file" | grep -Eq "$std_allowed"; then
            echo "$file:$line: extern crate std without its condition"
            found=1
        fi
    done < <(grep 'extern crate std' <<<"$code" || true)
    return $found
}

if [ "${1:-}" = --self-test ]; then
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    try() { # EXPECTED(pure|impure) LINE...
        rm -rf "$scratch/src" && cp -r core/src "$scratch/src"
        printf '%s\n' "${@:2}" >>"$scratch/src/h1/mod.rs"
        if check "$scratch/src" "${forbidden[@]}" >/dev/null; then got=pure; else got=impure; fi
        if [ "$got" != "$1" ]; then
            echo "self-test: with the lines below the core is $got, not $1" >&2
            printf '  %s\n' "${@:2}" >&2
            exit 1
        fi
    }
    try_support() { # EXPECTED(pure|impure) LINE...
        rm -rf "$scratch/src" && cp -r support/src "$scratch/src"
        printf '%s\n' "${@:2}" >>"$scratch/src/lib.rs"
        if check "$scratch/src" "${forbidden_in_support[@]}" >/dev/null; then got=pure; else got=impure; fi
        if [ "$got" != "$1" ]; then
            echo "self-test: with the lines below support is $got, not $1" >&2
            printf '  %s\n' "${@:2}" >&2
            exit 1
        fi
    }
    for line in 'use std::net::TcpStream;' 'use std::io::Read;' 'use std::thread;' 'use std::fs::File;' \
        'use std::time::Duration;' 'fn f() { Instant::now(); }' 'fn f(t: SystemTime) {}' 'async fn f() {}' \
        'fn f() { g().await }' 'use core::task::Waker;' 'use hashbrown::HashMap;' 'extern crate std;' \
        'fn f() {} /* a comment */ use std::fs;' 'fn f() { println!("x") }'; do
        try impure "$line"
    done
    try pure '// std::net' '/// async' '//! .await' '/* SystemTime' 'Waker */ fn f() {}' '#[cfg(test)]' 'mod tests {' \
        'use std::io;' 'fn f() { if true {} }' '}'
    try impure 'const A: &str = "*/*"; const B: u8 = b'\''"'\'';' 'use std::io;'
    try impure '#[cfg(test)]' 'mod tests {' '}' 'use std::io;'
    for line in 'use std::net::TcpStream;' 'use std::thread;' 'use std::fs::File;' 'fn f() { Instant::now(); }' \
        'fn f(t: SystemTime) {}' 'async fn f() {}' 'fn f() { g().await }' 'use core::task::Waker;' \
        'fn f() { std::env::var("x"); }' 'fn f() { println!("x") }' 'fn f() { io::stdin(); }'; do
        try_support impure "$line"
    done
    try_support pure 'use std::sync::Mutex;' 'use std::io::Read;' '// std::net'
    echo "purity self-test: every forbidden word is seen"
    exit 0
fi

if ! check core/src "${forbidden[@]}"; then
    echo "the core is not pure: see the lines above" >&2
    exit 1
fi
echo "core/src is pure"
if ! check support/src "${forbidden_in_support[@]}"; then
    echo "support does what it must not: see the lines above" >&2
    exit 1
fi
echo "support/src has no I/O, clock, thread or task"
