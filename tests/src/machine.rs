//! What the two machines have in common for a driver, so that the in-memory link is written once. No socket, no
//! clock: bytes are carried by hand and time is a number.

use crate::case::Cut;
use antiphon_core::Instant;
use antiphon_core::h1::{ClientConn, Deadline, Finish, Outgoing, ServerConn, Wants};

macro_rules! machine {
    ($($(#[$doc:meta])* fn $name:ident(&mut self $(, $arg:ident: $t:ty)*) $(-> $r:ty)?;)+) => {
        /// The calls that a driver makes, of either machine.
        pub trait Machine {
            /// See the machines.
            fn outgoing(&self) -> Outgoing<'_>;
            /// See the machines.
            fn wants(&self) -> Wants;
            $($(#[$doc])* fn $name(&mut self $(, $arg: $t)*) $(-> $r)?;)+
        }
        machine!(@ ServerConn, $(fn $name(&mut self $(, $arg: $t)*) $(-> $r)?;)+);
        machine!(@ ClientConn, $(fn $name(&mut self $(, $arg: $t)*) $(-> $r)?;)+);
    };
    (@ $conn:ident, $(fn $name:ident(&mut self $(, $arg:ident: $t:ty)*) $(-> $r:ty)?;)+) => {
        impl Machine for $conn {
            fn outgoing(&self) -> Outgoing<'_> {
                $conn::outgoing(self)
            }
            fn wants(&self) -> Wants {
                $conn::wants(self)
            }
            $(fn $name(&mut self $(, $arg: $t)*) $(-> $r)? { $conn::$name(self $(, $arg)*) })+
        }
    };
}

machine! {
    /// See the machines.
    fn received_copy(&mut self, bytes: &[u8], now: Instant) -> usize;
    /// See the machines.
    fn received_eof(&mut self, now: Instant);
    /// See the machines.
    fn read_failed(&mut self, now: Instant);
    /// See the machines.
    fn write_failed(&mut self, now: Instant);
    /// See the machines.
    fn write_shut(&mut self, now: Instant);
    /// See the machines.
    fn sent(&mut self, n: u64, now: Instant) -> Result<(), antiphon_core::h1::Misuse>;
    /// See the machines.
    fn deadline(&mut self, now: Instant) -> Option<Deadline>;
    /// See the machines.
    fn handle_timeout(&mut self, now: Instant);
}

/// The network's side of one machine in memory.
#[derive(Debug, Default)]
pub struct Link {
    /// What has come out.
    pub wire: Vec<u8>,
    /// The time.
    pub now: Instant,
    /// The sending side was shut down.
    pub shut: bool,
    /// How it ended, if it did.
    pub ended: Option<Finish>,
    /// The peer takes nothing.
    pub blocked: bool,
    /// How outgoing bytes are taken.
    pub take: Option<Cut>,
}

impl Link {
    /// Carries out what the machine wants, once; `false` if there is nothing to do.
    ///
    /// # Panics
    /// If the machine breaks its contract.
    pub fn step(&mut self, m: &mut impl Machine) -> bool {
        if self.ended.is_some() {
            return false;
        }
        let wants = m.wants();
        assert_eq!(wants, m.wants(), "asking twice gives the same answer");
        if wants.write {
            if self.blocked {
                return false;
            }
            let mut slices = [&[][..]; 4];
            let n = m.outgoing().slices(&mut slices);
            let bytes = slices[..n].concat();
            let fill = m.outgoing().external().filter(|_| bytes.is_empty());
            let bytes = fill.map_or(bytes, |n| vec![b'E'; n as usize]);
            assert!(
                !bytes.is_empty(),
                "writing is wanted, but there is nothing to write"
            );
            for piece in self.take.unwrap_or(Cut::Whole).of(&bytes) {
                self.wire.extend_from_slice(piece);
                m.sent(piece.len() as u64, self.now)
                    .expect("not more than was offered");
            }
            return true;
        }
        match wants.finish {
            Finish::No => return false,
            Finish::ShutdownWrite => {
                assert!(!std::mem::replace(&mut self.shut, true), "shut down twice");
                m.write_shut(self.now);
            }
            end => self.ended = Some(end),
        }
        true
    }
}
