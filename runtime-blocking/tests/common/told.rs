//! A server whose answers are told beforehand, and which writes down what it was asked: one line of answers for all its
//! connections.

use super::{LIMIT, send};
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// On the how-manieth connection, from 0.
    pub connection: usize,
    /// Its head, up to the empty line.
    pub head: String,
    pub body: String,
}

impl Asked {
    /// The first line.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (n, v) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| v.trim())
        })
    }
}

#[derive(Clone)]
pub struct Told {
    pub addr: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Told {
    /// Gives these answers in turn; the connection is closed behind one that says so, for an empty one, and when there is
    /// none left.
    pub fn new(answers: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Told {
        let answers: Vec<Vec<u8>> = answers.into_iter().map(Into::into).collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let told = Told {
            addr: listener.local_addr().unwrap(),
            asked: Arc::default(),
        };
        let answers = Arc::new(Mutex::new(answers.into_iter()));
        let asked = Arc::clone(&told.asked);
        thread::spawn(move || {
            for (connection, socket) in listener.incoming().enumerate() {
                let (asked, answers) = (Arc::clone(&asked), Arc::clone(&answers));
                thread::spawn(move || {
                    let mut socket = socket.unwrap();
                    socket.set_read_timeout(Some(LIMIT)).unwrap();
                    while let Some((head, body)) = request(&mut socket) {
                        let next = {
                            asked.lock().unwrap().push(Asked {
                                connection,
                                head,
                                body,
                            });
                            answers.lock().unwrap().next()
                        };
                        let Some(answer) = next else { return };
                        let says_close = String::from_utf8_lossy(&answer).contains("Connection: close");
                        let closes = says_close || answer.is_empty();
                        use std::io::Write;
                        if socket.write_all(&answer).is_err() || closes {
                            return;
                        }
                    }
                });
            }
        });
        told
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// What was asked up to now.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The first lines of that.
    pub fn lines(&self) -> Vec<String> {
        self.asked().iter().map(|a| a.line().to_string()).collect()
    }
}

/// A head and its body; `None` when the connection ends.
pub fn request(socket: &mut TcpStream) -> Option<(String, String)> {
    let head = until(socket, b"\r\n\r\n")?;
    let lower = head.to_ascii_lowercase();
    if lower.contains("expect: 100-continue") {
        send(socket, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    if lower.contains("transfer-encoding: chunked") {
        let chunks = until(socket, b"0\r\n\r\n")?;
        return Some((head, chunks));
    }
    let len = lower
        .lines()
        .find_map(|l| l.strip_prefix("content-length: ")?.trim().parse::<usize>().ok())
        .unwrap_or(0);
    let mut body = vec![0; len];
    socket.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8_lossy(&body).into_owned()))
}

fn until(socket: &mut impl Read, end: &[u8]) -> Option<String> {
    let (mut seen, mut byte) = (Vec::new(), [0]);
    while !seen.ends_with(end) {
        match socket.read(&mut byte) {
            Ok(1) => seen.push(byte[0]),
            _ => return None,
        }
    }
    Some(String::from_utf8_lossy(&seen).into_owned())
}

/// An answer with a short body.
pub fn answer(status: &str, fields: &[(&str, &str)], body: &str) -> String {
    let fields: String = fields.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
    let len = body.len();
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {len}\r\n\r\n{body}")
}

pub fn moved(status: &str, to: &str) -> String {
    answer(status, &[("Location", to)], "moved")
}
