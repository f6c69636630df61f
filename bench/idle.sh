#!/usr/bin/env bash
# Resident memory per idle plain-TCP connection: N (10,000) connections that have each served one request, on each
# runtime; (resident size after - before) / N. Memory of the kernel (sockets, stacks of threads) is not in it.
#
#   bench/idle.sh [RUNTIME...]          N=1000 bench/idle.sh tokio
set -euo pipefail
cd "$(dirname "$0")"
target=${CARGO_TARGET_DIR:-$PWD/target}
n=${N:-10000}
cargo build --quiet --release --locked --package antiphon-load
ulimit -n $((n + 200)) || { echo "the limit of open files cannot be raised to $((n + 200)): set N lower" >&2; exit 1; }
source ./lib.sh
if [ $# = 0 ]; then set -- tokio smol blocking; fi
for runtime in "$@"; do
    start_server "$runtime"
    echo "$runtime: $(python3 drive.py idle "$server_address" "$n" "$server_pid")"
    stop_server
done
