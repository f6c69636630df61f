//! The routes of the server program, for the async runtimes and for threads.
//!
//! | route | answer |
//! |---|---|
//! | `GET /` | 13 bytes, text/plain |
//! | `GET /hdr` | the same, after reading accept-language |
//! | `POST /len` | the length of the body, in decimal, after draining it |
//! | `GET /stream` | 1 MiB with Content-Length, in pieces of 16 KiB |
//! | `GET /chunked` | the same, chunked |

use crate::{HELLO, LONG, PIECE, piece};
use bytes::Bytes;
use futures_core::Stream;
use std::convert::Infallible;
use std::error::Error;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll};

type BoxError = Box<dyn Error + Send + Sync>;

/// On Tokio and smol: their request and response types are the driver's.
pub async fn answer(request: antiphon_driver::Request) -> Result<antiphon_driver::Response, BoxError> {
    use antiphon_driver::{Body, Response, Status};

    let body = match (request.method(), request.path()) {
        ("GET", "/") => Body::from(HELLO),
        ("GET", "/hdr") => {
            black_box(request.header("accept-language"));
            Body::from(HELLO)
        }
        ("POST", "/len") => {
            let (mut body, mut length) = (request.into_body(), 0);
            while let Some(chunk) = body.chunk().await {
                length += black_box(chunk?).len();
            }
            Body::from(length.to_string())
        }
        ("GET", "/stream") => Body::sized(LONG as u64, Pieces(LONG / PIECE)),
        ("GET", "/chunked") => Body::from_stream(Pieces(LONG / PIECE)),
        _ => return Ok(Response::new(Status::NOT_FOUND)),
    };
    Ok(Response::new(Status::OK)
        .with_header("content-type", "text/plain")?
        .with_body(body))
}

/// On threads.
pub fn answer_blocking(request: antiphon_blocking::Request) -> Result<antiphon_blocking::Response, BoxError> {
    use antiphon_blocking::{Body, Response, Status};

    let body = match (request.method(), request.path()) {
        ("GET", "/") => Body::from(HELLO),
        ("GET", "/hdr") => {
            black_box(request.header("accept-language"));
            Body::from(HELLO)
        }
        ("POST", "/len") => {
            let (mut body, mut length) = (request.into_body(), 0);
            while let Some(chunk) = body.chunk() {
                length += black_box(chunk?).len();
            }
            Body::from(length.to_string())
        }
        ("GET", "/stream") => Body::sized_reader(LONG as u64, Reader(LONG)),
        ("GET", "/chunked") => Body::from_reader(Reader(LONG)),
        _ => return Ok(Response::new(Status::NOT_FOUND)),
    };
    Ok(Response::new(Status::OK)
        .with_header("content-type", "text/plain")?
        .with_body(body))
}

/// So many pieces.
struct Pieces(usize);

impl Stream for Pieces {
    type Item = Result<Bytes, Infallible>;
    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.0 == 0 {
            return Poll::Ready(None);
        }
        self.0 -= 1;
        Poll::Ready(Some(Ok(piece())))
    }
}

/// So many bytes, at most a piece in one read.
struct Reader(usize);

impl std::io::Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let n = into.len().min(self.0).min(PIECE);
        into[..n].copy_from_slice(&piece()[..n]);
        self.0 -= n;
        Ok(n)
    }
}
