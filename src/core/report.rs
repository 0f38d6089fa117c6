//! What GitHub should show of a deployment, and what is still to be told.

use crate::api::{DeploymentReport, DeploymentState};

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
/// failures, whose cause it is, and for waiting.
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
    matches!(next.state, DeploymentState::Failure | DeploymentState::Error)
        && last.description != next.description
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
    fn acknowledging_replaces_and_forgets_what_is_no_longer_wanted() {
        use DeploymentState::{InProgress, Inactive, Success};
        let told = [report(9, Inactive, ""), report(2, InProgress, "")];
        let wanted = [report(2, Success, ""), report(1, Inactive, "")];
        let told = acknowledge(&told, report(2, Success, ""), &wanted);
        assert_eq!(told, [report(2, Success, "")]);
    }
}
