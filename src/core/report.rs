//! What GitHub should show of a deployment, and what is still to be told.

use super::conditions::is_reason;
use super::forge::DeploymentStatus;
use crate::api::{DeploymentReport, DeploymentState, PreviewEnvironment};

/// GitHub's limit on the description of a deployment status, in characters.
pub const DESCRIPTION_LIMIT: usize = 140;

/// Cuts a text to GitHub's limit, on a character, with an ellipsis where something is missing.
pub fn description(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= DESCRIPTION_LIMIT {
        return text;
    }
    text.chars().take(DESCRIPTION_LIMIT - 1).chain(std::iter::once('…')).collect()
}

/// The report of a superseded or closed deployment.
pub fn inactive(deployment_id: i64, why: &str, known: Option<&DeploymentReport>) -> DeploymentReport {
    DeploymentReport {
        deployment_id,
        state: DeploymentState::Inactive,
        description: description(why),
        // GitHub shows the newest status alone: without its URLs a deployment loses its links.
        environment_url: known.and_then(|report| report.environment_url.clone()),
        log_url: known.and_then(|report| report.log_url.clone()),
    }
}

/// Which of the wanted reports GitHub has not acknowledged. The same state is never told twice in a row: a description alone is news only for
/// failures, whose cause it is, and for another reason to wait.
pub fn untold<'a>(wanted: &'a [DeploymentReport], told: &[DeploymentReport]) -> Vec<&'a DeploymentReport> {
    wanted
        .iter()
        .filter(|wanted| {
            let last = told.iter().find(|told| told.deployment_id == wanted.deployment_id);
            last.is_none_or(|last| is_news(last, wanted))
        })
        .collect()
}

fn is_news(last: &DeploymentReport, next: &DeploymentReport) -> bool {
    if last.state != next.state || last.environment_url != next.environment_url {
        return true;
    }
    match next.state {
        DeploymentState::Failure | DeploymentState::Error => last.description != next.description,
        // Another reason to wait is news. Its message may change with each node that comes or goes, and its end is the next state's to tell.
        DeploymentState::InProgress => {
            let reason = reason(&next.description);
            reason.is_some() && reason != self::reason(&last.description)
        }
        _ => false,
    }
}

/// The reason that a description begins with.
fn reason(description: &str) -> Option<&str> {
    description.split_once(": ").map(|(reason, _)| reason).filter(|reason| is_reason(reason))
}

/// Whether a status on GitHub says what is wanted, or nothing that would be told anew.
pub fn is_shown(newest: &DeploymentStatus, wanted: &DeploymentReport) -> bool {
    let shown = DeploymentReport {
        state: wanted.state,
        description: newest.description.clone(),
        environment_url: newest.environment_url.clone(),
        ..wanted.clone()
    };
    newest.state == wanted.state.as_github() && !is_news(&shown, wanted)
}

/// The deployments of which a process that is no more may have told GitHub something without writing that down: those whose last words
/// weren't acknowledged, and, where the environment is being deleted, all that were live.
pub fn doubtful(environment: &PreviewEnvironment) -> Vec<i64> {
    let Some(status) = &environment.status else { return Vec::new() };
    if environment.metadata.deletion_timestamp.is_some() {
        let live = |report: &&DeploymentReport| report.state != DeploymentState::Inactive;
        return status.reported.iter().filter(live).map(|report| report.deployment_id).collect();
    }
    untold(&status.report, &status.reported).iter().map(|report| report.deployment_id).collect()
}

/// Adds an acknowledged report to what was told, dropping what nobody asks about any more.
pub fn acknowledge(
    told: &[DeploymentReport],
    acknowledged: DeploymentReport,
    wanted: &[DeploymentReport],
) -> Vec<DeploymentReport> {
    let mut told: Vec<_> = told
        .iter()
        .filter(|report| report.deployment_id != acknowledged.deployment_id)
        .filter(|report| wanted.iter().any(|wanted| wanted.deployment_id == report.deployment_id))
        .cloned()
        .collect();
    told.push(acknowledged);
    told.sort_by_key(|report| std::cmp::Reverse(report.deployment_id));
    told
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
    fn another_reason_to_wait_is_news_and_another_wording_is_not() {
        let waits = |text: &str| report(1, DeploymentState::InProgress, text);
        let plain = waits("The environment is being deployed");
        let (one, other) = (waits("Unschedulable: 0/1 nodes"), waits("Unschedulable: 0/2 nodes"));
        let missing = waits("CreateContainerConfigError: no Secret");
        for (told, wanted, news) in [
            (&plain, &one, true),
            (&one, &missing, true),
            (&one, &other, false),
            (&one, &plain, false),
            (&plain, &plain, false),
        ] {
            assert_eq!(is_news(told, wanted), news, "{told:?} {wanted:?}");
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
    fn the_same_is_not_told_twice_and_a_new_cause_is_news() {
        use DeploymentState::{Failure, InProgress, Success};
        let wanted = [report(1, InProgress, "b"), report(2, Success, "x"), report(3, Failure, "new")];
        let told = [report(1, InProgress, "a"), report(3, Failure, "old")];
        let ids: Vec<_> = untold(&wanted, &told).iter().map(|report| report.deployment_id).collect();
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
        assert_eq!(doubtful(&environment), [2], "its end may have been told");
    }

    #[test]
    fn acknowledging_replaces_and_forgets_what_is_no_longer_wanted() {
        use DeploymentState::{InProgress, Inactive, Success};
        let told = [report(9, Inactive, ""), report(2, InProgress, "")];
        let wanted = [report(2, Success, ""), report(1, Inactive, "")];
        let told = acknowledge(&told, report(2, Success, ""), &wanted);
        assert_eq!(told, [report(2, Success, "")]);
    }
}
