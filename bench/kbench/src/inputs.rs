//! The bytes that the cases read. They are part of what a figure means: changing one makes all earlier figures
//! incomparable, so their sizes are checked at compile time.

/// One field, 40 bytes.
pub(crate) const MINIMAL: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

/// What a browser sends: 12 fields, 636 bytes.
pub(crate) const BROWSER: &[u8] = concat!(
    "GET /hdr HTTP/1.1\r\n",
    "Host: 127.0.0.1:8080\r\n",
    "Connection: keep-alive\r\n",
    "Cache-Control: max-age=0\r\n",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) ",
    "Chrome/131.0.0.0 Safari/537.36\r\n",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,",
    "*/*;q=0.8\r\n",
    "Accept-Encoding: gzip, deflate, br, zstd\r\n",
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n",
    "Sec-Fetch-Site: same-origin\r\n",
    "Sec-Fetch-Mode: navigate\r\n",
    "Sec-Fetch-Dest: document\r\n",
    "Referer: http://127.0.0.1:8080/some/previous/page?with=query\r\n",
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; _ga=GA1.1.1234567890.1700000000\r\n",
    "\r\n",
)
.as_bytes();

/// What a client case reads: nginx's answer with 13 bytes of body.
pub(crate) const RESPONSE: &[u8] = concat!(
    "HTTP/1.1 200 OK\r\n",
    "Server: nginx/1.22.1\r\n",
    "Date: Thu, 20 Nov 2025 11:23:18 GMT\r\n",
    "Content-Type: text/plain\r\n",
    "Content-Length: 13\r\n",
    "Connection: keep-alive\r\n",
    "\r\n",
    "Hello, World!",
)
.as_bytes();

const _: () = assert!(MINIMAL.len() == 40 && BROWSER.len() == 636 && RESPONSE.len() == 161);

/// The bytes of a body in the chunked case, and of one of its chunks.
pub(crate) const CHUNKED_BODY: usize = 1 << 20;
const CHUNK: usize = 8192;

/// A request whose body is 1 MiB in 128 chunks of 8,192 bytes.
pub(crate) fn chunked() -> Vec<u8> {
    let mut wire =
        b"POST /len HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..CHUNKED_BODY / CHUNK {
        wire.extend_from_slice(b"2000\r\n");
        wire.extend_from_slice(&[b'x'; CHUNK]);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n\r\n");
    wire
}

/// A head of exactly `size` bytes: fields of 700 bytes while fewer than `size - 720` bytes are written (64,816
/// of 65,536), then one that fills it up.
pub(crate) fn head_of(size: usize) -> Vec<u8> {
    let mut wire = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n".to_vec();
    let mut n = 0;
    while wire.len() < size - 720 {
        wire.extend_from_slice(format!("x-header-{n:03}: {}\r\n", "v".repeat(700)).as_bytes());
        n += 1;
    }
    let end = b"\r\n\r\n";
    wire.extend_from_slice(b"x-last: ");
    wire.resize(size - end.len(), b'v');
    wire.extend_from_slice(end);
    assert_eq!(wire.len(), size, "the head has the size that its name says");
    wire
}

/// A request whose body of chunks of one byte is `size` bytes long on the wire, heads and trailers not counted.
pub(crate) fn tiny_chunks(size: usize) -> Vec<u8> {
    let mut wire = POST.to_vec();
    let chunk = b"1\r\nx\r\n";
    wire.extend_from_slice(&chunk.repeat(size / chunk.len()));
    wire.extend_from_slice(b"0\r\n\r\n");
    wire
}

/// A request whose trailer section is `size` bytes long, of fields of 64 bytes.
pub(crate) fn trailers(size: usize) -> Vec<u8> {
    let mut wire = POST.to_vec();
    wire.extend_from_slice(b"0\r\n");
    for n in 0..size / 64 {
        wire.extend_from_slice(format!("x-trailer-{n:04}: {}\r\n", "v".repeat(46)).as_bytes());
    }
    wire.extend_from_slice(b"\r\n");
    wire
}

const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nTransfer-Encoding: chunked\r\n\r\n";
