//! The servers of a simulated world: what their handlers do, by the plan of each exchange.

use super::app::{Planned, Source, channel, lock};
use super::checks::{Check, Pattern, Reader, Violation};
use super::faults::{Fault, Plant};
use super::ledger::Ledger;
use super::plan::{BodyPlan, Ending, Handling, Level, Plan, Reading, Style, Verb};
use super::world::Sim;
use antiphon_core::{Headers, Status};
use antiphon_driver::{Body, BodyLen, BoxError, Bytes, Request, Response, Upgraded};
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What all applications of a world share.
#[derive(Debug)]
pub struct Site {
    /// The world.
    pub sim: Sim,
    /// Its seed.
    pub seed: u64,
    /// How rough it is.
    pub level: Level,
    /// Its exchanges.
    pub ledger: Mutex<Ledger>,
    /// The shortest deadline of each server, and whether it reads on only for a short while what is left unread.
    pub waits: Mutex<Vec<(Duration, bool)>>,
}

impl Site {
    /// The request body of an exchange.
    pub fn upload(&self, id: u64) -> Pattern {
        Pattern::new(self.seed, id, 0)
    }

    /// The response body of an exchange.
    pub fn answer(&self, plan: &Plan) -> (Pattern, u64) {
        match plan.upload {
            Some(upload) if plan.echoes() => (self.upload(plan.id), upload.len),
            _ => (Pattern::new(self.seed, plan.id, 1), plan.answer.len),
        }
    }

    /// Notes a broken promise, if it is one.
    pub fn hold<T>(&self, held: Result<T, Violation>) {
        if let Err(violation) = held {
            self.sim.violate(violation);
        }
    }

    pub(super) fn broken(&self, check: Check, plan: &Plan, what: &str) {
        self.sim
            .violate(Violation::new(check, format!("exchange {}: {what}", plan.id)));
    }

    /// A body by its plan.
    pub fn body(&self, pattern: Pattern, plan: BodyPlan, id: u64) -> Body {
        let short = u64::from(self.sim.plant() == Some(Plant::ShortBody) && plan.style == Style::Chunked);
        let made = BodyPlan {
            len: plan.len - short.min(plan.len),
            ..plan
        };
        let body = match plan.style {
            Style::Full => Body::from(pattern.bytes(0, plan.len as usize)),
            Style::Sized => Body::sized(plan.len, Source::new(&self.sim, pattern, plan)),
            Style::Chunked => Body::from_stream(Source::new(&self.sim, pattern, made)),
        };
        if plan.trailers {
            let mut trailers = Headers::new();
            let added = trailers.append("x-trailer", id.to_string());
            debug_assert!(added.is_ok(), "a number is a field value");
            body.with_trailers(trailers)
        } else {
            body
        }
    }

    /// Checks the trailers that came.
    pub fn check_trailers(&self, plan: &Plan, body: &Body, expected: bool) {
        let came = body.trailers().and_then(|t| t.get("x-trailer"));
        let due = plan.id.to_string();
        let due = expected.then_some(due.as_bytes());
        if came != due {
            self.broken(
                Check::Bytes,
                plan,
                &format!("trailers {came:?} instead of {due:?}"),
            );
        }
    }
}

/// Counts a handler as running while it is there.
struct Running {
    site: Arc<Site>,
    id: u64,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(entry) = lock(&self.site.ledger).get(self.id) {
            entry.running -= 1;
        }
    }
}

/// The handler of server `number`.
pub async fn handle(site: Arc<Site>, number: usize, request: Request) -> Result<Response, BoxError> {
    let Some(plan) = begin(&site, number, &request) else {
        return Ok(Response::new(Status::BAD_REQUEST));
    };
    let _running = Running {
        site: site.clone(),
        id: plan.id,
    };
    // Handlers need not be `Send`.
    let here = Rc::new(());
    site.sim
        .note(format_args!("exchange {}: its handler begins", plan.id));
    site.sim.sleep(plan.wait).await;
    drop(here);

    if plan.verb == Verb::Upgrade && plan.ending == Ending::Answer {
        if request.upgrade_requested() != Some("sim") {
            site.broken(Check::Belongs, &plan, "the upgrade was not told");
        }
        let (there, upgrade) = (site.clone(), plan.clone());
        let response = Response::upgrade("sim", move |stream| converse(there, upgrade, stream))?;
        return Ok(response.with_header("x-exchange", plan.id.to_string())?);
    }
    let body = match plan.handling {
        _ if plan.upload.is_none() => {
            if request.body().len() != BodyLen::None {
                site.broken(Check::Belongs, &plan, "a body that was not sent");
            }
            None
        }
        Handling::ReadFirst => {
            let mut body = request.into_body();
            read(&site, &plan, &mut body).await?;
            None
        }
        Handling::ReadElsewhere => {
            let (done, wait) = channel(1);
            let (there, its) = (site.clone(), plan.clone());
            let mut body = request.into_body();
            site.sim
                .spawn_named(format!("reader of exchange {}", plan.id), async move {
                    let read = read(&there, &its, &mut body).await;
                    done.send(read).await;
                });
            match wait.receive().await {
                Some(read) => read?,
                None => return Err(Planned("the reader is gone").into()),
            }
            None
        }
        Handling::AnswerMeanwhile => {
            let (there, its) = (site.clone(), plan.clone());
            let mut body = request.into_body();
            site.sim
                .spawn_named(format!("reader of exchange {}", plan.id), async move {
                    let _ = read(&there, &its, &mut body).await;
                });
            None
        }
        Handling::Echo => Some(request.into_body()),
        Handling::EchoElsewhere => Some(pass_on(&site, &plan, request.into_body())),
    };
    match plan.ending {
        Ending::Answer => {}
        Ending::Error => {
            site.sim.count(Fault::HandlerError);
            return Err(Planned("a handler that fails").into());
        }
        Ending::Panic => {
            site.sim.count(Fault::HandlerPanic);
            resume_unwind(Box::new("a handler that panics"));
        }
    }
    answer(&site, &plan, body)
}

/// Finds the exchange of a request and checks that it is what its client has sent.
fn begin(site: &Arc<Site>, number: usize, request: &Request) -> Option<Arc<Plan>> {
    let id = request
        .headers()
        .get_str("x-exchange")
        .and_then(|v| v.parse().ok());
    let mut ledger = lock(&site.ledger);
    let Some(entry) = id.and_then(|id| ledger.get(id)) else {
        drop(ledger);
        site.sim
            .violate(Violation::new(Check::Belongs, "a request of no exchange"));
        return None;
    };
    let plan = entry.plan.clone();
    entry.started += 1;
    entry.running += 1;
    let (times, ended) = (entry.started, entry.ended);
    drop(ledger);
    if request.method() != plan.verb.method()
        || request.target() != format!("/x/{}", plan.id)
        || number != plan.server
    {
        site.broken(Check::Belongs, &plan, "the head of its request is another one's");
    }
    let most = match site.level {
        Level::Broken if plan.may_repeat() => 2,
        // The server breaks its answer off and resets the connection, which may swallow what it has sent.
        _ if plan.may_repeat() && plan.is_doomed() => 2,
        _ => 1,
    };
    if times > most {
        site.broken(Check::Once, &plan, &format!("executed {times} times"));
    }
    // What was sent before a connection broke may arrive late, when the repetition has been answered already.
    let late = site.level == Level::Broken && plan.may_repeat();
    if ended == Some(super::ledger::Ended::Complete) && !late {
        site.broken(Check::Once, &plan, "executed again after it was answered");
    }
    Some(plan)
}

/// Reads the request's body by the plan.
async fn read(site: &Arc<Site>, plan: &Plan, body: &mut Body) -> Result<(), BoxError> {
    let Some(upload) = plan.upload else { return Ok(()) };
    let mut reader = Reader::new(site.upload(plan.id), upload.len);
    let declared = match upload.style {
        _ if upload.trailers => BodyLen::Unknown,
        Style::Chunked => BodyLen::Unknown,
        // A length of zero is the same as none.
        _ if upload.len == 0 => BodyLen::None,
        _ => BodyLen::Known(upload.len),
    };
    let came = match body.len() {
        BodyLen::Known(0) => BodyLen::None,
        len => len,
    };
    if came != declared {
        let what = format!("a body of length {came:?} instead of {declared:?}");
        site.broken(Check::Belongs, plan, &what);
    }
    loop {
        match plan.reading {
            Reading::Nothing => {
                site.sim.count(Fault::UploadDropped);
                return Ok(());
            }
            Reading::Part(n) if reader.got >= n => {
                site.sim.count(Fault::UploadDropped);
                return Ok(());
            }
            Reading::Slowly if site.sim.rng().chance(40) => site.sim.sleep(Duration::from_millis(1)).await,
            _ => {}
        }
        match body.chunk().await {
            Some(Ok(bytes)) => site.hold(reader.take(&bytes)),
            Some(Err(error)) => {
                site.hold(plan.judge_handler(&error, site.level));
                return Err(error.into());
            }
            None => {
                site.hold(reader.end());
                if upload.fails_at.is_some() && upload.style == Style::Chunked {
                    site.broken(Check::Bytes, plan, "a body that failed has ended cleanly");
                }
                site.check_trailers(plan, body, upload.trailers);
                return Ok(());
            }
        }
    }
}

/// The request's body, as another task passes it on.
fn pass_on(site: &Arc<Site>, plan: &Plan, mut body: Body) -> Body {
    let (send, receive) = channel::<Option<Bytes>>(2);
    let name = format!("echo of exchange {}", plan.id);
    site.sim.spawn_named(name, async move {
        loop {
            match body.chunk().await {
                Some(Ok(bytes)) => {
                    if !send.send(Some(bytes)).await {
                        return;
                    }
                }
                // Dropping the sender without a word tells of the failure.
                Some(Err(_)) => return,
                None => {
                    send.send(None).await;
                    return;
                }
            }
        }
    });
    Body::from_stream(receive)
}

fn answer(site: &Arc<Site>, plan: &Arc<Plan>, body: Option<Body>) -> Result<Response, BoxError> {
    let mut id = plan.id;
    let mut pattern = site.answer(plan).0;
    if site.sim.plant() == Some(Plant::CrossAnswers) {
        match id % 2 {
            0 => id += 1,
            _ => pattern = Pattern::new(site.seed, id - 1, 1),
        }
    }
    let body = body.unwrap_or_else(|| site.body(pattern, plan.answer, plan.id));
    let response = Response::new(Status::new(plan.status)?)
        .with_header("x-exchange", id.to_string())?
        .with_body(body);
    if !plan.counted {
        return Ok(response);
    }
    let mut ledger = lock(&site.ledger);
    if let Some(entry) = ledger.get(plan.id) {
        entry.counted.0 += 1;
    }
    let (there, id) = (site.clone(), plan.id);
    Ok(response.on_sent(move |_| {
        if let Some(entry) = lock(&there.ledger).get(id) {
            entry.counted.1 += 1;
        }
    }))
}

/// After an upgrade: sends back what comes, until the end.
async fn converse(site: Arc<Site>, plan: Arc<Plan>, mut stream: Upgraded) {
    let mut reader = Reader::new(site.upload(plan.id), plan.answer.len);
    let mut buf = [0; 300];
    let talk = async {
        loop {
            match stream.read(&mut buf).await {
                Ok(0) => {
                    if site.level < Level::Broken && plan.cancel.is_none() {
                        site.hold(reader.end());
                    }
                    return;
                }
                Ok(n) => {
                    site.hold(reader.take(&buf[..n]));
                    if stream.write_all(&buf[..n]).await.is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    };
    // A switched connection has no deadlines but its applications'.
    site.sim.within(Duration::from_secs(20), talk).await;
    let _ = site.sim.within(Duration::from_secs(1), stream.shutdown()).await;
}
