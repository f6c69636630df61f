#!/usr/bin/env bash
# User-space instructions of one pooled GET by a whole client, under callgrind: Antiphon's three runtimes and the peers,
# against Antiphon's server on tokio; (total of 3,000 requests - total of 1,000) / 2,000.
#
#   bench/clients-whole.sh [CLIENT...]      tokio smol blocking hyper-util reqwest ureq
set -euo pipefail
cd "$(dirname "$0")"
target=${CARGO_TARGET_DIR:-$PWD/target}
if [ $# = 0 ]; then set -- tokio smol blocking hyper-util reqwest ureq; fi
cargo build --quiet --release --locked --package antiphon-load
CARGO_TARGET_DIR="$target" cargo build --quiet --release --locked --manifest-path peers/Cargo.toml
scratch=$(mktemp -d)
source ./lib.sh
start_server tokio
for client in "$@"; do
    case $client in
    tokio | smol | blocking) program=("$target/release/client" --runtime "$client") ;;
    *) program=("$target/release/antiphon-peers" "$client") ;;
    esac
    for n in 1000 3000; do
        RIG_WARM=10 valgrind --tool=callgrind --callgrind-out-file="$scratch/$n" "${program[@]}" \
            "$server_url" C1 $n >/dev/null 2>"$scratch/said" || { cat "$scratch/said" >&2; exit 1; }
    done
    few=$(sed -n 's/^\(summary\|totals\): \([0-9]*\).*/\2/p' "$scratch/1000" | tail -1)
    many=$(sed -n 's/^\(summary\|totals\): \([0-9]*\).*/\2/p' "$scratch/3000" | tail -1)
    echo "$client: $(((many - few) / 2000)) instructions per request"
done
stop_server
rm -rf "$scratch"
