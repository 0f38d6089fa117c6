//! What is to be deployed, with every reference resolved and every name decided: the only input of the plan.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::{PreviewClassSpec, PreviewTemplateSpec, PullRequestSource};

/// One environment, checked: what `validate` returns and `plan` takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Name of the `PreviewEnvironment`.
    pub environment_name: String,
    /// Namespace of the `PreviewEnvironment`.
    pub environment_namespace: String,
    /// UID of the `PreviewEnvironment`: the mark of ownership on everything applied.
    pub environment_uid: String,
    /// Name of the `Repository` object.
    pub repository_name: String,
    /// The repository on GitHub, as `owner/name`.
    pub repository: String,
    /// Name of the environment in the Repository.
    pub environment: String,
    /// Name of the environment on GitHub.
    pub github_environment: String,
    /// The pull request, if the environment is one's. Nothing in it is trusted.
    pub pull_request: Option<PullRequestSource>,
    /// The commit.
    pub sha: String,
    /// The payload of the deployment, without Matinee's own part. Templates can read an object
    /// alone.
    pub payload: Value,
    /// The preview's namespace.
    pub namespace: String,
    /// Host name of the first endpoint.
    pub host: String,
    /// URL of the first endpoint, without a path.
    pub url: String,
    /// The class's limits and routing.
    pub class: PreviewClassSpec,
    /// Name of the template.
    pub template_name: String,
    /// The template.
    pub template: PreviewTemplateSpec,
    /// Values of all declared parameters: those that the deployment was asked for with, over the Repository's, over the template's defaults.
    pub parameters: BTreeMap<String, String>,
}

/// What a text outside of a template can be about: what is known before anything is deployed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The commit.
    pub sha: String,
    /// The repository on GitHub, as `owner/name`.
    pub repository: String,
    /// Name of the environment in the Repository.
    pub environment: String,
    /// Number of the pull request, where there is one.
    pub pull_request: Option<i64>,
    /// Values of the parameters that were given.
    pub parameters: BTreeMap<String, String>,
}

/// A mistake of the user's: waits for a change and deletes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Mistake {
    /// CamelCase, as a condition's reason.
    pub reason: &'static str,
    /// Names the object, the field and the remedy.
    pub message: String,
}
