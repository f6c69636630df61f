#!/usr/bin/env bash
# Instructions per iteration of the kbench cases, against their budgets. Also: reading heads, tiny chunks and trailers
# must cost the same per byte whether there are 4 KiB of them or 64 (within 1.3), byte by byte and whole.
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
linear() { # WHAT CASE-PREFIX
    local how short long
    for how in 1 all; do
        # Thousandths of an instruction per byte.
        short=$((${measured[$2-4k-$how]:-0} * 1000 / 4096)) long=$((${measured[$2-64k-$how]:-0} * 1000 / 65536))
        printf '%s, reads of %s: %d.%02d instructions per byte at 4 KiB, %d.%02d at 64 KiB\n' "$1" "$how" \
            $((short / 1000)) $((short % 1000 / 10)) $((long / 1000)) $((long % 1000 / 10))
        if [ $short = 0 ] || [ $long = 0 ]; then echo "that was NOT MEASURED"; over=1; fi
        if [ $((long * 10)) -ge $((short * 13)) ]; then echo "that is NOT LINEAR"; over=1; fi
    done
}
linear "a head" k6
linear "tiny chunks" k7
linear "trailers" k8
exit $over
