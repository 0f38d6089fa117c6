//! The gate for `spec.notBefore` of a request, which is set when the deployment in the previous
//! environment must have been live for some time.

use super::{Asked, Verdict};

pub(super) fn judge(asked: &Asked<'_>) -> Verdict {
    let Some(due) = &asked.request.not_before else { return Verdict::unset() };
    if asked.now >= due.0 {
        return Verdict::Passed { message: format!("due since {:.0}", due.0) };
    }
    Verdict::Waiting { reason: "NotDue", message: format!("not before {:.0}", due.0), again: Some(due.0) }
}
