//! The subjects on the blocking adapter: the same as [`super::asynchronous`] in plain functions.

use super::item::{Item, Outcome};
use crate::echo::{self, Content, Plan, Reply, Seen, lines};
use antiphon_blocking::{
    Body, BodyLen, Client, ClientBuilder, Codings, RedirectPolicy, Request, Response, Status, Upgraded,
    Version,
};
use bytes::Bytes;
use std::error::Error;
use std::io::{self, Read, Write};

type BoxError = Box<dyn Error + Send + Sync>;

/// Handles one request as [`crate::echo`] plans it.
pub(super) fn handle(mut request: Request) -> Result<Response, BoxError> {
    let mut seen = Seen::of(request.head());
    match echo::plan(&seen, request.upgrade_requested().is_some()) {
        Plan::Early(reply) => Ok(response(reply)),
        Plan::Mirror => Ok(Response::new(Status::OK).with_body(request.into_body())),
        Plan::AfterBody(delay, answer) => {
            let body = request.body_mut();
            while let Some(chunk) = body.chunk() {
                seen.body.extend_from_slice(&chunk?);
            }
            seen.trailers = body.trailers().map(|t| lines(t.as_fields())).unwrap_or_default();
            if !delay.is_zero() {
                std::thread::sleep(delay);
            }
            match answer.reply(&seen) {
                Some(reply) => Ok(response(reply)),
                None => Ok(Response::upgrade("echo", send_back)?),
            }
        }
    }
}

fn send_back(mut stream: Upgraded) {
    let mut space = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut space) {
        if stream.write_all(&space[..n]).is_err() {
            break;
        }
    }
}

fn response(reply: Reply) -> Response {
    let mut response = Response::new(reply.status);
    *response.headers_mut() = reply.headers;
    response.with_body(match (reply.content.len(), reply.content) {
        (_, Content::Bytes(bytes)) => Body::from(bytes),
        (BodyLen::Known(n), content) => Body::sized_reader(n, Pieces(content, Bytes::new())),
        (_, content) => Body::from_reader(Pieces(content, Bytes::new())),
    })
}

/// Content as a reader.
struct Pieces(Content, Bytes);

impl Read for Pieces {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if self.1.is_empty() {
            self.1 = self.0.piece().unwrap_or_default();
        }
        let n = space.len().min(self.1.len());
        space[..n].copy_from_slice(&self.1.split_to(n));
        Ok(n)
    }
}

/// One request, one response, as they come: no redirect is followed, nothing decoded, no proxy asked.
pub(super) fn plain(builder: ClientBuilder) -> ClientBuilder {
    builder
        .redirects(RedirectPolicy::None)
        .codings(Codings::NONE)
        .no_proxy()
}

/// Performs one item.
pub(super) fn perform(client: &Client, item: &Item) -> Outcome {
    let mut outcome = Outcome::default();
    if let Err(e) = attempt(client, item, &mut outcome) {
        outcome.error = Some(e.to_string());
    }
    outcome
}

fn attempt(client: &Client, item: &Item, outcome: &mut Outcome) -> Result<(), BoxError> {
    let mut request = client.request(item.method(), &item.url);
    for (name, value) in &item.headers {
        request = request.header(name, value);
    }
    if let Some(body) = &item.body {
        request = request.body(match item.chunked {
            true => Body::from_reader(io::Cursor::new(body.clone())),
            false => Body::from(body.clone()),
        });
    }
    let mut response = request.send()?;
    outcome.status = Some(response.status().code());
    outcome.http10 = response.version() == Version::Http10;
    outcome.reason = response.reason().to_vec();
    outcome.headers = lines(response.headers().as_fields());
    outcome.informational = response.informational().iter().map(|r| r.status.code()).collect();
    outcome.reused = response.reused();
    let body = response.body_mut();
    while let Some(chunk) = body.chunk() {
        outcome.body.extend_from_slice(&chunk?);
    }
    outcome.trailers = body.trailers().map(|t| lines(t.as_fields())).unwrap_or_default();
    Ok(())
}
