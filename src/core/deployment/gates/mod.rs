//! What must hold before a deployment is created: a chain of gates, each a pure function from facts to a verdict, each with a condition of
//! its own.
//!
//! Not to be mixed up with [`crate::core::environment::eligibility`], which judges whether a pull request may have an environment at all.

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

pub use self::image::Answer;
use crate::api::{
    Approval, ConditionStatus, DeploymentRequestSpec, Gates, PreviewClassSpec, PreviewRepositorySpec,
};
use crate::core::conditions::NOT_REACHED;
use crate::core::environment::resolved::Mistake;
use crate::core::forge::Check;
pub use crate::core::publish::commit_status::{Standing, commit_status, told};

/// Condition of the gate `spec.locks`: nobody has locked the environment.
pub const UNLOCKED: &str = "Unlocked";
/// Condition of the request's `spec.notBefore`: its time has come.
pub const NOT_BEFORE_REACHED: &str = "NotBeforeReached";
/// Condition of the gate `hours`: it is one of them.
pub const WITHIN_HOURS: &str = "WithinHours";
/// Condition of the gate `after`: the commit was deployed with success where it has to be first.
pub const PRIOR_ENVIRONMENT_SUCCEEDED: &str = "PriorEnvironmentSucceeded";
/// Condition of the gate `approvals`: enough people approved.
pub const APPROVED: &str = "Approved";
/// Condition of the gate `checks`: they passed.
pub const CHECKS_PASSED: &str = "ChecksPassed";
/// Condition of the gate `image`: it is in its registry.
pub const IMAGE_FOUND: &str = "ImageFound";
/// Every gate's condition, in the order in which they are judged.
pub const CONDITIONS: [&str; 7] = [
    UNLOCKED,
    NOT_BEFORE_REACHED,
    WITHIN_HOURS,
    PRIOR_ENVIRONMENT_SUCCEEDED,
    APPROVED,
    CHECKS_PASSED,
    IMAGE_FOUND,
];

/// What a gate says. Messages are clauses that can be joined to a sentence, and hold nothing that changes from one look to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// What it asks for is so.
    Passed {
        /// For people.
        message: String,
    },
    /// It isn't set, or was passed by; then the message says by whom.
    NotRequired {
        /// For people; empty when the gate isn't set.
        message: String,
    },
    /// What it asks about wasn't asked, since a gate before it waits.
    NotReached,
    /// It will or may pass without a change of the configuration.
    Waiting {
        /// CamelCase.
        reason: &'static str,
        /// For people.
        message: String,
        /// When to look again even if nothing is heard; `None` when only an event or a change brings news.
        again: Option<Timestamp>,
    },
    /// It doesn't pass as things stand.
    Refused {
        /// CamelCase.
        reason: &'static str,
        /// For people.
        message: String,
        /// Whether that is the end of the request. Otherwise it is judged again when something changes: a check that is run again, the
        /// PreviewRepository, the class.
        over: bool,
    },
}

impl Verdict {
    /// Status, reason and message of the gate's condition.
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
        Self::Refused { reason, message, over: false }
    }
}

/// A request, and what is known of it without asking anybody.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The PreviewRepository: its locks and its other environments.
    pub repository: &'a PreviewRepositorySpec,
    /// The class: the registries that may be asked.
    pub class: &'a PreviewClassSpec,
    /// The request's spec.
    pub request: &'a DeploymentRequestSpec,
    /// The request's `metadata.creationTimestamp`.
    pub created: Timestamp,
    /// The request's `status.approvals`.
    pub approvals: &'a [Approval],
    /// The request's `status.conditions`, as they were after the last look: they tell since when something is waited for.
    pub conditions: &'a [Condition],
    /// The time of this look.
    pub now: Timestamp,
}

impl Asked<'_> {
    /// The gates of the request's environment; those of an environment that isn't there any more are none.
    fn gates(&self) -> Option<&Gates> {
        self.repository
            .environments
            .iter()
            .find(|entry| entry.name == self.request.environment)
            .and_then(|entry| entry.gates.as_ref())
    }

    /// The message of a gate that `force` passes by, if the request has it.
    fn forced(&self) -> Option<Verdict> {
        let by = self.request.requested_by.login.as_deref().unwrap_or("whoever created the request");
        self.request.force.then(|| Verdict::NotRequired { message: format!("passed by: forced by {by}") })
    }
}

/// What was fetched because [`needs`] said so; `None` where it wasn't.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// For each environment asked about, whether the commit was deployed there with success.
    pub succeeded: Option<Vec<(String, bool)>>,
    /// The commit's checks: check runs and statuses.
    pub checks: Option<Vec<Check>>,
    /// The image's name with its holes filled, or why they can't be, and what the registry answered, `None` when it wasn't asked.
    pub image: Option<Result<(String, Option<Answer>), Mistake>>,
}

/// Which facts have to be fetched. Nothing is asked of GitHub or a registry for a gate that isn't set, or that can't matter yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Environments about which to ask whether the commit was deployed there with success.
    pub succeeded: Vec<String>,
    /// Whether to fetch the commit's checks.
    pub checks: bool,
    /// Whether to fill the holes of `gates.image` and ask for that image; first see that [`image::registry`] lets it be asked for.
    pub image: bool,
}

/// Which facts have to be fetched for [`evaluate`]. While the environment is locked, the request isn't due or it is outside of the hours, none.
pub fn needs(asked: &Asked<'_>) -> Needs {
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

/// What all gates say, and what that comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// For each of [`CONDITIONS`], in that order, its verdict.
    pub verdicts: Vec<(&'static str, Verdict)>,
    /// What they come to.
    pub summary: Summary,
}

/// What the verdicts come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Summary {
    /// The deployment may be created.
    Open,
    /// Something is waited for.
    Waiting {
        /// That of the first gate that waits.
        reason: &'static str,
        /// All that is waited for, in one sentence.
        message: String,
        /// When to look again even if nothing is heard.
        again: Option<Timestamp>,
    },
    /// A gate refuses.
    Refused {
        /// That of the first gate that refuses.
        reason: &'static str,
        /// That gate's message.
        message: String,
        /// Whether that is the end of the request; otherwise it is judged again when something changes.
        over: bool,
    },
}

/// Judges all gates.
pub fn evaluate(asked: &Asked<'_>, facts: &Facts) -> Evaluation {
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

/// The gates that need no facts and that decide whether any are fetched.
fn at_once(asked: &Asked<'_>) -> [(&'static str, Verdict); 3] {
    [
        (UNLOCKED, lock::judge(asked)),
        (NOT_BEFORE_REACHED, not_before::judge(asked)),
        (WITHIN_HOURS, hours::judge(asked, asked.gates().map_or(&[], |gates| &gates.hours))),
    ]
}

fn stands_open(verdicts: &[(&'static str, Verdict)]) -> bool {
    verdicts
        .iter()
        .all(|(_, verdict)| matches!(verdict, Verdict::Passed { .. } | Verdict::NotRequired { .. }))
}

fn summarize(verdicts: &[(&'static str, Verdict)]) -> Summary {
    for (_, verdict) in verdicts {
        if let Verdict::Refused { reason, message, over } = verdict {
            return Summary::Refused { reason, message: message.clone(), over: *over };
        }
    }
    let waiting: Vec<_> = verdicts
        .iter()
        .filter_map(|(_, verdict)| match verdict {
            Verdict::Waiting { reason, message, again } => Some((*reason, message.as_str(), *again)),
            _ => None,
        })
        .collect();
    match waiting.first() {
        Some((reason, ..)) => Summary::Waiting {
            reason,
            message: format!(
                "waits: {}",
                waiting.iter().map(|(_, message, _)| *message).collect::<Vec<_>>().join("; ")
            ),
            again: waiting.iter().filter_map(|(.., again)| *again).min(),
        },
        // What wasn't fetched though `needs` said so is fetched at the next look, and never taken for passed.
        None if !stands_open(verdicts) => Summary::Waiting {
            reason: NOT_REACHED,
            message: "waits: not all was asked yet".to_owned(),
            again: None,
        },
        None => Summary::Open,
    }
}
