#!/usr/bin/env bash
# Shows that the simulator bites: each bug in tests/planted is put into a copy of the tree, and seeds are run until
# one fails. Prints a table of bug, seeds that it took, and the check that failed; fails if a bug is not found.
#
#   scripts/planted-bugs.sh [NAME...]       SEEDS=200000 is the most that a bug is given
#   scripts/planted-bugs.sh --check         only whether all patches still apply (seconds: part of CI)
#
# The bugs were written from the drivers' and the core's code alone, without a look at the simulator. A patch that
# no longer applies is an error: write it anew.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = --check ]; then
    for patch in tests/planted/*.patch; do
        patch --dry-run -f -s -p1 <"$patch" || { echo "$patch does not apply" >&2; exit 1; }
    done
    echo "all planted bugs can be put in"
    exit 0
fi
most=${SEEDS:-200000}
names=("$@")
[ ${#names[@]} -gt 0 ] || for patch in tests/planted/*.patch; do names+=("$(basename "$patch" .patch)"); done

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git archive HEAD | tar -x -C "$copy"
# A target folder of its own: the copies must not take each other's builds for theirs.
export CARGO_TARGET_DIR=${PLANTED_TARGET_DIR:-$copy/target}
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16

simulate() { # SEEDS, LOG
    (cd "$copy" && cargo build -q --release -p antiphon-tests --bin simulate) >"$2" 2>&1 || return 2
    timeout 900 "$CARGO_TARGET_DIR/release/simulate" --seeds "$1" >"$2" 2>&1
}

missed=0
log=$copy/log
printf '| planted bug | seeds | found as |\n|---|---|---|\n'
for name in none "${names[@]}"; do
    [ "$name" = none ] || patch -s -p1 -d "$copy" <"tests/planted/$name.patch" || { echo "$name does not apply" >&2; exit 1; }
    if simulate "$([ "$name" = none ] && echo 1000 || echo "$most")" "$log"; then status=0; else status=$?; fi
    if [ $status = 2 ]; then
        echo "$name does not build:" >&2
        tail -20 "$log" >&2
        exit 1
    elif [ "$name" = none ]; then
        [ $status = 0 ] || { echo "the simulator fails without a bug:" >&2; tail -20 "$log" >&2; exit 1; }
        printf '| none | %s | nothing fails |\n' 1000
    elif [ $status = 0 ]; then
        missed=$((missed + 1))
        printf '| `%s` | more than %s | NOT FOUND |\n' "$name" "$most"
    else
        seed=$(sed -n 's/^seed \([0-9]*\) FAILED$/\1/p' "$log" | head -1)
        [ -n "$seed" ] || { echo "$name: the simulator broke off" >&2; tail -20 "$log" >&2; exit 1; }
        printf '| `%s` | %s | %s |\n' "$name" "$((seed + 1))" \
            "$(grep -A1 '^seed [0-9]* FAILED$' "$log" | sed -n '2s/^ *//p' | cut -c1-160 | tr '|' '/')"
    fi
    [ "$name" = none ] || patch -s -R -p1 -d "$copy" <"tests/planted/$name.patch"
done
[ $missed = 0 ]
