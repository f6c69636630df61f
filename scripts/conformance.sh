#!/usr/bin/env bash
# Runs the black-box conformance suite against the subject programs of every runtime, and fails unless
#   - no MUST case fails,
#   - the SHOULD cases that fail are those that scripts/conformance-deviations.txt gives a reason for,
#   - every runtime has the same verdict on every case.
#
#   cargo build --release -p antiphon-tests && scripts/conformance.sh [RUNTIME...]
#
# The suite is looked for in $ANTIPHON_CONFORMANCE, by default ../shared/conformance beside the repository. The
# subjects are looked for in $SUBJECTS, by default target/release.
set -euo pipefail
cd "$(dirname "$0")/.."

suite=${ANTIPHON_CONFORMANCE:-../shared/conformance}
subjects=${SUBJECTS:-${CARGO_TARGET_DIR:-target}/release}
runtimes=("$@")
[ ${#runtimes[@]} -gt 0 ] || runtimes=(core tokio tokio-current smol blocking)

[ -f "$suite/run.py" ] || { echo "conformance: there is no suite in $suite (set ANTIPHON_CONFORMANCE)" >&2; exit 1; }
for program in subject-server subject-client; do
    [ -x "$subjects/$program" ] || { echo "conformance: $subjects/$program is not built" >&2; exit 1; }
done

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
failed=0
for side in server client; do
    for runtime in "${runtimes[@]}"; do
        echo "== $side on $runtime"
        # The exit status says whether a MUST case failed; the comparison below looks at everything. A fault of
        # the runner itself (it says so) is no verdict on the subject: the round is run again, twice at most.
        for _ in 1 2 3; do
            must=0
            timeout 900 python3 "$suite/run.py" "$side" --subject "$subjects/subject-$side --runtime $runtime" \
                --json "$results/$side-$runtime.json" >"$results/log" || must=1
            grep -A8 'RUNNER FAULT' "$results/log" || break
            echo "the runner failed, not the subject: once more"
        done
        [ $must = 0 ] || failed=1
        grep -v '^FAIL' "$results/log" | tail -4
        grep -A12 '^FAIL' "$results/log" || true
    done
done

python3 - "$results" scripts/conformance-deviations.txt "${runtimes[@]}" <<'PYTHON' || failed=1
import json, os, sys

results, deviations, runtimes = sys.argv[1], sys.argv[2], sys.argv[3:]
allowed = {}
for line in open(deviations):
    line = line.split("#", 1)[0].strip()
    if line:
        name, _, reason = line.partition(" ")
        if not reason.strip():
            sys.exit("conformance: %s has no reason" % name)
        allowed[name] = reason.strip()

bad, used = [], set()
for side in ("server", "client"):
    verdicts = {}
    for runtime in runtimes:
        path = os.path.join(results, "%s-%s.json" % (side, runtime))
        if not os.path.exists(path):
            bad.append("%s on %s gave no results" % (side, runtime))
            continue
        for case in json.load(open(path))["results"]:
            verdicts.setdefault(case["id"], {})[runtime] = (case["level"], case["verdict"])
    for name, by in sorted(verdicts.items()):
        if len({v for _, v in by.values()}) > 1 or len(by) != len(runtimes):
            bad.append("%s %s: verdicts differ: %s" % (side, name, {r: v for r, (_, v) in by.items()}))
        for runtime, (level, verdict) in by.items():
            if verdict == "pass":
                continue
            if level == "MAY" and verdict == "fail":
                continue
            if level == "SHOULD" and name in allowed:
                used.add(name)
                continue
            bad.append("%s %s on %s: %s %s" % (side, name, runtime, level, verdict))
bad += ["%s is listed in %s, but passes" % (name, deviations) for name in allowed if name not in used]
print("\n".join(bad) if bad else "conformance: every runtime has the same verdicts, and no unexplained failure")
sys.exit(bool(bad))
PYTHON
exit $failed
