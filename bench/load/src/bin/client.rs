//! `client --runtime tokio|smol|blocking BASEURL C1|C2|C3|C4 N`: N requests of one kind to the server program, after
//! a warm-up of RIG_WARM requests (an environment variable; default: the larger of 8 and N/20). Prints one line
//! `{"n", "wall_us", "user_us", "sys_us", "bytes"}`; `bytes` counts body bytes, up and down.
//!
//! | kind | requests |
//! |---|---|
//! | C1 | `GET /`, one after the other |
//! | C2 | `GET /`, 64 at a time |
//! | C3 | `GET /stream` |
//! | C4 | `POST /len` with 1 MiB |

use antiphon_load::Runtime;
use antiphon_load::measure::Stretch;
use antiphon_load::plan::{BoxError, Kind, Plan};
use std::process::ExitCode;

const USAGE: &str = "usage: client --runtime tokio|smol|blocking BASEURL C1|C2|C3|C4 N";

fn main() -> ExitCode {
    let result = plan().and_then(|(runtime, plan)| match runtime {
        Runtime::Tokio => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(on_async::run(antiphon_tokio::Client::new(), plan, |work| {
                let task = tokio::spawn(work);
                Box::pin(async move { task.await? })
            }))
        }
        Runtime::Smol => antiphon_smol::block_on(on_async::run(antiphon_smol::Client::new(), plan, |work| {
            Box::pin(antiphon_smol::spawn(work))
        })),
        Runtime::Blocking => on_threads::run(antiphon_blocking::Client::new(), &plan),
    });
    match result {
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

fn plan() -> Result<(Runtime, Plan), BoxError> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args[..] {
        [flag, runtime, base, kind, n] if flag == "--runtime" => {
            Ok((runtime.parse()?, Plan::new(base, kind, n)?))
        }
        _ => Err(USAGE.into()),
    }
}

/// Tokio and smol.
mod on_async {
    use super::{BoxError, Kind, Plan, Stretch};
    use antiphon_driver::{Client, Runtime};
    use std::pin::Pin;

    type Work = Pin<Box<dyn Future<Output = Result<u64, BoxError>> + Send>>;

    /// `spawn` starts work and gives what waits for it.
    pub(super) async fn run<R: Runtime>(
        client: Client<R>,
        plan: Plan,
        spawn: fn(Work) -> Work,
    ) -> Result<String, BoxError>
    where
        Client<R>: Worker,
    {
        all(&client, &plan, plan.warm, spawn).await?;
        let stretch = Stretch::begin();
        let bytes = all(&client, &plan, plan.n, spawn).await?;
        Ok(stretch.end(plan.n, bytes))
    }

    async fn all<C: Worker>(
        client: &C,
        plan: &Plan,
        n: usize,
        spawn: fn(Work) -> Work,
    ) -> Result<u64, BoxError> {
        let shares = plan.shares(n);
        if let [n] = shares[..] {
            // Alone it needs no task of its own.
            return client.clone().work(plan.clone(), n).await;
        }
        let tasks: Vec<Work> = shares
            .into_iter()
            .map(|n| spawn(client.clone().work(plan.clone(), n)))
            .collect();
        let mut bytes = 0;
        for task in tasks {
            bytes += task.await?;
        }
        Ok(bytes)
    }

    /// A client of either runtime: what differs is only whether the compiler knows its futures to be `Send`.
    pub(super) trait Worker: Clone {
        /// `n` requests, one after the other; gives the body bytes moved.
        fn work(self, plan: Plan, n: usize) -> Work;
    }

    macro_rules! worker {
        ($client:ty) => {
            impl Worker for $client {
                fn work(self, plan: Plan, n: usize) -> Work {
                    Box::pin(async move {
                        let mut bytes = 0;
                        for _ in 0..n {
                            let request = match plan.kind {
                                Kind::Upload => self.post(&plan.url).body(plan.upload.clone()),
                                _ => self.get(&plan.url),
                            };
                            let mut body = request.send().await?.into_body();
                            let mut got = 0;
                            while let Some(chunk) = body.chunk().await {
                                got += chunk?.len();
                            }
                            bytes += plan.moved(got)?;
                        }
                        Ok(bytes)
                    })
                }
            }
        };
    }
    worker!(antiphon_tokio::Client);
    worker!(antiphon_smol::Client);
}

/// Threads.
mod on_threads {
    use super::{BoxError, Kind, Plan, Stretch};
    use antiphon_blocking::Client;
    use std::thread;

    pub(super) fn run(client: Client, plan: &Plan) -> Result<String, BoxError> {
        all(&client, plan, plan.warm)?;
        let stretch = Stretch::begin();
        let bytes = all(&client, plan, plan.n)?;
        Ok(stretch.end(plan.n, bytes))
    }

    fn all(client: &Client, plan: &Plan, n: usize) -> Result<u64, BoxError> {
        let shares = plan.shares(n);
        if let [n] = shares[..] {
            return work(client, plan, n);
        }
        thread::scope(|scope| {
            let threads: Vec<_> = shares
                .into_iter()
                .map(|n| scope.spawn(move || work(client, plan, n)))
                .collect();
            threads
                .into_iter()
                .map(|t| t.join().map_err(|_| "a thread panicked")?)
                .sum()
        })
    }

    fn work(client: &Client, plan: &Plan, n: usize) -> Result<u64, BoxError> {
        let mut bytes = 0;
        for _ in 0..n {
            let request = match plan.kind {
                Kind::Upload => client.post(&plan.url).body(plan.upload.clone()),
                _ => client.get(&plan.url),
            };
            let mut body = request.send()?.into_body();
            let mut got = 0;
            while let Some(chunk) = body.chunk() {
                got += chunk?.len();
            }
            bytes += plan.moved(got)?;
        }
        Ok(bytes)
    }
}
