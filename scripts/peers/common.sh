# What the interop scripts share: checks, servers that are started and ended, programs that are installed. Sourced, with
# the repository's root as the working directory.

target=${CARGO_TARGET_DIR:-target}/release
bench=${BENCH_TARGET_DIR:-bench/target}/release
read -ra runtimes <<<"${RUNTIMES:-tokio smol blocking}"
passed=0
failed=0
pids=()
work=$(mktemp -d)

# ---- helpers

finish() {
    for pid in ${pids[@]+"${pids[@]}"}; do
        kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    done
    rm -rf "$work"
}
trap finish EXIT

# check NAME COMMAND...: the command must succeed
check() {
    local name=$1
    shift
    if "$@" >"$work/check.log" 2>&1; then
        passed=$((passed + 1))
        echo "ok    $name"
    else
        failed=$((failed + 1))
        echo "FAIL  $name"
        tail -15 "$work/check.log" | sed 's/^/      /'
    fi
}

# equal WANTED GOT
equal() {
    [ "$1" = "$2" ] || { printf 'wanted: %s\ngot:    %s\n' "$1" "$2"; return 1; }
}

# start COMMAND...: runs a server until the end; sets pid, addr from its first line, and out, the file with all of them
start() {
    out=$(mktemp -p "$work")
    "$@" >"$out" 2>"$out.err" &
    pid=$!
    pids+=("$pid")
    addr=""
    for _ in $(seq 100); do
        addr=$(sed -n '1s/^listening on //p' "$out")
        [ -n "$addr" ] && return
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "interop: $1 did not start:" >&2
    cat "$out.err" >&2
    exit 1
}

# stop PID: ends a server that was started, and forgets it
stop() {
    kill "$1" 2>/dev/null
    wait "$1" 2>/dev/null
    local left=() other
    for other in "${pids[@]}"; do
        [ "$other" = "$1" ] || left+=("$other")
    done
    pids=(${left[@]+"${left[@]}"})
}

# need PROGRAM:PACKAGE...: what is missing, with apt-get
need() {
    local missing=() pair
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || [ -x "/usr/sbin/${pair%%:*}" ] || missing+=("${pair##*:}")
    done
    if [ ${#missing[@]} -eq 0 ]; then return; fi
    echo "interop: installing ${missing[*]}"
    local sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    { ${sudo[@]+"${sudo[@]}"} apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive ${sudo[@]+"${sudo[@]}"} \
            apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$work/apt.log" 2>&1 ||
        { tail -5 "$work/apt.log" >&2; echo "interop: could not install ${missing[*]}" >&2; exit 1; }
}

# built PROGRAM...
built() {
    local program
    for program in "$@"; do
        [ -x "$program" ] || { echo "interop: $program is not built" >&2; exit 1; }
    done
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# answers URL NAME: waits until a server that was started answers
answers() {
    for _ in $(seq 50); do
        command curl -s -k --noproxy '*' -o /dev/null "$1" && return
        sleep 0.1
    done
    echo "interop: $2 did not start" >&2
    exit 1
}
