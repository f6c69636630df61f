//! Slots, windows and the earlier of two deadlines, by themselves.

use super::event::{Deadline, DeadlineKind};
use super::timer::{Slot, Window, earlier};
use crate::Instant;
use core::time::Duration;

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn deadline(seconds: u64, why: DeadlineKind) -> Option<Deadline> {
    Some(Deadline { at: at(seconds), why })
}

#[test]
fn the_earlier_of_two_and_the_first_of_equals() {
    let (read, write) = (DeadlineKind::BodyStall, DeadlineKind::WriteStall);
    assert_eq!(earlier(deadline(1, read), deadline(2, write)), deadline(1, read));
    assert_eq!(earlier(deadline(2, read), deadline(1, write)), deadline(1, write));
    assert_eq!(earlier(deadline(1, read), deadline(1, write)), deadline(1, read));
    assert_eq!(earlier(deadline(1, read), None), deadline(1, read));
    assert_eq!(earlier(None, deadline(1, write)), deadline(1, write));
    assert_eq!(earlier(None, None), None);
}

#[test]
fn a_slot_keeps_its_time_until_the_reason_changes() {
    let most = Duration::from_secs(10);
    let (head, idle) = (Some((DeadlineKind::Head, most)), Some((DeadlineKind::Idle, most)));
    let mut slot = Slot::default();
    assert_eq!(slot.look(head, at(0)), deadline(10, DeadlineKind::Head));
    assert_eq!(slot.look(head, at(5)), deadline(10, DeadlineKind::Head));
    assert_eq!(slot.look(idle, at(6)), deadline(16, DeadlineKind::Idle));
    assert_eq!(slot.look(None, at(7)), None);
    assert_eq!(slot.look(idle, at(8)), deadline(18, DeadlineKind::Idle));
    slot.restart();
    assert_eq!(slot.look(idle, at(9)), deadline(19, DeadlineKind::Idle));
}

#[test]
fn a_window_runs_only_while_there_is_something_to_wait_for() {
    let per = Duration::from_secs(10);
    let mut window = Window::default();
    assert_eq!(window.look(per, false, at(0)), None);
    assert_eq!(
        window.look(per, true, at(1)),
        deadline(11, DeadlineKind::BodyRate)
    );
    assert_eq!(
        window.look(per, true, at(5)),
        deadline(11, DeadlineKind::BodyRate)
    );
    // Six seconds are left of it.
    assert_eq!(window.look(per, false, at(5)), None);
    assert_eq!(window.look(per, false, at(9)), None);
    assert_eq!(
        window.look(per, true, at(20)),
        deadline(26, DeadlineKind::BodyRate)
    );
}
