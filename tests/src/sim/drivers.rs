//! A scenario: the real `Server` and `Client` of `antiphon-driver`, with the client's pool, in a world of their
//! own. What their applications do stands in `server.rs` and `client.rs`.

use super::app::{Latch, dropped_after, lock};
use super::checks::{Check, Violation};
use super::client::{CONNECT, Visitor, visit};
use super::faults::{Fault, Plant};
use super::ledger::{Ended, Ledger};
use super::plan::{self, Level, Plan};
use super::rng::Rng;
use super::runtime::server_addr;
use super::seed::{Kind, Report};
use super::server::{Site, handle};
use super::world::{Sim, World};
use antiphon_core::h1::ServerConfig;
use antiphon_driver::{Client, ClientBuilder, ServerBuilder, ServerHandle};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a shutdown may wait for exchanges under way.
const DRAIN: Duration = Duration::from_secs(10);

/// Runs the world of this seed.
pub fn run(seed: u64, trace: bool, plant: Option<Plant>) -> Report {
    let mut rng = Rng::new(seed);
    let level = Level::of(&mut rng);
    let net = plan::net(level, &mut rng);
    let mut manners = plan::manners(level, &mut rng);
    manners.plant = plant;
    let world = World::new(rng.bits(), manners, net, trace);

    let servers = rng.pick(&[1, 1, 2]);
    let exchanges = rng.between(1, 10);
    let plans = (0..exchanges).map(|id| Plan::new(id, level, servers, &mut rng));
    let site = Arc::new(Site {
        sim: world.sim().clone(),
        seed,
        level,
        ledger: Mutex::new(Ledger::new(plans)),
        waits: Mutex::default(),
    });
    world.sim().note(format_args!(
        "seed {seed}: drivers, a {level:?} world: {net:?} {manners:?}"
    ));
    let handles: Vec<ServerHandle> = (0..servers).map(|n| serve(&site, n, &mut rng)).collect();
    let clients = visitors(&site, exchanges, &mut rng);

    let main = oversee(site.clone(), clients, handles.clone(), rng.chance(128));
    world.sim().spawn_named("main", main);
    let mut outcome = world.run();
    if outcome.violation.is_none() {
        outcome.violation = lock(&site.ledger).close().err();
    }
    if outcome.violation.is_none()
        && let Some(handle) = handles.iter().find(|h| h.connections() != 0)
    {
        let what = format!(
            "{} connections are counted after all have ended",
            handle.connections()
        );
        outcome.violation = Some(Violation::new(Check::Contract, what));
    }
    let ledger = lock(&site.ledger);
    Report {
        exchanges: ledger.len(),
        complete: ledger.count(Ended::Complete),
        failed: ledger.count(Ended::Failed),
        ..Report::new(seed, Kind::Drivers, level, outcome)
    }
}

/// Starts a server.
fn serve(site: &Arc<Site>, number: usize, rng: &mut Rng) -> ServerHandle {
    let most = match site.level {
        Level::Broken => rng.pick(&[1, 2, 10_000]),
        _ => 10_000,
    };
    let config = plan::server_config(site.level, rng);
    lock(&site.waits).push((
        plan::shortest(&config.timeouts),
        config.limits.discard < ServerConfig::DEFAULT.limits.discard,
    ));
    let server = ServerBuilder::with_runtime(site.sim.clone())
        .config(config)
        .max_connections(most)
        .drain_timeout(DRAIN)
        .bind(server_addr(number))
        .expect("an address of its own");
    let stop = server.handle();
    let there = site.clone();
    let serving = server.serve(move |request| handle(there.clone(), number, request));
    let dropped = (site.level == Level::Broken && rng.chance(16)).then(|| rng.size(40));
    let there = site.clone();
    site.sim.spawn_named(format!("server {number}"), async move {
        match dropped_after(&there.sim, dropped, serving).await {
            None => there.sim.count(Fault::ServeDropped),
            Some(Ok(())) => {}
            Some(Err(error)) => {
                let what = format!("server {number} stopped: {error:?}");
                there.sim.violate(Violation::new(Check::Answered, what));
            }
        }
    });
    if site.level == Level::Broken && rng.chance(40) {
        let (sim, stop) = (site.sim.clone(), stop.clone());
        let after = Duration::from_micros(rng.size(2_000_000));
        site.sim
            .spawn_named(format!("shutdown of server {number}"), async move {
                sim.sleep(after).await;
                sim.count(Fault::Shutdown);
                sim.note(format_args!("server {number} is shut down"));
                stop.shutdown();
            });
    }
    stop
}

/// The clients and the latch that opens when all of them are done.
type Visitors = (Vec<Client<Sim>>, Latch);

/// Starts the clients, each of which has tasks that share its pool.
fn visitors(site: &Arc<Site>, exchanges: u64, rng: &mut Rng) -> Visitors {
    let configs: Vec<_> = (0..rng.pick(&[1, 1, 2]))
        .map(|_| (plan::client_config(site.level, rng), plan::pool_config(rng)))
        .collect();
    let clients: Vec<Client<Sim>> = configs
        .iter()
        .map(|(config, pool)| {
            ClientBuilder::with_runtime(site.sim.clone())
                .config(*config)
                .pool(*pool)
                .connect_timeout(CONNECT)
                .build()
        })
        .collect();
    let tasks = rng.between(1, 4).min(exchanges);
    let latch = Latch::new(tasks as usize);
    for task in 0..tasks {
        let ids = (0..exchanges).filter(|id| id % tasks == task).collect();
        let its = rng.below(clients.len() as u64) as usize;
        let (config, pool) = &configs[its];
        let visitor = Visitor {
            client: clients[its].clone(),
            timeouts: config.timeouts,
            line: match pool.max_connections_per_host {
                Some(_) => tasks as u32 - 1,
                None => 0,
            },
        };
        let (latch, visit) = (latch.clone(), visit(site.clone(), visitor, ids));
        site.sim.spawn_named(format!("client task {task}"), async move {
            visit.await;
            latch.down();
        });
    }
    if site.level >= Level::Rough && rng.chance(24) {
        let (client, sim) = (clients[0].clone(), site.sim.clone());
        let after = Duration::from_micros(rng.size(1_000_000));
        site.sim.spawn_named("closing idle connections", async move {
            sim.sleep(after).await;
            sim.count(Fault::CloseIdle);
            client.close_idle();
        });
    }
    (clients, latch)
}

/// Waits for the clients, then sees everything end.
async fn oversee(site: Arc<Site>, clients: Visitors, servers: Vec<ServerHandle>, patient: bool) {
    let (clients, latch) = clients;
    latch.wait().await;
    site.sim.note(format_args!("all clients are done"));
    if patient {
        // Longer than anything may be kept: connections idle, uploads unfinished, dials unanswered.
        site.sim.sleep(Duration::from_secs(200)).await;
        for client in &clients {
            let stats = client.pool_stats();
            if (stats.idle, stats.active, stats.dialing, stats.waiting) != (0, 0, 0, 0) {
                let what = format!("long after the last exchange the pool says {stats:?}");
                site.sim.violate(Violation::new(Check::Ends, what));
            }
        }
    }
    drop(clients);
    servers.iter().for_each(ServerHandle::shutdown);
}
