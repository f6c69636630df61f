#!/usr/bin/env bash
# Instructions per iteration of the kbench cases, against their budgets. Also: reading a head byte by byte must cost
# the same per byte whether the head is short or long (within 1.3).
set -euo pipefail
cd "$(dirname "$0")"

declare -A budget=([k3-min]=1800 [k3-bro]=5800 [k4-client]=6000 [k5-chunked]=310000 [k6-64k-1]=8000000)
declare -A measured
over=0
while read -r case instructions; do
    measured[$case]=$instructions
    line="$case: $instructions instructions per iteration"
    if [ -n "${budget[$case]:-}" ]; then
        line+=", ${budget[$case]} allowed"
        if [ "$instructions" -ge "${budget[$case]}" ]; then line+=": OVER BUDGET"; over=1; fi
    fi
    echo "$line"
done < <(./callgrind.sh)

for case in "${!budget[@]}"; do
    if [ -z "${measured[$case]:-}" ]; then echo "$case was not measured"; over=1; fi
done
short=$((measured[k6-4k-1] * 1000 / 4096)) long=$((measured[k6-64k-1] * 1000 / 65536))
echo "a head byte by byte: $((short / 1000)) instructions per byte at 4 KiB, $((long / 1000)) at 64 KiB"
if [ $((long * 10)) -ge $((short * 13)) ]; then echo "that is NOT LINEAR"; over=1; fi
exit $over
