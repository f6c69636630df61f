#!/usr/bin/env bash
# System calls per request of the server program on each runtime: minimal requests on one kept-alive connection;
# (calls with 2,000 requests - calls with 1,000) / 1,000. Needs strace.
#
#   bench/syscalls.sh [RUNTIME...]
set -euo pipefail
cd "$(dirname "$0")"
target=${CARGO_TARGET_DIR:-$PWD/target}
cargo build --quiet --release --locked --package antiphon-load
source ./lib.sh
scratch=$(mktemp -d)
if [ $# = 0 ]; then set -- tokio smol blocking; fi
for runtime in "$@"; do
    for n in 1000 2000; do
        start_server "$runtime" strace -c -f -U calls,name -o "$scratch/$n"
        python3 drive.py requests "$server_address" minimal $n
        # strace hands the signal on and then writes its table.
        kill -TERM "$(pgrep -P "$server_pid")"
        wait "$server_pid" 2>/dev/null || true
        stop_server
    done
    python3 - "$runtime" "$scratch/1000" "$scratch/2000" <<'P'
import re, sys
def calls(path):
    rows = (re.fullmatch(r"\s*(\d+)\s+([a-z_0-9]+)\s*", line) for line in open(path))
    return {row[2]: int(row[1]) for row in rows if row and row[2] != "total"}
few, many = calls(sys.argv[2]), calls(sys.argv[3])
each = {name: (many[name] - few.get(name, 0)) / 1000 for name in many}
each = {name: n for name, n in each.items() if abs(n) >= 0.005}
parts = ", ".join(f"{name} {n:.2f}" for name, n in sorted(each.items(), key=lambda e: -e[1]))
print(f"{sys.argv[1]}: {sum(each.values()):.2f} system calls per request ({parts})")
P
done
rm -rf "$scratch"
