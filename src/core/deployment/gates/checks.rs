//! The gate `checks`: check runs and commit statuses that must pass.

use super::{CHECKS_PASSED, GateInput, GateVerdict};
use crate::api::Gates;
use crate::core::deployment::gates::deadline::deadline;
use crate::core::deployment::reason::RequestReason;
use crate::core::forge::{Check, CheckState};

pub(super) fn judge(asked: &GateInput<'_>, gates: &Gates, checks: Option<&[Check]>) -> GateVerdict {
    if gates.checks.is_empty() {
        return GateVerdict::unset();
    }
    let Some(checks) = checks else { return GateVerdict::NotReached };
    let (mut failed, mut open) = (Vec::new(), Vec::new());
    for name in &gates.checks {
        // Check runs and a commit status may share a name: then all of them must pass.
        let mut states = checks
            .iter()
            .filter(|check| check.name.eq_ignore_ascii_case(name))
            .map(|check| &check.state)
            .peekable();
        if states.peek().is_none() {
            open.push(format!("{name} (missing)"));
            continue;
        }
        let (mut all, mut pending) = (0, false);
        let mut failures = Vec::new();
        for state in states {
            all += 1;
            match state {
                CheckState::Passed => {}
                CheckState::Pending => pending = true,
                CheckState::Failed(how) => failures.push(how.as_str()),
            }
        }
        if !failures.is_empty() {
            // The message says how many checks have the name, so that the reader knows about the
            // others.
            let of =
                if all > 1 { format!(", {} of {all} of that name", failures.len()) } else { String::new() };
            failures.dedup();
            failed.push(format!("{name} ({}{of})", failures.join(", ")));
        } else if pending {
            open.push(name.clone());
        }
    }
    let checks = |state: &str, names: &[String]| {
        format!("{} {state}: {}", if names.len() == 1 { "check" } else { "checks" }, names.join(", "))
    };
    if !failed.is_empty() {
        // The refusal isn't final: the check may pass when it is run again.
        let message = checks("failed", &failed);
        return GateVerdict::Refused { reason: "ChecksFailed", message, over: false };
    }
    if open.is_empty() {
        return GateVerdict::Passed { message: checks("passed", &gates.checks) };
    }
    let deadline = deadline(asked, gates, CHECKS_PASSED);
    if asked.now >= deadline {
        return GateVerdict::Refused {
            reason: RequestReason::ChecksTimedOut.as_str(),
            message: checks("not finished in time", &open),
            over: true,
        };
    }
    GateVerdict::Waiting { reason: "ChecksPending", message: checks("pending", &open), again: Some(deadline) }
}
