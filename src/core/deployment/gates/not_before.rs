//! The gate for `spec.notBefore` of a request, which is set when the deployment in the previous
//! environment must have been live for some time.

use super::{GateInput, GateVerdict};

pub(super) fn judge(asked: &GateInput<'_>) -> GateVerdict {
    let Some(due) = &asked.request.not_before else { return GateVerdict::unset() };
    if asked.now >= due.0 {
        return GateVerdict::Passed { message: format!("due since {:.0}", due.0) };
    }
    GateVerdict::Waiting { reason: "NotDue", message: format!("not before {:.0}", due.0), again: Some(due.0) }
}
