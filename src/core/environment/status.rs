//! Computes the status of an environment from the findings of one reconcile: conditions, history,
//! and reports for GitHub.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{
    Attempt, Component, ConditionStatus, DeploymentReport, DeploymentState, InventoryEntry,
    NamespaceReference, Outcome, PreviewEnvironmentStatus, Revision, Verification, find_condition,
};
use crate::core::cause::Cause;
use crate::core::conditions::{self, Summary};
use crate::core::environment::reason::EnvironmentReason;
use crate::core::mistake::{Mistake, Reason};
use crate::core::publish::deployment_status;
use crate::core::trouble;
use crate::core::truncate::short_sha;

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
pub const CONDITIONS: [&str; 7] =
    [conditions::READY, conditions::RECONCILING, conditions::STALLED, VALIDATED, APPLIED, HEALTHY, REACHABLE];

/// Reason of [`APPLIED`] when another client keeps changing the applied objects.
pub const FIELDS_CONTESTED: &str = "FieldsContested";

/// Length of the history, in attempts.
const HISTORY: usize = 5;
/// Most deployments of one environment that have reports at a time.
const MOST_REPORTS: usize = 50;

/// Stage that a reconcile reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Checks of references, names and template.
    Validate,
    /// Apply of the objects.
    Apply,
    /// Health of the workloads.
    Health,
    /// Request to the URL.
    Answer,
}

impl Stage {
    const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Validate, VALIDATED, "Valid"),
        (Self::Apply, APPLIED, "Applied"),
        (Self::Health, HEALTHY, "Healthy"),
        (Self::Answer, REACHABLE, "Reachable"),
    ];
}

/// Result of a reconcile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Everything is as desired.
    Ready,
    /// Work is in progress and continues by itself.
    Waiting {
        /// The incomplete stage.
        stage: Stage,
        /// Reason.
        reason: EnvironmentReason,
        /// Message for people.
        message: String,
    },
    /// The workloads failed, or the URL doesn't respond. A new revision fixes it, or the workloads
    /// recover.
    Failed {
        /// The stage that failed.
        stage: Stage,
        /// Reason.
        reason: EnvironmentReason,
        /// The cause.
        message: Cause,
    },
    /// An outage interrupts the reconcile although nobody made a mistake. Matinee retries, and
    /// GitHub keeps showing the last result.
    Interrupted {
        /// The stage that the reconcile reached.
        stage: Stage,
        /// Reason in CamelCase.
        reason: &'static str,
        /// Message for people.
        message: String,
    },
    /// The API server or Matinee rejects it because of a mistake, and waits for a change.
    Rejected {
        /// The stage that found it.
        stage: Stage,
        /// The mistake.
        mistake: Mistake,
    },
    /// The commit isn't the pull request's head any more. Matinee waits for the newer deployment
    /// and leaves the running workloads alone.
    Superseded {
        /// The present head.
        head: String,
    },
}

/// Time between two checks whether another owner has released a namespace or host name.
const RELEASED_AGAIN: Duration = Duration::from_secs(30);
/// Like [`RELEASED_AGAIN`], for a namespace that is being deleted.
const TERMINATING_AGAIN: Duration = Duration::from_secs(2);
/// Time between two attempts to apply objects after missing rights, quota or kinds prevented it. No
/// watch reports when the platform team fixes that.
const RIGHTS_AGAIN: Duration = Duration::from_mins(1);

impl Progress {
    /// Returns the time until the next reconcile if no watch will trigger one. Watches report
    /// neither changes to foreign objects and other environments, nor new rights.
    pub fn look_again_after(&self) -> Option<Duration> {
        match self {
            Self::Waiting { reason: EnvironmentReason::NamespaceTerminating, .. } => Some(TERMINATING_AGAIN),
            Self::Rejected {
                mistake: Mistake { reason: Reason::HostTaken | Reason::NamespaceTaken, .. },
                ..
            } => Some(RELEASED_AGAIN),
            Self::Rejected {
                stage: Stage::Apply,
                mistake:
                    Mistake {
                        reason: Reason::ApplyForbidden | Reason::KindMissing | Reason::ClassInvalid, ..
                    },
            } => Some(RIGHTS_AGAIN),
            _ => None,
        }
    }
}

/// Findings of a reconcile. A field is `None` or empty when the reconcile didn't get that far; the
/// status then keeps its earlier value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
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
pub struct Visit<'a> {
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
    visit: &Visit<'_>,
    findings: Findings,
    progress: &Progress,
) -> PreviewEnvironmentStatus {
    let (skipped, trouble) = (findings.skipped, findings.trouble);
    let mut status = or_empty(before);
    status.observed_generation = visit.generation;
    status.short_sha = Some(short_sha(&visit.revision.sha));
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
    set_conditions(&mut status, visit, progress, &findings.contested);
    set_history(&mut status, visit, progress);
    status.report = reports(before, &status, visit, progress, &skipped, trouble.as_deref());
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
    conditions::set(&mut status.conditions, REPORTED, verdict, reason, message, generation, now);
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
        .and_then(|status| find_condition(&status.conditions, conditions::READY))
        .is_some_and(|ready| ready.status == ConditionStatus::True.as_str())
}

/// Whether this revision has been superseded.
pub fn is_superseded(status: Option<&PreviewEnvironmentStatus>, revision: &Revision) -> bool {
    newest_attempt(status, revision).is_some_and(|attempt| attempt.outcome == Outcome::Superseded)
}

/// Whether two statuses differ in nothing but progress, or in the words of why the environment
/// isn't ready: the revision, the reports for GitHub, the readiness and the reason of a failure are
/// the same.
pub fn is_only_news(before: Option<&PreviewEnvironmentStatus>, after: &PreviewEnvironmentStatus) -> bool {
    let ready = |status: &PreviewEnvironmentStatus| {
        let ready = find_condition(&status.conditions, conditions::READY)?;
        let failed = ready.status == ConditionStatus::False.as_str();
        Some((ready.status.clone(), failed.then(|| ready.reason.clone())))
    };
    let is_ready = |status: &str| status == ConditionStatus::True.as_str();
    before.is_some_and(|before| {
        ready(after).is_some_and(|(status, _)| !is_ready(&status))
            && ready(before) == ready(after)
            && before.report == after.report
            && before.reported == after.reported
            && find_condition(&before.conditions, REPORTED) == find_condition(&after.conditions, REPORTED)
            && before.verified == after.verified
            && before.namespace == after.namespace
            && before.inventory == after.inventory
            && before.hosts == after.hosts
            && before.url == after.url
            && before.observed_generation == after.observed_generation
    })
}

/// Whether this revision is new: the status is about another one, or there is none.
pub fn is_first_look(status: Option<&PreviewEnvironmentStatus>, revision: &Revision) -> bool {
    newest_attempt(status, revision).is_none()
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
fn seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn set_conditions(
    status: &mut PreviewEnvironmentStatus,
    visit: &Visit<'_>,
    progress: &Progress,
    contested: &[String],
) {
    let (reached, verdict, reason, message) = match progress {
        Progress::Ready => (None, ConditionStatus::True, "", ""),
        Progress::Waiting { stage, reason, message } => {
            (Some(*stage), ConditionStatus::Unknown, reason.as_str(), message.as_str())
        }
        Progress::Failed { stage, reason, message } => {
            (Some(*stage), ConditionStatus::False, reason.as_str(), message.as_str())
        }
        Progress::Interrupted { stage, reason, message } => {
            (Some(*stage), ConditionStatus::Unknown, *reason, message.as_str())
        }
        Progress::Rejected { stage, mistake } => {
            (Some(*stage), ConditionStatus::False, mistake.reason.as_str(), mistake.message.as_str())
        }
        Progress::Superseded { .. } => (Some(Stage::Validate), ConditionStatus::Unknown, "Superseded", ""),
    };
    let list = &mut status.conditions;
    conditions::initialize(list, &CONDITIONS, visit.generation, visit.now);
    for (stage, kind, done) in Stage::ALL {
        match reached {
            Some(reached) if stage == reached => {
                conditions::set(list, kind, verdict, reason, message, visit.generation, visit.now);
            }
            // This reconcile didn't reach later stages, and their conditions were about something
            // else.
            Some(reached) if stage > reached => {
                let unknown = ConditionStatus::Unknown;
                conditions::set(
                    list,
                    kind,
                    unknown,
                    conditions::NOT_REACHED,
                    "",
                    visit.generation,
                    visit.now,
                );
            }
            _ => {
                // It was applied, but another client has changed part of it since.
                let (reason, message) = match contested {
                    [_, ..] if stage == Stage::Apply => (FIELDS_CONTESTED, contested.join("; ")),
                    _ => (done, String::new()),
                };
                let done = ConditionStatus::True;
                conditions::set(list, kind, done, reason, &message, visit.generation, visit.now);
            }
        }
    }
    let summary = match progress {
        Progress::Ready => Summary::Ready { reason: "Ready".to_owned(), message: String::new() },
        Progress::Waiting { reason, message, .. } => {
            Summary::Reconciling { reason: reason.as_str().to_owned(), message: message.clone() }
        }
        Progress::Interrupted { reason, message, .. } => {
            Summary::Reconciling { reason: (*reason).to_owned(), message: message.clone() }
        }
        Progress::Failed { reason, message, .. } => {
            Summary::Stalled { reason: reason.as_str().to_owned(), message: message.to_string() }
        }
        Progress::Rejected { mistake, .. } => {
            Summary::Stalled { reason: mistake.reason.to_string(), message: mistake.message.clone() }
        }
        Progress::Superseded { head } => Summary::Reconciling {
            reason: "Superseded".to_owned(),
            message: format!("commit {head} is the pull request's head now; its deployment is awaited"),
        },
    };
    conditions::summarize(list, &summary, visit.generation, visit.now);
}

fn set_history(status: &mut PreviewEnvironmentStatus, visit: &Visit<'_>, progress: &Progress) {
    let now = Time(seconds(visit.now));
    if !status.history.first().is_some_and(|attempt| is_of(attempt, visit.revision)) {
        if let Some(last) = status.history.first_mut()
            && last.outcome == Outcome::InProgress
        {
            last.outcome = Outcome::Superseded;
            last.completion_time = Some(now.clone());
        }
        status.history.insert(
            0,
            Attempt {
                sha: visit.revision.sha.clone(),
                deployment_id: visit.revision.deployment_id,
                start_time: now.clone(),
                ready_time: None,
                completion_time: None,
                outcome: Outcome::InProgress,
                message: String::new(),
            },
        );
        status.history.truncate(HISTORY);
    }
    let Some(attempt) = status.history.first_mut() else { return };
    let (outcome, message) = match progress {
        // An outage doesn't change an attempt's outcome.
        Progress::Interrupted { .. } => return,
        Progress::Ready => (Outcome::Succeeded, String::new()),
        // Pods restart and move after a success; that isn't a new attempt.
        Progress::Waiting { .. } if attempt.outcome == Outcome::Succeeded => {
            (Outcome::Succeeded, String::new())
        }
        Progress::Waiting { .. } => (Outcome::InProgress, String::new()),
        Progress::Failed { reason, message, .. } => {
            (Outcome::Failed, format!("{}: {message}", reason.as_str()))
        }
        Progress::Rejected { mistake, .. } => {
            (Outcome::Invalid, format!("{}: {}", mistake.reason, mistake.message))
        }
        Progress::Superseded { .. } => (Outcome::Superseded, String::new()),
    };
    if outcome == Outcome::Succeeded && attempt.outcome != outcome && attempt.ready_time.is_none() {
        attempt.ready_time = Some(now.clone());
    }
    if attempt.outcome != outcome || attempt.message != message {
        attempt.completion_time = (outcome != Outcome::InProgress).then_some(now);
        attempt.outcome = outcome;
        attempt.message = message;
    }
}

/// Returns the reports for the deployment of this revision and for the earlier ones.
fn reports(
    before: Option<&PreviewEnvironmentStatus>,
    status: &PreviewEnvironmentStatus,
    visit: &Visit<'_>,
    progress: &Progress,
    skipped: &[i64],
    trouble: Option<&str>,
) -> Vec<DeploymentReport> {
    let current = visit.revision.deployment_id;
    let live = matches!(progress, Progress::Ready);
    let wanted_before =
        |id| before.and_then(|before| before.report.iter().find(|report| report.deployment_id == id));
    // `sha` is empty when the commit isn't known.
    let superseded = |id: i64, sha: &str, known: Option<&DeploymentReport>| match known {
        // It serves until the new one is ready.
        Some(known) if known.state == DeploymentState::Success && !live => known.clone(),
        // Keep the description that GitHub shows.
        Some(known) if known.state == DeploymentState::Inactive => known.clone(),
        _ => deployment_status::inactive(id, &deployment_status::superseded(sha, &visit.revision.sha), known),
    };
    let mut reports: Vec<DeploymentReport> = Vec::new();
    if let Some(id) = current {
        let interrupted = matches!(progress, Progress::Interrupted { .. });
        // During an outage, GitHub keeps the last report. It shows the outage only when the
        // deployment has no report yet.
        let known = wanted_before(id).filter(|_| interrupted).cloned();
        let report = known.unwrap_or_else(|| report(id, status, visit, progress, trouble));
        reports.push(match wanted_before(id) {
            Some(known) if deployment_status::is_same_but_numbers_in(known, &report) => known.clone(),
            _ => report,
        });
    }
    for attempt in status.history.iter().skip(1) {
        let Some(id) = attempt.deployment_id.filter(|id| Some(*id) != current) else { continue };
        if !reports.iter().any(|report| report.deployment_id == id) {
            reports.push(superseded(id, &attempt.sha, wanted_before(id)));
        }
    }
    // Keep deployments that still serve, and reports that GitHub hasn't acknowledged, no matter how
    // many deployments follow.
    let unfinished = before.into_iter().flat_map(|before| {
        let is_over = |id| {
            before
                .reported
                .iter()
                .any(|told| told.deployment_id == id && told.state == DeploymentState::Inactive)
        };
        before.report.iter().map(|wanted| wanted.deployment_id).filter(move |id| !is_over(*id))
    });
    for id in skipped.iter().copied().chain(unfinished) {
        let is_there = reports.iter().any(|report| report.deployment_id == id);
        if !is_there && reports.len() < MOST_REPORTS {
            reports.push(superseded(id, "", wanted_before(id)));
        }
    }
    reports.sort_by_key(|report| std::cmp::Reverse(report.deployment_id));
    reports
}

fn report(
    deployment_id: i64,
    status: &PreviewEnvironmentStatus,
    visit: &Visit<'_>,
    progress: &Progress,
    trouble: Option<&str>,
) -> DeploymentReport {
    let succeeded = status.history.first().is_some_and(|attempt| attempt.outcome == Outcome::Succeeded);
    let (state, text) = match progress {
        Progress::Interrupted { stage: Stage::Validate, message, .. } => {
            (DeploymentState::Queued, message.clone())
        }
        Progress::Interrupted { message, .. } => (DeploymentState::InProgress, message.clone()),
        Progress::Ready => (DeploymentState::Success, "The environment is ready".to_owned()),
        Progress::Waiting { .. } if succeeded => {
            (DeploymentState::Success, "The environment is ready".to_owned())
        }
        Progress::Waiting { stage: Stage::Validate, message, .. } => {
            (DeploymentState::Queued, message.clone())
        }
        Progress::Waiting { .. } => {
            (DeploymentState::InProgress, trouble.unwrap_or(deployment_status::IN_PROGRESS).to_owned())
        }
        Progress::Failed { message, .. } => {
            (DeploymentState::Failure, message.short(deployment_status::DESCRIPTION_LIMIT))
        }
        Progress::Rejected { mistake, .. } => (DeploymentState::Error, mistake.message.clone()),
        Progress::Superseded { head } => {
            (DeploymentState::Inactive, deployment_status::superseded(&visit.revision.sha, head))
        }
    };
    DeploymentReport {
        deployment_id,
        state,
        description: deployment_status::description(&text),
        environment_url: status.url.clone().filter(|_| state == DeploymentState::Success),
        log_url: visit.log_url.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(deployment_id: i64) -> Revision {
        Revision {
            sha: format!("{deployment_id:040x}"),
            deployment_id: Some(deployment_id),
            payload: None,
            parameters: Vec::new(),
        }
    }

    fn visit(revision: &Revision, second: i64) -> Visit<'_> {
        Visit {
            generation: 1,
            revision,
            log_url: Some("http://operator/x"),
            now: Timestamp::from_second(1_700_000_000 + second).unwrap(),
        }
    }

    fn waiting(stage: Stage) -> Progress {
        Progress::Waiting {
            stage,
            reason: EnvironmentReason::Health("Progressing".into()),
            message: "0 of 1".into(),
        }
    }

    fn failed() -> Progress {
        Progress::Failed {
            stage: Stage::Health,
            reason: EnvironmentReason::Health("ImagePullBackOff".into()),
            message: "no image".into(),
        }
    }

    fn states(status: &PreviewEnvironmentStatus) -> Vec<(i64, DeploymentState)> {
        status.report.iter().map(|report| (report.deployment_id, report.state)).collect()
    }

    fn with_url() -> Findings {
        Findings { url: Some("http://a.b".into()), ..Findings::default() }
    }

    #[test]
    fn every_condition_is_there_from_the_first_visit() {
        let one = revision(1);
        let status = conclude(None, &visit(&one, 0), Findings::default(), &waiting(Stage::Apply));
        let kinds: Vec<_> = status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
        assert_eq!(kinds, CONDITIONS);
        assert_eq!(find_condition(&status.conditions, VALIDATED).unwrap().status, "True");
        assert_eq!(find_condition(&status.conditions, REACHABLE).unwrap().reason, "NotReached");
    }

    #[test]
    fn what_somebody_else_keeps_changing_is_said_and_takes_no_readiness() {
        let one = revision(1);
        let contested =
            Findings { contested: vec!["x keeps changing Deployment web".into()], ..Findings::default() };
        let a = conclude(None, &visit(&one, 0), contested, &Progress::Ready);
        let applied = find_condition(&a.conditions, APPLIED).unwrap();
        assert_eq!((applied.status.as_str(), applied.reason.as_str()), ("True", FIELDS_CONTESTED));
        assert_eq!(applied.message, "x keeps changing Deployment web");
        assert!(is_ready(Some(&a)));
        assert_eq!(find_condition(&a.conditions, HEALTHY).unwrap().reason, "Healthy");
        let b = conclude(Some(&a), &visit(&one, 1), Findings::default(), &Progress::Ready);
        assert_eq!(find_condition(&b.conditions, APPLIED).unwrap().reason, "Applied");
    }

    #[test]
    fn the_same_visit_twice_changes_nothing() {
        let one = revision(1);
        let first = conclude(None, &visit(&one, 0), with_url(), &failed());
        let second = conclude(Some(&first), &visit(&one, 60), with_url(), &failed());
        assert_eq!(first, second);
    }

    #[test]
    fn how_far_it_is_can_wait_and_what_counts_can_not() {
        let one = revision(1);
        let a = conclude(None, &visit(&one, 0), with_url(), &waiting(Stage::Health));
        let further = Progress::Waiting {
            stage: Stage::Health,
            reason: EnvironmentReason::Health("Progressing".into()),
            message: "1 of 2".into(),
        };
        assert!(is_only_news(Some(&a), &conclude(Some(&a), &visit(&one, 1), with_url(), &further)));
        assert!(!is_only_news(None, &a), "the first status");
        assert!(!is_only_news(Some(&a), &conclude(Some(&a), &visit(&one, 1), with_url(), &failed())));
        assert!(!is_only_news(Some(&a), &conclude(Some(&a), &visit(&one, 1), with_url(), &Progress::Ready)));
        let two = revision(2);
        assert!(
            !is_only_news(Some(&a), &conclude(Some(&a), &visit(&two, 1), with_url(), &further)),
            "another deployment"
        );
    }

    #[test]
    fn a_deployment_in_progress_shows_what_it_waits_for() {
        let one = revision(1);
        let trouble = Some("Unschedulable: no node fits the pod".to_owned());
        let findings = Findings { trouble, ..with_url() };
        let status = conclude(None, &visit(&one, 0), findings, &waiting(Stage::Health));
        assert_eq!(states(&status), [(1, DeploymentState::InProgress)]);
        assert_eq!(status.report[0].description, "Unschedulable: no node fits the pod");
    }

    #[test]
    fn numbers_that_change_in_a_failure_are_no_news() {
        let one = revision(1);
        let answered = |status: u16| Progress::Failed {
            stage: Stage::Answer,
            reason: EnvironmentReason::NotAnswering,
            message: Cause::new(format!("URL answered {status}")).detail("http://a.b"),
        };
        let a = conclude(None, &visit(&one, 0), with_url(), &answered(500));
        let b = conclude(Some(&a), &visit(&one, 1), with_url(), &answered(503));
        assert_eq!(a.report, b.report, "the report to GitHub stays the same");
        assert!(is_only_news(Some(&a), &b), "only the words of the failure differ");
        let c = conclude(Some(&b), &visit(&one, 2), with_url(), &failed());
        assert_ne!(b.report, c.report, "another cause");
        assert!(!is_only_news(Some(&b), &c));
    }

    #[test]
    fn a_live_deployment_stays_live_until_the_next_one_is() {
        use DeploymentState::{Failure, InProgress, Inactive, Success};
        let (one, two, three) = (revision(1), revision(2), revision(3));
        let a = conclude(None, &visit(&one, 0), with_url(), &Progress::Ready);
        assert_eq!(states(&a), [(1, Success)]);
        let b = conclude(Some(&a), &visit(&two, 1), with_url(), &waiting(Stage::Health));
        assert_eq!(states(&b), [(2, InProgress), (1, Success)]);
        let c = conclude(Some(&b), &visit(&two, 2), with_url(), &failed());
        assert_eq!(states(&c), [(2, Failure), (1, Success)]);
        let d = conclude(Some(&c), &visit(&three, 3), with_url(), &Progress::Ready);
        assert_eq!(states(&d), [(3, Success), (2, Inactive), (1, Inactive)]);
        assert_eq!(
            d.report[2].environment_url.as_deref(),
            Some("http://a.b"),
            "an inactive one keeps its link"
        );
    }

    /// The status after GitHub has acknowledged every report.
    fn acknowledged(status: &PreviewEnvironmentStatus) -> PreviewEnvironmentStatus {
        PreviewEnvironmentStatus { reported: status.report.clone(), ..status.clone() }
    }

    #[test]
    fn deployments_that_were_never_reconciled_are_reported_inactive() {
        use DeploymentState::{InProgress, Inactive};
        let (one, four, five) = (revision(1), revision(4), revision(5));
        let a = conclude(None, &visit(&one, 0), with_url(), &waiting(Stage::Health));
        let skipped = || Findings { skipped: vec![2, 3], ..with_url() };
        let b = conclude(Some(&a), &visit(&four, 1), skipped(), &waiting(Stage::Health));
        assert_eq!(states(&b), [(4, InProgress), (3, Inactive), (2, Inactive), (1, Inactive)]);
        assert_eq!(b.report[1].description, "superseded by a newer deployment", "its commit isn't known");
        assert_eq!(b.report[3].description, "superseded by 0000000");
        // A report stays until GitHub has acknowledged it.
        let c = conclude(Some(&b), &visit(&five, 2), with_url(), &waiting(Stage::Health));
        assert_eq!(states(&c)[2..], [(3, Inactive), (2, Inactive), (1, Inactive)]);
        let d = conclude(Some(&acknowledged(&c)), &visit(&five, 3), with_url(), &waiting(Stage::Health));
        assert_eq!(states(&d), [(5, InProgress), (4, Inactive), (1, Inactive)]);
    }

    #[test]
    fn many_pushes_leave_no_deployment_without_a_final_status() {
        use DeploymentState::{Inactive, Success};
        let first = revision(1);
        let mut status = conclude(None, &visit(&first, 0), with_url(), &Progress::Ready);
        status = acknowledged(&status);
        for id in 2..=12 {
            let next = revision(id);
            status = conclude(Some(&status), &visit(&next, id), with_url(), &failed());
        }
        assert_eq!(states(&status).last(), Some(&(1, Success)), "it still serves");
        let last = revision(13);
        let status = conclude(Some(&status), &visit(&last, 13), with_url(), &Progress::Ready);
        let all: Vec<_> = (1..=12).rev().map(|id| (id, Inactive)).collect();
        assert_eq!(states(&status), [&[(13, Success)][..], &all].concat());
        let mut pushed = status;
        for id in 100..200 {
            pushed = conclude(Some(&pushed), &visit(&revision(id), id), with_url(), &failed());
        }
        assert!(pushed.report.len() <= MOST_REPORTS);
    }

    #[test]
    fn a_template_that_loses_its_endpoints_loses_its_url() {
        let one = revision(1);
        let with_hosts = |hosts: &[&str]| Findings {
            hosts: Some(hosts.iter().map(ToString::to_string).collect()),
            ..Findings::default()
        };
        let reached =
            Findings { host: Some("a.b".into()), url: Some("http://a.b".into()), ..with_hosts(&["a.b"]) };
        let a = conclude(None, &visit(&one, 0), reached, &Progress::Ready);
        assert_eq!(a.report[0].environment_url.as_deref(), Some("http://a.b"));
        let b = conclude(Some(&a), &visit(&one, 1), Findings::default(), &failed());
        assert_eq!(b.url, a.url, "a reconcile that stops early doesn't know the endpoints");
        let c = conclude(Some(&b), &visit(&one, 2), with_hosts(&[]), &Progress::Ready);
        assert_eq!((c.url, c.host, c.hosts.len()), (None, None, 0));
        assert_eq!(c.report[0].environment_url, None);
        assert_eq!(deployment_status::untold(&c.report, &a.report).len(), 1, "GitHub's link is removed");
    }

    #[test]
    fn a_pod_that_restarts_after_success_is_no_new_deployment() {
        let one = revision(1);
        let a = conclude(None, &visit(&one, 0), with_url(), &Progress::Ready);
        let b = conclude(Some(&a), &visit(&one, 9), with_url(), &waiting(Stage::Health));
        assert_eq!(states(&b), [(1, DeploymentState::Success)]);
        assert!(has_succeeded(Some(&b), &one));
        let c = conclude(Some(&b), &visit(&one, 10), with_url(), &failed());
        assert_eq!(states(&c), [(1, DeploymentState::Failure)]);
    }

    #[test]
    fn a_revision_is_ready_for_the_first_time_once() {
        use crate::core::environment::lead_time::is_first_ready;

        let one = revision(1);
        let mut before = None;
        let mut firsts = Vec::new();
        let visits = [waiting(Stage::Apply), Progress::Ready, Progress::Ready, failed(), Progress::Ready];
        for (second, progress) in (0..).zip(visits) {
            let after = conclude(before.as_ref(), &visit(&one, second), with_url(), &progress);
            if is_first_ready(before.as_ref(), &after, &one) {
                firsts.push(second);
            }
            before = Some(after);
        }
        assert_eq!(firsts, [1]);
        let ready_at = |status: &PreviewEnvironmentStatus| status.history[0].ready_time.clone();
        assert_eq!(ready_at(before.as_ref().unwrap()), Some(Time(visit(&one, 1).now)));
        // A redeployment of the same commit is another revision.
        let two = revision(2);
        let next = conclude(before.as_ref(), &visit(&two, 9), with_url(), &Progress::Ready);
        assert!(is_first_ready(before.as_ref(), &next, &two));
        // An old status without a ready time doesn't count as ready since now.
        let mut old = next;
        old.history[0].ready_time = None;
        let again = conclude(Some(&old), &visit(&two, 99), with_url(), &Progress::Ready);
        assert_eq!(ready_at(&again), None);
    }

    #[test]
    fn a_superseded_commit_is_inactive_and_what_ran_before_goes_on() {
        let (one, two) = (revision(1), revision(2));
        let a = conclude(None, &visit(&one, 0), with_url(), &Progress::Ready);
        let b = conclude(
            Some(&a),
            &visit(&two, 1),
            Findings::default(),
            &Progress::Superseded { head: "3".repeat(40) },
        );
        assert_eq!(states(&b), [(2, DeploymentState::Inactive), (1, DeploymentState::Success)]);
    }

    fn interrupted(stage: Stage) -> Progress {
        Progress::Interrupted {
            stage,
            reason: trouble::GITHUB_UNAVAILABLE,
            message: "GitHub did not answer".into(),
        }
    }

    #[test]
    fn an_outage_is_the_first_status_of_a_deployment_and_changes_no_later_one() {
        use DeploymentState::{Error, InProgress, Queued, Success};
        let one = revision(1);
        let first = conclude(None, &visit(&one, 0), Findings::default(), &interrupted(Stage::Validate));
        assert_eq!(states(&first), [(1, Queued)]);
        assert_eq!(first.report[0].description, "GitHub did not answer");
        let ready = find_condition(&first.conditions, conditions::READY).unwrap();
        assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("Unknown", "GitHubUnavailable"));
        let validated = find_condition(&first.conditions, VALIDATED).unwrap();
        assert_eq!((validated.status.as_str(), validated.reason.as_str()), ("Unknown", "GitHubUnavailable"));
        let applied = conclude(None, &visit(&one, 0), with_url(), &interrupted(Stage::Apply));
        assert_eq!(states(&applied), [(1, InProgress)]);
        assert_eq!(applied.url.as_deref(), Some("http://a.b"), "what was found so far is kept");

        let mistaken = Progress::Rejected {
            stage: Stage::Apply,
            mistake: Mistake { reason: Reason::ApplyRejected, message: "no".into() },
        };
        for (before, state, outcome) in [
            (Progress::Ready, Success, Outcome::Succeeded),
            (failed(), DeploymentState::Failure, Outcome::Failed),
            (mistaken, Error, Outcome::Invalid),
            (waiting(Stage::Health), InProgress, Outcome::InProgress),
        ] {
            let a = conclude(None, &visit(&one, 0), with_url(), &before);
            let b = conclude(Some(&a), &visit(&one, 90), with_url(), &interrupted(Stage::Validate));
            assert_eq!((&b.report, b.history[0].outcome), (&a.report, outcome), "{before:?}");
            assert_eq!(states(&b), [(1, state)]);
            let c = conclude(Some(&b), &visit(&one, 95), with_url(), &before);
            assert_eq!(
                (&c.report, &c.history),
                (&a.report, &a.history),
                "{before:?}: when it is over, all is as before"
            );
        }
        // Another revision, while the previous one still serves.
        let a = conclude(None, &visit(&one, 0), with_url(), &Progress::Ready);
        let two = revision(2);
        let b = conclude(Some(&a), &visit(&two, 9), Findings::default(), &interrupted(Stage::Validate));
        assert_eq!(states(&b), [(2, Queued), (1, Success)]);
    }

    #[test]
    fn an_environment_is_new_until_a_visit_came_further_than_to_an_outage() {
        let one = revision(1);
        let outage = conclude(None, &visit(&one, 0), Findings::default(), &interrupted(Stage::Validate));
        assert!(is_new(None) && is_new(Some(&outage)));
        let applied = conclude(Some(&outage), &visit(&one, 1), with_url(), &interrupted(Stage::Apply));
        let failed = conclude(Some(&outage), &visit(&one, 1), with_url(), &failed());
        assert!(!is_new(Some(&applied)) && !is_new(Some(&failed)));
    }

    #[test]
    fn a_deployment_is_never_superseded_by_its_own_commit() {
        let why = |status: &PreviewEnvironmentStatus, id: i64| {
            let report = status.report.iter().find(|report| report.deployment_id == id);
            report.map(|report| report.description.clone()).unwrap_or_default()
        };
        let one = revision(1);
        let again = Revision { deployment_id: Some(2), ..one.clone() };
        let a = conclude(None, &visit(&one, 0), with_url(), &waiting(Stage::Health));
        let b = conclude(Some(&a), &visit(&again, 1), with_url(), &Progress::Ready);
        assert_eq!(why(&b, 1), "superseded by a newer deployment of this commit");
        // The report to GitHub stays the same whatever follows.
        let three = revision(3);
        let c = conclude(Some(&b), &visit(&three, 2), with_url(), &Progress::Ready);
        assert_eq!(why(&c, 1), "superseded by a newer deployment of this commit");
        assert_eq!(why(&c, 2), "superseded by 0000000");
        let superseded = Progress::Superseded { head: three.sha.clone() };
        let d = conclude(None, &visit(&three, 0), Findings::default(), &superseded);
        assert_eq!(why(&d, 3), "superseded by a newer deployment of this commit");
    }

    #[test]
    fn a_failure_is_described_by_its_cause() {
        let one = revision(1);
        let sha = "0123456789abcdef0123456789abcdef01234567";
        let message = Cause::new("image not found")
            .detail(format!(
                "registry.example.com/acme/a-team-with-a-long-name/a-shop-with-a-long-name-too:{sha}"
            ))
            .said("failed to resolve image")
            .in_container("web")
            .of("Deployment", "web");
        let failed = Progress::Failed {
            stage: Stage::Health,
            reason: EnvironmentReason::Health("ImagePullBackOff".into()),
            message: message.clone(),
        };
        let status = conclude(None, &visit(&one, 0), with_url(), &failed);
        assert_eq!(
            status.report[0].description,
            "web: image not found (registry.example.com/acme/a-team-with-a-long-name/a-shop-with-a-long-name-too:0123456)"
        );
        assert_eq!(find_condition(&status.conditions, HEALTHY).unwrap().message, message.as_str());
    }

    #[test]
    fn history_keeps_five_newest_first() {
        use Outcome::{InProgress, Superseded};
        let mut status = None;
        for id in 1..=7 {
            let revision = revision(id);
            status =
                Some(conclude(status.as_ref(), &visit(&revision, id), with_url(), &waiting(Stage::Apply)));
        }
        let history: Vec<_> =
            status.unwrap().history.iter().map(|a| (a.deployment_id.unwrap(), a.outcome)).collect();
        assert_eq!(
            history,
            [(7, InProgress), (6, Superseded), (5, Superseded), (4, Superseded), (3, Superseded)]
        );
    }
}
