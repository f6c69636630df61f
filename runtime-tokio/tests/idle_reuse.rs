//! An idle connection that has ended, or on which something arrived, is not used again, although Tokio would say Pending:
//! it does so when a task has used up its budget, and when its event loop has not looked at the socket since.
#![allow(missing_docs)]

use antiphon_tokio::Client;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};

const STRAY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray";

fn answer(peer: &mut TcpStream) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && peer.read(&mut byte).expect("read") > 0 {
        head.push(byte[0]);
    }
    peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .expect("written");
}

/// Answers a request on each of two connections. On the first, `then` follows when the client is done with the answer,
/// or its end; told when that is done.
fn server(then: &'static [u8], client_is_done: Receiver<()>) -> (SocketAddr, Receiver<()>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let (tell, told) = mpsc::channel();
    let thread = thread::spawn(move || {
        let (mut first, _) = listener.accept().expect("accepted");
        answer(&mut first);
        client_is_done.recv().expect("the client goes on");
        if then.is_empty() {
            first.shutdown(Shutdown::Both).expect("shut down");
        } else {
            first.write_all(then).expect("written");
        }
        tell.send(()).expect("the client waits");
        let (mut second, _) = listener.accept().expect("accepted");
        answer(&mut second);
        // Unread, it would make the system reset the connection.
        second.read_exact(&mut [0]).expect("the body");
    });
    (addr, told, thread)
}

/// `between` lies between the answer and the next request; it waits for the server.
async fn not_used_again(then: &'static [u8], between: impl AsyncFnOnce(Receiver<()>)) {
    let (done, client_is_done) = mpsc::channel();
    let (addr, told, thread) = server(then, client_is_done);
    let client = Client::builder().no_proxy().build();
    let url = format!("http://{addr}/");
    let mut first = client.get(&url).send().await.expect("an answer");
    assert_eq!(first.text(9).await.expect("text"), "ok");
    assert_eq!(client.pool_stats().idle, 1);
    done.send(()).expect("the server waits");
    between(told).await;
    // A POST, since nobody sends that twice.
    let mut second = client.post(&url).body("x").send().await.expect("an answer");
    assert_eq!(second.text(9).await.expect("text"), "ok");
    assert!(!second.reused());
    thread.join().expect("the server");
}

#[tokio::test]
async fn while_the_event_loop_did_not_look() {
    for then in [b"", STRAY] {
        // Waits without letting go of the thread.
        not_used_again(then, async |told| told.recv().expect("told")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_task_without_budget() {
    for then in [b"", STRAY] {
        let asked = tokio::spawn(not_used_again(then, async |told| {
            told.recv().expect("told");
            // With a new budget, the event loop has its turn, too.
            tokio::task::yield_now().await;
            for _ in 0..128 {
                tokio::task::consume_budget().await;
            }
        }));
        asked.await.expect("used anew");
    }
}
