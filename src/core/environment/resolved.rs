//! Resolved environment: the plan's only input, with every reference resolved and every name
//! decided.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::{PreviewClassSpec, PreviewTemplateSpec, PullRequestSource};

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

/// Input of an environment's guard rails: its names, and the class that confines it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Confinement<'a> {
    /// Name of the `PreviewEnvironment`.
    pub environment_name: &'a str,
    /// Namespace of the `PreviewEnvironment`.
    pub environment_namespace: &'a str,
    /// UID of the `PreviewEnvironment`.
    pub environment_uid: &'a str,
    /// Name of the `PreviewRepository` object.
    pub repository_name: &'a str,
    /// Number of the pull request, if the environment belongs to one.
    pub pull_request: Option<i64>,
    /// The preview's namespace.
    pub namespace: &'a str,
    /// Name of the class.
    pub class_name: &'a str,
    /// The class's limits and routing.
    pub class: &'a PreviewClassSpec,
}

impl Target {
    /// Returns the input of the guard rails.
    pub fn confinement(&self) -> Confinement<'_> {
        Confinement {
            environment_name: &self.environment_name,
            environment_namespace: &self.environment_namespace,
            environment_uid: &self.environment_uid,
            repository_name: &self.repository_name,
            pull_request: self.pull_request.as_ref().map(|pull_request| pull_request.number),
            namespace: &self.namespace,
            class_name: &self.class_name,
            class: &self.class,
        }
    }
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
