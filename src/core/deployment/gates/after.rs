//! The gate `after`: environments in which the commit must have been deployed successfully first.

use super::{GateInput, GateVerdict};
use crate::api::Gates;
use crate::core::mistake::{Mistake, Reason};

pub(super) fn judge(
    asked: &GateInput<'_>,
    gates: &Gates,
    succeeded: Option<&[(String, bool)]>,
) -> GateVerdict {
    if gates.after.is_empty() {
        return GateVerdict::unset();
    }
    if let Some(forced) = asked.forced() {
        return forced;
    }
    let there: Vec<&str> = asked.repository.environments.iter().map(|entry| entry.name.as_str()).collect();
    if let Some(unknown) = gates.after.iter().find(|name| !there.contains(&name.as_str())) {
        return GateVerdict::mended_by_configuration(Mistake {
            reason: Reason::EnvironmentUnknown,
            message: format!(
                "the PreviewRepository's spec.environments[{}].gates.after has {unknown}, which is not in spec.environments ({}): correct the name, or add it",
                asked.request.environment,
                there.join(", ")
            ),
        });
    }
    let Some(succeeded) = succeeded else { return GateVerdict::NotReached };
    let has = |name: &str| succeeded.iter().any(|(environment, has)| *has && environment == name);
    let missing: Vec<&str> = gates.after.iter().map(String::as_str).filter(|name| !has(name)).collect();
    if missing.is_empty() {
        return GateVerdict::Passed { message: format!("was deployed to {}", gates.after.join(", ")) };
    }
    GateVerdict::Waiting {
        reason: "NotInOrder",
        message: format!("must be live in {} first", missing.join(", ")),
        again: None,
    }
}
