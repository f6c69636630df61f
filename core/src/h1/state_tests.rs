//! The state machine by itself: what the table does not name is refused and changes nothing.

use super::event::{CloseReason, Reuse, Switch};
use super::state::{Direction, State};

/// Everything that can be seen of a state.
fn seen(s: &State) -> (Direction, Direction, Switch, Option<CloseReason>, Option<Reuse>) {
    (
        s.request(),
        s.response(),
        s.proposes(),
        s.close_reason(),
        s.outcome(),
    )
}

fn refused(state: &State, call: impl FnOnce(&mut State) -> bool) {
    let mut s = *state;
    assert!(!call(&mut s));
    assert_eq!(seen(&s), seen(state));
}

#[test]
fn nothing_but_a_request_head_begins_an_exchange() {
    let s = State::NEW;
    assert!(s.is_idle() && !s.is_open());
    refused(&s, |s| s.request_end());
    refused(&s, |s| s.response_head(false));
    refused(&s, |s| s.response_head(true));
    refused(&s, |s| s.response_end());
}

#[test]
fn an_exchange_goes_its_way_once() {
    let mut s = State::NEW;
    assert!(s.request_head(Switch::None));
    assert!(s.is_open() && !s.is_idle());
    refused(&s, |s| s.request_head(Switch::None));
    refused(&s, |s| s.response_end());
    // No switch was proposed.
    refused(&s, |s| s.response_head(true));
    assert!(s.request_end());
    refused(&s, |s| s.request_end());
    assert!(s.response_head(false));
    refused(&s, |s| s.response_head(false));
    assert_eq!(s.outcome(), None);
    assert!(s.response_end());
    refused(&s, |s| s.response_end());
    assert_eq!(s.outcome(), Some(Reuse::KeepAlive));
    s.ended(Reuse::KeepAlive);
    assert!(s.is_idle() && !s.is_open());
}

#[test]
fn a_switch_is_accepted_once_the_answer_is_complete() {
    for proposes in [Switch::Connect, Switch::Upgrade] {
        let mut s = State::NEW;
        assert!(s.request_head(proposes));
        assert!(s.request_end());
        assert_eq!(s.request(), Direction::MightSwitch);
        assert!(s.response_head(true));
        assert_eq!(
            (s.request(), s.response()),
            (Direction::MightSwitch, Direction::Sending)
        );
        assert_eq!(s.outcome(), None);
        assert!(s.response_end());
        assert_eq!(s.outcome(), Some(Reuse::Switched));
        assert!(!s.is_open() && !s.is_idle());
    }
}

#[test]
fn a_refused_upgrade_keeps_the_connection_and_a_refused_connect_does_not() {
    for (proposes, reuse) in [
        (Switch::Upgrade, Reuse::KeepAlive),
        (Switch::Connect, Reuse::Close(CloseReason::ConnectRefused)),
    ] {
        let mut s = State::NEW;
        assert!(s.request_head(proposes));
        assert!(s.request_end());
        assert!(s.response_head(false));
        assert_eq!((s.request(), s.proposes()), (Direction::Done, Switch::None));
        assert!(s.response_end());
        assert_eq!(s.outcome(), Some(reuse));
    }
}

#[test]
fn the_first_reason_to_close_is_kept_and_nothing_follows_a_close() {
    let mut s = State::NEW;
    assert!(s.request_head(Switch::None));
    s.will_close(CloseReason::PeerAsked);
    s.closed(CloseReason::Aborted);
    assert_eq!(s.close_reason(), Some(CloseReason::PeerAsked));
    assert_eq!(
        (s.request(), s.response()),
        (Direction::Closed, Direction::Closed)
    );
    assert!(!s.is_open() && !s.is_idle());
    refused(&s, |s| s.request_head(Switch::None));
}
