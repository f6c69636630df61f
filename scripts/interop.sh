#!/usr/bin/env bash
# Lets real peers talk to what was built: curl, Python's http.client and headless Chromium to the example servers,
# curl to the subject servers, the example clients to nginx and to the bench's server, and both of the core's own
# examples. Everything on 127.0.0.1.
#
#   cargo build --release --workspace --examples --bins
#   cargo build --release --manifest-path bench/Cargo.toml
#   scripts/interop.sh
#
# Prints a line for each check and fails if one failed. Programs that are missing are installed with apt-get.
# Environment: CARGO_TARGET_DIR and BENCH_TARGET_DIR, where the builds are; RUNTIMES, which to try.
set -uo pipefail
cd "$(dirname "$0")/.."

. scripts/peers/common.sh

needed() {
    need curl:curl nginx:nginx-light python3:python3 chromium:chromium
    built "$target"/examples/{{serve,fetch}-{tokio,smol,blocking},serve_mio,get} "$target/subject-server" "$bench/server"
}

curl() { command curl --silent --show-error --max-time 120 --noproxy '*' "$@"; }

# ---- what is served

make_site() {
    mkdir -p "$work/site/sub" "$work/outside"
    echo '<!doctype html><title>t</title><p id="here">the index page</p>' >"$work/site/index.html"
    echo 'hello, interop' >"$work/site/hello.txt"
    echo 'a file below' >"$work/site/sub/below.txt"
    echo 'top secret' >"$work/outside/secret.txt"
    ln -s ../outside "$work/site/way-out"
    ln -s ../outside/secret.txt "$work/site/leak.txt"
    head -c 3000000 /dev/urandom >"$work/site/three-megabytes"
    truncate -s 10G "$work/site/ten-gigabytes"
}

# A file of a gibibyte that is mostly holes.
make_gibibyte() {
    mkdir -p "$work/nginx/up"
    chmod 777 "$work" "$work/nginx" "$work/nginx/up"
    truncate -s 1G "$work/nginx/gibibyte"
    local at
    for at in 0 1000000 524288001 1073741800; do
        printf 'marker at %s' "$at" | dd of="$work/nginx/gibibyte" bs=1 seek="$at" conv=notrunc status=none
    done
    truncate -s 1G "$work/nginx/gibibyte"
}

start_nginx() {
    local port
    port=$(free_port)
    cat >"$work/nginx.conf" <<NGINX
daemon off;
master_process off;
worker_processes 1;
pid $work/nginx.pid;
error_log $work/nginx.log;
events { worker_connections 64; }
http {
    access_log off;
    sendfile on;
    client_body_temp_path $work/nginx-body;
    proxy_temp_path $work/nginx-proxy;
    fastcgi_temp_path $work/nginx-fastcgi;
    uwsgi_temp_path $work/nginx-uwsgi;
    scgi_temp_path $work/nginx-scgi;
    server {
        listen 127.0.0.1:$port;
        root $work/nginx;
        client_max_body_size 0;
        location /up/ { dav_methods PUT; }
    }
}
NGINX
    nginx -c "$work/nginx.conf" -e "$work/nginx.log" &
    pids+=("$!")
    nginx_addr=127.0.0.1:$port
    answers "http://$nginx_addr/" nginx
}

# ---- curl to the example servers

keep_alive() {
    equal "200 1
200 0" "$(curl -o /dev/null "$url/hello.txt" -o /dev/null "$url/" -w '%{http_code} %{num_connects}\n')"
}
content() { equal "hello, interop" "$(curl "$url/hello.txt")"; }
whole_file() { curl "$url/three-megabytes" | cmp - "$work/site/three-megabytes"; }
http10() { equal "hello, interop" "$(curl --http1.0 "$url/hello.txt")"; }
range() {
    equal "o, in" "$(curl --range 4-8 "$url/hello.txt")" &&
        equal 206 "$(curl -o /dev/null -w '%{http_code}' --range 4-8 "$url/hello.txt")" &&
        equal 416 "$(curl -o /dev/null -w '%{http_code}' --range 99- "$url/hello.txt")"
}
head_request() {
    curl --head "$url/hello.txt" >"$work/head" && grep -qi '^content-length: 15' "$work/head" &&
        equal "200 0" "$(curl --head -o /dev/null -w '%{http_code} %{size_download}' "$url/hello.txt")"
}
not_modified() {
    local since
    since=$(curl --head "$url/hello.txt" | tr -d '\r' | sed -n 's/^[Ll]ast-[Mm]odified: //p')
    [ -n "$since" ] &&
        equal 304 "$(curl -o /dev/null -w '%{http_code}' -H "If-Modified-Since: $since" "$url/hello.txt")" &&
        equal 200 "$(curl -o /dev/null -w '%{http_code}' \
            -H 'If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT' "$url/hello.txt")"
}
listing() { curl "$url/sub/" | grep -q 'below.txt'; }
missing() { equal 404 "$(curl -o /dev/null -w '%{http_code}' "$url/nothing-here")"; }

# put OPTION...: 405 with Allow, and the next request goes over the same connection
put() {
    equal "405 1
200 0" "$(curl "$@" -D "$work/put-head" -o /dev/null -w '%{http_code} %{num_connects}\n' "$url/hello.txt" \
        --next --silent --noproxy '*' -o /dev/null -w '%{http_code} %{num_connects}\n' "$url/hello.txt")" &&
        grep -qi '^allow: .*GET' "$work/put-head"
}

# refused PATH: not a byte of what lies outside the served directory
refused() {
    local code
    code=$(curl --path-as-is -o "$work/escape" -w '%{http_code}' "$url$1")
    ! grep -q secret "$work/escape" && [[ $code == 4?? ]]
}

python_client() {
    python3 - "$addr" <<'PYTHON'
import http.client, sys
c = http.client.HTTPConnection(sys.argv[1], timeout=20)
c.connect()
first = c.sock
for method, path, status in (("GET", "/hello.txt", 200), ("HEAD", "/hello.txt", 200), ("GET", "/none", 404), ("GET", "/", 200)):
    c.request(method, path)
    r = c.getresponse()
    body = r.read()
    assert r.status == status, (path, r.status)
    assert c.sock is first, "the connection was not kept"
    if path == "/hello.txt":
        assert body == (b"hello, interop\n" if method == "GET" else b""), body
# Chunked, with the handler's answer being 405.
c.request("POST", "/hello.txt", body=iter([b"a" * 1000, b"b" * 1000]), encode_chunked=True)
r = c.getresponse()
r.read()
assert r.status == 405 and "GET" in r.getheader("Allow", ""), r.status
PYTHON
}

browser() {
    timeout 60 chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync \
        --user-data-dir="$work/chromium-$RANDOM" --dump-dom "$url$1" >"$work/dom" 2>"$work/chromium.log" ||
        { tail -3 "$work/chromium.log"; return 1; }
    grep -q "$2" "$work/dom" || { cat "$work/dom"; return 1; }
}

# A download of 10 GiB while 1,000 connections are idle; the server's memory stays small.
constant_memory() {
    python3 - "$addr" >"$work/idle.out" <<'PYTHON' &
import resource, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
host, port = sys.argv[1].rsplit(":", 1)
idle = []
for i in range(1000):
    s = socket.create_connection((host, int(port)), timeout=20)
    s.sendall(b"GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n")
    got = b""
    while not got.endswith(b"interop\n"):
        more = s.recv(4096)
        assert more, "closed instead of kept"
        got += more
    idle.append(s)
print("ready", flush=True)
time.sleep(300)
PYTHON
    local idle=$! size ready="" peak
    pids+=("$idle")
    for _ in $(seq 600); do
        ready=$(cat "$work/idle.out")
        [ -n "$ready" ] && break
        kill -0 "$idle" 2>/dev/null || break
        sleep 0.1
    done
    [ "$ready" = ready ] || { echo "the idle connections were not accepted"; stop "$idle"; return 1; }
    size=$(curl -o /dev/null -w '%{size_download}' "$url/ten-gigabytes")
    peak=$(awk '/^VmHWM/ { print $2 }' "/proc/$pid/status")
    stop "$idle"
    echo "      most memory: $peak KiB" >&3
    equal 10737418240 "$size" && [ "$peak" -lt 32768 ]
}

# SIGINT: the transfer that is under way finishes, nothing new is accepted, the process ends.
drains() {
    curl --limit-rate 1M -o "$work/slow" "$url/three-megabytes" &
    local transfer=$!
    sleep 0.7
    kill -INT "$pid"
    sleep 0.3
    if curl --connect-timeout 2 -o /dev/null "$url/hello.txt" 2>/dev/null; then
        echo "a new connection was accepted after SIGINT"
        return 1
    fi
    wait "$transfer" || { echo "the transfer was cut off"; return 1; }
    cmp "$work/slow" "$work/site/three-megabytes" || return 1
    for _ in $(seq 100); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    if kill -0 "$pid" 2>/dev/null; then
        echo "still running 10 s after the transfer"
        return 1
    fi
    wait "$pid"
    equal 0 $?
}

example_server() {
    local on="serve-$1:"
    start "$target/examples/serve-$1" --listen 127.0.0.1:0 "$work/site"
    url=http://$addr
    check "$on curl, content" content
    check "$on curl, keep-alive" keep_alive
    check "$on curl, 3 MB" whole_file
    check "$on curl, HTTP/1.0" http10
    check "$on curl, range" range
    check "$on curl, HEAD" head_request
    check "$on curl, If-Modified-Since" not_modified
    check "$on curl, a listing" listing
    check "$on curl, 404" missing
    check "$on curl, PUT is refused, the connection kept" put -X PUT -d data
    check "$on curl, PUT with Expect: 100-continue likewise" put -X PUT -H 'Expect: 100-continue' -d data
    check "$on curl -T likewise" put -T "$work/site/hello.txt"
    check "$on .. does not escape" refused /../outside/secret.txt
    check "$on .. below a directory does not escape" refused /sub/../../outside/secret.txt
    check "$on an encoded .. does not escape" refused /%2e%2e/outside/secret.txt
    check "$on an encoded slash does not escape" refused /..%2foutside%2fsecret.txt
    check "$on a doubly encoded .. does not escape" refused /%252e%252e/outside/secret.txt
    check "$on a symbolic link to a directory does not escape" refused /way-out/secret.txt
    check "$on a symbolic link to a file does not escape" refused /leak.txt
    check "$on python's http.client" python_client
    check "$on chromium, index page" browser / 'the index page'
    check "$on chromium, listing" browser /sub/ below.txt
    check "$on 10 GiB and 1,000 idle connections below 32 MiB" constant_memory
    check "$on SIGINT drains" drains
    stop "$pid"
}

# ---- curl to the subject servers

echoed() {
    python3 - "$work/upload" "$work/echo" "$1" <<'PYTHON'
import base64, json, sys
sent, echo = open(sys.argv[1], "rb").read(), json.load(open(sys.argv[2]))
assert echo["method"] == sys.argv[3], echo["method"]
assert base64.b64decode(echo["body"]) == sent, "the body is not what was sent"
PYTHON
}
upload() { curl -T "$work/upload" -o "$work/echo" "$url/put" && echoed PUT; }
upload_chunked() { curl -T - -o "$work/echo" "$url/put" <"$work/upload" && echoed PUT; }
upload_expecting() {
    curl -v -H 'Expect: 100-continue' --data-binary "@$work/upload" -o "$work/echo" "$url/post" 2>"$work/verbose" &&
        grep -q '^< HTTP/1.1 100' "$work/verbose" && echoed POST
}

subject_server() {
    start "$target/subject-server" --runtime "$1" --listen 127.0.0.1:0
    url=http://$addr
    check "subject-server on $1: curl -T" upload
    check "subject-server on $1: curl -T -, chunked" upload_chunked
    check "subject-server on $1: curl with Expect: 100-continue" upload_expecting
    stop "$pid"
}

# ---- the core's own examples

mirrored() { curl --data-binary "@$work/site/three-megabytes" "$url/" | cmp - "$work/site/three-megabytes"; }
fetched() {
    timeout 20 "$target/examples/get" "$1" >"$work/got" && cmp "$work/got" "$2"
}

core_examples() {
    start "$target/examples/serve_mio" 127.0.0.1:0
    url=http://$addr
    check "serve_mio: curl" equal "Hello, World!" "$(curl "$url/")"
    check "serve_mio: 3 MB come back while they are sent" mirrored
    check "get: from nginx" fetched "http://$nginx_addr/three-megabytes" "$work/nginx/three-megabytes"
    stop "$pid"
}

# ---- the example clients

download() {
    timeout 120 "$target/examples/fetch-$1" -o "$work/down" "http://$nginx_addr/gibibyte" &&
        cmp "$work/down" "$work/nginx/gibibyte"
}
upload_to_nginx() {
    timeout 120 "$target/examples/fetch-$1" -X PUT -d "@$work/nginx/gibibyte" "http://$nginx_addr/up/$1" &&
        cmp "$work/nginx/up/$1" "$work/nginx/gibibyte"
}
upload_to_bench() {
    equal 1073741824 "$(timeout 120 "$target/examples/fetch-$1" -X POST -d "@$work/nginx/gibibyte" "http://$addr/len")"
}
fetch_fails() {
    ! timeout 20 "$target/examples/fetch-$1" -o "$work/none" "http://$nginx_addr/none" &&
        ! timeout 20 "$target/examples/fetch-$1" -o "$work/none" "http://127.0.0.1:9/"
}

example_client() {
    check "fetch-$1: 1 GiB from nginx" download "$1"
    rm -f "$work/down"
    check "fetch-$1: 1 GiB to nginx" upload_to_nginx "$1"
    rm -f "$work/nginx/up/$1"
    start "$bench/server" --runtime "$1" --listen 127.0.0.1:0
    check "fetch-$1: 1 GiB to the bench's server" upload_to_bench "$1"
    stop "$pid"
    check "fetch-$1: the exit status tells failure" fetch_fails "$1"
}

# ---- all of it

exec 3>&1
ulimit -n 4096 2>/dev/null || true
needed
make_site
make_gibibyte
cp "$work/site/three-megabytes" "$work/nginx/"
head -c 1000000 /dev/urandom >"$work/upload"
start_nginx
for runtime in "${runtimes[@]}"; do
    example_server "$runtime"
    example_client "$runtime"
done
core_examples
for runtime in core "${runtimes[@]}"; do
    subject_server "$runtime"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
