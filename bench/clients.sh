#!/usr/bin/env bash
# The clients side by side: C1 to C4 by Antiphon's three runtimes and by hyper-util, reqwest, ureq and, if it is
# installed, Go, all against Antiphon's server on tokio. The clients take turns, so that each has the same share of what
# else the machine does. Prints the median of the rounds, and its ratio to the fastest of the row.
#
#   bench/clients.sh [ROUNDS]       5 by default; takes about half a minute a round
set -euo pipefail
cd "$(dirname "$0")"
target=${CARGO_TARGET_DIR:-$PWD/target}
rounds=${1:-5}
cargo build --quiet --release --locked --package antiphon-load
CARGO_TARGET_DIR="$target" cargo build --quiet --release --locked --manifest-path peers/Cargo.toml
clients=(tokio smol blocking hyper-util reqwest ureq)
scratch=$(mktemp -d)
if command -v go >/dev/null; then
    (cd peers/go && GOCACHE="$scratch/cache" GOFLAGS=-mod=mod go build -o "$scratch/go-client" client.go)
    clients+=(go)
fi

run_client() { # CLIENT KIND N
    case $1 in
    tokio | smol | blocking) "$target/release/client" --runtime "$1" "$server_url" "$2" "$3" ;;
    go) GOMAXPROCS=1 "$scratch/go-client" "$server_url" "$2" "$3" ;;
    *) "$target/release/antiphon-peers" "$1" "$server_url" "$2" "$3" ;;
    esac
}

source ./lib.sh
start_server tokio
for _ in $(seq "$rounds"); do
    for kind in "C1 10000" "C2 20000" "C3 300" "C4 300"; do
        read -r kind n <<<"$kind"
        for client in "${clients[@]}"; do
            echo "$client $kind $(run_client "$client" "$kind" "$n")" >>"$scratch/lines"
        done
    done
done
stop_server

python3 - "$scratch/lines" "${clients[@]}" <<'P'
import collections, json, statistics, sys
path, *clients = sys.argv[1:]
figures = collections.defaultdict(list)
for line in open(path):
    client, kind, rest = line.split(" ", 2)
    one = json.loads(rest)
    figures[kind, client].append((one["wall_us"] / one["n"], (one["user_us"] + one["sys_us"]) / one["n"]))
for what, at in (("wall", 0), ("CPU", 1)):
    print(f"{what}, us a request (ratio to the least)")
    print("| |", " | ".join(clients), "|")
    for kind in ("C1", "C2", "C3", "C4"):
        row = [statistics.median(f[at] for f in figures[kind, client]) for client in clients]
        print(f"| {kind} |", " | ".join(f"{v:.1f} ({v / min(row):.2f})" for v in row), "|")
P
rm -rf "$scratch"
