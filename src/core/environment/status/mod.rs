//! Computes the status of an environment from the findings of one reconcile.

mod conditions;
mod history;
mod progress;
mod reports;

use jiff::Timestamp;

pub use self::progress::{Progress, Stage};
use crate::api::{
    Admission, Attempt, Component, ConditionStatus, DeploymentReport, DeploymentState, InventoryEntry,
    NamespaceReference, Outcome, PreviewEnvironmentStatus, Revision, Verification, find_condition,
};
use crate::core::conditions::{READY, RECONCILING, STALLED};
use crate::core::publish::deployment_status;
use crate::core::truncate::short_sha;
use crate::core::{conditions as list, trouble};

/// The references, names and template are valid.
pub const VALIDATED: &str = "Validated";
/// Matinee has applied every planned object.
pub const APPLIED: &str = "Applied";
/// The applied objects are healthy.
pub const HEALTHY: &str = "Healthy";
/// The URL responds.
pub const REACHABLE: &str = "Reachable";
/// GitHub shows the current state.
pub const REPORTED: &str = "Reported";

/// Every condition of an environment, in the order of the stages.
pub const CONDITIONS: [&str; 7] = [READY, RECONCILING, STALLED, VALIDATED, APPLIED, HEALTHY, REACHABLE];

/// Reason of [`APPLIED`] when another client keeps changing the applied objects.
pub const FIELDS_CONTESTED: &str = "FieldsContested";

/// Findings of a reconcile. A field is `None` or empty when the reconcile didn't get that far; the
/// status then keeps its earlier value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// The admission of the environment, or the last one with the time of its withdrawal.
    pub admission: Option<Admission>,
    /// Whether the reports to GitHub stay as they are, because the environment isn't admitted.
    pub keeps_reports: bool,
    /// Result of the check with GitHub.
    pub verified: Option<Verification>,
    /// Host name of the first endpoint.
    pub host: Option<String>,
    /// Host names of all endpoints. Empty without endpoints; then there is neither host nor URL.
    pub hosts: Option<Vec<String>>,
    /// URL of the first endpoint.
    pub url: Option<String>,
    /// The preview's namespace.
    pub namespace: Option<NamespaceReference>,
    /// Health of the objects.
    pub components: Option<Vec<Component>>,
    /// Trouble that may still end by itself. GitHub shows it on the deployment in progress.
    pub trouble: Option<String>,
    /// Every object that was applied so far, also those that still have to be deleted.
    pub inventory: Option<Vec<InventoryEntry>>,
    /// When the environment is deleted.
    pub expires: Option<Timestamp>,
    /// Earlier deployments that no reconcile handled, because the next one came first.
    pub skipped: Vec<i64>,
    /// Objects that Matinee doesn't restore any more because another client keeps changing them;
    /// each text says why, for people.
    pub contested: Vec<String>,
}

/// Inputs that stay the same during a reconcile.
#[derive(Clone, Copy, Debug)]
pub struct StatusInput<'a> {
    /// Generation of the environment's spec.
    pub generation: i64,
    /// The revision to deploy.
    pub revision: &'a Revision,
    /// URL with details.
    pub log_url: Option<&'a str>,
    /// Now.
    pub now: Timestamp,
}

/// Returns the status after a reconcile. `before` has what GitHub acknowledged since.
pub fn conclude(
    before: Option<&PreviewEnvironmentStatus>,
    input: &StatusInput<'_>,
    findings: Findings,
    progress: &Progress,
) -> PreviewEnvironmentStatus {
    let (skipped, trouble) = (findings.skipped, findings.trouble);
    let keeps_reports = findings.keeps_reports;
    let mut status = or_empty(before);
    status.observed_generation = input.generation;
    status.short_sha = Some(short_sha(&input.revision.sha));
    status.admission = findings.admission.or(status.admission);
    status.verified = findings.verified.or(status.verified);
    // A template without endpoints has no URL.
    if findings.hosts.as_ref().is_some_and(Vec::is_empty) {
        status.host = None;
        status.url = None;
    }
    status.host = findings.host.or(status.host);
    status.hosts = findings.hosts.unwrap_or(status.hosts);
    status.url = findings.url.or(status.url);
    status.namespace = findings.namespace.or(status.namespace);
    status.components = findings.components.unwrap_or(status.components);
    status.inventory = findings.inventory.unwrap_or(status.inventory);
    status.expiration_time =
        findings.expires.map(|time| seconds(time).to_string()).or(status.expiration_time);
    conditions::set_conditions(&mut status, input, progress, &findings.contested);
    history::set_history(&mut status, input, progress);
    if !keeps_reports {
        status.report = reports::reports(before, &status, input, progress, &skipped, trouble.as_deref());
    }
    status
}

/// Returns a status; an empty one before the first reconcile.
pub fn or_empty(status: Option<&PreviewEnvironmentStatus>) -> PreviewEnvironmentStatus {
    status.map_or_else(empty, Clone::clone)
}

/// Result of a write to GitHub: the report, and why GitHub didn't acknowledge it, if it didn't.
pub type Acknowledgement = (DeploymentReport, Result<(), String>);

/// Adds to a status what GitHub acknowledged since, and why it didn't acknowledge the rest.
/// `current` is the deployment of the environment's revision.
pub fn acknowledge(
    status: &mut PreviewEnvironmentStatus,
    current: Option<i64>,
    results: &[Acknowledgement],
    generation: i64,
    now: Timestamp,
) {
    for (report, result) in results {
        let about = format!("{} of deployment {}", report.state.as_github(), report.deployment_id);
        match result {
            Ok(()) => {
                status.reported =
                    deployment_status::acknowledge(&status.reported, report.clone(), &status.report);
                set_reported(status, current, Ok(()), generation, now);
            }
            Err(error) => set_reported(status, current, Err(&format!("{error} ({about})")), generation, now),
        }
    }
}

/// Sets the condition [`REPORTED`]: what GitHub shows, or why it doesn't show what it should.
pub fn set_reported(
    status: &mut PreviewEnvironmentStatus,
    current: Option<i64>,
    result: Result<(), &str>,
    generation: i64,
    now: Timestamp,
) {
    let shown = deployment_status::shown(&status.reported, current).unwrap_or_default();
    let (verdict, reason, message) = match result {
        Ok(()) => (ConditionStatus::True, "Acknowledged", shown.as_str()),
        Err(why) => (ConditionStatus::False, "NotAcknowledged", why),
    };
    list::set(&mut status.conditions, REPORTED, verdict, reason, message, generation, now);
}

/// Whether an outage stopped every reconcile so far. Then it isn't known yet whether the deployment
/// is over already.
pub fn is_new(status: Option<&PreviewEnvironmentStatus>) -> bool {
    status.is_none_or(|status| {
        status.namespace.is_none()
            && status.verified.is_none()
            && find_condition(&status.conditions, VALIDATED).is_some_and(|validated| {
                validated.status == ConditionStatus::Unknown.as_str()
                    && trouble::OUTAGES.contains(&validated.reason.as_str())
            })
    })
}

/// Whether this revision was ready once. Then Matinee doesn't request its URL again, and a restart
/// of a pod isn't a new deployment.
pub fn has_succeeded(status: Option<&PreviewEnvironmentStatus>, revision: &Revision) -> bool {
    newest_attempt(status, revision).is_some_and(|attempt| attempt.outcome == Outcome::Succeeded)
}

/// Whether the environment is ready.
pub fn is_ready(status: Option<&PreviewEnvironmentStatus>) -> bool {
    status
        .and_then(|status| find_condition(&status.conditions, READY))
        .is_some_and(|ready| ready.status == ConditionStatus::True.as_str())
}

/// Whether this revision has been superseded.
pub fn is_superseded(status: Option<&PreviewEnvironmentStatus>, revision: &Revision) -> bool {
    newest_attempt(status, revision).is_some_and(|attempt| attempt.outcome == Outcome::Superseded)
}

/// Whether two statuses differ in nothing but progress, or in the words of why the environment
/// isn't ready: the revision, the reports for GitHub, the readiness and the reason of a failure are
/// the same.
pub fn is_only_progress(before: Option<&PreviewEnvironmentStatus>, after: &PreviewEnvironmentStatus) -> bool {
    let ready = |status: &PreviewEnvironmentStatus| {
        let ready = find_condition(&status.conditions, READY)?;
        let failed = ready.status == ConditionStatus::False.as_str();
        Some((ready.status.clone(), failed.then(|| ready.reason.clone())))
    };
    let is_ready = |status: &str| status == ConditionStatus::True.as_str();
    before.is_some_and(|before| {
        ready(after).is_some_and(|(status, _)| !is_ready(&status))
            && ready(before) == ready(after)
            && before.report == after.report
            && is_same_on_github(before, after)
            && before.admission == after.admission
            && before.verified == after.verified
            && before.namespace == after.namespace
            && before.inventory == after.inventory
            && before.hosts == after.hosts
            && before.url == after.url
            && before.observed_generation == after.observed_generation
    })
}

/// Whether two statuses differ in nothing but what GitHub acknowledged of deployments that are still
/// in progress.
pub fn is_only_acknowledged_progress(
    before: Option<&PreviewEnvironmentStatus>,
    after: &PreviewEnvironmentStatus,
) -> bool {
    let Some(before) = before else { return false };
    let rest = |status: &PreviewEnvironmentStatus| {
        let mut status = status.clone();
        status.reported.clear();
        status.conditions.retain(|condition| condition.type_ != REPORTED);
        status
    };
    is_same_on_github(before, after) && rest(before) == rest(after)
}

/// Whether GitHub acknowledged nothing but deployments that are still in progress, and refused
/// nothing.
fn is_same_on_github(before: &PreviewEnvironmentStatus, after: &PreviewEnvironmentStatus) -> bool {
    let finals = |status: &PreviewEnvironmentStatus| {
        let is_final = |report: &&DeploymentReport| {
            !matches!(report.state, DeploymentState::Queued | DeploymentState::InProgress)
        };
        status.reported.iter().filter(is_final).cloned().collect::<Vec<_>>()
    };
    let (was, is) =
        (find_condition(&before.conditions, REPORTED), find_condition(&after.conditions, REPORTED));
    let is_refused = is.is_some_and(|reported| reported.status != ConditionStatus::True.as_str());
    finals(before) == finals(after) && (was == is || !is_refused)
}

/// Whether this revision is new: the status is about another one, or there is none.
pub fn is_first_look(status: Option<&PreviewEnvironmentStatus>, revision: &Revision) -> bool {
    newest_attempt(status, revision).is_none()
}

/// Whether the newest attempt isn't over yet.
pub fn is_attempt_open(status: Option<&PreviewEnvironmentStatus>) -> bool {
    let newest = status.and_then(|status| status.history.first());
    newest.is_some_and(|attempt| attempt.completion_time.is_none())
}

/// Returns when this revision was first seen; `now` when it wasn't.
pub fn first_seen(
    status: Option<&PreviewEnvironmentStatus>,
    revision: &Revision,
    now: Timestamp,
) -> Timestamp {
    newest_attempt(status, revision).map_or(now, |attempt| attempt.start_time.0)
}

/// Returns the newest attempt, if it is for this revision.
fn newest_attempt<'a>(
    status: Option<&'a PreviewEnvironmentStatus>,
    revision: &Revision,
) -> Option<&'a Attempt> {
    status?.history.first().filter(|attempt| is_of(attempt, revision))
}

fn is_of(attempt: &Attempt, revision: &Revision) -> bool {
    attempt.sha == revision.sha && attempt.deployment_id == revision.deployment_id
}

fn empty() -> PreviewEnvironmentStatus {
    PreviewEnvironmentStatus {
        observed_generation: -1,
        conditions: Vec::new(),
        admission: None,
        verified: None,
        url: None,
        host: None,
        hosts: Vec::new(),
        short_sha: None,
        expiration_time: None,
        namespace: None,
        components: Vec::new(),
        inventory: Vec::new(),
        history: Vec::new(),
        report: Vec::new(),
        reported: Vec::new(),
    }
}

/// Truncates a time to whole seconds, as the API stores it. A finer time would make a status differ
/// from itself after a round trip.
pub fn seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests;
