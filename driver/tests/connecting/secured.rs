//! [`Secured`]: the server's end of a TLS connection.

use crate::world::pipe::End;
use antiphon_support::tls::rustls::{self, ServerConfig, ServerConnection};
use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;

/// A stream of bytes, as the tests read and write them.
pub(crate) trait Talk {
    async fn get(&mut self) -> Option<u8>;
    async fn put(&mut self, bytes: &[u8]);
}

impl Talk for End {
    async fn get(&mut self) -> Option<u8> {
        let mut byte = [0];
        match self.read(&mut byte).await {
            Ok(1) => Some(byte[0]),
            _ => None,
        }
    }

    async fn put(&mut self, bytes: &[u8]) {
        self.send(bytes).await;
    }
}

/// The server's end, over rustls itself.
pub(crate) struct Secured<T> {
    pub(crate) under: T,
    pub(crate) tls: ServerConnection,
    eof: bool,
}

impl<T: Talk> Secured<T> {
    /// Does the handshake.
    pub(crate) async fn accept(under: T, config: &Arc<ServerConfig>) -> Result<Secured<T>, rustls::Error> {
        let tls = ServerConnection::new(config.clone()).expect("settings that fit");
        let mut end = Secured {
            under,
            tls,
            eof: false,
        };
        while end.tls.is_handshaking() && !end.eof {
            end.pass_on().await;
            let taken = end.take_in().await;
            end.pass_on().await;
            taken?;
        }
        end.pass_on().await;
        Ok(end)
    }

    pub(crate) async fn pass_on(&mut self) {
        let mut bytes = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut bytes).expect("a vector takes it");
        }
        self.under.put(&bytes).await;
    }

    async fn take_in(&mut self) -> Result<(), rustls::Error> {
        let byte = self.under.get().await;
        self.eof = byte.is_none();
        self.tls
            .read_tls(&mut byte.as_slice())
            .expect("memory can be read");
        self.tls.process_new_packets().map(|_| ())
    }

    pub(crate) async fn until(&mut self, end: &str) -> String {
        let mut text = Vec::new();
        while !text.ends_with(end.as_bytes()) {
            match self.get().await {
                Some(byte) => text.push(byte),
                None => panic!("the connection ended after {:?}", text.escape_ascii().to_string()),
            }
        }
        String::from_utf8(text).expect("text")
    }

    /// Tells the client that nothing more comes.
    pub(crate) async fn close_notify(&mut self) {
        self.tls.send_close_notify();
        self.pass_on().await;
    }

    /// Whether the client says that nothing more comes, before it ends the connection.
    pub(crate) async fn hears_farewell(&mut self) -> bool {
        assert_eq!(self.get().await, None, "no more bytes");
        !self.eof
    }
}

impl<T: Talk> Talk for Secured<T> {
    async fn get(&mut self) -> Option<u8> {
        let mut byte = [0];
        loop {
            match self.tls.reader().read(&mut byte) {
                Ok(1) => return Some(byte[0]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                _ => return None,
            }
            self.take_in().await.expect("no error of the client's");
            self.pass_on().await;
        }
    }

    async fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let n = self.tls.writer().write(bytes).expect("taken");
            bytes = &bytes[n..];
            self.pass_on().await;
        }
    }
}
