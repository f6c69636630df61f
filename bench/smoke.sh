#!/usr/bin/env bash
# Builds the bench and runs every case and every client kind against every runtime, briefly: it works, no more.
set -euo pipefail
cd "$(dirname "$0")"
target=${CARGO_TARGET_DIR:-$PWD/target}
cargo build --quiet --release --locked --workspace

while read -r case _; do
    "$target/release/kbench" "$case" 3
    "$target/release/kbench" time "$case" 3
done < <("$target/release/kbench" list)

source ./lib.sh
for runtime in tokio smol blocking; do
    start_server "$runtime"
    for kind in C1 C2 C3 C4; do
        line=$(RIG_WARM=2 timeout 60 "$target/release/client" --runtime "$runtime" "$server_url" "$kind" 20)
        echo "$runtime $kind $line"
        # Every field is there, and the bytes are those of 20 requests.
        python3 - "$kind" "$line" <<'P'
import json, sys
kind, line = sys.argv[1], json.loads(sys.argv[2])
per = {"C1": 13, "C2": 13, "C3": 1 << 20, "C4": (1 << 20) + 7}[kind]
assert set(line) == {"n", "wall_us", "user_us", "sys_us", "bytes"} and line["n"] == 20, line
assert line["bytes"] == 20 * per, line
P
    done
    stop_server
done
