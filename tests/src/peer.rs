//! The other side of the socket tests: a bare TCP client that sends scripted bytes and reads responses strictly,
//! and a server that plays a client case's script.

use crate::case::{Cut, Step};
use crate::wire::{self, Response};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long anything may take that must happen.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to a server under test.
#[derive(Debug)]
pub struct Peer {
    socket: TcpStream,
    /// Bytes received and not used yet.
    pub received: Vec<u8>,
    /// The server has closed its sending side (or reset).
    pub closed: bool,
}

impl Peer {
    /// Connects.
    ///
    /// # Panics
    /// If the server does not accept.
    pub fn connect(addr: SocketAddr) -> Peer {
        Peer::on(TcpStream::connect_timeout(&addr, PATIENCE).expect("the server accepts"))
    }

    fn on(socket: TcpStream) -> Peer {
        socket.set_nodelay(true).expect("an option that exists");
        socket.set_write_timeout(Some(PATIENCE)).expect("not zero");
        Peer {
            socket,
            received: vec![],
            closed: false,
        }
    }

    /// Sends `bytes` in pieces. A server that has closed may take none.
    pub fn send(&mut self, bytes: &[u8], cut: Cut) {
        for piece in cut.of(bytes) {
            if self.socket.write_all(piece).is_err() {
                return;
            }
        }
    }

    /// Closes the sending side.
    pub fn shut(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Waits for more bytes or the end until `until`; `false` when the time is over.
    pub fn wait(&mut self, until: Instant) -> bool {
        if self.closed {
            return true;
        }
        let left = until
            .saturating_duration_since(Instant::now())
            .max(Duration::from_millis(1));
        self.socket.set_read_timeout(Some(left)).expect("not zero");
        let mut space = [0; 65536];
        match self.socket.read(&mut space) {
            Ok(0) => self.closed = true,
            Ok(n) => self.received.extend_from_slice(&space[..n]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Instant::now() < until;
            }
            Err(_) => self.closed = true,
        }
        true
    }

    /// Reads the next response.
    ///
    /// # Errors
    /// Why there is none.
    pub fn response(&mut self, method: &str) -> Result<Response, String> {
        let until = Instant::now() + PATIENCE;
        loop {
            match wire::response(&self.received, method, self.closed)? {
                Some((response, used)) => {
                    self.received.drain(..used);
                    return Ok(response);
                }
                None if self.closed => {
                    return Err(format!(
                        "closed after {:?}",
                        self.received.escape_ascii().to_string()
                    ));
                }
                None if !self.wait(until) => return Err("no response in time".into()),
                None => {}
            }
        }
    }

    /// Reads the next request.
    ///
    /// # Errors
    /// Why there is none.
    pub fn request(&mut self) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        loop {
            // A client that waits for 100 Continue has sent its head alone.
            let waits = wire::head_end(&self.received).filter(|end| {
                let head = String::from_utf8_lossy(&self.received[..*end]).to_ascii_lowercase();
                head.contains("\r\nexpect: 100-continue\r\n")
            });
            let read = wire::request(&self.received)?.map(|(_, used)| used).or(waits);
            match read {
                Some(used) => {
                    self.received.drain(..used);
                    return Ok(());
                }
                None if self.closed => return Err("the client closed instead of sending a request".into()),
                None if !self.wait(until) => return Err("no request in time".into()),
                None => {}
            }
        }
    }

    /// Breaks the connection with a reset.
    fn reset(self) {
        // What is received and not read makes the system reset instead of ending in order.
        let _ = socket2::SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }

    /// Whether the server closes, sending nothing more, until `until`.
    pub fn closes(&mut self, until: Instant) -> bool {
        while !self.closed && self.received.is_empty() && self.wait(until) {}
        self.closed && self.received.is_empty()
    }
}

/// A server that plays the script of a client case.
#[derive(Debug)]
pub struct ScriptedServer {
    /// Where it listens.
    pub addr: SocketAddr,
    thread: JoinHandle<Result<(), String>>,
}

impl ScriptedServer {
    /// Listens, and plays `steps` in a thread. `fresh` says of each request whether it must come over a new
    /// connection.
    ///
    /// # Panics
    /// If there is no port.
    pub fn start(steps: Vec<Step>, fresh: Vec<bool>, cut: Cut) -> ScriptedServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("it is bound");
        let thread = std::thread::spawn(move || play(&listener, steps, fresh, cut));
        ScriptedServer { addr, thread }
    }

    /// Waits for the script's end.
    ///
    /// # Errors
    /// What went otherwise than the script says.
    ///
    /// # Panics
    /// If the script's thread did.
    pub fn end(self) -> Result<(), String> {
        self.thread.join().expect("the script does not panic")
    }
}

fn play(listener: &TcpListener, steps: Vec<Step>, fresh: Vec<bool>, cut: Cut) -> Result<(), String> {
    let mut fresh = fresh.into_iter();
    let mut current: Option<Peer> = None;
    // Connections that are over stay open, silently, until the end: closing is the client's affair.
    let mut former = Vec::new();
    for step in steps {
        match step {
            Step::Request(_) => {
                if fresh.next().unwrap_or(true) {
                    former.extend(current.take());
                    current = Some(Peer::on(accept(listener)?));
                }
                current.as_mut().ok_or("no connection")?.request()?;
            }
            Step::Bytes(bytes) => current.as_mut().ok_or("no connection")?.send(&bytes, cut),
            Step::Eof => current.as_mut().ok_or("no connection")?.shut(),
            Step::Reset => {
                // What was sent must have been read, or the reset takes it away.
                std::thread::sleep(Duration::from_millis(30));
                current.take().ok_or("no connection")?.reset();
            }
        }
    }
    // The client ends its connection when it is through, or is dropped.
    if let Some(mut last) = current {
        let until = Instant::now() + PATIENCE;
        while !last.closed && last.wait(until) {}
    }
    drop(former);
    Ok(())
}

fn accept(listener: &TcpListener) -> Result<TcpStream, String> {
    listener.set_nonblocking(true).map_err(|e| e.to_string())?;
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        match listener.accept() {
            Ok((socket, _)) => {
                socket.set_nonblocking(false).map_err(|e| e.to_string())?;
                return Ok(socket);
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => std::thread::sleep(Duration::from_millis(1)),
            Err(e) => return Err(e.to_string()),
        }
    }
    Err("no connection in time".into())
}
