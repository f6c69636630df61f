# Sourced by the scripts here: starts and stops the server program. Needs $target.

# start_server RUNTIME [PREFIX...]: sets server_pid (of PREFIX, if one is given), server_address and server_url
start_server() {
    local runtime=$1 line=""
    shift
    server_log=$(mktemp)
    "$@" "$target/release/server" --runtime "$runtime" --listen 127.0.0.1:0 >"$server_log" 2>"$server_log.err" &
    server_pid=$!
    trap stop_server EXIT
    for _ in $(seq 300); do
        line=$(head -1 "$server_log")
        if [ -n "$line" ]; then break; fi
        sleep 0.1
    done
    server_address=${line#listening on }
    server_url=http://$server_address
    if [ -z "$server_address" ]; then
        cat "$server_log.err" >&2
        echo "the server ($runtime) did not start" >&2
        return 1
    fi
}

stop_server() {
    if [ -n "${server_pid:-}" ]; then
        kill "$server_pid" 2>/dev/null || true
        wait "$server_pid" 2>/dev/null || true
        server_pid=""
        rm -f "$server_log" "$server_log.err"
    fi
    trap - EXIT
}
