//! [`Single`]: one connection outside the pool, for those who build their own: whose turn it is, whether it can take a
//! request, why it is over, and what is told of all that.
//!
//! The connection itself, and the requests on it, do not live here: it is any `C`, as in the [`pool`](super::pool).

use crate::h1::CloseReason;
use core::fmt;

/// The place of one connection: at rest, promised, at work, or gone.
///
/// ```text
///          reserve            begin
///   Idle <---------> Reserved ------> Busy ---lost---> Closed
///    |     release                    ^  |
///    +------------- begin ------------+  +--switched-> Switched
///    +<------------- put ----------------+
///   Idle, Reserved ---ended, close---> Closed
/// ```
///
/// A connection that has to be closed comes out of the method that decided so; the caller drops it.
///
/// ```
/// use antiphon_core::client::single::{Single, State};
/// let mut single = Single::new("a socket");
/// let promise = single.reserve();
/// assert_eq!((single.available(), single.in_flight()), (0, 1));
/// let socket = single.begin(promise)?;
/// assert_eq!(single.state(), State::Busy);
/// // ... an exchange later:
/// assert_eq!(single.put(socket), None);
/// assert_eq!(single.available(), 1);
/// # Ok::<(), State>(())
/// ```
pub struct Single<C> {
    place: Place<C>,
    /// It closes when it comes back.
    closing: bool,
    begun: u64,
    /// What was told last.
    told: State,
    /// Somebody is telling.
    telling: bool,
}

enum Place<C> {
    Idle(C),
    Reserved(C),
    Busy,
    Closed(CloseReason),
    Switched,
}

/// How a single connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It takes a request.
    Idle,
    /// The next request is promised to somebody.
    Reserved,
    /// A request is under way: its response has not been read to its end, or the rest of it is being read in the
    /// background.
    Busy,
    /// It takes no request any more.
    Closed(CloseReason),
    /// It speaks another protocol, and is the application's.
    Switched,
}

/// The right to the next request on a [`Single`] connection. There is one at a time, and it is used once.
#[derive(Debug)]
#[must_use = "a promise that is forgotten keeps the connection from being used"]
pub struct Promise(());

impl State {
    /// Whether it will never take a request again.
    pub const fn is_over(self) -> bool {
        matches!(self, State::Closed(_) | State::Switched)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Idle => "the connection is idle",
            State::Reserved => "the connection is reserved for another request",
            State::Busy => "the connection is busy with another request",
            State::Closed(reason) => return write!(f, "the connection is closed: {reason}"),
            State::Switched => "the connection speaks another protocol now",
        })
    }
}

impl core::error::Error for State {}

impl<C> Single<C> {
    /// A connection that has just been made.
    pub const fn new(conn: C) -> Single<C> {
        Single {
            place: Place::Idle(conn),
            closing: false,
            begun: 0,
            told: State::Idle,
            telling: false,
        }
    }

    /// How it stands.
    pub const fn state(&self) -> State {
        match &self.place {
            Place::Idle(_) => State::Idle,
            Place::Reserved(_) => State::Reserved,
            Place::Busy => State::Busy,
            Place::Closed(reason) => State::Closed(*reason),
            Place::Switched => State::Switched,
        }
    }

    /// How many requests it takes now: 1 when it is idle, else 0.
    pub const fn available(&self) -> usize {
        matches!(self.place, Place::Idle(_)) as usize
    }

    /// How many requests are under way or promised: 0 or 1.
    pub const fn in_flight(&self) -> usize {
        matches!(self.place, Place::Reserved(_) | Place::Busy) as usize
    }

    /// How many requests were begun on it.
    pub const fn begun(&self) -> u64 {
        self.begun
    }

    /// The connection, while no request has it: whether it has ended meanwhile is to be seen by looking at it.
    pub const fn resting(&mut self) -> Option<&mut C> {
        match &mut self.place {
            Place::Idle(conn) | Place::Reserved(conn) => Some(conn),
            _ => None,
        }
    }

    /// It was seen to have ended while no request had it: bytes that belong to no exchange, its end, a deadline.
    pub fn ended(&mut self, reason: CloseReason) -> Option<C> {
        match self.place {
            Place::Idle(_) | Place::Reserved(_) => self.leave(Place::Closed(reason)),
            _ => None,
        }
    }

    /// Promises the next request to the caller. `None`: it is not idle. A promise that is neither used nor given back
    /// keeps the connection from being used.
    pub fn reserve(&mut self) -> Option<Promise> {
        match core::mem::replace(&mut self.place, Place::Busy) {
            Place::Idle(conn) => {
                self.place = Place::Reserved(conn);
                Some(Promise(()))
            }
            other => {
                self.place = other;
                None
            }
        }
    }

    /// The promise is not needed any more.
    pub fn release(&mut self, promise: Promise) {
        let Promise(()) = promise;
        self.place = match core::mem::replace(&mut self.place, Place::Busy) {
            Place::Reserved(conn) => Place::Idle(conn),
            other => other,
        };
    }

    /// Takes it for a request: with the promise, if it was promised.
    ///
    /// # Errors
    /// How it stands, if that is in the way. A promise is void then, since only its end can have come between.
    pub fn begin(&mut self, promise: Option<Promise>) -> Result<C, State> {
        match (core::mem::replace(&mut self.place, Place::Busy), promise) {
            (Place::Idle(conn), None) | (Place::Reserved(conn), Some(Promise(()))) => {
                self.begun += 1;
                Ok(conn)
            }
            (other, _) => {
                self.place = other;
                Err(self.state())
            }
        }
    }

    /// The request was not sent after all: it is as if it had never begun.
    pub fn not_begun(&mut self, conn: C) -> Option<C> {
        self.begun = self.begun.saturating_sub(1);
        self.put(conn)
    }

    /// An exchange is over, and the connection takes another. Gives it back if it is to be closed.
    pub fn put(&mut self, conn: C) -> Option<C> {
        match self.place {
            Place::Busy if self.closing => {
                self.place = Place::Closed(CloseReason::LocalAsked);
                Some(conn)
            }
            Place::Busy => {
                self.place = Place::Idle(conn);
                None
            }
            _ => Some(conn),
        }
    }

    /// An exchange is over, and the connection with it.
    pub fn lost(&mut self, reason: CloseReason) {
        if let Place::Busy = self.place {
            self.place = Place::Closed(reason);
        }
    }

    /// The connection has left HTTP.
    pub fn switched(&mut self) {
        if let Place::Busy = self.place {
            self.place = Place::Switched;
        }
    }

    /// Takes no more requests, not even a promised one. A request that is under way is finished first.
    pub fn close(&mut self) -> Option<C> {
        self.closing = true;
        self.ended(CloseReason::LocalAsked)
    }

    fn leave(&mut self, to: Place<C>) -> Option<C> {
        match core::mem::replace(&mut self.place, to) {
            Place::Idle(conn) | Place::Reserved(conn) => Some(conn),
            _ => None,
        }
    }

    /// The state to be told, if it is another one than was told last; after every change. Then tell it, outside any
    /// lock, and ask [`told`](Self::told). While somebody tells, all others get `None`: so there is one at a time, and
    /// the last thing told is how it stands. States that passed meanwhile are left out.
    pub fn tell(&mut self) -> Option<State> {
        if self.telling { None } else { self.news() }
    }

    /// What was to be told has been told: the next thing, if there is one.
    pub fn told(&mut self) -> Option<State> {
        self.telling = false;
        self.news()
    }

    fn news(&mut self) -> Option<State> {
        let state = self.state();
        if state == self.told {
            return None;
        }
        self.told = state;
        self.telling = true;
        Some(state)
    }
}

impl<C> fmt::Debug for Single<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Single")
            .field("state", &self.state())
            .field("closing", &self.closing)
            .field("begun", &self.begun)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::{Arbitrary, Gen, quickcheck};
    use std::vec::Vec;

    const GONE: CloseReason = CloseReason::PeerClosed;
    const CLOSED: State = State::Closed(GONE);
    const ASKED: State = State::Closed(CloseReason::LocalAsked);

    #[test]
    fn a_promise_is_kept() {
        let mut single = Single::new(7);
        let promise = single.reserve();
        assert!(promise.is_some() && single.reserve().is_none());
        assert_eq!(single.begin(None), Err(State::Reserved));
        assert_eq!(single.begin(promise), Ok(7));
        assert_eq!(single.begin(None), Err(State::Busy));
        assert_eq!((single.put(7), single.begun()), (None, 1));
        let promise = single.reserve().unwrap();
        single.release(promise);
        assert_eq!(single.begin(None), Ok(7));
    }

    #[test]
    fn closing_waits_for_what_is_under_way_and_for_nothing_else() {
        let mut idle = Single::new(7);
        assert_eq!((idle.close(), idle.state()), (Some(7), ASKED));
        let mut promised = Single::new(7);
        let promise = promised.reserve();
        assert_eq!((promised.close(), promised.begin(promise)), (Some(7), Err(ASKED)));
        let mut promised = Single::new(7);
        let promise = promised.reserve().unwrap();
        assert_eq!(promised.ended(GONE), Some(7));
        promised.release(promise);
        assert_eq!(promised.state(), CLOSED);
        let mut busy = Single::new(7);
        busy.begin(None).unwrap();
        assert_eq!((busy.close(), busy.state()), (None, State::Busy));
        assert_eq!((busy.put(7), busy.state()), (Some(7), ASKED));
    }

    #[test]
    fn what_was_not_sent_does_not_count() {
        let mut single = Single::new(7);
        single.begin(None).unwrap();
        assert_eq!((single.not_begun(7), single.begun()), (None, 0));
    }

    #[test]
    fn one_tells_at_a_time_and_the_last_word_is_true() {
        let mut single = Single::new(7);
        assert_eq!(single.tell(), None);
        single.begin(None).unwrap();
        assert_eq!(single.tell(), Some(State::Busy));
        // Meanwhile, by somebody else:
        single.put(7);
        assert_eq!(single.tell(), None);
        let _promise = single.reserve();
        assert_eq!(single.told(), Some(State::Reserved));
        single.ended(GONE);
        assert_eq!(
            (single.told(), single.told(), single.tell()),
            (Some(CLOSED), None, None)
        );
    }

    #[derive(Clone, Copy, Debug)]
    enum Call {
        Reserve,
        Release,
        Begin,
        Use,
        Put,
        Lost,
        Switched,
        Ended,
        Close,
    }

    impl Arbitrary for Call {
        fn arbitrary(g: &mut Gen) -> Call {
            *g.choose(&[
                Call::Reserve,
                Call::Release,
                Call::Begin,
                Call::Use,
                Call::Put,
                Call::Put,
                Call::Lost,
                Call::Switched,
                Call::Ended,
                Call::Close,
            ])
            .unwrap()
        }
    }

    quickcheck! {
        /// There is one connection: it is in the place, in somebody's hands, or given out to be dropped, and what is
        /// over stays over.
        fn nothing_is_lost_or_doubled(calls: Vec<Call>) -> bool {
            let mut single = Single::new(());
            let (mut hands, mut dropped, mut promise) = (0, 0, None);
            for call in calls {
                let before = single.state();
                match call {
                    Call::Reserve => {
                        let got = single.reserve();
                        assert_eq!(got.is_some(), before == State::Idle);
                        promise = got.or(promise);
                    }
                    Call::Release => {
                        if let Some(promise) = promise.take() {
                            single.release(promise);
                        }
                    }
                    Call::Begin => {
                        let got = single.begin(None);
                        assert_eq!(got.is_ok(), before == State::Idle);
                        hands += usize::from(got.is_ok());
                    }
                    Call::Use => {
                        if let Some(promise) = promise.take() {
                            let got = single.begin(Some(promise));
                            assert_eq!(got.is_ok(), before == State::Reserved);
                            hands += usize::from(got.is_ok());
                        }
                    }
                    Call::Put if hands > 0 => {
                        hands -= 1;
                        dropped += usize::from(single.put(()).is_some());
                    }
                    Call::Lost if hands > 0 => {
                        (hands, dropped) = (hands - 1, dropped + 1);
                        single.lost(GONE);
                    }
                    Call::Switched if hands > 0 => {
                        (hands, dropped) = (hands - 1, dropped + 1);
                        single.switched();
                    }
                    Call::Put | Call::Lost | Call::Switched => {}
                    Call::Ended => dropped += usize::from(single.ended(GONE).is_some()),
                    Call::Close => dropped += usize::from(single.close().is_some()),
                }
                let inside = usize::from(single.resting().is_some());
                assert_eq!(inside + hands + dropped, 1);
                assert_eq!(single.available() + single.in_flight() + dropped, 1);
                assert_eq!(single.state().is_over(), dropped == 1);
                assert!(!before.is_over() || single.state() == before);
            }
            true
        }
    }
}
