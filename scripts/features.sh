#!/usr/bin/env bash
# Compiles every combination of features of every library of the workspace, one package at a time, so that no other
# package switches a feature on. Of a package with more than six features, whose combinations are too many: none, each
# alone, all but one, and all.
set -euo pipefail
cd "$(dirname "$0")/.."

# PACKAGE FEATURE,FEATURE,... (or - for none), one combination a line
combinations() {
    cargo metadata --format-version 1 --no-deps --locked | python3 -c '
import itertools, json, sys
for package in json.load(sys.stdin)["packages"]:
    if not any("lib" in target["kind"] for target in package["targets"]):
        continue
    features = sorted(set(package["features"]) - {"default"})
    last = len(features)
    sizes = range(last + 1) if last <= 6 else [0, 1, last - 1, last]
    for n in sizes:
        for chosen in itertools.combinations(features, n):
            print(package["name"], ",".join(chosen) or "-")
'
}

count=0
while read -r package features <&3; do
    if [ "$features" = - ]; then features=""; fi
    echo "$package: [$features]"
    RUSTFLAGS="${RUSTFLAGS:-} -Dwarnings" cargo check --quiet --locked --package "$package" --no-default-features \
        --features "$features"
    count=$((count + 1))
done 3< <(combinations)
echo "$count combinations compile"
[ "$count" -gt 0 ]
