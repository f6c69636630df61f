//! Writing heads: start-lines, the caller's fields, and the fields that the machine writes itself.
//!
//! Everything is checked and summed first, then room is reserved once, then it is written; so a refused call
//! has written nothing.

use super::error::Misuse;
use super::framing::{forbidden_in_trailers, is};
use super::output::Output;
use crate::message::token::list_members;
use crate::{FieldLines, Status};
use alloc::vec::Vec;

/// What the machine has to know of the caller's fields.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outlook {
    /// Bytes of all lines with `: ` and CRLF.
    pub(crate) size: usize,
    pub(crate) close: bool,
    pub(crate) upgrade_option: bool,
    pub(crate) upgrade: bool,
    pub(crate) hosts: usize,
    pub(crate) expects: bool,
}

impl Outlook {
    /// Walks the caller's fields.
    ///
    /// # Errors
    /// [`Misuse::ForbiddenField`] for Content-Length and Transfer-Encoding: framing is an argument.
    #[inline]
    pub(crate) fn of<F: FieldLines + ?Sized>(fields: &F) -> Result<Outlook, Misuse> {
        let mut o = Outlook::default();
        let mut forbidden = false;
        fields.for_each_field(|f| {
            let (name, value) = (f.name.as_bytes(), f.value.as_bytes());
            o.size += name.len() + value.len() + 4;
            match name.len() {
                4 => o.hosts += usize::from(is(name, b"host")),
                6 => o.expects |= is(name, b"expect") && is(value, b"100-continue"),
                7 => o.upgrade |= is(name, b"upgrade"),
                10 if is(name, b"connection") => {
                    for option in list_members(value) {
                        o.close |= is(option, b"close");
                        o.upgrade_option |= is(option, b"upgrade");
                    }
                }
                14 => forbidden |= is(name, b"content-length"),
                17 => forbidden |= is(name, b"transfer-encoding"),
                _ => {}
            }
        });
        if forbidden {
            Err(Misuse::ForbiddenField)
        } else {
            Ok(o)
        }
    }
}

/// The framing field of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Nothing,
    Length(u64),
    Chunked,
}

/// The connection option that the machine adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Option_ {
    Nothing,
    Close,
    KeepAlive,
    Upgrade,
}

/// The most that the machine's own lines take: two of them with a 20-digit number, and the empty line.
const OWN_LINES: usize = 96;

pub(crate) fn status_line(out: &mut Vec<u8>, status: Status) {
    if status == Status::OK {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    let code = status.code();
    let digits = [
        b'0' + (code / 100) as u8,
        b'0' + (code / 10 % 10) as u8,
        b'0' + (code % 10) as u8,
        b' ',
    ];
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(&digits);
    out.extend_from_slice(status.reason().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Queues a response head.
#[inline]
pub(crate) fn response_head<F: FieldLines + ?Sized>(
    out: &mut Output,
    status: Status,
    fields: &F,
    size: usize,
    framing: Framing,
    option: Option_,
) {
    let arena = out.arena(64 + size + OWN_LINES);
    let before = arena.len();
    status_line(arena, status);
    field_lines(arena, fields);
    own_lines(arena, framing, option);
    let n = arena.len() - before;
    out.wrote(n);
}

/// Queues a request head.
pub(crate) fn request_head<F: FieldLines + ?Sized>(
    out: &mut Output,
    (method, target): (&str, &str),
    fields: &F,
    size: usize,
    framing: Framing,
    option: Option_,
) {
    let arena = out.arena(method.len() + target.len() + 12 + size + OWN_LINES);
    let before = arena.len();
    arena.extend_from_slice(method.as_bytes());
    arena.push(b' ');
    arena.extend_from_slice(target.as_bytes());
    arena.extend_from_slice(b" HTTP/1.1\r\n");
    field_lines(arena, fields);
    own_lines(arena, framing, option);
    let n = arena.len() - before;
    out.wrote(n);
}

#[inline]
fn field_lines<F: FieldLines + ?Sized>(arena: &mut Vec<u8>, fields: &F) {
    fields.for_each_field(|f| {
        arena.extend_from_slice(f.name.as_bytes());
        arena.extend_from_slice(b": ");
        arena.extend_from_slice(f.value.as_bytes());
        arena.extend_from_slice(b"\r\n");
    });
}

#[inline]
fn own_lines(arena: &mut Vec<u8>, framing: Framing, option: Option_) {
    match framing {
        Framing::Nothing => {}
        Framing::Length(n) => length_line(arena, n),
        Framing::Chunked => arena.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    match option {
        Option_::Nothing => {}
        Option_::Close => arena.extend_from_slice(b"connection: close\r\n"),
        Option_::KeepAlive => arena.extend_from_slice(b"connection: keep-alive\r\n"),
        Option_::Upgrade => arena.extend_from_slice(b"connection: upgrade\r\n"),
    }
    arena.extend_from_slice(b"\r\n");
}

/// `content-length: N CRLF`, put together on the stack so that it is copied once.
fn length_line(arena: &mut Vec<u8>, mut n: u64) {
    const NAME: &[u8; 16] = b"content-length: ";
    let mut line = [0u8; 16 + 20 + 2];
    let mut at = line.len() - 2;
    line[at] = b'\r';
    line[at + 1] = b'\n';
    loop {
        at -= 1;
        line[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    line[at - NAME.len()..at].copy_from_slice(NAME);
    arena.extend_from_slice(&line[at - NAME.len()..]);
}

/// Queues a chunk's size line.
pub(crate) fn chunk_size(out: &mut Output, mut n: u64) {
    let mut line = [0u8; 18];
    line[16] = b'\r';
    line[17] = b'\n';
    let mut at = 16;
    loop {
        at -= 1;
        line[at] = b"0123456789abcdef"[(n & 15) as usize];
        n >>= 4;
        if n == 0 {
            break;
        }
    }
    out.copy(&line[at..]);
}

/// Queues the last chunk with its trailer section, whose lines take `size` bytes.
pub(crate) fn last_chunk<F: FieldLines + ?Sized>(out: &mut Output, trailers: &F, size: usize) {
    let arena = out.arena(5 + size);
    let before = arena.len();
    arena.extend_from_slice(b"0\r\n");
    field_lines(arena, trailers);
    arena.extend_from_slice(b"\r\n");
    let n = arena.len() - before;
    out.wrote(n);
}

/// For a message that is complete with its head: there is no place for trailers.
pub(crate) fn no_trailers<F: FieldLines + ?Sized>(trailers: &F) -> Result<(), Misuse> {
    if trailers_size(trailers)? > 0 {
        Err(Misuse::TrailersNeedChunked)
    } else {
        Ok(())
    }
}

/// The bytes of a trailer section's lines; refuses fields that may not stand there.
pub(crate) fn trailers_size<F: FieldLines + ?Sized>(trailers: &F) -> Result<usize, Misuse> {
    let (mut size, mut forbidden) = (0, false);
    trailers.for_each_field(|f| {
        size += f.name.as_bytes().len() + f.value.as_bytes().len() + 4;
        forbidden |= forbidden_in_trailers(f.name.as_bytes());
    });
    if forbidden {
        Err(Misuse::ForbiddenField)
    } else {
        Ok(size)
    }
}
