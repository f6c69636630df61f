#!/usr/bin/env bash
# Runs each fuzz target over its checked-in corpus, then FUZZ_SECONDS (15) on new inputs. New inputs go to a
# scratch folder. Needs cargo-fuzz (installed if it is missing) and a nightly toolchain; without one, stable is
# told to accept the flags that cargo-fuzz passes (RUSTC_BOOTSTRAP=1).
#
#   scripts/fuzz-smoke.sh             every target
#   scripts/fuzz-smoke.sh TARGET...   these
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${FUZZ_SECONDS:-15}

if ! cargo fuzz --version >/dev/null 2>&1; then
    cargo install cargo-fuzz --locked
fi
cargo=(cargo)
if rustup toolchain list 2>/dev/null | grep -q '^nightly'; then
    cargo=(cargo +nightly)
    echo "fuzzing with the nightly toolchain"
else
    export RUSTC_BOOTSTRAP=1
    echo "no nightly toolchain: fuzzing with stable and RUSTC_BOOTSTRAP=1"
fi

# The crates hold no unsafe code, so that the address sanitizer would only make this slower.
build=(--sanitizer none --fuzz-dir fuzz)
if [ $# -gt 0 ]; then
    targets=("$@")
else
    mapfile -t targets < <("${cargo[@]}" fuzz list --fuzz-dir fuzz)
fi
# A corpus that belongs to no target, or a target without one, is a mistake.
diff <(cd fuzz/corpus && printf '%s\n' *) <("${cargo[@]}" fuzz list --fuzz-dir fuzz)

"${cargo[@]}" fuzz build "${build[@]}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for target in "${targets[@]}"; do
    echo "== $target: the corpus"
    "${cargo[@]}" fuzz run "${build[@]}" "$target" "fuzz/corpus/$target" -- -runs=0 -max_len=16384 2>&1 | sed '/^#/d'
    echo "== $target: $seconds s"
    mkdir "$scratch/$target"
    "${cargo[@]}" fuzz run "${build[@]}" "$target" "$scratch/$target" "fuzz/corpus/$target" -- \
        -dict=fuzz/http1.dict -max_total_time="$seconds" -max_len=4096 -timeout=20 -print_final_stats=1 2>&1 |
        sed '/Recommended dictionary/,/End of recommended dictionary/d; /^#/d'
done
