//! `antiphon-peers hyper-util|reqwest|ureq BASEURL C1|C2|C3|C4 N`: what the `client` program of the bench does, by
//! another client, each as its documentation has it used; the async ones on tokio's current-thread runtime.

use antiphon_load::measure::Stretch;
use antiphon_load::plan::{BoxError, Kind, Plan};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::io::Read;
use std::process::ExitCode;
use std::thread;

const USAGE: &str = "usage: antiphon-peers hyper-util|reqwest|ureq BASEURL C1|C2|C3|C4 N";

fn main() -> ExitCode {
    match measured() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn measured() -> Result<String, BoxError> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [peer, base, kind, n] = &args[..] else {
        return Err(USAGE.into());
    };
    let plan = Plan::new(base, kind, n)?;
    match peer.as_str() {
        "hyper-util" => {
            let mut connector = HttpConnector::new();
            connector.set_nodelay(true);
            let client = HyperClient::builder(TokioExecutor::new()).build(connector);
            on_tokio(&Hyper(client), &plan)
        }
        "reqwest" => {
            let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build()?;
            on_tokio(&Reqwest(client), &plan)
        }
        "ureq" => {
            let config = ureq::Agent::config_builder()
                .max_idle_connections(100)
                .max_idle_connections_per_host(100)
                .no_delay(true)
                .proxy(None)
                .build();
            on_threads(&config.into(), &plan)
        }
        _ => Err(USAGE.into()),
    }
}

/// An async client.
trait Peer: Clone + Send + Sync + 'static {
    /// One request; gives the length of the response's body.
    fn request(&self, plan: &Plan) -> impl Future<Output = Result<usize, BoxError>> + Send;
}

#[derive(Clone)]
struct Hyper(HyperClient<HttpConnector, Full<bytes::Bytes>>);

impl Peer for Hyper {
    async fn request(&self, plan: &Plan) -> Result<usize, BoxError> {
        let builder = hyper::Request::builder().uri(&plan.url);
        let request = match plan.kind {
            Kind::Upload => builder.method("POST").body(Full::new(plan.upload.clone()))?,
            _ => builder.body(Full::default())?,
        };
        let mut body = self.0.request(request).await?.into_body();
        let mut got = 0;
        while let Some(frame) = body.frame().await {
            got += frame?.data_ref().map_or(0, bytes::Bytes::len);
        }
        Ok(got)
    }
}

#[derive(Clone)]
struct Reqwest(reqwest::Client);

impl Peer for Reqwest {
    async fn request(&self, plan: &Plan) -> Result<usize, BoxError> {
        let request = match plan.kind {
            Kind::Upload => self.0.post(&plan.url).body(plan.upload.clone()),
            _ => self.0.get(&plan.url),
        };
        let mut response = request.send().await?;
        let mut got = 0;
        while let Some(chunk) = response.chunk().await? {
            got += chunk.len();
        }
        Ok(got)
    }
}

fn on_tokio(peer: &impl Peer, plan: &Plan) -> Result<String, BoxError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        all(peer, plan, plan.warm).await?;
        let stretch = Stretch::begin();
        let bytes = all(peer, plan, plan.n).await?;
        Ok(stretch.end(plan.n, bytes))
    })
}

async fn all(peer: &impl Peer, plan: &Plan, n: usize) -> Result<u64, BoxError> {
    let shares = plan.shares(n);
    if let [n] = shares[..] {
        // Alone it needs no task of its own.
        return work(peer.clone(), plan.clone(), n).await;
    }
    let tasks: Vec<_> = shares
        .into_iter()
        .map(|n| tokio::spawn(work(peer.clone(), plan.clone(), n)))
        .collect();
    let mut bytes = 0;
    for task in tasks {
        bytes += task.await??;
    }
    Ok(bytes)
}

async fn work(peer: impl Peer, plan: Plan, n: usize) -> Result<u64, BoxError> {
    let mut bytes = 0;
    for _ in 0..n {
        bytes += plan.moved(peer.request(&plan).await?)?;
    }
    Ok(bytes)
}

fn on_threads(agent: &ureq::Agent, plan: &Plan) -> Result<String, BoxError> {
    let all = |n| -> Result<u64, BoxError> {
        let shares = plan.shares(n);
        if let [n] = shares[..] {
            return ask(agent, plan, n);
        }
        thread::scope(|scope| {
            let threads: Vec<_> = shares
                .into_iter()
                .map(|n| scope.spawn(move || ask(agent, plan, n)))
                .collect();
            threads
                .into_iter()
                .map(|t| t.join().map_err(|_| "a thread panicked")?)
                .sum()
        })
    };
    all(plan.warm)?;
    let stretch = Stretch::begin();
    let bytes = all(plan.n)?;
    Ok(stretch.end(plan.n, bytes))
}

fn ask(agent: &ureq::Agent, plan: &Plan, n: usize) -> Result<u64, BoxError> {
    let mut bytes = 0;
    let mut piece = vec![0; 64 << 10];
    for _ in 0..n {
        let response = match plan.kind {
            Kind::Upload => agent.post(&plan.url).send(&plan.upload[..])?,
            _ => agent.get(&plan.url).call()?,
        };
        let mut reader = response.into_body().into_reader();
        let mut got = 0;
        loop {
            match reader.read(&mut piece)? {
                0 => break,
                n => got += n,
            }
        }
        bytes += plan.moved(got)?;
    }
    Ok(bytes)
}
