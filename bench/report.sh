#!/usr/bin/env bash
# Every figure of README.md, measured anew: takes some minutes.
set -euo pipefail
cd "$(dirname "$0")"
target=${CARGO_TARGET_DIR:-$PWD/target}
echo "== machine"
rustc --version
uname -srm
sed -n 's/^model name\s*: //p' /proc/cpuinfo | sort | uniq -c
echo "== instructions per iteration, core alone"
./callgrind.sh
echo "== nanoseconds per iteration, core alone"
for case in k3-min k3-bro k4-client; do "$target/release/kbench" time $case 1000000; done
for case in k5-chunked k6-64k-1; do "$target/release/kbench" time $case 1000; done
echo "== instructions per request, whole server"
./whole.sh
echo "== system calls per request, whole server"
./syscalls.sh
echo "== idle connections"
./idle.sh
echo "== clients against the tokio server: n, wall, user and system microseconds, body bytes"
source ./lib.sh
for runtime in tokio smol blocking; do
    start_server tokio
    for run in "C1 20000" "C2 20000" "C3 500" "C4 500"; do
        read -r kind n <<<"$run"
        echo "$runtime $kind $("$target/release/client" --runtime $runtime "$server_url" "$kind" "$n")"
    done
    stop_server
done
