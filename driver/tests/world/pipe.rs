//! [`End`]: one end of a connection in memory, with little room and short reads where a test wants them.

use antiphon_driver::Stream;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

/// What a connection is like.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// So many bytes lie in one direction at most.
    pub(crate) room: usize,
    /// So many bytes are moved by one call at most.
    pub(crate) step: usize,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape {
            room: 64 * 1024,
            step: usize::MAX,
        }
    }
}

#[derive(Default)]
struct Lane {
    bytes: VecDeque<u8>,
    /// No more will be written.
    ended: bool,
    /// Nobody will read.
    deaf: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// What a test does with an end.
pub(crate) type Serving = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// One end.
pub(crate) struct End {
    lanes: Arc<[Mutex<Lane>; 2]>,
    side: usize,
    shape: Shape,
}

pub(crate) fn pair(shape: Shape) -> (End, End) {
    let lanes: Arc<[Mutex<Lane>; 2]> = Arc::default();
    let end = |side| End {
        lanes: lanes.clone(),
        side,
        shape,
    };
    (end(0), end(1))
}

impl End {
    fn outgoing(&self) -> MutexGuard<'_, Lane> {
        self.lanes[self.side].lock().expect("no panic while it is held")
    }

    fn incoming(&self) -> MutexGuard<'_, Lane> {
        self.lanes[1 - self.side]
            .lock()
            .expect("no panic while it is held")
    }

    /// How many bytes nobody has read yet lie on the way to the other end.
    pub(crate) fn unread(&self) -> usize {
        self.outgoing().bytes.len()
    }

    // ----- for the tests' own ends

    pub(crate) async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx, buf)).await
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let mut bytes = bytes.as_ref();
        while !bytes.is_empty() {
            let n = poll_fn(|cx| self.poll_write(cx, bytes)).await.expect("written");
            bytes = &bytes[n..];
        }
    }

    pub(crate) async fn exactly(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        let mut at = 0;
        while at < n {
            let got = self.read(&mut bytes[at..]).await.expect("read");
            assert!(
                got > 0,
                "the connection ended after {:?}",
                bytes[..at].escape_ascii().to_string()
            );
            at += got;
        }
        bytes
    }

    /// Reads up to and including `end`.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let mut text = Vec::new();
        while !text.ends_with(end.as_bytes()) {
            text.extend(self.exactly(1).await);
        }
        String::from_utf8(text).expect("text")
    }

    /// Reads the head of a request; `None` at the end of the connection.
    pub(crate) async fn head(&mut self) -> Option<String> {
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match self.read(&mut byte).await {
                Ok(1) => text.push(byte[0]),
                _ => return None,
            }
        }
        Some(String::from_utf8(text).expect("text"))
    }

    /// Reads to the end.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let (mut all, mut block) = (Vec::new(), [0; 1024]);
        loop {
            match self.read(&mut block).await {
                Ok(0) | Err(_) => return all,
                Ok(n) => all.extend_from_slice(&block[..n]),
            }
        }
    }
}

impl Stream for End {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        assert!(!buf.is_empty(), "a read of nothing");
        let step = self.shape.step;
        let mut lane = self.incoming();
        let n = lane.bytes.len().min(buf.len()).min(step);
        if n == 0 {
            if lane.ended {
                return Poll::Ready(Ok(0));
            }
            lane.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        for (to, from) in buf.iter_mut().zip(lane.bytes.drain(..n)) {
            *to = from;
        }
        let writer = lane.writer.take();
        drop(lane);
        writer.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(n))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        assert!(!buf.is_empty(), "a write of nothing");
        let Shape { room, step } = self.shape;
        let mut lane = self.outgoing();
        if lane.ended || lane.deaf {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        let n = buf.len().min(step).min(room - lane.bytes.len());
        if n == 0 {
            lane.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        lane.bytes.extend(&buf[..n]);
        let reader = lane.reader.take();
        drop(lane);
        reader.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(n))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut lane = self.outgoing();
        lane.ended = true;
        let reader = lane.reader.take();
        drop(lane);
        reader.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let mut wakers = Vec::new();
        {
            let mut lane = self.outgoing();
            lane.ended = true;
            wakers.extend(lane.reader.take());
        }
        {
            let mut lane = self.incoming();
            lane.deaf = true;
            wakers.extend(lane.writer.take());
        }
        wakers.into_iter().for_each(Waker::wake);
    }
}
