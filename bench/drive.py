#!/usr/bin/env python3
"""Plain clients for the measurements of a server alone, so that what they cost is no part of any figure.

    drive.py requests ADDRESS minimal|browser N   N requests on one connection, one after the other, with pauses
    drive.py idle ADDRESS N PID                   resident bytes of process PID per idle connection, of N

The requests are those of kbench (kbench/src/inputs.rs).
"""

import resource
import socket
import sys
import time

MINIMAL = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"
BROWSER = (
    b"GET /hdr HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: keep-alive\r\nCache-Control: max-age=0\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 "
    b"Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
    b"image/apng,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.8"
    b"\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"
    b"Referer: http://127.0.0.1:8080/some/previous/page?with=query\r\n"
    b"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; _ga=GA1.1.1234567890.1700000000\r\n\r\n"
)
assert (len(MINIMAL), len(BROWSER)) == (40, 636)


def connect(address):
    host, port = address.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def exchange(connection, request):
    connection.sendall(request)
    received = b""
    while not received.endswith(b"Hello, World!"):
        piece = connection.recv(4096)
        if not piece:
            sys.exit(f"the server closed after {received!r}")
        received += piece
    if not received.startswith(b"HTTP/1.1 200 "):
        sys.exit(f"no 200: {received!r}")


def requests(address, which, n):
    request = {"minimal": MINIMAL, "browser": BROWSER}[which]
    connection = connect(address)
    for _ in range(n):
        exchange(connection, request)
        # The server goes to sleep, as it does between a real client's requests. Without this a server under strace
        # or valgrind, which is slower than this client, finds the next request there before it has looked.
        time.sleep(0.002)


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    sys.exit("no VmRSS")


def idle(address, n, pid):
    resource.setrlimit(resource.RLIMIT_NOFILE, (n + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    # What every server allocates once: paid before the first look.
    for connection in [connect(address) for _ in range(100)]:
        exchange(connection, MINIMAL)
        connection.close()
    time.sleep(1)
    before = resident(pid)
    open_connections = []
    for _ in range(n):
        connection = connect(address)
        exchange(connection, MINIMAL)
        open_connections.append(connection)
    time.sleep(1)
    after = resident(pid)
    print(f"{(after - before) / n:.0f} bytes per idle connection ({n} connections, {before} -> {after})")


def main():
    match sys.argv[1:]:
        case ["requests", address, which, n]:
            requests(address, which, int(n))
        case ["idle", address, n, pid]:
            idle(address, int(n), pid)
        case _:
            sys.exit(__doc__)


main()
