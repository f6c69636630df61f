//! The subjects on the async adapters. Requests, responses and bodies are the driver's own types whatever the
//! runtime, so that one handler and one client do for all; a runtime only sleeps.

use super::item::{Item, Outcome};
use crate::echo::{self, Content, Plan, Reply, Seen, lines};
use antiphon_driver::{
    Body, BodyLen, BoxError, Client, ClientBuilder, Codings, RedirectPolicy, Request, Response, Runtime,
    Spawn, Status, Upgraded, Version,
};
use bytes::Bytes;
use futures_core::Stream;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Handles one request as [`crate::echo`] plans it.
pub(super) async fn handle<S: Future<Output = ()>>(
    mut request: Request,
    sleep: impl Fn(Duration) -> S,
) -> Result<Response, BoxError> {
    let mut seen = Seen::of(request.head());
    match echo::plan(&seen, request.upgrade_requested().is_some()) {
        Plan::Early(reply) => Ok(response(reply)),
        Plan::Mirror => Ok(Response::new(Status::OK).with_body(request.into_body())),
        Plan::AfterBody(delay, answer) => {
            let body = request.body_mut();
            while let Some(chunk) = body.chunk().await {
                seen.body.extend_from_slice(&chunk?);
            }
            seen.trailers = body.trailers().map(|t| lines(t.as_fields())).unwrap_or_default();
            if !delay.is_zero() {
                sleep(delay).await;
            }
            match answer.reply(&seen) {
                Some(reply) => Ok(response(reply)),
                None => Ok(Response::upgrade("echo", send_back)?),
            }
        }
    }
}

async fn send_back(mut stream: Upgraded) {
    let mut space = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut space).await {
        if stream.write_all(&space[..n]).await.is_err() {
            break;
        }
    }
}

fn response(reply: Reply) -> Response {
    let mut response = Response::new(reply.status);
    *response.headers_mut() = reply.headers;
    response.with_body(match (reply.content.len(), reply.content) {
        (_, Content::Bytes(bytes)) => Body::from(bytes),
        (BodyLen::Known(n), content) => Body::sized(n, Pieces(content)),
        (_, content) => Body::from_stream(Pieces(content)),
    })
}

/// Content as a stream.
struct Pieces(Content);

impl Stream for Pieces {
    type Item = Result<Bytes, Infallible>;
    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.piece().map(Ok))
    }
}

/// One request, one response, as they come: no redirect is followed, nothing decoded.
pub(super) fn plain<R>(builder: ClientBuilder<R>) -> ClientBuilder<R>
where
    R: Runtime + Spawn<antiphon_driver::Task>,
{
    builder.redirects(RedirectPolicy::None).codings(Codings::NONE)
}

/// Performs one item.
pub(super) async fn perform<R>(client: &Client<R>, item: &Item) -> Outcome
where
    R: Runtime + Spawn<antiphon_driver::Task>,
{
    let mut outcome = Outcome::default();
    if let Err(e) = attempt(client, item, &mut outcome).await {
        outcome.error = Some(e.to_string());
    }
    outcome
}

async fn attempt<R>(client: &Client<R>, item: &Item, outcome: &mut Outcome) -> Result<(), BoxError>
where
    R: Runtime + Spawn<antiphon_driver::Task>,
{
    let mut request = client.request(item.method(), &item.url);
    for (name, value) in &item.headers {
        request = request.header(name, value);
    }
    if let Some(body) = &item.body {
        let bytes = Bytes::from(body.clone());
        request = request.body(match item.chunked {
            true => Body::from_stream(Pieces(Content::Bytes(bytes))),
            false => Body::from(bytes),
        });
    }
    let mut response = request.send().await?;
    outcome.status = Some(response.status().code());
    outcome.http10 = response.version() == Version::Http10;
    outcome.reason = response.reason().to_vec();
    outcome.headers = lines(response.headers().as_fields());
    outcome.informational = response.informational().iter().map(|r| r.status.code()).collect();
    outcome.reused = response.reused();
    let body = response.body_mut();
    while let Some(chunk) = body.chunk().await {
        outcome.body.extend_from_slice(&chunk?);
    }
    outcome.trailers = body.trailers().map(|t| lines(t.as_fields())).unwrap_or_default();
    Ok(())
}
