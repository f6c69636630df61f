#!/usr/bin/env bash
# Instructions per iteration of kbench cases, counted by callgrind.
#
#   bench/callgrind.sh [--top] CASE...      (no CASE: all of `kbench list`)
#
# Prints `CASE INSTRUCTIONS`. An iteration costs (total of a long run - total of a short run) / difference of the
# iterations: 3,000 and 1,000 for an exchange; fewer for the cases that move a mebibyte, or 64 KiB bytewise.
# --top also shows the functions that the instructions are spent in (callgrind_annotate).
# Needs valgrind. CARGO_TARGET_DIR is honoured; its default is the workspace's own bench/target.
set -euo pipefail
cd "$(dirname "$0")"
target=${CARGO_TARGET_DIR:-$PWD/target}

top=no
if [ "${1:-}" = --top ]; then top=yes; shift; fi

cargo build --quiet --release --package antiphon-kbench
kbench=$target/release/kbench
if [ $# = 0 ]; then mapfile -t cases < <("$kbench" list | cut -d' ' -f1); set -- "${cases[@]}"; fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

count() { # CASE N FILE: prints the instructions of N iterations
    valgrind --tool=callgrind --callgrind-out-file="$3" "$kbench" "$1" "$2" 2>"$scratch/log" ||
        { cat "$scratch/log" >&2; return 1; }
    sed -n 's/^\(summary\|totals\): \([0-9]*\).*/\2/p' "$3" | tail -1
}

for case in "$@"; do
    case $case in
        k5-*) few=10 many=30 ;;
        k6-* | k7-* | k8-*) few=4 many=8 ;;
        *) few=1000 many=3000 ;;
    esac
    a=$(count "$case" $few "$scratch/few")
    b=$(count "$case" $many "$scratch/many")
    echo "$case $(((b - a) / (many - few)))"
    if [ $top = yes ]; then
        callgrind_annotate --inclusive=no "$scratch/many" |
            awk '/^Ir/ { seen = 1 } seen && ++n <= 28 { print substr($0, 1, 160) }'
    fi
done
