//! What comes in: heads, trailer sections, bodies.

use super::{End, Input, Link, Reading, Step};
use crate::Fields;
use crate::h1::chunk::Chunked;
use crate::h1::config::{Limits, Profile};
use crate::h1::error::{Misuse, PeerError, PeerErrorKind as Kind};
use crate::h1::event::BodyLen;
use crate::h1::framing::{Facts, forbidden_in_trailers};
use crate::h1::head::{HeadStore, StartLine};
use crate::h1::scan::{Fault, RequestLine, Rules, Scan, Sink, unfold};
use crate::h1::timer::Window;
use bytes::Bytes;
use core::num::NonZeroU64;

impl Link {
    /// Goes on scanning a request head. `Ok(Some(line))`: it is complete and stands in the head store.
    #[inline]
    pub(crate) fn scan_request(&mut self, rules: &Rules<'_>) -> Result<Option<RequestLine>, Fault> {
        let Some(b) = &mut self.buf else { return Ok(None) };
        let len = b.recv.len();
        let mut sink = Sink {
            spans: &mut b.head.spans,
            facts: &mut self.facts,
        };
        if !self.scan.run(b.recv.unread_and_beyond(), len, rules, &mut sink)? {
            return Ok(None);
        }
        let line = self.scan.line();
        let RequestLine {
            method_end,
            target,
            target_end,
            version,
        } = line;
        b.head.line = StartLine::Request {
            method_end,
            target,
            target_end,
            version,
        };
        let size = self.scan.position();
        b.head.bytes.clear();
        b.head.bytes.extend_from_slice(&b.recv.unread()[..size]);
        if self.scan.folded() {
            b.head.unfold();
        }
        b.recv.consume(size);
        self.consumed = self.consumed.saturating_add(size as u64);
        Ok(Some(line))
    }

    /// Goes on with a trailer section.
    pub(super) fn scan_trailers(&mut self, limits: &Limits, profile: &Profile) -> Result<bool, Fault> {
        let Some(b) = &mut self.buf else { return Ok(false) };
        let len = b.recv.len();
        let rules = Rules {
            profile,
            size: limits.trailers_max(),
            fields: limits.trailer_fields,
            target: 0,
            too_large: Kind::TrailersTooLarge,
            too_many: Kind::TrailersTooLarge,
        };
        // What a framing field would say in a trailer section is not listened to.
        let mut facts = Facts::IGNORE;
        let mut sink = Sink {
            spans: &mut b.trailers.spans,
            facts: &mut facts,
        };
        if !self
            .scan
            .run(b.recv.unread_and_beyond(), len, &rules, &mut sink)?
        {
            return Ok(false);
        }
        let size = self.scan.position();
        let folded = self.scan.folded();
        self.scan = Scan::REQUEST;
        b.trailers.bytes.clear();
        b.trailers.bytes.extend_from_slice(&b.recv.unread()[..size]);
        let bytes = &b.trailers.bytes;
        b.trailers
            .spans
            .retain(|s| !forbidden_in_trailers(&bytes[s.name as usize..s.name_end as usize]));
        if folded {
            b.trailers.unfold();
        }
        b.recv.consume(size);
        self.consumed = self.consumed.saturating_add(size as u64);
        Ok(true)
    }

    /// The length of the run of body data that starts at the first unread byte.
    #[inline]
    pub(super) fn run(&self) -> usize {
        let unread = self.unread_len();
        match &self.reading {
            Reading::Nothing | Reading::Trailers => 0,
            Reading::Length(left) => unread.min(usize::try_from(*left).unwrap_or(usize::MAX)),
            Reading::Chunked(c) => unread.min(usize::try_from(c.data_left()).unwrap_or(usize::MAX)),
            Reading::UntilClose => unread,
        }
    }

    /// Goes on reading the body.
    pub(crate) fn body_step(&mut self, limits: &Limits, profile: &Profile) -> Result<Step, PeerError> {
        loop {
            match &mut self.reading {
                Reading::Nothing | Reading::Length(0) => {
                    self.reading = Reading::Nothing;
                    return Ok(Step::End);
                }
                Reading::Length(_) => {}
                Reading::UntilClose => {
                    if self.unread_len() == 0 && self.input == Input::Eof {
                        self.reading = Reading::Nothing;
                        return Ok(Step::End);
                    }
                }
                Reading::Chunked(c) if c.data_left() == 0 => {
                    if c.is_last() {
                        self.reading = Reading::Trailers;
                        self.scan = Scan::FIELDS;
                        if let Some(b) = &mut self.buf {
                            b.trailers.clear();
                        }
                        continue;
                    }
                    let data = self.buf.as_ref().map_or(&[][..], |b| b.recv.unread());
                    if !data.is_empty() {
                        let n = c
                            .framing(data, limits, profile.space_in_chunk_size)
                            .map_err(|f| self.peer_error(f))?;
                        self.consume_input(n);
                        continue;
                    }
                    return self.wait_or_eof();
                }
                Reading::Chunked(_) => {}
                Reading::Trailers => {
                    if self
                        .scan_trailers(limits, profile)
                        .map_err(|f| self.peer_error(f))?
                    {
                        self.reading = Reading::Nothing;
                        return Ok(Step::End);
                    }
                    return self.wait_or_eof();
                }
            }
            let run = self.run();
            if run > self.announced {
                self.announced = run;
                return Ok(Step::Data);
            }
            return if run > 0 {
                Ok(Step::Wait)
            } else {
                self.wait_or_eof()
            };
        }
    }

    pub(super) fn wait_or_eof(&mut self) -> Result<Step, PeerError> {
        // A body that ends with the connection does not come here: it has ended then.
        if self.input == Input::Eof {
            Err(self.unexpected_eof())
        } else {
            Ok(Step::Wait)
        }
    }

    pub(crate) fn unexpected_eof(&mut self) -> PeerError {
        let offset = self.consumed + self.unread_len() as u64;
        self.raise(PeerError {
            kind: Kind::UnexpectedEof,
            offset,
        })
    }

    /// A fault at an offset from the first unread byte becomes the connection's error.
    pub(crate) fn peer_error(&mut self, f: Fault) -> PeerError {
        self.raise(PeerError {
            kind: f.kind,
            offset: self.consumed + f.at as u64,
        })
    }

    pub(crate) fn raise(&mut self, e: PeerError) -> PeerError {
        self.look_twice();
        *self.error.get_or_insert(e)
    }

    pub(crate) fn body(&self) -> &[u8] {
        if self.end != End::Open {
            return &[];
        }
        match &self.buf {
            Some(b) => &b.recv.unread()[..self.run().min(self.announced)],
            None => &[],
        }
    }

    /// `n` bytes of the run were used.
    pub(crate) fn consume(&mut self, n: usize) -> Result<(), Misuse> {
        if n > self.body().len() {
            return Err(Misuse::TooMuch);
        }
        self.used(n as u64);
        self.announced -= n;
        self.consume_input(n);
        Ok(())
    }

    pub(super) fn used(&mut self, n: u64) {
        match &mut self.reading {
            Reading::Length(left) => *left -= n,
            Reading::Chunked(c) if n > 0 => c.took(n),
            _ => {}
        }
    }

    /// Drops the run that is there; tells how long it was.
    pub(crate) fn discard_run(&mut self) -> u64 {
        let n = self.run();
        self.used(n as u64);
        self.announced = 0;
        self.consume_input(n);
        n as u64
    }

    /// Runs of at least this size are handed over with the buffer instead of being copied, if they fill at least
    /// half of it: so that what is kept is never much larger than what is in it.
    const HAND_OVER: usize = 16 * 1024;

    pub(crate) fn take_body(&mut self, limits: &Limits) -> Bytes {
        let n = self.body().len();
        if n == 0 {
            return Bytes::new();
        }
        let taken = match &mut self.buf {
            Some(b) if n >= Link::HAND_OVER && n >= b.recv.size() / 2 => {
                let (storage, start) = b.recv.take_storage(n, limits.recv_buffer);
                self.consumed = self.consumed.saturating_add(n as u64);
                Bytes::from(storage).slice(start..start + n)
            }
            _ => {
                let copied = Bytes::copy_from_slice(self.body());
                self.consume_input(n);
                copied
            }
        };
        self.used(n as u64);
        self.announced -= n;
        taken
    }

    pub(crate) fn direct_body(&self) -> Option<NonZeroU64> {
        if self.end != End::Open || self.input != Input::Open || self.unread_len() > 0 {
            return None;
        }
        match &self.reading {
            Reading::Length(left) => NonZeroU64::new(*left),
            Reading::Chunked(c) => NonZeroU64::new(c.data_left()),
            Reading::UntilClose => NonZeroU64::new(1 << 62),
            Reading::Nothing | Reading::Trailers => None,
        }
    }

    pub(crate) fn direct_received(&mut self, n: u64) -> Result<(), Misuse> {
        if n == 0 {
            return Ok(());
        }
        if self.direct_body().is_none_or(|most| n > most.get()) {
            return Err(Misuse::TooMuch);
        }
        self.used(n);
        self.consumed = self.consumed.saturating_add(n);
        self.progress(n);
        Ok(())
    }

    pub(crate) fn trailers(&self) -> Option<Fields<'_>> {
        match (&self.buf, &self.reading) {
            (Some(b), Reading::Nothing) if !b.trailers.spans.is_empty() => Some(b.trailers.fields()),
            _ => None,
        }
    }

    pub(crate) fn begin_body(&mut self, body: BodyLen) {
        self.announced = 0;
        self.reading = match body {
            BodyLen::None => Reading::Nothing,
            BodyLen::Known(n) => Reading::Length(n),
            BodyLen::Unknown => Reading::Chunked(Chunked::START),
        };
        self.wanted = false;
        self.discarding = false;
        if body != BodyLen::None {
            self.rate = Window::default();
        }
    }
}

impl HeadStore {
    /// Replaces each fold by one space; values only shrink, so they stay where they are.
    pub(crate) fn unfold(&mut self) {
        for s in &mut self.spans {
            let (from, to) = (s.value as usize, s.value_end as usize);
            if self.bytes[from..to].contains(&b'\n') {
                let flat = unfold(&self.bytes[from..to]);
                self.bytes[from..from + flat.len()].copy_from_slice(&flat);
                s.value_end = (from + flat.len()) as u32;
            }
        }
    }
}
