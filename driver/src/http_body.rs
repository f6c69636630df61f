//! [`Body`] and the `http-body` crate: ours implements its trait, and a foreign body can become ours.

use crate::body::Chunks;
use crate::{Body, BoxError, Error};
use antiphon_core::h1::BodyLen;
use antiphon_core::{Headers, InvalidField};
use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        Poll::Ready(match ready!(this.poll_chunk(cx)) {
            Some(Ok(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Err(e)) => Some(Err(e)),
            None => this.take_trailers().map(|t| Ok(Frame::trailers(to_map(&t)))),
        })
    }

    fn size_hint(&self) -> SizeHint {
        match self.len() {
            BodyLen::None => SizeHint::with_exact(0),
            BodyLen::Known(n) => SizeHint::with_exact(n),
            BodyLen::Unknown => SizeHint::default(),
        }
    }
}

impl Body {
    /// A body that sends what `body` gives, trailers included; sized if `body` says so.
    pub fn from_http_body<B>(body: B) -> Body
    where
        B: HttpBody + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let len = match body.size_hint().exact() {
            Some(0) if body.is_end_stream() => return Body::empty(),
            Some(n) => BodyLen::Known(n),
            None => BodyLen::Unknown,
        };
        Body::streaming(
            Box::pin(Foreign {
                body: Box::pin(body),
                trailers: None,
            }),
            len,
        )
    }
}

struct Foreign<B> {
    body: Pin<Box<B>>,
    trailers: Option<Headers>,
}

impl<B> Chunks for Foreign<B>
where
    B: HttpBody + Send,
    B::Error: Into<BoxError>,
{
    fn poll_chunk(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        let this = self.get_mut();
        loop {
            let frame = match ready!(this.body.as_mut().poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Err(e)) => return Poll::Ready(Some(Err(e.into()))),
                Some(Ok(frame)) => frame,
            };
            match frame.into_data() {
                Ok(mut data) => return Poll::Ready(Some(Ok(data.copy_to_bytes(data.remaining())))),
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        this.trailers = Some(from_map(&trailers)?);
                    }
                }
            }
        }
    }

    fn trailers(self: Pin<&mut Self>) -> Option<Headers> {
        self.get_mut().trailers.take()
    }
}

/// Lines that the `http` crate cannot hold are left out; what its types allow is a subset of ours.
fn to_map(headers: &Headers) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(headers.len());
    for field in headers {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_bytes(field.value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            map.append(name, value);
        }
    }
    map
}

fn from_map(map: &HeaderMap) -> Result<Headers, InvalidField> {
    let mut headers = Headers::new();
    for (name, value) in map {
        headers.append(name.as_str(), value.as_bytes())?;
    }
    Ok(headers)
}
