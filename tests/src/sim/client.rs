//! The clients of a simulated world: exchanges sent and checked, by their plans.

use super::app::{dropped_after, lock};
use super::checks::{Check, Reader};
use super::faults::{Fault, Faults, Plant};
use super::ledger::{Causes, Ended};
use super::plan::{Level, Plan, Reading, Verb};
use super::runtime::server_addr;
use super::server::Site;
use super::world::Sim;
use antiphon_core::Instant;
use antiphon_core::h1::{BodyLen, Timeouts};
use antiphon_driver::{Client, Error, Response};
use std::sync::Arc;
use std::time::Duration;

/// Where nothing breaks, no exchange takes so long. It is less than any deadline there, so that none can hide a
/// lost wake-up.
const CALM: Duration = Duration::from_secs(25);
/// The most that a dial may take.
pub const CONNECT: Duration = Duration::from_secs(5);
/// The most that the client talks after an upgrade.
const TALK: Duration = Duration::from_secs(20);
/// By how much a time limit may be missed: timers and tasks that come late.
const SLACK: Duration = Duration::from_millis(100);

/// One of the tasks that share a client.
#[derive(Debug)]
pub struct Visitor {
    /// The client.
    pub client: Client<Sim>,
    /// Its deadlines.
    pub timeouts: Timeouts,
    /// How many exchanges may stand before one of this task's in the pool's line.
    pub line: u32,
}

impl Visitor {
    /// Where things break, an exchange without a time limit of its own ends by then. It moves as long as it would where
    /// nothing breaks, and waits once for each deadline: a connection breaks once in each direction. The
    /// same again if it is sent again, and for all those before it in the line.
    fn most(&self) -> Duration {
        let t = &self.timeouts;
        let waits = [t.continue_wait, t.write_stall, t.response_head, t.body_stall];
        let attempt = CONNECT + CALM + waits.into_iter().flatten().sum::<Duration>();
        (attempt * 2 + TALK) * (self.line + 1)
    }
}

/// What an exchange may blame for its failure is looked for from here on.
#[derive(Debug)]
struct Begin {
    at: Instant,
    faults: Faults,
    timeouts: Timeouts,
}

impl Begin {
    fn causes(&self, site: &Site, plan: &Plan) -> Causes {
        let (server_waits, short) = lock(&site.waits)[plan.server];
        Causes {
            left_unread: short && lock(&site.ledger).leaves_unread(plan.server),
            trouble: site.sim.trouble(server_addr(plan.server), self.at),
            server_waits,
            client: self.timeouts,
            took: site.sim.clock().saturating_since(self.at),
            faults: [self.faults.clone(), site.sim.faults()],
        }
    }
}

/// Sends these exchanges, one after the other.
pub async fn visit(site: Arc<Site>, visitor: Visitor, ids: Vec<u64>) {
    for id in ids {
        let Some(plan) = lock(&site.ledger).get(id).map(|e| e.plan.clone()) else {
            continue;
        };
        site.sim.sleep(plan.pause).await;
        if site.sim.plant() == Some(Plant::ForgetExchange) && id == 0 {
            continue;
        }
        let begin = Begin {
            at: site.sim.clock(),
            faults: site.sim.faults(),
            timeouts: visitor.timeouts,
        };
        let mut slept = Duration::ZERO;
        let done = dropped_after(
            &site.sim,
            plan.cancel,
            exchange(&site, &visitor.client, &plan, &begin, &mut slept),
        )
        .await;
        let ended = match done {
            None => {
                site.sim.count(Fault::Cancelled);
                Ended::Cancelled
            }
            Some(Ok(ended)) => ended,
            Some(Err(error)) => {
                if error.is_timeout() && error.deadline().is_none() && plan.timeout.is_some() {
                    site.sim.count(Fault::ShortTimeout);
                }
                site.sim.note(format_args!("exchange {id}: {error:?}"));
                site.hold(plan.judge_client(&error, site.level, &begin.causes(&site, &plan)));
                Ended::Failed
            }
        };
        site.sim.note(format_args!("exchange {id}: ended: {ended:?}"));
        let took = site.sim.clock().saturating_since(begin.at);
        let most = match plan.timeout {
            Some(limit) if plan.verb != Verb::Upgrade => limit + slept + SLACK,
            _ if site.level < Level::Broken => CALM,
            _ => visitor.most() + slept,
        };
        if took > most {
            site.broken(
                Check::Deadline,
                &plan,
                &format!("took {took:?}, at most {most:?}"),
            );
        }
        if let Some(entry) = lock(&site.ledger).get(id) {
            entry.ended = Some(ended);
        }
    }
}

async fn exchange(
    site: &Arc<Site>,
    client: &Client<Sim>,
    plan: &Plan,
    begin: &Begin,
    slept: &mut Duration,
) -> Result<Ended, Error> {
    let id = plan.id;
    site.sim
        .note(format_args!("exchange {id}: {:?} {plan:?}", plan.verb));
    let send = || {
        let url = format!("http://server-{}.sim/x/{id}", plan.server);
        let mut request = client
            .request(plan.verb.method(), url)
            .header("x-exchange", id.to_string());
        if let Some(sent) = plan.key {
            let key = if sent { id.to_string() } else { String::new() };
            request = request.header("idempotency-key", key);
        }
        if plan.expects {
            request = request.expect_continue();
        }
        if plan.verb == Verb::Upgrade {
            request = request.header("connection", "upgrade").header("upgrade", "sim");
        }
        if let Some(upload) = plan.upload {
            request = request.body(site.body(site.upload(id), upload, id));
        }
        if let Some(limit) = plan.timeout {
            request = request.timeout(limit);
        }
        request.send()
    };
    if site.sim.plant() == Some(Plant::ExecuteTwice) {
        drop(send().await?);
    }
    let response = send().await?;
    let status = response.status().code();
    site.sim
        .note(format_args!("exchange {id}: an answer with status {status}"));
    let switched = plan.verb == Verb::Upgrade && status == 101;
    let planned = plan.verb != Verb::Upgrade && status == plan.status;
    if !switched && !planned {
        site.hold(plan.judge_status(status, site.level, &begin.causes(site, plan)));
        return finish(site, plan, begin, response).await;
    }
    if response.header("x-exchange") != Some(id.to_string().as_bytes()) {
        let came = response.header("x-exchange").map(String::from_utf8_lossy);
        site.broken(
            Check::Belongs,
            plan,
            &format!("the answer is of exchange {came:?}"),
        );
    }
    if switched {
        return converse(site, plan, begin, response).await;
    }
    read(site, plan, response, slept).await
}

/// Reads an answer that is not the planned one, to its end.
async fn finish(
    site: &Arc<Site>,
    plan: &Plan,
    begin: &Begin,
    mut response: Response,
) -> Result<Ended, Error> {
    if let Err(error) = response.text(10_000).await {
        site.hold(plan.judge_client(&error, site.level, &begin.causes(site, plan)));
    }
    Ok(Ended::Stopped)
}

async fn read(
    site: &Arc<Site>,
    plan: &Plan,
    mut response: Response,
    slept: &mut Duration,
) -> Result<Ended, Error> {
    let (pattern, len) = site.answer(plan);
    let len = if plan.bodiless() { 0 } else { len };
    let mut reader = Reader::new(pattern, len);
    if let BodyLen::Known(n) = response.body().len()
        && !plan.bodiless()
        && n != len
    {
        site.broken(
            Check::Belongs,
            plan,
            &format!("a body of {n} bytes instead of {len}"),
        );
    }
    // Two ways to read all: at once, or piece by piece.
    if plan.client == Reading::All && plan.id.is_multiple_of(2) {
        let bytes = response.bytes(1 << 20).await?;
        site.hold(reader.take(&bytes));
    } else {
        loop {
            match plan.client {
                Reading::Nothing => {
                    site.sim.count(Fault::BodyDropped);
                    return Ok(Ended::Stopped);
                }
                Reading::Part(n) if reader.got >= n => {
                    site.sim.count(Fault::BodyDropped);
                    return Ok(Ended::Stopped);
                }
                Reading::Slowly if site.sim.rng().chance(40) => {
                    let begin = site.sim.clock();
                    site.sim.sleep(Duration::from_millis(1)).await;
                    *slept += site.sim.clock().saturating_since(begin);
                }
                _ => {}
            }
            match response.body_mut().chunk().await.transpose()? {
                Some(bytes) => site.hold(reader.take(&bytes)),
                None => break,
            }
        }
    }
    site.hold(reader.end());
    let failed = plan.answer.fails_at.is_some() && plan.answer.style == super::plan::Style::Chunked;
    if failed && !plan.echoes() && !plan.bodiless() {
        site.broken(Check::Bytes, plan, "a body that failed has ended cleanly");
    }
    if !plan.echoes() && !plan.bodiless() {
        site.check_trailers(plan, response.body(), plan.answer.trailers);
    }
    Ok(Ended::Complete)
}

/// After an upgrade: says something, piece by piece, and hears it again.
async fn converse(site: &Arc<Site>, plan: &Plan, begin: &Begin, response: Response) -> Result<Ended, Error> {
    let mut stream = response.into_upgraded()?;
    let len = plan.answer.len;
    let pattern = site.upload(plan.id);
    let mut reader = Reader::new(pattern, len);
    let mut buf = [0; 200];
    let talk = async {
        while reader.got < len {
            let n = (len - reader.got).min(5_000);
            let piece = pattern.bytes(reader.got, n as usize);
            let until = reader.got + n;
            for part in piece.chunks(250) {
                stream.write_all(part).await?;
                let until = reader.got + part.len() as u64;
                while reader.got < until {
                    match stream.read(&mut buf).await? {
                        0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                        n => site.hold(reader.take(&buf[..n])),
                    }
                }
            }
            debug_assert_eq!(until, reader.got, "all of the piece was heard");
        }
        stream.shutdown().await?;
        match stream.read(&mut buf).await? {
            0 => Ok(()),
            n => {
                site.hold(reader.take(&buf[..n]));
                Ok(())
            }
        }
    };
    let done: Option<std::io::Result<()>> = site.sim.within(TALK, talk).await;
    match done {
        Some(Ok(())) => {
            site.hold(reader.end());
            Ok(Ended::Complete)
        }
        other => {
            let may_end = other.is_none() || begin.causes(site, plan).broken();
            if site.level < Level::Broken || !may_end {
                site.broken(Check::Succeeds, plan, &format!("after the upgrade: {other:?}"));
            }
            Ok(Ended::Stopped)
        }
    }
}
