//! The subjects: one server and one client for each runtime, all doing the same. The two programs and the
//! suite's socket tests use them.

mod asynchronous;
mod blocking;
mod core_client;
mod core_server;
pub mod item;

pub use self::core_server::Echo;
use self::item::{Item, Outcome};
use antiphon_core::h1::{ClientConfig, ServerConfig};
use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::time::Duration;

type BoxError = Box<dyn Error + Send + Sync>;

/// What a subject runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// The core on a bare event loop (the client: on a blocking socket).
    Core,
    /// antiphon-tokio on Tokio's multi-threaded runtime.
    Tokio,
    /// antiphon-tokio on Tokio's current-thread runtime.
    TokioCurrent,
    /// antiphon-smol.
    Smol,
    /// antiphon-blocking.
    Blocking,
}

impl Runtime {
    /// All of them.
    pub const ALL: [Runtime; 5] = [
        Runtime::Core,
        Runtime::Tokio,
        Runtime::TokioCurrent,
        Runtime::Smol,
        Runtime::Blocking,
    ];

    /// The runtime of this name.
    pub fn named(name: &str) -> Option<Runtime> {
        Runtime::ALL.into_iter().find(|r| r.name() == name)
    }

    /// The name that selects it.
    pub fn name(self) -> &'static str {
        match self {
            Runtime::Core => "core",
            Runtime::Tokio => "tokio",
            Runtime::TokioCurrent => "tokio-current",
            Runtime::Smol => "smol",
            Runtime::Blocking => "blocking",
        }
    }

    fn tokio(self) -> io::Result<tokio::runtime::Runtime> {
        let mut builder = match self {
            Runtime::TokioCurrent => tokio::runtime::Builder::new_current_thread(),
            _ => tokio::runtime::Builder::new_multi_thread(),
        };
        builder.enable_all().build()
    }

    /// Listens on `addr`, tells the address that it has got, and serves until the process ends.
    ///
    /// # Errors
    /// What the runtime could not do.
    pub fn serve(
        self,
        addr: &str,
        config: ServerConfig,
        tell: impl FnOnce(SocketAddr),
    ) -> Result<(), BoxError> {
        match self {
            Runtime::Core => {
                let listener = TcpListener::bind(addr)?;
                tell(listener.local_addr()?);
                Ok(core_server::serve(listener, config)?)
            }
            Runtime::Tokio | Runtime::TokioCurrent => self.tokio()?.block_on(async {
                let server = antiphon_tokio::Server::builder().config(config).bind(addr)?;
                tell(server.local_addr()?);
                let sleep = |d: Duration| tokio::time::sleep(d);
                Ok(server
                    .serve(move |request| asynchronous::handle(request, sleep))
                    .await?)
            }),
            Runtime::Smol => antiphon_smol::block_on(async {
                let server = antiphon_smol::Server::builder().config(config).bind(addr)?;
                tell(server.local_addr()?);
                let sleep = |d: Duration| async move {
                    async_io::Timer::after(d).await;
                };
                Ok(server
                    .serve(move |request| asynchronous::handle(request, sleep))
                    .await?)
            }),
            Runtime::Blocking => {
                let server = antiphon_blocking::Server::builder().config(config).bind(addr)?;
                tell(server.local_addr()?);
                Ok(server.serve(blocking::handle)?)
            }
        }
    }

    /// Serves on a port of its own, in a thread that lives as long as the process.
    ///
    /// # Panics
    /// If there is no port.
    pub fn spawn_server(self, config: ServerConfig) -> SocketAddr {
        let (tell, told) = mpsc::channel();
        std::thread::Builder::new()
            .name(format!("{} server", self.name()))
            .spawn(move || {
                let tell = |addr| tell.send(addr).expect("the caller waits");
                self.serve("127.0.0.1:0", config, tell)
                    .expect("serving does not fail")
            })
            .expect("a thread");
        told.recv().expect("the server listens")
    }

    /// Performs the items one after the other with one client, and tells each outcome as soon as it is known.
    ///
    /// # Panics
    /// If the runtime cannot be started.
    pub fn perform(self, config: ClientConfig, items: &[Item], mut tell: impl FnMut(Outcome)) {
        match self {
            Runtime::Core => {
                let mut client = core_client::Client::new(config);
                items.iter().for_each(|item| tell(client.perform(item)));
            }
            Runtime::Tokio | Runtime::TokioCurrent => {
                self.tokio().expect("a runtime").block_on(async {
                    let builder = antiphon_tokio::Client::builder().config(config);
                    let client = asynchronous::plain(builder).build();
                    for item in items {
                        tell(asynchronous::perform(&client, item).await);
                    }
                });
            }
            Runtime::Smol => antiphon_smol::block_on(async {
                let builder = antiphon_smol::Client::builder().config(config);
                let client = asynchronous::plain(builder).build();
                for item in items {
                    tell(asynchronous::perform(&client, item).await);
                }
            }),
            Runtime::Blocking => {
                let client = blocking::plain(antiphon_blocking::Client::builder().config(config)).build();
                items
                    .iter()
                    .for_each(|item| tell(blocking::perform(&client, item)));
            }
        }
    }
}
