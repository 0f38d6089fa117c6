//! The gate `approvals`: how many people must approve. The requester's own approval doesn't count.

use super::{GateInput, GateVerdict};
use crate::api::Gates;

pub(super) fn judge(asked: &GateInput<'_>, gates: &Gates) -> GateVerdict {
    let Ok(wanted @ 1..) = usize::try_from(gates.approvals) else { return GateVerdict::unset() };
    let requester = asked.request.requested_by.login.as_deref().unwrap_or_default();
    // Logins ignore case on GitHub.
    let mut people: Vec<&str> = Vec::new();
    for approval in asked.approvals {
        let login = approval.login.as_str();
        if !login.eq_ignore_ascii_case(requester)
            && !people.iter().any(|seen| seen.eq_ignore_ascii_case(login))
        {
            people.push(login);
        }
    }
    if people.len() >= wanted {
        return GateVerdict::Passed { message: format!("approved by {}", people.join(", ")) };
    }
    let by = if people.is_empty() { String::new() } else { format!(" ({})", people.join(", ")) };
    let noun = if wanted == 1 { "approval" } else { "approvals" };
    GateVerdict::Waiting {
        reason: "ApprovalsMissing",
        message: format!("{} of {wanted} {noun}{by}", people.len()),
        again: None,
    }
}
