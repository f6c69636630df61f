#!/usr/bin/env bash
# Builds the no_std proof (core/no-std-proof), links it into a C program and runs one exchange, where a C compiler
# is there; then builds it with std pulled in, which must fail.
set -euo pipefail
cd "$(dirname "$0")/../core/no-std-proof"
target=${CARGO_TARGET_DIR:-$PWD/target}

cargo build --quiet --release --locked
cc -o "$target/no-std-exchange" main.c "$target/release/libantiphon_no_std_proof.a"
"$target/no-std-exchange"
echo "the core runs without std"

if output=$(cargo build --release --locked --features bite 2>&1); then
    echo "with std pulled in the proof still builds: it proves nothing" >&2
    exit 1
fi
if ! grep -q 'panic_impl' <<<"$output"; then
    echo "with std pulled in the proof fails for another reason than its panic handler:" >&2
    echo "$output" >&2
    exit 1
fi
echo "with std pulled in the proof does not build: it bites"
