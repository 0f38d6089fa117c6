//! Decides whether a pull request may have an environment. Matinee checks it before it requests a
//! deployment and again before it deploys, because anybody with permission to create deployments
//! can request one.

use crate::api::{
    ClassPullRequests, Permission, PullRequestSource, PullRequestTrigger, Reaction, RepositoryEnvironment,
};
use crate::core::forge::PullRequest;
use crate::core::glob::{Filter, FilterOf};
use crate::core::mistake::{Mistake, Reason};
use crate::core::truncate::short_sha;

/// Result of the check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Eligibility {
    /// The pull request may have the environment.
    Allowed,
    /// The pull request may not have it; a change on GitHub or to the configuration may allow it.
    Refused(Mistake),
    /// The commit isn't the head any more; a newer request replaces this one.
    Superseded {
        /// The present head.
        head: String,
    },
    /// The pull request is closed, or its labels or base branch don't select it any more. Matinee
    /// deletes its environment.
    Over {
        /// Reason in CamelCase.
        reason: &'static str,
        /// Message for people.
        message: String,
    },
}

/// Checks a pull request, as just read from GitHub, for an environment and a commit.
///
/// `triggered`: the trigger requested the deployment, so the trigger's labels and base branches
/// must still select the pull request. A deployment that somebody created by hand needs no label.
pub fn judge(
    class: &ClassPullRequests,
    class_name: &str,
    environment: &RepositoryEnvironment,
    pull_request: &PullRequest,
    sha: &str,
    triggered: bool,
) -> Eligibility {
    if !pull_request.open {
        let message = format!("pull request {} is closed", pull_request.number);
        return Eligibility::Over { reason: "PullRequestClosed", message };
    }
    let trigger = environment.trigger.as_ref().and_then(|trigger| trigger.pull_request.as_ref());
    if triggered && let Some(trigger) = trigger {
        match selects(trigger, pull_request) {
            Ok(()) => {}
            Err(Unselected::Not(reason)) => {
                let message = format!(
                    "pull request {} has no environment {}: {reason}",
                    pull_request.number, environment.name
                );
                return Eligibility::Over { reason: "NotSelected", message };
            }
            Err(Unselected::Invalid(problems)) => {
                return Eligibility::Refused(patterns_invalid(&environment.name, &problems));
            }
        }
    }
    if pull_request.head_sha != sha {
        if pull_request.merge_commit_sha.as_deref() == Some(sha) {
            return Eligibility::Refused(trial_merge(pull_request, sha));
        }
        return Eligibility::Superseded { head: pull_request.head_sha.clone() };
    }
    let source = source(pull_request);
    match kind_allowed(class, class_name, environment, &source) {
        Ok(()) => Eligibility::Allowed,
        Err(mistake) => Eligibility::Refused(mistake),
    }
}

/// Remedy for a commit that isn't the head. It is short because GitHub shows 140 characters of a
/// message.
const DEPLOY_THE_HEAD: &str = "create the deployment with github.event.pull_request.head.sha";

/// Mistake of deploying GitHub's trial merge commit, which is `github.sha` in a workflow that runs
/// on `pull_request`.
/// <https://docs.github.com/actions/reference/workflows-and-actions/events-that-trigger-workflows#pull_request>
fn trial_merge(pull_request: &PullRequest, sha: &str) -> Mistake {
    let message = format!(
        "{} is GitHub's trial merge of pull request {}, not its head: {DEPLOY_THE_HEAD}",
        short(sha),
        pull_request.number
    );
    Mistake { reason: Reason::NotTheHead, message }
}

/// Most commits of a pull request that GitHub lists.
/// <https://docs.github.com/rest/pulls/pulls#list-commits-on-a-pull-request>
const MOST_COMMITS: usize = 250;

/// Returns the mistake of deploying a commit that isn't in the pull request. `commits` are the
/// commits that GitHub lists for it. A commit in the list was the head once, so it is only
/// superseded. A list at GitHub's limit may be incomplete, so it proves nothing.
pub fn never_the_head(number: i64, sha: &str, commits: &[String]) -> Option<Mistake> {
    if commits.len() >= MOST_COMMITS || commits.iter().any(|commit| commit == sha) {
        return None;
    }
    let message = format!("{} isn't a commit of pull request {number}: {DEPLOY_THE_HEAD}", short(sha));
    Some(Mistake { reason: Reason::NotTheHead, message })
}

fn short(sha: &str) -> String {
    format!("commit {}", short_sha(sha))
}

/// Why a trigger doesn't select a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unselected {
    /// Its labels, base branches or paths don't match; the text says why, for people.
    Not(String),
    /// Its filter patterns are invalid, so there is no answer. Holds every mistake, with the field
    /// below `spec.environments[…]`.
    Invalid(Vec<String>),
}

/// Mistake of invalid filter patterns. `problems` name the fields below the environment.
pub fn patterns_invalid(environment: &str, problems: &[String]) -> Mistake {
    let problems: Vec<String> =
        problems.iter().map(|problem| format!("spec.environments[{environment}].{problem}")).collect();
    Mistake {
        reason: Reason::PatternInvalid,
        message: format!("the PreviewRepository's {}", problems.join("; ")),
    }
}

/// Returns the trigger's filter of base branches.
///
/// # Errors
/// Every mistake in the patterns.
pub fn base_branches(trigger: &PullRequestTrigger) -> Result<Filter, Vec<String>> {
    Filter::read(FilterOf::Branches, "trigger.pullRequest.baseBranches", &trigger.base_branches)
}

/// Returns the trigger's filter of paths.
///
/// # Errors
/// Every mistake in the patterns.
pub fn paths(trigger: &PullRequestTrigger) -> Result<Filter, Vec<String>> {
    Filter::read(FilterOf::Paths, "trigger.pullRequest.paths", &trigger.paths)
}

/// Checks whether the trigger's labels and base branches select the pull request.
///
/// # Errors
/// Why they don't.
pub fn selects(trigger: &PullRequestTrigger, pull_request: &PullRequest) -> Result<(), Unselected> {
    let base_branches = base_branches(trigger).map_err(Unselected::Invalid)?;
    if !trigger.labels.is_empty()
        && !pull_request
            .labels
            .iter()
            .any(|label| trigger.labels.iter().any(|wanted| wanted.eq_ignore_ascii_case(label)))
    {
        return Err(Unselected::Not(format!("it has none of the labels {}", trigger.labels.join(", "))));
    }
    if !trigger.base_branches.is_empty() && !base_branches.selects(&pull_request.base_branch) {
        return Err(Unselected::Not(format!(
            "its base branch {} is not selected by {}",
            pull_request.base_branch,
            trigger.base_branches.join(", ")
        )));
    }
    Ok(())
}

/// Checks whether the trigger's paths select a pull request that changes these files. One selected
/// file is enough.
///
/// # Errors
/// Why they don't.
pub fn selects_files(trigger: &PullRequestTrigger, files: &[String]) -> Result<(), Unselected> {
    let paths = paths(trigger).map_err(Unselected::Invalid)?;
    if trigger.paths.is_empty() || files.iter().any(|file| paths.selects(file)) {
        return Ok(());
    }
    Err(Unselected::Not(format!(
        "none of the files that it changes is selected by {}",
        trigger.paths.join(", ")
    )))
}

/// Returns what a [`PreviewEnvironment`](crate::api::PreviewEnvironment) records of a pull request,
/// cut to the lengths in the schema.
pub fn source(pull_request: &PullRequest) -> PullRequestSource {
    let cut = |text: &str, most: usize| text.chars().take(most).collect::<String>();
    PullRequestSource {
        number: pull_request.number,
        branch: cut(&pull_request.head_branch, 255),
        author: cut(&pull_request.author, 100),
        labels: pull_request.labels.iter().take(100).map(|label| cut(label, 100)).collect(),
        fork: pull_request.is_fork(),
        draft: pull_request.draft,
        bot: pull_request.bot,
    }
}

/// Checks a pull request whose head a command is to deploy. The person who gives the command has
/// push access, but the author of the commit may not: a fork needs the class's permission.
///
/// # Errors
/// `ForkNotAllowed`.
pub fn command_allowed(
    class: &ClassPullRequests,
    class_name: &str,
    pull_request: &PullRequest,
) -> Result<(), Mistake> {
    if pull_request.is_fork() && class.forks == Permission::Deny {
        let message = format!(
            "its head is in another repository (a fork), and PreviewClass {class_name} denies spec.pullRequests.forks"
        );
        return Err(Mistake { reason: Reason::ForkNotAllowed, message });
    }
    Ok(())
}

/// Checks forks, drafts and bots: they have environments only where the PreviewRepository requests
/// it and the class allows it.
///
/// # Errors
/// `ForkNotAllowed`, `DraftNotAllowed`, `BotNotAllowed`.
pub fn kind_allowed(
    class: &ClassPullRequests,
    class_name: &str,
    environment: &RepositoryEnvironment,
    pull_request: &PullRequestSource,
) -> Result<(), Mistake> {
    let silent = PullRequestTrigger::default();
    let trigger =
        environment.trigger.as_ref().and_then(|trigger| trigger.pull_request.as_ref()).unwrap_or(&silent);
    let kinds = [
        (
            pull_request.fork,
            class.forks,
            trigger.forks,
            Reason::ForkNotAllowed,
            "its head is in another repository (a fork)",
            "forks",
        ),
        (
            pull_request.draft,
            class.drafts,
            trigger.drafts,
            Reason::DraftNotAllowed,
            "it is a draft",
            "drafts",
        ),
        (pull_request.bot, class.bots, trigger.bots, Reason::BotNotAllowed, "a bot opened it", "bots"),
    ];
    for (applies, permission, reaction, reason, why, field) in kinds {
        if !applies {
            continue;
        }
        let missing = match (permission, reaction) {
            (Permission::Allow, Reaction::Deploy) => continue,
            (Permission::Deny, Reaction::Deploy) => {
                format!("PreviewClass {class_name} denies spec.pullRequests.{field}")
            }
            (Permission::Allow, Reaction::Ignore) => {
                format!(
                    "the PreviewRepository's spec.environments[{}].trigger.pullRequest.{field} is Ignore",
                    environment.name
                )
            }
            (Permission::Deny, Reaction::Ignore) => format!(
                "the PreviewRepository's spec.environments[{}].trigger.pullRequest.{field} is Ignore and PreviewClass {class_name} denies \
                 spec.pullRequests.{field}",
                environment.name
            ),
        };
        return Err(Mistake {
            reason,
            message: format!(
                "pull request {} has no environment {}: {why}, and {missing}",
                pull_request.number, environment.name
            ),
        });
    }
    Ok(())
}

#[cfg(test)]
#[path = "eligibility_tests.rs"]
mod tests;
