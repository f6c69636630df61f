//! What the suite needs of smol.

pub(crate) use antiphon_smol::*;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// A task that goes on when nobody waits for it, as on the other runtimes.
pub(crate) struct Task<T>(Option<async_executor::Task<T>>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.detach();
        }
    }
}

pub(crate) fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Task<T> {
    Task(Some(antiphon_smol::spawn(future)))
}

pub(crate) async fn join<T>(mut task: Task<T>) -> T {
    task.0.take().expect("joined once").await
}

pub(crate) async fn sleep(time: Duration) {
    async_io::Timer::after(time).await;
}

pub(crate) fn linger_zero(stream: &TcpStream) {
    rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).expect("an option");
}

/// A listener with the smallest backlog, which nobody accepts from.
pub(crate) fn full_listener() -> TcpListener {
    use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
    let fd = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    bind(&fd, &std::net::SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    listen(&fd, 0).expect("listening");
    fd.into()
}

/// A connection as the runtime's.
pub(crate) fn tcp(stream: TcpStream) -> Tcp {
    async_io::Async::new(stream).expect("registered").into()
}
