#!/usr/bin/env bash
# Lets the example clients talk to real servers and proxies: nginx in the clear and over TLS with a root of its own,
# Go's net/http, Node, Python's http.server; tinyproxy and microsocks between. Everything on 127.0.0.1 and 127.0.0.2.
#
#   cargo build --release --workspace --examples
#   scripts/interop-client.sh
#
# Prints a line for each check and fails if one failed. Programs that are missing are installed with apt-get.
# Environment: CARGO_TARGET_DIR, where the build is; RUNTIMES, which to try.
set -uo pipefail
cd "$(dirname "$0")/.."
. scripts/peers/common.sh
# What goes through a proxy here says so itself.
unset http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY

needed() {
    need curl:curl nginx:nginx-light python3:python3 go:golang-go node:nodejs openssl:openssl \
        tinyproxy:tinyproxy microsocks:microsocks
    built "$target"/examples/fetch-{tokio,smol,blocking}
}

# ---- the peers

make_certificates() {
    (
        cd "$work" || exit 1
        local new="openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
        $new -x509 -keyout root.key -out root.pem -subj "/CN=interop root" -addext basicConstraints=critical,CA:TRUE
        $new -keyout server.key -out server.csr -subj "/CN=interop"
        printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' >san
        openssl x509 -req -in server.csr -CA root.pem -CAkey root.key -CAcreateserial -days 2 -extfile san -out server.pem
    ) >"$work/openssl.log" 2>&1 || { cat "$work/openssl.log" >&2; exit 1; }
}

make_site() {
    mkdir -p "$work/site/up"
    chmod 777 "$work" "$work/site" "$work/site/up"
    yes 'the same line again and again' | head -c 1000000 >"$work/site/lines.txt"
    head -c 3000000 /dev/urandom >"$work/site/three-megabytes"
    # A gibibyte that is mostly holes, with something random in between.
    local at
    truncate -s 1G "$work/site/gibibyte"
    for at in 0 300000000 1073000000; do
        head -c 700000 /dev/urandom |
            dd of="$work/site/gibibyte" bs=64K oflag=seek_bytes seek="$at" conv=notrunc iflag=fullblock status=none
    done
    truncate -s 1G "$work/site/gibibyte"
    for i in $(seq 20); do head -c "$((i * 1000))" /dev/urandom >"$work/site/part-$i"; done
}

start_nginx() {
    nginx_port=$(free_port)
    tls_port=$(free_port)
    cat >"$work/nginx.conf" <<NGINX
daemon off;
master_process off;
worker_processes 1;
pid $work/nginx.pid;
error_log $work/nginx.log;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path $work/nginx-body;
    proxy_temp_path $work/nginx-proxy;
    fastcgi_temp_path $work/nginx-fastcgi;
    uwsgi_temp_path $work/nginx-uwsgi;
    scgi_temp_path $work/nginx-scgi;
    gzip on;
    gzip_types text/plain;
    gzip_min_length 100;
    types { text/plain txt; }
    client_max_body_size 0;
    server {
        listen 127.0.0.1:$nginx_port;
        listen 127.0.0.1:$tls_port ssl;
        listen 127.0.0.2:$tls_port ssl;
        ssl_certificate $work/server.pem;
        ssl_certificate_key $work/server.key;
        root $work/site;
        location /up/ { dav_methods PUT; }
    }
}
NGINX
    nginx -c "$work/nginx.conf" -e "$work/nginx.log" &
    pids+=("$!")
    answers "http://127.0.0.1:$nginx_port/" nginx
    nginx=http://127.0.0.1:$nginx_port
    tls=https://localhost:$tls_port
}

start_go() {
    GOCACHE=${GOCACHE:-$work/go-cache} GO111MODULE=off go build -o "$work/go-server" scripts/peers/server.go || exit 1
    start "$work/go-server" 127.0.0.1:0 127.0.0.1:0 "$work/server.pem" "$work/server.key"
    go=http://$addr
    for _ in $(seq 50); do
        go_tls=$(sed -n '2s/^listening on 127.0.0.1:/https:\/\/localhost:/p' "$out")
        [ -n "$go_tls" ] && return
        sleep 0.1
    done
    echo "interop: the Go server has no TLS" >&2
    exit 1
}

start_proxies() {
    local path=$PATH:/usr/sbin
    proxy_port=$(free_port)
    cat >"$work/tinyproxy.conf" <<TINYPROXY
Port $proxy_port
Listen 127.0.0.1
Timeout 60
LogFile "$work/tinyproxy.log"
MaxClients 100
BasicAuth ann s3cret
ViaProxyName "interop"
ConnectPort $tls_port
ConnectPort ${go_tls##*:}
TINYPROXY
    PATH=$path tinyproxy -d -c "$work/tinyproxy.conf" >"$work/tinyproxy.out" 2>&1 &
    pids+=("$!")
    answers "http://127.0.0.1:$proxy_port/" tinyproxy
    socks_port=$(free_port)
    PATH=$path microsocks -i 127.0.0.1 -p "$socks_port" >"$work/socks.log" 2>&1 &
    pids+=("$!")
    socks_auth_port=$(free_port)
    PATH=$path microsocks -i 127.0.0.1 -p "$socks_auth_port" -u ann -P s3cret >"$work/socks-auth.log" 2>&1 &
    pids+=("$!")
    proxy=127.0.0.1:$proxy_port
}

# ---- what a check does

# fetch OPTION... URL...: on the runtime that is being tried
fetch() { timeout 120 "$target/examples/fetch-$runtime" "$@"; }
# fails_with PATTERN OPTION...: fails, and says this on standard error
fails_with() {
    local pattern=$1
    shift
    if fetch "$@" >"$work/stdout" 2>"$work/stderr"; then
        echo "it did not fail"
        return 1
    fi
    grep -qiE "$pattern" "$work/stderr" || { cat "$work/stderr"; return 1; }
}
# verbose PATTERN TIMES OPTION...: succeeds, with so many such lines on standard error
verbose() {
    local pattern=$1 times=$2
    shift 2
    fetch -v "$@" >"$work/stdout" 2>"$work/stderr" || { cat "$work/stderr"; return 1; }
    equal "$times" "$(grep -cE "$pattern" "$work/stderr")" || { cat "$work/stderr"; return 1; }
}
# gives TEXT OPTION...
gives() {
    local wanted=$1
    shift
    equal "$wanted" "$(fetch "$@")"
}
# has PATTERN OPTION...: so stands in the output
has() {
    local pattern=$1
    shift
    fetch "$@" >"$work/stdout" || return 1
    grep -qE "$pattern" "$work/stdout" || { cat "$work/stdout"; return 1; }
}
lacks() {
    local pattern=$1
    shift
    fetch "$@" >"$work/stdout" || return 1
    ! grep -qiE "$pattern" "$work/stdout"
}
same() { # FILE OPTION...
    local file=$1
    shift
    fetch "$@" | cmp - "$file"
}

# ---- nginx

gzipped() {
    same "$work/site/lines.txt" --compressed "$nginx/lines.txt" &&
        fetch --compressed -v -o "$work/down" "$nginx/lines.txt" 2>"$work/stderr" &&
        grep -qi '^\* decoded: gzip' "$work/stderr" &&
        same "$work/site/lines.txt" "$nginx/lines.txt"
}
as_it_comes() { fetch -H 'Accept-Encoding: gzip' "$nginx/lines.txt" | gunzip | cmp - "$work/site/lines.txt"; }
put_over_tls() {
    fetch --cacert "$work/root.pem" -T "$work/site/gibibyte" "$tls/up/$runtime" &&
        cmp "$work/site/up/$runtime" "$work/site/gibibyte" && rm "$work/site/up/$runtime"
}
parallel() {
    local urls=() i
    rm -rf "$work/z" && mkdir "$work/z"
    for i in $(seq 20); do urls+=("$nginx/part-$i"); done
    (cd "$work/z" && fetch -Z -O "${urls[@]}" 2>"$work/stderr") || { cat "$work/stderr"; return 1; }
    for i in $(seq 20); do cmp "$work/z/part-$i" "$work/site/part-$i" || return 1; done
    equal 20 "$(grep -c '/part-' "$work/stderr")"
}

nginx_checks() {
    check "$on nginx: keep-alive" verbose '^\* reused connection' 2 "$nginx/part-1" "$nginx/part-2" "$nginx/part-3"
    check "$on nginx: gzip, decoded" gzipped
    check "$on nginx: gzip, as it comes when the caller asks for it" as_it_comes
    check "$on nginx: a range" same <(head -c 2000 "$work/site/three-megabytes" | tail -c 1000) \
        -H 'Range: bytes=1000-1999' "$nginx/three-megabytes"
    check "$on nginx: HEAD" has '^Content-Length: 3000000' -I "$nginx/three-megabytes"
    check "$on nginx: 20 at once" parallel
    check "$on nginx, TLS: 1 GiB" same "$work/site/gibibyte" --cacert "$work/root.pem" "$tls/gibibyte"
    check "$on nginx, TLS: 1 GiB up" put_over_tls
    check "$on nginx, TLS: keep-alive" verbose '^\* reused connection' 1 --cacert "$work/root.pem" "$tls/part-1" "$tls/part-2"
    check "$on nginx, TLS: an address" same "$work/site/part-1" --cacert "$work/root.pem" "https://127.0.0.1:$tls_port/part-1"
    check "$on nginx, TLS: an unknown root" fails_with 'certificate' "$tls/part-1"
    check "$on nginx, TLS: another name" fails_with 'certificate.*name|not valid for' --cacert "$work/root.pem" "https://127.0.0.2:$tls_port/part-1"
    check "$on nginx, TLS: -k" same "$work/site/part-1" -k "https://127.0.0.2:$tls_port/part-1"
    check "$on nginx: https:// to a port without TLS" fails_with 'server gave HTTP response to HTTPS client' \
        "https://127.0.0.1:$nginx_port/part-1"
}

# ---- Go

jar() {
    rm -f "$work/jar"
    gives $'a=1\nb=two' -L -c "$work/jar" "$go/set?a=1&b=two" || gives $'b=two\na=1' -L -c "$work/jar" "$go/set?a=1&b=two"
    grep -q 'a.1$' "$work/jar" && ! grep -q example.com "$work/jar" &&
        has '^a=1$' -b "$work/jar" "$go/cookies" && has '^b=two$' -b "$work/jar" "$go/cookies" &&
        gives $'x=1\ny=2' -b 'x=1; y=2' "$go/cookies"
}
# A connection that is refused is tried again, a certificate is not.
what_is_retried() {
    fails_with 'again in 1 s' --retry 1 "http://127.0.0.1:9/" && fails_with 'certificate' --retry 1 "$tls/part-1" &&
        ! grep -q 'again in' "$work/stderr"
}
multipart() {
    fetch -F name=value -F "file=@$work/site/part-7" -F "big=@$work/site/three-megabytes" "$go/form" >"$work/stdout" &&
        grep -q '^name "" .* 5 ' "$work/stdout" &&
        grep -q "^file \"part-7\" application/octet-stream 7000 $(sha256sum <"$work/site/part-7" | cut -d' ' -f1)" "$work/stdout" &&
        grep -q "^big \"three-megabytes\" .* 3000000 $(sha256sum <"$work/site/three-megabytes" | cut -d' ' -f1)" "$work/stdout" ||
        { cat "$work/stdout"; return 1; }
}
early_answer() {
    fails_with '^< HTTP/1.1 413' -v -T "$work/site/gibibyte" "$go/refuse"
}
credentials_stay() {
    # Another origin: the port differs.
    has '"Authorization"' -L -u ann:x "$go/to/302?$go/echo" &&
        lacks '"Authorization"' -L -u ann:x "$go/to/302?${go/127.0.0.1/localhost}/echo"
}

go_checks() {
    check "$on Go: five redirects" gives arrived -L "$go/redirect/5"
    check "$on Go: ten redirects at most" fails_with 'stopped after 10 redirects' -L "$go/redirect/11"
    check "$on Go: --max-redirs" fails_with 'stopped after 3 redirects' -L --max-redirs 3 "$go/redirect/4"
    check "$on Go: no redirect unless asked" has 'Found' "$go/redirect/1"
    check "$on Go: 303 turns POST into GET" has '"method":"GET".*"received":0' -L -d abc "$go/to/303?/echo"
    check "$on Go: 307 keeps method and body" has '"method":"POST".*"received":3' -L -d abc "$go/to/307?/echo"
    check "$on Go: 308 keeps a file" has '"received":3000000' -L -X POST -d "@$work/site/three-megabytes" "$go/to/308?/echo"
    check "$on Go: credentials stay with their origin" credentials_stay
    check "$on Go: Basic" gives 'hello, ann' -u ann:s:cret "$go/auth"
    check "$on Go: Basic, in the URL" gives 'hello, ann' "${go/:\/\//:\/\/ann:s%3Acret@}/auth"
    check "$on Go: 401" fails_with '^< HTTP/1.1 401' -v -u ann:wrong "$go/auth"
    check "$on Go: cookies" jar
    check "$on Go: trailers" verbose '^< [Xx]-([Ss]um|[Uu]nannounced): ' 2 "$go/trailers"
    check "$on Go: 103 three times" verbose '^< HTTP/1.1 103' 3 "$go/hints"
    check "$on Go: a form with files" multipart
    check "$on Go: --retry" gives 'try 3' --retry 3 "$go/flaky/2/$runtime"
    check "$on Go: no retry unless asked" fails_with '503' -v "$go/flaky/9/$runtime"
    check "$on Go: what --retry is for" what_is_retried
    check "$on Go: --max-time" fails_with 'deadline|time' --max-time 0.5 "$go/drip"
    check "$on Go: an answer during the upload" early_answer
    check "$on Go: a reset in the body" fails_with 'fetch' "$go/reset"
    check "$on Go, TLS" has '"tls":true' --cacert "$work/root.pem" "$go_tls/echo"
    check "$on Go, TLS: redirects" gives arrived -L --cacert "$work/root.pem" "$go_tls/redirect/3"
}

# ---- Node and Python

node_checks() {
    yes 'the same line again and again' | head -10000 >"$work/text"
    check "$on Node: the best coding" same "$work/text" --compressed "$node/coded"
    check "$on Node: deflate" same "$work/text" --compressed "$node/coded?deflate"
    check "$on Node: a slow reader" gives "$(sha256sum <"$work/site/three-megabytes" | cut -d' ' -f1)" \
        -T "$work/site/three-megabytes" "$node/sum"
    check "$on Node: a thousand chunks, and a trailer" verbose '^< [Xx]-[Cc]hunks: 1000' 1 "$node/chunks"
    check "$on Node: a connection that ends unannounced" gives $'once\nonce' "$node/once" "$node/once"
}
python_checks() {
    check "$on Python: keep-alive" verbose '^\* reused connection' 1 "$python/a" "$python/b"
    check "$on Python: PUT" gives "$(sha256sum <"$work/site/part-9" | cut -d' ' -f1)" -T "$work/site/part-9" "$python/x"
    check "$on Python: HTTP/1.0, to the end of the connection" same <(yes old | head -1000) "$python/old"
}

# ---- proxies

# This machine's own addresses never go through a proxy of the environment's: a name that only the proxy is asked for.
from_environment() {
    http_proxy=http://ann:s3cret@$proxy fetch -v "http://no-such-host.invalid/" >"$work/stdout" 2>"$work/stderr"
    grep -qi '^< HTTP/1.[01] 5' "$work/stderr" && grep -qi tinyproxy "$work/stdout" || { cat "$work/stderr"; return 1; }
}

proxy_checks() {
    check "$on tinyproxy" has '"Via"' -x "http://ann:s3cret@$proxy" "$go/echo"
    check "$on tinyproxy: from the environment" from_environment
    # It closes after each response, and does not say so.
    check "$on tinyproxy: connections that end unannounced" verbose '^\* new connection' 2 -x "http://ann:s3cret@$proxy" \
        "$nginx/part-1" "$nginx/part-2"
    check "$on tinyproxy: CONNECT" same "$work/site/three-megabytes" -x "http://ann:s3cret@$proxy" --cacert "$work/root.pem" "$tls/three-megabytes"
    check "$on tinyproxy: CONNECT, keep-alive" verbose '^\* reused connection' 1 -x "http://ann:s3cret@$proxy" \
        --cacert "$work/root.pem" "$tls/part-1" "$tls/part-2"
    check "$on tinyproxy: CONNECT without credentials" fails_with '407' -x "http://$proxy" --cacert "$work/root.pem" "$tls/part-1"
    check "$on tinyproxy: CONNECT to a port that is refused" fails_with '403' -x "http://ann:s3cret@$proxy" "https://localhost:1/"
    check "$on tinyproxy: --noproxy" lacks '"Via"' -x "http://ann:wrong@$proxy" --noproxy 127.0.0.1 "$go/echo"
    check "$on microsocks: socks5" same "$work/site/three-megabytes" -x "socks5://127.0.0.1:$socks_port" "$nginx/three-megabytes"
    check "$on microsocks: socks5h, TLS" same "$work/site/three-megabytes" -x "socks5h://127.0.0.1:$socks_port" \
        --cacert "$work/root.pem" "$tls/three-megabytes"
    check "$on microsocks: password" same "$work/site/part-3" -x "socks5h://ann:s3cret@127.0.0.1:$socks_auth_port" "$nginx/part-3"
    check "$on microsocks: wrong password" fails_with 'socks' -x "socks5h://ann:wrong@127.0.0.1:$socks_auth_port" "$nginx/part-3"
    check "$on microsocks: nobody there" fails_with 'refused' -x "socks5://127.0.0.1:$socks_port" "http://127.0.0.1:9/"
}

# ---- all of it

exec 3>&1
ulimit -n 4096 2>/dev/null || true
needed
make_certificates
make_site
start_nginx
start_go
start node scripts/peers/server.js
node=http://$addr
start python3 scripts/peers/server.py
python=http://$addr
start_proxies
for runtime in "${runtimes[@]}"; do
    on="fetch-$runtime:"
    nginx_checks
    go_checks
    node_checks
    python_checks
    proxy_checks
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
