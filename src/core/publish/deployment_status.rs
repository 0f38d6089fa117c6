//! Deployment statuses: which of the wanted ones GitHub hasn't acknowledged, and GitHub's limits on
//! them. `environment/status/reports` decides what is wanted.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::api::{DeploymentReport, DeploymentState, PreviewEnvironment};
use crate::core::cause::Cause;
use crate::core::deployment::payload::Mark;
use crate::core::environment::health::UNSCHEDULABLE;
use crate::core::forge::{Deployment, DeploymentStatus, StatusState, same_environment};
use crate::core::truncate::short_sha;

/// GitHub's limit on the description of a deployment status, in characters.
pub const DESCRIPTION_LIMIT: usize = 140;
/// Description of a deployment that waits for nothing in particular.
pub const IN_PROGRESS: &str = "The environment is being deployed";

/// Shortens the text to GitHub's limit: first by abbreviating commits and digests, then by cutting
/// it and adding an ellipsis.
pub fn description(text: &str) -> String {
    Cause::from(text).short(DESCRIPTION_LIMIT)
}

/// Returns why a deployment of a commit is inactive. It names the commit of the newer deployment,
/// unless both are the same or one is unknown.
pub fn superseded(sha: &str, by: &str) -> String {
    if sha.is_empty() || by.is_empty() {
        return "superseded by a newer deployment".to_owned();
    }
    if by.eq_ignore_ascii_case(sha) {
        return "superseded by a newer deployment of this commit".to_owned();
    }
    format!("superseded by {}", short_sha(by))
}

/// Returns the report of a superseded or closed deployment.
pub fn inactive(deployment_id: i64, why: &str, known: Option<&DeploymentReport>) -> DeploymentReport {
    DeploymentReport {
        deployment_id,
        state: DeploymentState::Inactive,
        description: description(why),
        // GitHub shows only the newest status, so a status without URLs would remove the
        // deployment's links.
        environment_url: known.and_then(|report| report.environment_url.clone()),
        log_url: known.and_then(|report| report.log_url.clone()),
    }
}

/// Returns the acknowledged reports with every deployment inactive, and one for the environment's
/// `current` deployment.
pub fn all_inactive(reported: &[DeploymentReport], current: Option<i64>) -> Vec<DeploymentReport> {
    const WHY: &str = "The environment has been deleted";
    let current = current.filter(|id| !reported.iter().any(|reported| reported.deployment_id == *id));
    let known = reported.iter().map(|reported| match reported.state {
        DeploymentState::Inactive => reported.clone(),
        _ => inactive(reported.deployment_id, WHY, Some(reported)),
    });
    current.map(|id| inactive(id, WHY, None)).into_iter().chain(known).collect()
}

/// Returns the wanted reports that GitHub hasn't acknowledged. Matinee never reports the same state
/// twice in a row because of the description alone, with two exceptions: another cause of a
/// failure, and something else to wait for.
pub fn unreported<'a>(
    wanted: &'a [DeploymentReport],
    reported: &[DeploymentReport],
) -> Vec<&'a DeploymentReport> {
    wanted
        .iter()
        .filter(|wanted| {
            let last = reported.iter().find(|reported| reported.deployment_id == wanted.deployment_id);
            last.is_none_or(|last| has_changed(last, wanted))
        })
        .collect()
}

fn has_changed(last: &DeploymentReport, next: &DeploymentReport) -> bool {
    if last.state != next.state || last.environment_url != next.environment_url {
        return true;
    }
    match next.state {
        DeploymentState::Failure | DeploymentState::Error => {
            !is_same_but_numbers(&last.description, &next.description)
        }
        // Another thing to wait for is reported; the end of a wait isn't, because the next state
        // shows it.
        DeploymentState::InProgress => {
            next.description != IN_PROGRESS && !is_same_but_numbers(&last.description, &next.description)
        }
        _ => false,
    }
}

/// Whether a report differs from the previous one only in numbers in its description.
pub fn is_same_but_numbers_in(known: &DeploymentReport, report: &DeploymentReport) -> bool {
    let description = known.description.clone();
    is_same_but_numbers(&known.description, &report.description)
        && *known == DeploymentReport { description, ..report.clone() }
        && matches!(
            report.state,
            DeploymentState::Failure | DeploymentState::Error | DeploymentState::InProgress
        )
}

/// Whether two texts differ only in numbers and in the order of their words: another HTTP status,
/// another count of pods. The scheduler's words about nodes don't count at all, because they change
/// with each node that comes or goes. Such texts could change forever.
fn is_same_but_numbers(one: &str, other: &str) -> bool {
    let words = |text: &str| {
        let text = match text.find(UNSCHEDULABLE) {
            Some(at) => &text[..at + UNSCHEDULABLE.len()],
            None => text,
        };
        let text = text.replace(|c: char| c.is_ascii_digit(), "");
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        let mut words: Vec<String> = words.map(str::to_owned).collect();
        words.sort_unstable();
        words
    };
    words(one) == words(other)
}

/// Whether a status on GitHub shows the wanted report, or differs from it only in ways that Matinee
/// doesn't report again.
pub fn is_shown(newest: &DeploymentStatus, wanted: &DeploymentReport) -> bool {
    let shown = DeploymentReport {
        state: wanted.state,
        description: newest.description.clone(),
        environment_url: newest.environment_url.clone(),
        ..wanted.clone()
    };
    newest.state == wanted.state && !has_changed(&shown, wanted)
}

/// Returns the deployments for which an earlier process may have created a status without recording
/// it: those whose last report isn't acknowledged, and all that were live if the environment is
/// being deleted.
pub fn doubtful(environment: &PreviewEnvironment) -> Vec<i64> {
    let Some(status) = &environment.status else { return Vec::new() };
    if environment.metadata.deletion_timestamp.is_some() {
        let live = |report: &&DeploymentReport| report.state != DeploymentState::Inactive;
        return status.reported.iter().filter(live).map(|report| report.deployment_id).collect();
    }
    unreported(&status.report, &status.reported).iter().map(|report| report.deployment_id).collect()
}

/// Returns the deployments that the environment reported to GitHub or was about to report, newest
/// first. While it isn't admitted, none is added.
pub fn reported_deployments(environment: &PreviewEnvironment) -> Vec<i64> {
    let status = environment.status.iter();
    let reports = status.flat_map(|status| status.report.iter().chain(&status.reported));
    let ids: BTreeSet<i64> = reports.map(|report| report.deployment_id).collect();
    ids.into_iter().rev().collect()
}

/// Returns those of a repository's recent deployments that the environment skipped: they are older
/// than its revision's deployment and its status doesn't mention them. Deployments from before the
/// environment don't count, except in the ten minutes before its creation, because a deployment is
/// older than the environment that it leads to.
pub fn skipped_deployments(
    environment: &PreviewEnvironment,
    recent: &[Deployment],
    cluster: &str,
) -> Vec<i64> {
    const BEFORE_ITS_TIME: SignedDuration = SignedDuration::from_mins(10);
    let Some(current) = environment.spec.revision.deployment_id else { return Vec::new() };
    let status = environment.status.as_ref();
    let history: Vec<i64> = status
        .into_iter()
        .flat_map(|status| &status.history)
        .filter_map(|attempt| attempt.deployment_id)
        .collect();
    let reports = status.into_iter().flat_map(|status| status.report.iter().chain(&status.reported));
    let known: Vec<i64> = reports.map(|report| report.deployment_id).chain(history.iter().copied()).collect();
    let oldest = history.iter().min();
    let created = environment.metadata.creation_timestamp.as_ref().map(|time| time.0 - BEFORE_ITS_TIME);
    let is_of_its_time = |deployment: &Deployment| match oldest {
        Some(oldest) if deployment.id > *oldest => true,
        _ => deployment
            .created_at
            .parse::<Timestamp>()
            .is_ok_and(|at| created.is_some_and(|created| at >= created)),
    };
    let ours =
        |deployment: &Deployment| Mark::find(&deployment.payload).is_none_or(|mark| mark.cluster == cluster);
    recent
        .iter()
        .filter(|deployment| same_environment(&deployment.environment, &environment.spec.github_environment))
        .filter(|deployment| deployment.id < current && !known.contains(&deployment.id))
        .filter(|deployment| is_of_its_time(deployment) && ours(deployment))
        .map(|deployment| deployment.id)
        .collect()
}

/// Returns the recent deployments whose request in this cluster was deleted before it recorded
/// them, so that nobody reports their end. `is_known`: whether a request with that UID, or an
/// environment with that deployment, exists.
pub fn orphaned<'a>(
    recent: &'a [Deployment],
    cluster: &str,
    is_known: impl Fn(&str, i64) -> bool,
    now: Timestamp,
) -> Vec<&'a Deployment> {
    const RECENT: SignedDuration = SignedDuration::from_hours(1);
    let is_orphan = |deployment: &&Deployment| {
        let Some(mark) = Mark::find(&deployment.payload).filter(|mark| mark.cluster == cluster) else {
            return false;
        };
        // The mark of a rerun has a number after the UID.
        let request = mark.request.split('.').next().unwrap_or_default();
        let created = deployment.created_at.parse::<Timestamp>();
        created.is_ok_and(|created| now.duration_since(created) < RECENT) && !is_known(request, deployment.id)
    };
    recent.iter().filter(is_orphan).collect()
}

/// Whether a deployment with this newest state has finished or is live.
pub fn is_settled(state: Option<&StatusState>) -> bool {
    state.is_some_and(|state| !state.is_under_way())
}

/// Returns what GitHub shows, as a sentence: of the current deployment, or of the newest reported
/// one if there is no report of the current one yet.
pub fn shown(reported: &[DeploymentReport], current: Option<i64>) -> Option<String> {
    let newest = reported.iter().max_by_key(|report| report.deployment_id);
    let report = reported.iter().find(|report| Some(report.deployment_id) == current).or(newest)?;
    Some(format!("GitHub shows {} for deployment {}", report.state.as_github(), report.deployment_id))
}

/// Adds an acknowledged report to the earlier ones, and drops those that aren't wanted any more.
pub fn acknowledge(
    reported: &[DeploymentReport],
    acknowledged: DeploymentReport,
    wanted: &[DeploymentReport],
) -> Vec<DeploymentReport> {
    let mut reported: Vec<_> = reported
        .iter()
        .filter(|report| report.deployment_id != acknowledged.deployment_id)
        .filter(|report| wanted.iter().any(|wanted| wanted.deployment_id == report.deployment_id))
        .cloned()
        .collect();
    reported.push(acknowledged);
    reported.sort_by_key(|report| std::cmp::Reverse(report.deployment_id));
    reported
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(deployment_id: i64, state: DeploymentState, text: &str) -> DeploymentReport {
        DeploymentReport {
            deployment_id,
            state,
            description: text.into(),
            environment_url: None,
            log_url: None,
        }
    }

    #[test]
    fn changed_reason_to_wait_is_reported_and_changed_numbers_are_not() {
        let waits = |text: &str| report(1, DeploymentState::InProgress, text);
        let plain = waits(IN_PROGRESS);
        let one = waits("no node fits the pod: 1 Insufficient cpu, 2 node(s) had untolerated taint {a: }");
        let other = waits("no node fits the pod: 1 node(s) had untolerated taint {a: }, 3 Insufficient cpu");
        let missing = waits("web: Secret not found (db): waiting for Secret/db");
        let another = waits("web: Secret not found (queue): waiting for Secret/queue");
        for (reported, wanted, changed) in [
            (&plain, &one, true),
            (&one, &missing, true),
            (&missing, &another, true),
            (&one, &other, false),
            (&one, &waits("no node fits the pod: 4 node(s) were not ready"), false),
            (&one, &waits("api: no node fits the pod: 1 Insufficient cpu"), true),
            (&one, &plain, false),
            (&plain, &plain, false),
        ] {
            assert_eq!(has_changed(reported, wanted), changed, "{reported:?} {wanted:?}");
        }
    }

    #[test]
    fn a_description_is_cut_on_a_character() {
        let long = "é".repeat(200);
        let cut = description(&long);
        assert_eq!(cut.chars().count(), DESCRIPTION_LIMIT);
        assert!(cut.ends_with('…'));
        assert_eq!(description(&"é".repeat(140)), "é".repeat(140));
        assert_eq!(description("two\n lines"), "two lines");
    }

    #[test]
    fn same_cause_is_reported_once_and_a_new_cause_again() {
        use DeploymentState::{Failure, InProgress, Success};
        let wanted = [report(1, InProgress, IN_PROGRESS), report(2, Success, "x"), report(3, Failure, "new")];
        let reported = [report(1, InProgress, "a"), report(3, Failure, "old")];
        let ids: Vec<_> = unreported(&wanted, &reported).iter().map(|report| report.deployment_id).collect();
        assert_eq!(ids, [2, 3]);
    }

    #[test]
    fn what_github_shows_is_not_told_again() {
        use DeploymentState::{Failure, Success};
        let shown = |state: &str, description: &str, url: Option<&str>| DeploymentStatus {
            id: 1,
            state: state.into(),
            description: description.into(),
            environment_url: url.map(str::to_owned),
            created_at: String::new(),
        };
        let live = DeploymentReport { environment_url: Some("http://a.b".into()), ..report(1, Success, "") };
        assert!(is_shown(&shown("success", "other words", Some("http://a.b")), &live));
        assert!(!is_shown(&shown("success", "", None), &live));
        assert!(!is_shown(&shown("in_progress", "", Some("http://a.b")), &live));
        assert!(is_shown(&shown("failure", "no image", None), &report(1, Failure, "no image")));
        assert!(!is_shown(&shown("failure", "no image", None), &report(1, Failure, "no memory")));
    }

    #[test]
    fn deployments_that_an_environment_passed_over_are_found() {
        let environment: PreviewEnvironment = serde_json::from_value(serde_json::json!({
            "apiVersion": "matinee.dev/v1alpha1", "kind": "PreviewEnvironment",
            "metadata": {"name": "x", "creationTimestamp": "2026-01-02T03:00:00Z"},
            "spec": {"repositoryRef": {"name": "x"}, "environment": "staging", "githubEnvironment": "staging",
                "revision": {"sha": "0".repeat(40), "deploymentId": 9}},
            "status": {"observedGeneration": 1, "conditions": [], "history": [
                {"sha": "0".repeat(40), "deploymentId": 7, "startTime": "2026-01-02T03:00:00Z", "outcome": "Succeeded"},
                {"sha": "0".repeat(40), "deploymentId": 5, "startTime": "2026-01-02T03:00:00Z", "outcome": "Succeeded"},
            ]}
        }))
        .unwrap();
        let deployment = |id, environment: &str, created_at: &str| Deployment {
            id,
            sha: "1".repeat(40),
            environment: environment.into(),
            payload: serde_json::Value::Null,
            creator: "mona".into(),
            created_at: created_at.into(),
        };
        let (then, long_before) = ("2026-01-02T02:59:00Z", "2026-01-01T00:00:00Z");
        let mut recent: Vec<Deployment> = (1..=10).map(|id| deployment(id, "Staging", long_before)).collect();
        assert_eq!(
            skipped_deployments(&environment, &recent, "ours"),
            [6, 8],
            "only those between known ones"
        );
        recent[3].created_at = then.to_owned();
        assert_eq!(
            skipped_deployments(&environment, &recent, "ours"),
            [4, 6, 8],
            "just before the environment"
        );
        recent[5].environment = "production".to_owned();
        recent[7].payload = serde_json::json!({"matinee": {"cluster": "another", "request": "u"}});
        assert_eq!(skipped_deployments(&environment, &recent, "ours"), [4]);
        let new = PreviewEnvironment { status: None, ..environment };
        assert_eq!(skipped_deployments(&new, &recent, "ours"), [4], "before its first look");
    }

    #[test]
    fn last_words_that_were_not_acknowledged_are_doubtful() {
        use DeploymentState::{InProgress, Inactive, Success};
        let mut environment: PreviewEnvironment = serde_json::from_value(serde_json::json!({
            "apiVersion": "matinee.dev/v1alpha1", "kind": "PreviewEnvironment", "metadata": {"name": "x"},
            "spec": {"repositoryRef": {"name": "x"}, "environment": "preview", "githubEnvironment": "preview",
                "revision": {"sha": "0".repeat(40)}},
            "status": {"observedGeneration": 1, "conditions": []}
        }))
        .unwrap();
        assert!(doubtful(&environment).is_empty());
        let status = environment.status.as_mut().unwrap();
        status.report = vec![report(3, InProgress, ""), report(2, Success, ""), report(1, Inactive, "")];
        status.reported = vec![report(2, Success, ""), report(1, Success, "")];
        assert_eq!(doubtful(&environment), [3, 1]);
        environment.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH));
        environment.status.as_mut().unwrap().reported[1].state = Inactive;
        assert_eq!(doubtful(&environment), [2], "its end may have been reported");
    }

    #[test]
    fn a_deployment_whose_request_was_deleted_is_orphaned() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let deployment = |id: i64, cluster: &str, request: &str, age: i64| {
            let mark = Mark {
                cluster: cluster.to_owned(),
                request: request.to_owned(),
                pull_request: Some(1),
                parameters: std::collections::BTreeMap::new(),
            };
            Deployment {
                id,
                sha: "a".repeat(40),
                environment: "preview/pr-1".to_owned(),
                payload: mark.to_payload(),
                creator: "matinee".to_owned(),
                created_at: (now - SignedDuration::from_secs(age)).to_string(),
            }
        };
        let mut by_hand = deployment(6, "ours", "gone", 1);
        by_hand.payload = serde_json::json!({});
        let recent = [
            deployment(1, "ours", "gone", 1),
            deployment(2, "ours", "there.3", 1),
            deployment(3, "theirs", "gone", 1),
            deployment(4, "ours", "gone", 7_200),
            deployment(5, "ours", "gone", 1),
            by_hand,
        ];
        let is_known = |request: &str, id: i64| request == "there" || id == 5;
        let found: Vec<_> =
            orphaned(&recent, "ours", is_known, now).iter().map(|deployment| deployment.id).collect();
        assert_eq!(found, [1]);
    }

    #[test]
    fn what_github_shows_is_that_of_the_current_deployment() {
        use DeploymentState::{Inactive, Success};
        assert_eq!(shown(&[], Some(1)), None);
        // GitHub acknowledges the end of an older deployment after the success of the current one.
        let reported = acknowledge(
            &[report(2, Success, ""), report(1, Success, "")],
            report(1, Inactive, ""),
            &[report(2, Success, ""), report(1, Inactive, "")],
        );
        assert_eq!(shown(&reported, Some(2)).unwrap(), "GitHub shows success for deployment 2");
        assert_eq!(shown(&reported, Some(3)).unwrap(), "GitHub shows success for deployment 2");
        assert_eq!(shown(&reported, None).unwrap(), "GitHub shows success for deployment 2");
        let ended = acknowledge(&reported, report(2, Inactive, ""), &reported);
        assert_eq!(shown(&ended, Some(2)).unwrap(), "GitHub shows inactive for deployment 2");
    }

    #[test]
    fn a_deployment_is_superseded_by_another_commit_or_by_a_newer_deployment() {
        assert_eq!(superseded("aaaaaaaaaa", "bbbbbbbbbb"), "superseded by bbbbbbb");
        assert_eq!(superseded("aaaaaaaaaa", "AAAAAAAAAA"), "superseded by a newer deployment of this commit");
        assert_eq!(superseded("aaaaaaaaaa", ""), "superseded by a newer deployment");
        assert_eq!(
            superseded("", "bbbbbbbbbb"),
            "superseded by a newer deployment",
            "it may be the same commit"
        );
    }

    #[test]
    fn at_the_end_every_deployment_is_inactive() {
        use DeploymentState::{Inactive, Success};
        let reported = [report(2, Success, ""), report(1, Inactive, "superseded by 0123456")];
        let states = |reports: &[DeploymentReport]| {
            reports.iter().map(|report| (report.deployment_id, report.state)).collect::<Vec<_>>()
        };
        assert_eq!(states(&all_inactive(&reported, Some(3))), [(3, Inactive), (2, Inactive), (1, Inactive)]);
        let all = all_inactive(&reported, Some(2));
        assert_eq!(states(&all), [(2, Inactive), (1, Inactive)]);
        assert_eq!(
            (all[1].description.as_str(), &all_inactive(&all, Some(2))),
            ("superseded by 0123456", &all)
        );
    }

    #[test]
    fn acknowledgement_replaces_reports_and_drops_unwanted_reports() {
        use DeploymentState::{InProgress, Inactive, Success};
        let reported = [report(9, Inactive, ""), report(2, InProgress, "")];
        let wanted = [report(2, Success, ""), report(1, Inactive, "")];
        let reported = acknowledge(&reported, report(2, Success, ""), &wanted);
        assert_eq!(reported, [report(2, Success, "")]);
    }
}
