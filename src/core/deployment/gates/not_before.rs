//! `spec.notBefore` of a request: how long the deployment before it has to have been live.

use super::{Asked, Verdict};

pub(super) fn judge(asked: &Asked<'_>) -> Verdict {
    let Some(due) = &asked.request.not_before else { return Verdict::unset() };
    if asked.now >= due.0 {
        return Verdict::Passed { message: format!("due since {:.0}", due.0) };
    }
    Verdict::Waiting { reason: "NotDue", message: format!("not before {:.0}", due.0), again: Some(due.0) }
}
