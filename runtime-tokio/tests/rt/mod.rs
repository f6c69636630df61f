//! What the suite needs of Tokio, whichever flavour runs it.

pub(crate) use antiphon_tokio::*;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use tokio::task::JoinHandle;

pub(crate) fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(future)
}

pub(crate) async fn join<T>(task: JoinHandle<T>) -> T {
    task.await.expect("the task does not panic")
}

pub(crate) async fn sleep(time: Duration) {
    tokio::time::sleep(time).await;
}

pub(crate) fn linger_zero(stream: &TcpStream) {
    socket2::SockRef::from(stream)
        .set_linger(Some(Duration::ZERO))
        .expect("an option");
}

/// A listener with the smallest backlog, which nobody accepts from.
pub(crate) fn full_listener() -> TcpListener {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket
        .bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .expect("a free port");
    socket.listen(0).expect("listening");
    socket.into()
}

/// A connection as the runtime's.
pub(crate) fn tcp(stream: TcpStream) -> Tcp {
    stream.set_nonblocking(true).expect("an option");
    tokio::net::TcpStream::from_std(stream).expect("a runtime").into()
}
