//! What the scripts of both sides have in common.

use super::Common;
use crate::sim::checks::Check;
use crate::sim::plan::{BodyPlan, Style};
use antiphon_core::h1::{BodyLen, PeerError, PeerErrorKind};
use antiphon_core::{Fields, Headers};

/// Whether a script did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Something,
    Nothing,
}

pub(super) fn headers(fields: &[(&str, String)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in fields {
        let added = headers.append(name, value);
        debug_assert!(added.is_ok(), "{name} is a field");
    }
    headers
}

pub(super) fn framing(plan: &BodyPlan) -> BodyLen {
    match plan.style {
        Style::Chunked => BodyLen::Unknown,
        _ if plan.trailers => BodyLen::Unknown,
        _ => BodyLen::Known(plan.len),
    }
}

/// Checks trailers.
pub(super) fn trailers(number: u64, came: Option<Fields<'_>>, due: bool, w: &mut Common) {
    let came = came.and_then(|t| t.get("x-trailer").map(<[u8]>::to_vec));
    let due = due.then(|| number.to_string().into_bytes());
    if came != due {
        let what = format!("exchange {number}: trailers {came:?} instead of {due:?}");
        w.violate(Check::Bytes, what);
    }
}

/// Nothing in a world breaks the protocol.
pub(super) fn judge(number: u64, error: PeerError, may_fail: bool, w: &mut Common) {
    if error.kind() != PeerErrorKind::UnexpectedEof {
        w.violate(Check::Reason, format!("exchange {number}: {error:?}"));
    } else if !may_fail && !w.may_break() {
        w.violate(Check::Succeeds, format!("exchange {number}: {error:?}"));
    }
}
