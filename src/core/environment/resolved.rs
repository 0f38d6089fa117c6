//! Resolved environment: the plan's only input, with every reference resolved and every name
//! decided.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::{PreviewClassSpec, PreviewTemplateSpec, PullRequestSource};
use crate::core::cause::Cause;
use crate::core::truncate::cut;

/// A checked environment: `validate` returns it and `plan` takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Name of the `PreviewEnvironment`.
    pub environment_name: String,
    /// Namespace of the `PreviewEnvironment`.
    pub environment_namespace: String,
    /// UID of the `PreviewEnvironment`: it marks the owner of everything that Matinee applies.
    pub environment_uid: String,
    /// Name of the `PreviewRepository` object.
    pub repository_name: String,
    /// The repository on GitHub, as `owner/name`.
    pub repository: String,
    /// Name of the environment in the PreviewRepository.
    pub environment: String,
    /// Name of the environment on GitHub.
    pub github_environment: String,
    /// The pull request, if the environment belongs to one. Its content is untrusted.
    pub pull_request: Option<PullRequestSource>,
    /// The commit.
    pub sha: String,
    /// The payload of the deployment, without Matinee's own part. Templates can read it only if it
    /// is an object.
    pub payload: Value,
    /// The preview's namespace.
    pub namespace: String,
    /// Host name of the first endpoint.
    pub host: String,
    /// URL of the first endpoint, without a path.
    pub url: String,
    /// Name of the class.
    pub class_name: String,
    /// The class's limits and routing.
    pub class: PreviewClassSpec,
    /// Name of the template.
    pub template_name: String,
    /// The template.
    pub template: PreviewTemplateSpec,
    /// Values of all declared parameters: those of the deployment's request, over the
    /// PreviewRepository's, over the template's defaults.
    pub parameters: BTreeMap<String, String>,
}

/// Facts that a text outside of a template can mention: those known before anything is deployed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The commit.
    pub sha: String,
    /// The repository on GitHub, as `owner/name`.
    pub repository: String,
    /// Name of the environment in the PreviewRepository.
    pub environment: String,
    /// Number of the pull request, if there is one.
    pub pull_request: Option<i64>,
    /// Values of the given parameters.
    pub parameters: BTreeMap<String, String>,
}

/// Mistake of the user. Matinee waits for a change and deletes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Mistake {
    /// CamelCase, as a condition's reason.
    pub reason: &'static str,
    /// The cause, then object and field, then the remedy.
    pub message: String,
}

impl Mistake {
    /// Creates a mistake from a reason and a cause.
    pub fn new(reason: &'static str, cause: Cause) -> Self {
        Self { reason, message: cause.into() }
    }
}

/// Longest first cause of several, in characters. Together with the count behind it, it fits into
/// GitHub's limit.
const FIRST: usize = 115;
/// Longest cause when there are several, in characters.
const EACH: usize = 300;
/// Longest message about several mistakes in a condition, in characters.
const ALL: usize = 1_000;

/// Combines mistakes into one: the reason and the cause of the first, the count of the others, then
/// each of the others as long as there is room. `None` without mistakes.
pub fn all_in_one(mistakes: &[Mistake]) -> Option<Mistake> {
    let (first, others) = mistakes.split_first()?;
    if others.is_empty() {
        return Some(first.clone());
    }
    let head = cut(&first.message, FIRST);
    let mut message = format!("{head} (and {} more)", others.len());
    let whole = (head != first.message).then_some(first);
    for mistake in whole.into_iter().chain(others) {
        let cause = cut(&mistake.message, EACH);
        if message.chars().count() + cause.chars().count() > ALL {
            message.push_str("; …");
            break;
        }
        message.push_str("; ");
        message.push_str(&cause);
    }
    Some(Mistake { reason: first.reason, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(reason: &'static str, message: &str) -> Mistake {
        Mistake { reason, message: message.to_owned() }
    }

    #[test]
    fn several_mistakes_are_one_message_that_begins_with_the_first() {
        assert_eq!(all_in_one(&[]), None);
        let one = mistake("KindMissing", "a");
        assert_eq!(all_in_one(std::slice::from_ref(&one)), Some(one.clone()));
        let all = all_in_one(&[one, mistake("ApplyRejected", "b"), mistake("ApplyRejected", "c")]);
        assert_eq!(all, Some(mistake("KindMissing", "a (and 2 more); b; c")));
    }

    #[test]
    fn a_long_first_cause_leaves_room_for_the_count_on_github() {
        let long = "x".repeat(200);
        let all = all_in_one(&[mistake("ApplyRejected", &long), mistake("ApplyRejected", "b")]).unwrap();
        let shown = crate::core::publish::deployment_status::description(&all.message);
        assert!(shown.contains("… (and 1 more)"), "{shown}");
        assert!(all.message.contains(&long) && all.message.ends_with("; b"), "{}", all.message);
    }

    #[test]
    fn many_mistakes_fit_into_a_condition() {
        let many: Vec<_> = (0..50).map(|_| mistake("ApplyRejected", &"y".repeat(400))).collect();
        let all = all_in_one(&many).unwrap();
        assert!(all.message.chars().count() <= crate::core::conditions::MAX_MESSAGE, "{}", all.message);
        assert!(all.message.contains("(and 49 more)") && all.message.ends_with("; …"), "{}", all.message);
    }
}
