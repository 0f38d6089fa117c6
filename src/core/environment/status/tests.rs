//! Statuses after one reconcile and after several.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::reports::MOST_REPORTS;
use super::*;
use crate::core::cause::Cause;
use crate::core::conditions;
use crate::core::environment::reason::EnvironmentReason;
use crate::core::mistake::{Mistake, Reason};

fn revision(deployment_id: i64) -> Revision {
    Revision {
        sha: format!("{deployment_id:040x}"),
        deployment_id: Some(deployment_id),
        payload: None,
        parameters: Vec::new(),
    }
}

fn input(revision: &Revision, second: i64) -> StatusInput<'_> {
    StatusInput {
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
    let status = conclude(None, &input(&one, 0), Findings::default(), &waiting(Stage::Apply));
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
    let a = conclude(None, &input(&one, 0), contested, &Progress::Ready);
    let applied = find_condition(&a.conditions, APPLIED).unwrap();
    assert_eq!((applied.status.as_str(), applied.reason.as_str()), ("True", FIELDS_CONTESTED));
    assert_eq!(applied.message, "x keeps changing Deployment web");
    assert!(is_ready(Some(&a)));
    assert_eq!(find_condition(&a.conditions, HEALTHY).unwrap().reason, "Healthy");
    let b = conclude(Some(&a), &input(&one, 1), Findings::default(), &Progress::Ready);
    assert_eq!(find_condition(&b.conditions, APPLIED).unwrap().reason, "Applied");
}

#[test]
fn the_same_visit_twice_changes_nothing() {
    let one = revision(1);
    let first = conclude(None, &input(&one, 0), with_url(), &failed());
    let second = conclude(Some(&first), &input(&one, 60), with_url(), &failed());
    assert_eq!(first, second);
}

#[test]
fn progress_updates_are_delayed_results_are_not() {
    let one = revision(1);
    let a = conclude(None, &input(&one, 0), with_url(), &waiting(Stage::Health));
    let further = Progress::Waiting {
        stage: Stage::Health,
        reason: EnvironmentReason::Health("Progressing".into()),
        message: "1 of 2".into(),
    };
    assert!(is_only_progress(Some(&a), &conclude(Some(&a), &input(&one, 1), with_url(), &further)));
    assert!(!is_only_progress(None, &a), "the first status");
    assert!(!is_only_progress(Some(&a), &conclude(Some(&a), &input(&one, 1), with_url(), &failed())));
    assert!(!is_only_progress(Some(&a), &conclude(Some(&a), &input(&one, 1), with_url(), &Progress::Ready)));
    let two = revision(2);
    assert!(
        !is_only_progress(Some(&a), &conclude(Some(&a), &input(&two, 1), with_url(), &further)),
        "another deployment"
    );
}

#[test]
fn deployment_in_progress_shows_the_pending_cause() {
    let one = revision(1);
    let trouble = Some("Unschedulable: no node fits the pod".to_owned());
    let findings = Findings { trouble, ..with_url() };
    let status = conclude(None, &input(&one, 0), findings, &waiting(Stage::Health));
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
    let a = conclude(None, &input(&one, 0), with_url(), &answered(500));
    let b = conclude(Some(&a), &input(&one, 1), with_url(), &answered(503));
    assert_eq!(a.report, b.report, "the report to GitHub stays the same");
    assert!(is_only_progress(Some(&a), &b), "only the words of the failure differ");
    let c = conclude(Some(&b), &input(&one, 2), with_url(), &failed());
    assert_ne!(b.report, c.report, "another cause");
    assert!(!is_only_progress(Some(&b), &c));
}

#[test]
fn live_deployment_stays_live_until_the_next_is_live() {
    use DeploymentState::{Failure, InProgress, Inactive, Success};
    let (one, two, three) = (revision(1), revision(2), revision(3));
    let a = conclude(None, &input(&one, 0), with_url(), &Progress::Ready);
    assert_eq!(states(&a), [(1, Success)]);
    let b = conclude(Some(&a), &input(&two, 1), with_url(), &waiting(Stage::Health));
    assert_eq!(states(&b), [(2, InProgress), (1, Success)]);
    let c = conclude(Some(&b), &input(&two, 2), with_url(), &failed());
    assert_eq!(states(&c), [(2, Failure), (1, Success)]);
    let d = conclude(Some(&c), &input(&three, 3), with_url(), &Progress::Ready);
    assert_eq!(states(&d), [(3, Success), (2, Inactive), (1, Inactive)]);
    assert_eq!(d.report[2].environment_url.as_deref(), Some("http://a.b"), "an inactive one keeps its link");
}

/// The status after GitHub has acknowledged every report.
fn acknowledged(status: &PreviewEnvironmentStatus) -> PreviewEnvironmentStatus {
    PreviewEnvironmentStatus { reported: status.report.clone(), ..status.clone() }
}

#[test]
fn deployments_that_were_never_reconciled_are_reported_inactive() {
    use DeploymentState::{InProgress, Inactive};
    let (one, four, five) = (revision(1), revision(4), revision(5));
    let a = conclude(None, &input(&one, 0), with_url(), &waiting(Stage::Health));
    let skipped = || Findings { skipped: vec![2, 3], ..with_url() };
    let b = conclude(Some(&a), &input(&four, 1), skipped(), &waiting(Stage::Health));
    assert_eq!(states(&b), [(4, InProgress), (3, Inactive), (2, Inactive), (1, Inactive)]);
    assert_eq!(b.report[1].description, "superseded by a newer deployment", "its commit isn't known");
    assert_eq!(b.report[3].description, "superseded by 0000000");
    // A report stays until GitHub has acknowledged it.
    let c = conclude(Some(&b), &input(&five, 2), with_url(), &waiting(Stage::Health));
    assert_eq!(states(&c)[2..], [(3, Inactive), (2, Inactive), (1, Inactive)]);
    let d = conclude(Some(&acknowledged(&c)), &input(&five, 3), with_url(), &waiting(Stage::Health));
    assert_eq!(states(&d), [(5, InProgress), (4, Inactive), (1, Inactive)]);
}

#[test]
fn many_pushes_leave_no_deployment_without_a_final_status() {
    use DeploymentState::{Inactive, Success};
    let first = revision(1);
    let mut status = conclude(None, &input(&first, 0), with_url(), &Progress::Ready);
    status = acknowledged(&status);
    for id in 2..=12 {
        let next = revision(id);
        status = conclude(Some(&status), &input(&next, id), with_url(), &failed());
    }
    assert_eq!(states(&status).last(), Some(&(1, Success)), "it still serves");
    let last = revision(13);
    let status = conclude(Some(&status), &input(&last, 13), with_url(), &Progress::Ready);
    let all: Vec<_> = (1..=12).rev().map(|id| (id, Inactive)).collect();
    assert_eq!(states(&status), [&[(13, Success)][..], &all].concat());
    let mut pushed = status;
    for id in 100..200 {
        pushed = conclude(Some(&pushed), &input(&revision(id), id), with_url(), &failed());
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
    let a = conclude(None, &input(&one, 0), reached, &Progress::Ready);
    assert_eq!(a.report[0].environment_url.as_deref(), Some("http://a.b"));
    let b = conclude(Some(&a), &input(&one, 1), Findings::default(), &failed());
    assert_eq!(b.url, a.url, "a reconcile that stops early doesn't know the endpoints");
    let c = conclude(Some(&b), &input(&one, 2), with_hosts(&[]), &Progress::Ready);
    assert_eq!((c.url, c.host, c.hosts.len()), (None, None, 0));
    assert_eq!(c.report[0].environment_url, None);
    assert_eq!(deployment_status::unreported(&c.report, &a.report).len(), 1, "GitHub's link is removed");
}

#[test]
fn a_pod_that_restarts_after_success_is_no_new_deployment() {
    let one = revision(1);
    let a = conclude(None, &input(&one, 0), with_url(), &Progress::Ready);
    let b = conclude(Some(&a), &input(&one, 9), with_url(), &waiting(Stage::Health));
    assert_eq!(states(&b), [(1, DeploymentState::Success)]);
    assert!(has_succeeded(Some(&b), &one));
    let c = conclude(Some(&b), &input(&one, 10), with_url(), &failed());
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
        let after = conclude(before.as_ref(), &input(&one, second), with_url(), &progress);
        if is_first_ready(before.as_ref(), &after, &one) {
            firsts.push(second);
        }
        before = Some(after);
    }
    assert_eq!(firsts, [1]);
    let ready_at = |status: &PreviewEnvironmentStatus| status.history[0].ready_time.clone();
    assert_eq!(ready_at(before.as_ref().unwrap()), Some(Time(input(&one, 1).now)));
    // A redeployment of the same commit is another revision.
    let two = revision(2);
    let next = conclude(before.as_ref(), &input(&two, 9), with_url(), &Progress::Ready);
    assert!(is_first_ready(before.as_ref(), &next, &two));
    // An old status without a ready time doesn't count as ready since now.
    let mut old = next;
    old.history[0].ready_time = None;
    let again = conclude(Some(&old), &input(&two, 99), with_url(), &Progress::Ready);
    assert_eq!(ready_at(&again), None);
}

#[test]
fn a_superseded_commit_is_inactive_and_what_ran_before_goes_on() {
    let (one, two) = (revision(1), revision(2));
    let a = conclude(None, &input(&one, 0), with_url(), &Progress::Ready);
    let b = conclude(
        Some(&a),
        &input(&two, 1),
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
fn outage_is_only_the_first_status_of_a_deployment() {
    use DeploymentState::{Error, InProgress, Queued, Success};
    let one = revision(1);
    let first = conclude(None, &input(&one, 0), Findings::default(), &interrupted(Stage::Validate));
    assert_eq!(states(&first), [(1, Queued)]);
    assert_eq!(first.report[0].description, "GitHub did not answer");
    let ready = find_condition(&first.conditions, conditions::READY).unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("Unknown", "GitHubUnavailable"));
    let validated = find_condition(&first.conditions, VALIDATED).unwrap();
    assert_eq!((validated.status.as_str(), validated.reason.as_str()), ("Unknown", "GitHubUnavailable"));
    let applied = conclude(None, &input(&one, 0), with_url(), &interrupted(Stage::Apply));
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
        let a = conclude(None, &input(&one, 0), with_url(), &before);
        let b = conclude(Some(&a), &input(&one, 90), with_url(), &interrupted(Stage::Validate));
        assert_eq!((&b.report, b.history[0].outcome), (&a.report, outcome), "{before:?}");
        assert_eq!(states(&b), [(1, state)]);
        let c = conclude(Some(&b), &input(&one, 95), with_url(), &before);
        assert_eq!(
            (&c.report, &c.history),
            (&a.report, &a.history),
            "{before:?}: when it is over, all is as before"
        );
    }
    // Another revision, while the previous one still serves.
    let a = conclude(None, &input(&one, 0), with_url(), &Progress::Ready);
    let two = revision(2);
    let b = conclude(Some(&a), &input(&two, 9), Findings::default(), &interrupted(Stage::Validate));
    assert_eq!(states(&b), [(2, Queued), (1, Success)]);
}

#[test]
fn an_environment_is_new_until_a_visit_came_further_than_to_an_outage() {
    let one = revision(1);
    let outage = conclude(None, &input(&one, 0), Findings::default(), &interrupted(Stage::Validate));
    assert!(is_new(None) && is_new(Some(&outage)));
    let applied = conclude(Some(&outage), &input(&one, 1), with_url(), &interrupted(Stage::Apply));
    let failed = conclude(Some(&outage), &input(&one, 1), with_url(), &failed());
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
    let a = conclude(None, &input(&one, 0), with_url(), &waiting(Stage::Health));
    let b = conclude(Some(&a), &input(&again, 1), with_url(), &Progress::Ready);
    assert_eq!(why(&b, 1), "superseded by a newer deployment of this commit");
    // The report to GitHub stays the same whatever follows.
    let three = revision(3);
    let c = conclude(Some(&b), &input(&three, 2), with_url(), &Progress::Ready);
    assert_eq!(why(&c, 1), "superseded by a newer deployment of this commit");
    assert_eq!(why(&c, 2), "superseded by 0000000");
    let superseded = Progress::Superseded { head: three.sha.clone() };
    let d = conclude(None, &input(&three, 0), Findings::default(), &superseded);
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
    let status = conclude(None, &input(&one, 0), with_url(), &failed);
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
        status = Some(conclude(status.as_ref(), &input(&revision, id), with_url(), &waiting(Stage::Apply)));
    }
    let history: Vec<_> =
        status.unwrap().history.iter().map(|a| (a.deployment_id.unwrap(), a.outcome)).collect();
    assert_eq!(
        history,
        [(7, InProgress), (6, Superseded), (5, Superseded), (4, Superseded), (3, Superseded)]
    );
}

#[test]
fn acknowledged_progress_differs_from_an_acknowledged_end() {
    let one = revision(1);
    let before = conclude(None, &input(&one, 0), with_url(), &waiting(Stage::Health));
    let acknowledged = |report: DeploymentReport, result| {
        let mut after = before.clone();
        acknowledge(&mut after, Some(1), &[(report, result)], 1, input(&one, 1).now);
        after
    };
    let progress = before.report[0].clone();
    assert_eq!(progress.state, DeploymentState::InProgress);
    let success = DeploymentReport { state: DeploymentState::Success, ..progress.clone() };
    let after = acknowledged(progress.clone(), Ok(()));
    assert!(is_only_acknowledged_progress(Some(&before), &after));
    assert!(!is_only_acknowledged_progress(Some(&before), &acknowledged(success, Ok(()))));
    let refused = acknowledged(progress, Err("GitHub did not answer".to_owned()));
    assert!(!is_only_acknowledged_progress(Some(&before), &refused));
    let ready = conclude(Some(&after), &input(&one, 2), with_url(), &Progress::Ready);
    assert!(!is_only_acknowledged_progress(Some(&before), &ready));
    assert!(!is_only_acknowledged_progress(None, &after));
}
