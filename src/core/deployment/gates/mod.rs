//! The gates that must pass before Matinee creates a deployment: a chain of pure functions from
//! facts to a verdict. Each gate has its own condition.
//!
//! [`crate::core::environment::eligibility`] is something else: it judges whether a pull request
//! may have an environment at all.

mod after;
mod approvals;
mod checks;
mod deadline;
pub mod hours;
pub mod image;
mod lock;
mod not_before;
pub mod pushes;
pub mod repeats;
pub mod supersession;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

pub use self::image::RegistryAnswer;
use crate::api::{
    Approval, ConditionStatus, DeploymentRequestSpec, Gates, PreviewClassSpec, PreviewRepositorySpec,
};
use crate::core::conditions::NOT_REACHED;
use crate::core::forge::Check;
use crate::core::mistake::Mistake;
pub use crate::core::publish::commit_status::{Standing, commit_status, recorded};

/// Condition of the gate `spec.locks`: nobody has locked the environment.
pub const UNLOCKED: &str = "Unlocked";
/// Condition of the request's `spec.notBefore`: that time has come.
pub const NOT_BEFORE_REACHED: &str = "NotBeforeReached";
/// Condition of the gate `hours`: the present time is within one of its spans.
pub const WITHIN_HOURS: &str = "WithinHours";
/// Condition of the gate `after`: the commit was deployed successfully to the prior environments.
pub const PRIOR_ENVIRONMENT_SUCCEEDED: &str = "PriorEnvironmentSucceeded";
/// Condition of the gate `approvals`: enough people approved.
pub const APPROVED: &str = "Approved";
/// Condition of the gate `checks`: all of its checks passed.
pub const CHECKS_PASSED: &str = "ChecksPassed";
/// Condition of the gate `image`: the image is in its registry.
pub const IMAGE_FOUND: &str = "ImageFound";
/// Conditions of all gates, in the order in which the gates are judged.
pub const CONDITIONS: [&str; 7] = [
    UNLOCKED,
    NOT_BEFORE_REACHED,
    WITHIN_HOURS,
    PRIOR_ENVIRONMENT_SUCCEEDED,
    APPROVED,
    CHECKS_PASSED,
    IMAGE_FOUND,
];

/// The verdict of one gate. Messages are clauses that can be joined into one sentence. They contain
/// nothing that changes from one reconcile to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateVerdict {
    /// The gate is satisfied.
    Passed {
        /// Message for users.
        message: String,
    },
    /// The gate isn't set, or somebody bypassed it; then the message says who.
    NotRequired {
        /// Message for users; empty when the gate isn't set.
        message: String,
    },
    /// The gate wasn't judged, since a gate before it still waits.
    NotReached,
    /// The gate will or may pass without a change of the configuration.
    Waiting {
        /// Reason of the condition, in CamelCase.
        reason: &'static str,
        /// Message for users.
        message: String,
        /// When to judge the gate again even without an event; `None` when only an event or a
        /// change of an object can change the verdict.
        again: Option<Timestamp>,
    },
    /// The gate doesn't pass.
    Refused {
        /// Reason of the condition, in CamelCase.
        reason: &'static str,
        /// Message for users.
        message: String,
        /// Whether the refusal is final. Otherwise the gate is judged again when something changes:
        /// a check is run again, or the PreviewRepository or the class is edited.
        over: bool,
    },
}

impl GateVerdict {
    /// Returns status, reason and message of the gate's condition.
    pub fn condition(&self) -> (ConditionStatus, &'static str, &str) {
        match self {
            Self::Passed { message } => (ConditionStatus::True, "Passed", message),
            Self::NotRequired { message } => (ConditionStatus::True, "NotRequired", message),
            Self::NotReached => (ConditionStatus::Unknown, NOT_REACHED, ""),
            Self::Waiting { reason, message, .. } => (ConditionStatus::Unknown, reason, message),
            Self::Refused { reason, message, .. } => (ConditionStatus::False, reason, message),
        }
    }

    fn unset() -> Self {
        Self::NotRequired { message: String::new() }
    }

    fn mended_by_configuration(Mistake { reason, message }: Mistake) -> Self {
        Self::Refused { reason: reason.as_str(), message, over: false }
    }
}

/// A request and everything that is known about it without asking GitHub or a registry.
#[derive(Clone, Copy, Debug)]
pub struct GateInput<'a> {
    /// The PreviewRepository, for its locks and its other environments.
    pub repository: &'a PreviewRepositorySpec,
    /// The class, for the registries that Matinee may ask.
    pub class: &'a PreviewClassSpec,
    /// The request's spec.
    pub request: &'a DeploymentRequestSpec,
    /// The request's `metadata.creationTimestamp`.
    pub created: Timestamp,
    /// The request's `status.approvals`.
    pub approvals: &'a [Approval],
    /// The request's `status.conditions` as the previous reconcile left them. They say since when a
    /// gate waits.
    pub conditions: &'a [Condition],
    /// The present time.
    pub now: Timestamp,
}

impl GateInput<'_> {
    /// Returns the gates of the request's environment; `None` when the PreviewRepository no longer
    /// has that environment.
    fn gates(&self) -> Option<&Gates> {
        self.repository
            .environments
            .iter()
            .find(|entry| entry.name == self.request.environment)
            .and_then(|entry| entry.gates.as_ref())
    }

    /// Returns the verdict of a gate that `force` bypasses, if the request has `force`.
    fn forced(&self) -> Option<GateVerdict> {
        let by = self.request.requested_by.login.as_deref().unwrap_or("the creator of the request");
        self.request.force.then(|| GateVerdict::NotRequired { message: format!("bypassed: forced by {by}") })
    }
}

/// Facts that were fetched because [`needs`] requested them. A fact that wasn't fetched is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// For each of [`Needs::succeeded`], whether the commit was deployed there successfully.
    pub succeeded: Option<Vec<(String, bool)>>,
    /// The commit's checks: check runs and commit statuses.
    pub checks: Option<Vec<Check>>,
    /// The image's name with its placeholders filled in, or why they can't be filled in; and the
    /// registry's answer, which is `None` when the registry wasn't asked.
    pub image: Option<Result<(String, Option<RegistryAnswer>), Mistake>>,
}

/// The facts to fetch before the gates are judged. Nothing is fetched for a gate that isn't set or
/// that can't matter yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Environments for which to find out whether the commit was deployed there successfully.
    pub succeeded: Vec<String>,
    /// Whether to fetch the commit's checks.
    pub checks: bool,
    /// Whether to fill in the placeholders of `gates.image` and to ask for that image.
    /// [`image::registry`] says whether its registry may be asked.
    pub image: bool,
}

/// Returns the facts to fetch for [`evaluate`]. There are none while the environment is locked,
/// before the request is due, and outside of the hours.
pub fn needs(asked: &GateInput<'_>) -> Needs {
    let Some(gates) = asked.gates() else { return Needs::default() };
    if !stands_open(&at_once(asked)) {
        return Needs::default();
    }
    Needs {
        succeeded: if asked.request.force { Vec::new() } else { gates.after.clone() },
        checks: !gates.checks.is_empty(),
        image: gates.image.is_some(),
    }
}

/// The verdicts of all gates, and their summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// The verdict for each of [`CONDITIONS`], in that order.
    pub verdicts: Vec<(&'static str, GateVerdict)>,
    /// The summary of the verdicts.
    pub summary: GateSummary,
}

/// The summary of all verdicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateSummary {
    /// The deployment may be created.
    Open,
    /// At least one gate waits, and none refuses.
    Waiting {
        /// Reason of the first gate that waits.
        reason: &'static str,
        /// The messages of all gates that wait, in one sentence.
        message: String,
        /// When to judge the gates again even without an event.
        again: Option<Timestamp>,
    },
    /// At least one gate refuses.
    Refused {
        /// Reason of the first gate that refuses.
        reason: &'static str,
        /// Message of that gate.
        message: String,
        /// Whether the refusal is final; otherwise the gates are judged again when something
        /// changes.
        over: bool,
    },
}

/// Judges all gates.
pub fn evaluate(asked: &GateInput<'_>, facts: &Facts) -> Evaluation {
    let unset = Gates::default();
    let gates = asked.gates().unwrap_or(&unset);
    let mut verdicts = at_once(asked).to_vec();
    verdicts.push((PRIOR_ENVIRONMENT_SUCCEEDED, after::judge(asked, gates, facts.succeeded.as_deref())));
    verdicts.push((APPROVED, approvals::judge(asked, gates)));
    verdicts.push((CHECKS_PASSED, checks::judge(asked, gates, facts.checks.as_deref())));
    verdicts.push((IMAGE_FOUND, image::judge(asked, gates, facts.image.as_ref())));
    let summary = summarize(&verdicts);
    Evaluation { verdicts, summary }
}

/// Judges the gates that need no facts. They decide whether facts are fetched at all.
fn at_once(asked: &GateInput<'_>) -> [(&'static str, GateVerdict); 3] {
    [
        (UNLOCKED, lock::judge(asked)),
        (NOT_BEFORE_REACHED, not_before::judge(asked)),
        (WITHIN_HOURS, hours::judge(asked, asked.gates().map_or(&[], |gates| &gates.hours))),
    ]
}

fn stands_open(verdicts: &[(&'static str, GateVerdict)]) -> bool {
    verdicts
        .iter()
        .all(|(_, verdict)| matches!(verdict, GateVerdict::Passed { .. } | GateVerdict::NotRequired { .. }))
}

fn summarize(verdicts: &[(&'static str, GateVerdict)]) -> GateSummary {
    for (_, verdict) in verdicts {
        if let GateVerdict::Refused { reason, message, over } = verdict {
            return GateSummary::Refused { reason, message: message.clone(), over: *over };
        }
    }
    let waiting: Vec<_> = verdicts
        .iter()
        .filter_map(|(_, verdict)| match verdict {
            GateVerdict::Waiting { reason, message, again } => Some((*reason, message.as_str(), *again)),
            _ => None,
        })
        .collect();
    match waiting.first() {
        Some((reason, ..)) => GateSummary::Waiting {
            reason,
            message: waiting.iter().map(|(_, message, _)| *message).collect::<Vec<_>>().join("; "),
            again: waiting.iter().filter_map(|(.., again)| *again).min(),
        },
        // `needs` requested a fact that wasn't fetched. It is fetched in the next reconcile; until
        // then the gate doesn't pass.
        None if !stands_open(verdicts) => GateSummary::Waiting {
            reason: NOT_REACHED,
            message: "some gates are not evaluated yet".to_owned(),
            again: None,
        },
        None => GateSummary::Open,
    }
}
