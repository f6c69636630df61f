//! The clients of a simulated world: exchanges sent and checked, by their plans.

use super::app::{dropped_after, lock};
use super::checks::{Check, Reader};
use super::faults::{Fault, Plant};
use super::ledger::Ended;
use super::plan::{Level, Plan, Reading, Verb};
use super::server::Site;
use super::world::Sim;
use antiphon_core::h1::BodyLen;
use antiphon_driver::{Client, Error, Response};
use std::sync::Arc;
use std::time::Duration;

/// Where nothing breaks, no exchange takes so long. It is less than any deadline there, so that none can hide a
/// lost wake-up.
const CALM: Duration = Duration::from_secs(25);
/// Where things break, an exchange without a time limit of its own ends by the deadlines of its connection, of
/// the retry's, and of all those it waits for in the pool's line.
const BROKEN: Duration = Duration::from_secs(1_500);
/// By how much a time limit may be missed: timers and tasks that come late.
const SLACK: Duration = Duration::from_millis(100);

/// Sends these exchanges, one after the other.
pub async fn visit(site: Arc<Site>, client: Client<Sim>, ids: Vec<u64>) {
    for id in ids {
        let Some(plan) = lock(&site.ledger).get(id).map(|e| e.plan.clone()) else {
            continue;
        };
        site.sim.sleep(plan.pause).await;
        if site.sim.plant() == Some(Plant::ForgetExchange) && id == 0 {
            continue;
        }
        let begin = site.sim.clock();
        let mut slept = Duration::ZERO;
        let done = dropped_after(
            &site.sim,
            plan.cancel,
            exchange(&site, &client, &plan, &mut slept),
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
                site.hold(plan.judge_client(&error, site.level));
                Ended::Failed
            }
        };
        site.sim.note(format_args!("exchange {id}: ended: {ended:?}"));
        let took = site.sim.clock().saturating_since(begin);
        let most = match plan.timeout {
            Some(limit) if plan.verb != Verb::Upgrade => limit + slept + SLACK,
            _ if site.level < Level::Broken => CALM,
            _ => BROKEN,
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
        site.hold(plan.judge_status(status, site.level, &site.sim.faults()));
        return finish(site, plan, response).await;
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
        return converse(site, plan, response).await;
    }
    read(site, plan, response, slept).await
}

/// Reads an answer that is not the planned one, to its end.
async fn finish(site: &Arc<Site>, plan: &Plan, mut response: Response) -> Result<Ended, Error> {
    let text = response.text(10_000).await;
    if let Err(error) = text
        && site.level < Level::Broken
    {
        site.hold(plan.judge_client(&error, site.level));
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
async fn converse(site: &Arc<Site>, plan: &Plan, response: Response) -> Result<Ended, Error> {
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
    let done: Option<std::io::Result<()>> = site.sim.within(Duration::from_secs(20), talk).await;
    match done {
        Some(Ok(())) => {
            site.hold(reader.end());
            Ok(Ended::Complete)
        }
        other => {
            if site.level < Level::Broken {
                site.broken(Check::Succeeds, plan, &format!("after the upgrade: {other:?}"));
            }
            Ok(Ended::Stopped)
        }
    }
}
