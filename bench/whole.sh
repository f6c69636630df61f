#!/usr/bin/env bash
# User-space instructions per request of the whole server program on each runtime, under callgrind: minimal and
# browser requests on one kept-alive connection; (total with 3,000 requests - total with 1,000) / 2,000.
#
#   bench/whole.sh [RUNTIME...]
set -euo pipefail
cd "$(dirname "$0")"
target=${CARGO_TARGET_DIR:-$PWD/target}
cargo build --quiet --release --locked --package antiphon-load
source ./lib.sh
scratch=$(mktemp -d)
if [ $# = 0 ]; then set -- tokio smol blocking; fi
for runtime in "$@"; do
    for which in minimal browser; do
        for n in 1000 3000; do
            start_server "$runtime" valgrind --tool=callgrind --callgrind-out-file="$scratch/$n"
            python3 drive.py requests "$server_address" $which $n
            stop_server
        done
        few=$(sed -n 's/^\(summary\|totals\): \([0-9]*\).*/\2/p' "$scratch/1000" | tail -1)
        many=$(sed -n 's/^\(summary\|totals\): \([0-9]*\).*/\2/p' "$scratch/3000" | tail -1)
        echo "$runtime $which: $(((many - few) / 2000)) instructions per request"
    done
done
rm -rf "$scratch"
