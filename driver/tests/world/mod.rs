//! A runtime of paper: one thread, a clock that moves only when everybody waits, names and addresses that behave as a
//! test says, and connections in memory whose other ends are tasks of the test.
//!
//! What happens to attempts to connect is written down, with the time in milliseconds.
#![allow(dead_code)]

pub(crate) mod pipe;

use self::pipe::{End, Shape, pair};
use antiphon_core::Instant;
use antiphon_driver::{Listener, Resolve, Runtime, Spawn, Task, Timer};
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, pending, poll_fn};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// An error and all its causes, one a line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut at = error.source();
    while let Some(cause) = at {
        told += &format!("\n{cause}");
        at = cause.source();
    }
    told
}

/// The runtime. Clones are the same world. What is spawned goes on in the next [`run`](World::run).
#[derive(Clone, Default)]
pub(crate) struct World {
    state: Arc<Mutex<State>>,
    ready: Arc<Ready>,
    /// Taken out while they run.
    tasks: Arc<Mutex<Vec<Option<Task>>>>,
}

#[derive(Default)]
struct State {
    now: Duration,
    names: BTreeMap<String, Name>,
    places: BTreeMap<SocketAddr, Place>,
    timers: BTreeMap<(Duration, u64), Waker>,
    timer_ids: u64,
    spawned: Vec<Task>,
    notes: Vec<String>,
}

/// What the resolver says of a name, and when.
#[derive(Clone)]
struct Name {
    after: Duration,
    addresses: Result<Vec<SocketAddr>, ErrorKind>,
}

type Serve = Arc<dyn Fn(usize, End) -> Task + Send + Sync>;

/// What is at an address.
#[derive(Clone)]
struct Place {
    after: Duration,
    what: What,
    shape: Shape,
    /// Connections so far.
    count: usize,
}

#[derive(Clone)]
enum What {
    Serves(Serve),
    Fails(ErrorKind),
    Silence,
}

impl World {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while it is held")
    }

    /// A name with these addresses, known after a while.
    pub(crate) fn name(&self, host: &str, after: Duration, addresses: &[&str]) {
        let addresses = addresses.iter().map(|a| a.parse().expect("an address")).collect();
        let name = Name {
            after,
            addresses: Ok(addresses),
        };
        self.lock().names.insert(host.into(), name);
    }

    /// A name that is not found.
    pub(crate) fn no_name(&self, host: &str, why: ErrorKind) {
        let name = Name {
            after: ms(0),
            addresses: Err(why),
        };
        self.lock().names.insert(host.into(), name);
    }

    fn place(&self, addr: &str, after: Duration, what: What, shape: Shape) {
        let place = Place {
            after,
            what,
            shape,
            count: 0,
        };
        self.lock()
            .places
            .insert(addr.parse().expect("an address"), place);
    }

    /// Whoever connects to `addr` is let in after a while; `serve` is given the number of the connection and its end.
    pub(crate) fn serve<F: Future<Output = ()> + Send + 'static>(
        &self,
        addr: &str,
        after: Duration,
        serve: impl Fn(usize, End) -> F + Send + Sync + 'static,
    ) {
        self.serve_shaped(addr, after, Shape::default(), serve);
    }

    /// ... over a connection like this.
    pub(crate) fn serve_shaped<F: Future<Output = ()> + Send + 'static>(
        &self,
        addr: &str,
        after: Duration,
        shape: Shape,
        serve: impl Fn(usize, End) -> F + Send + Sync + 'static,
    ) {
        let serve: Serve = Arc::new(move |n, end| Box::pin(serve(n, end)));
        self.place(addr, after, What::Serves(serve), shape);
    }

    /// Whoever connects to `addr` is refused after a while, like this.
    pub(crate) fn fail(&self, addr: &str, after: Duration, why: ErrorKind) {
        self.place(addr, after, What::Fails(why), Shape::default());
    }

    /// Whoever connects to `addr` hears nothing.
    pub(crate) fn silence(&self, addr: &str) {
        self.place(addr, ms(0), What::Silence, Shape::default());
    }

    /// Milliseconds since the beginning.
    pub(crate) fn clock(&self) -> u128 {
        self.lock().now.as_millis()
    }

    pub(crate) fn note(&self, what: std::fmt::Arguments<'_>) {
        let mut state = self.lock();
        let line = format!("{} {what}", state.now.as_millis());
        state.notes.push(line);
    }

    /// What was written down.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.lock().notes.clone()
    }

    pub(crate) async fn sleep(&self, time: Duration) {
        let at = self.lock().now + time;
        let mut timer = self.timer(Instant::from_duration(at));
        poll_fn(|cx| timer.poll(cx)).await;
    }

    /// Runs `future`, and everything that is spawned, until `future` has ended.
    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let mut main = pin!(future);
        let waker = |task| Waker::from(Arc::new(Wakes(self.ready.clone(), task)));
        let mut tasks = std::mem::take(&mut *self.tasks.lock().expect("no panic while it is held"));
        self.ready.push(None);
        let mut polls = 0;
        loop {
            while let Some(task) = self.ready.pop() {
                polls += 1;
                assert!(polls < 1_000_000, "somebody is woken for ever");
                let waker = waker(task);
                let mut cx = Context::from_waker(&waker);
                match task {
                    None => {
                        if let Poll::Ready(done) = main.as_mut().poll(&mut cx) {
                            self.take_in(&mut tasks);
                            *self.tasks.lock().expect("no panic while it is held") = tasks;
                            return done;
                        }
                    }
                    Some(i) => {
                        if let Some(Some(task)) = tasks.get_mut(i)
                            && task.as_mut().poll(&mut cx).is_ready()
                        {
                            tasks[i] = None;
                        }
                    }
                }
                self.take_in(&mut tasks);
            }
            // Everybody waits: it is as late as the first of them wants it to be.
            let mut state = self.lock();
            let Some(((at, _), waker)) = state.timers.pop_first() else {
                drop(state);
                panic!("everybody waits, and for nothing: {:#?}", self.notes());
            };
            state.now = state.now.max(at);
            drop(state);
            waker.wake();
        }
    }

    /// Takes over what was spawned.
    fn take_in(&self, tasks: &mut Vec<Option<Task>>) {
        let spawned = std::mem::take(&mut self.lock().spawned);
        for task in spawned {
            tasks.push(Some(task));
            self.ready.push(Some(tasks.len() - 1));
        }
    }
}

#[derive(Default)]
struct Ready(Mutex<VecDeque<Option<usize>>>);

impl Ready {
    fn push(&self, task: Option<usize>) {
        let mut queue = self.0.lock().expect("no panic while it is held");
        if !queue.contains(&task) {
            queue.push_back(task);
        }
    }

    fn pop(&self) -> Option<Option<usize>> {
        self.0.lock().expect("no panic while it is held").pop_front()
    }
}

struct Wakes(Arc<Ready>, Option<usize>);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.push(self.1);
    }
}

/// A timer on the world's clock.
pub(crate) struct Clock {
    world: World,
    at: Duration,
    id: u64,
}

impl Timer for Clock {
    fn reset(&mut self, at: Instant) {
        let mut state = self.world.lock();
        state.timers.remove(&(self.at, self.id));
        self.at = at.since_origin();
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.world.lock();
        if self.at <= state.now {
            return Poll::Ready(());
        }
        state.timers.insert((self.at, self.id), cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.world.lock().timers.remove(&(self.at, self.id));
    }
}

/// Nobody listens in these tests.
pub(crate) struct Nobody;

impl Listener for Nobody {
    type Stream = End;

    fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<io::Result<(End, SocketAddr)>> {
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Err(ErrorKind::Unsupported.into())
    }
}

impl Resolve for World {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.note(format_args!("resolve {host}"));
        let name = self.lock().names.get(host).cloned();
        let Some(name) = name else {
            panic!("nobody knows {host}");
        };
        self.sleep(name.after).await;
        let with_port = |a: SocketAddr| SocketAddr::new(a.ip(), if a.port() == 0 { port } else { a.port() });
        match name.addresses {
            Ok(addresses) => Ok(addresses.into_iter().map(with_port).collect()),
            Err(why) => Err(why.into()),
        }
    }
}

impl Spawn<Task> for World {
    fn spawn(&self, task: Task) {
        self.lock().spawned.push(task);
        // Whoever spawns is being polled, and the spawned are looked for after every poll.
    }
}

/// An attempt to connect; says so if it is given up.
struct Attempt {
    world: World,
    addr: SocketAddr,
    over: bool,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.over {
            self.world.note(format_args!("give up {}", self.addr));
        }
    }
}

impl Runtime for World {
    type Stream = End;
    type Listener = Nobody;
    type Timer = Clock;

    fn now(&self) -> Instant {
        Instant::from_duration(self.lock().now)
    }

    fn unix_time(&self) -> Duration {
        Duration::from_secs(1_800_000_000) + self.lock().now
    }

    fn timer(&self, at: Instant) -> Clock {
        let mut state = self.lock();
        state.timer_ids += 1;
        Clock {
            world: self.clone(),
            at: at.since_origin(),
            id: state.timer_ids,
        }
    }

    fn bind(&self, _: SocketAddr) -> io::Result<Nobody> {
        Err(ErrorKind::Unsupported.into())
    }

    async fn connect(&self, addr: SocketAddr) -> io::Result<End> {
        self.note(format_args!("dial {addr}"));
        let mut attempt = Attempt {
            world: self.clone(),
            addr,
            over: false,
        };
        let place = {
            let mut state = self.lock();
            let place = state.places.get_mut(&addr);
            place.map(|p| {
                p.count += 1;
                p.clone()
            })
        };
        let Some(place) = place else {
            panic!("nothing is known of {addr}");
        };
        self.sleep(place.after).await;
        let made = match place.what {
            What::Silence => pending().await,
            What::Fails(why) => Err(why.into()),
            What::Serves(serve) => {
                let (near, far) = pair(place.shape);
                let served: Pin<Box<dyn Future<Output = ()> + Send>> = serve(place.count - 1, far);
                self.spawn(served);
                Ok(near)
            }
        };
        attempt.over = true;
        made
    }

    #[allow(clippy::manual_async_fn)] // The future must not borrow.
    fn unblock<T, W>(&self, work: W) -> impl Future<Output = io::Result<T>> + Send + 'static
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        async move { Ok(work()) }
    }
}
