//! Resolves an environment's references to a [`Target`], the plan's only input, or to a mistake.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use kube::ResourceExt as _;
use serde_json::Value;

use crate::api::{
    Parameter, PreviewClass, PreviewEnvironment, PreviewRepository, PreviewTemplate, PullRequestSource,
    RepositoryEnvironment,
};
use crate::core::cause::Cause;
use crate::core::deployment::{ownership, triggers};
use crate::core::environment::eligibility;
use crate::core::environment::resolved::Target;
use crate::core::forge::RepositoryName;
use crate::core::mistake::{Mistake, Reason};
use crate::core::{class_limits, naming};

/// PreviewRepository, entry and class of an environment, after the checks in [`admit`].
#[derive(Clone, Copy, Debug)]
pub struct Admitted<'a> {
    /// The PreviewRepository.
    pub repository: &'a PreviewRepository,
    /// The entry of the environment.
    pub entry: &'a RepositoryEnvironment,
    /// The class.
    pub class: &'a PreviewClass,
}

/// Checks the PreviewRepository, the entry and the class of an environment.
///
/// # Errors
/// `RepositoryMissing`, `EnvironmentUnknown`, `ClassMissing`, `RepositoryNotAllowed`,
/// `NamespaceNotAllowed`, `EnvironmentClaimed`.
pub fn admit<'a, R: Borrow<PreviewRepository>>(
    namespace: &str,
    repository_name: &str,
    environment: &str,
    repository: Option<&'a PreviewRepository>,
    class: Option<&'a PreviewClass>,
    rivals: &[R],
) -> Result<Admitted<'a>, Mistake> {
    let repository = repository.ok_or_else(|| {
        let cause = Cause::new(format!("there is no PreviewRepository {namespace}/{repository_name}"))
            .detail("spec.repositoryRef.name")
            .remedy("create it, or delete this object");
        Mistake::new(Reason::RepositoryMissing, cause)
    })?;
    let entry =
        repository.spec.environments.iter().find(|entry| entry.name == environment).ok_or_else(|| {
            let cause = Cause::new(format!(
                "PreviewRepository {namespace}/{repository_name} has no environment {environment}"
            ))
            .detail("spec.environment, spec.environments")
            .remedy("add it");
            Mistake::new(Reason::EnvironmentUnknown, cause)
        })?;
    let class = class.ok_or_else(|| class_missing(repository))?;
    ownership::class_admits(class, repository)?;
    let rivals: Vec<_> = rivals.iter().map(Borrow::borrow).collect();
    ownership::holds(&rivals, repository, entry)?;
    Ok(Admitted { repository, entry, class })
}

/// Mistake of naming a class that doesn't exist, or of naming none where there is no default class.
pub fn class_missing(repository: &PreviewRepository) -> Mistake {
    const ASK: &str = "ask the platform team which ones there are (kubectl get previewclasses)";
    let (what, remedy) = match &repository.spec.class_name {
        Some(name) => (format!("there is no PreviewClass {name}"), ASK.to_owned()),
        None => ("no PreviewClass is the default".to_owned(), format!("set it, or {ASK}")),
    };
    let cause = Cause::new(what).detail(format!("{}, spec.className", title(repository))).remedy(remedy);
    Mistake::new(Reason::ClassMissing, cause)
}

fn title(repository: &PreviewRepository) -> String {
    format!("PreviewRepository {}/{}", repository.namespace().unwrap_or_default(), repository.name_any())
}

/// Checks the filter patterns of a PreviewRepository's triggers.
///
/// # Errors
/// `PatternInvalid`, with every mistake.
pub fn patterns(repository: &PreviewRepository) -> Result<(), Mistake> {
    let mut found = Vec::new();
    for entry in &repository.spec.environments {
        let Some(asks) = &entry.trigger else { continue };
        let filters = [
            asks.push.as_ref().map(triggers::branches),
            asks.pull_request.as_ref().map(eligibility::base_branches),
            asks.pull_request.as_ref().map(eligibility::paths),
        ];
        let problems = filters.into_iter().flatten().filter_map(Result::err).flatten();
        found.extend(problems.map(|problem| format!("spec.environments[{}].{problem}", entry.name)));
    }
    if found.is_empty() {
        return Ok(());
    }
    let namespace = repository.namespace().unwrap_or_default();
    let message = format!("PreviewRepository {namespace}/{}: {}", repository.name_any(), found.join("; "));
    Err(Mistake { reason: Reason::PatternInvalid, message })
}

/// Mistake of requesting a pull request's environment without a pull request, or a shared
/// environment with one.
pub fn wrong_place(
    repository: &RepositoryName,
    entry: &RepositoryEnvironment,
    pull_request: Option<i64>,
) -> Mistake {
    let name = &entry.name;
    let cause = match pull_request {
        None => Cause::new(format!("environment {name} of {repository} is one for each pull request"))
            .remedy("name the pull request"),
        Some(number) => Cause::new(format!(
            "environment {name} of {repository} is one for all, and pull request {number} has none of its own"
        ))
        .remedy("leave spec.pullRequest out"),
    };
    Mistake::new(Reason::WrongPlace, cause.detail("spec.pullRequest"))
}

/// Mistake of naming a template that doesn't exist.
pub fn template_missing(
    repository: &PreviewRepository,
    entry: &RepositoryEnvironment,
    template: &str,
) -> Mistake {
    let namespace = repository.namespace().unwrap_or_default();
    let cause = Cause::new(format!("there is no PreviewTemplate {namespace}/{template}"))
        .detail(format!("{}, spec.environments[{}].deploy.template.ref.name", title(repository), entry.name))
        .remedy("create it");
    Mistake::new(Reason::TemplateMissing, cause)
}

/// Resolves everything that the plan of an admitted environment needs. `template` is the one that
/// the PreviewRepository's entry names. `holders` returns the environments that have a host name.
///
/// # Errors
/// `NothingToDeploy`, `ClassInvalid`, `TemplateMissing`, `ParameterUnknown`, `ParameterMissing`,
/// `HostTaken`.
pub fn validate<E: Borrow<PreviewEnvironment>>(
    environment: &PreviewEnvironment,
    pull_request: Option<&PullRequestSource>,
    admitted: &Admitted<'_>,
    template: Option<&PreviewTemplate>,
    holders: impl Fn(&str) -> Vec<E>,
) -> Result<Target, Mistake> {
    let namespace = environment.namespace().unwrap_or_default();
    let spec = &environment.spec;
    let Admitted { repository, entry, class } = *admitted;
    let deploy = entry.deploy.as_ref().ok_or_else(|| {
        let cause = Cause::new(format!("environment {} has nothing to deploy", entry.name))
            .detail(format!("{}, spec.environments[{}]", title(repository), entry.name))
            .remedy("set deploy.template, or leave its deployments to another tool");
        Mistake::new(Reason::NothingToDeploy, cause)
    })?;
    class_limits::check(class)?;
    let template =
        template.ok_or_else(|| template_missing(repository, entry, &deploy.template.reference.name))?;
    let number = spec.pull_request.as_ref().map(|reference| reference.number);
    let repository_name = repository.name_any();
    let host = naming::host(&repository_name, &entry.name, number, &class.spec.routing.domain);
    for wanted in naming::hosts(&host, &template.spec.endpoints) {
        let holders = holders(&wanted);
        let holders = holders.iter().map(Borrow::borrow);
        if let Some(holder) = host_holder(environment, &wanted, holders) {
            return Err(host_taken(&wanted, holder));
        }
    }
    Ok(Target {
        environment_name: environment.name_any(),
        environment_namespace: namespace,
        environment_uid: environment.uid().unwrap_or_default(),
        repository: repository.spec.repository.clone(),
        environment: entry.name.clone(),
        github_environment: spec.github_environment.clone(),
        pull_request: pull_request.cloned(),
        sha: spec.revision.sha.clone(),
        payload: spec.revision.payload.clone().unwrap_or(Value::Object(serde_json::Map::new())),
        namespace: naming::namespace(&repository_name, &entry.name, number),
        url: naming::url(&class.spec.routing, &host),
        host,
        class_name: class.name_any(),
        class: class.spec.clone(),
        parameters: parameters(environment, repository, entry, template)?,
        template_name: template.name_any(),
        template: template.spec.clone(),
        repository_name,
    })
}

fn host_taken(host: &str, holder: &PreviewEnvironment) -> Mistake {
    let (namespace, name) = (holder.namespace().unwrap_or_default(), holder.name_any());
    let cause = Cause::new(format!("host name {host} belongs to PreviewEnvironment {namespace}/{name} already"))
        .remedy(
            "rename the endpoint, the environment or the PreviewRepository object that it is made from, or use a class with another domain",
        );
    Mistake::new(Reason::HostTaken, cause)
}

/// Returns the oldest environment with this host name, as its own or an endpoint's; `None` when
/// that is `environment` itself.
fn host_holder<'a>(
    environment: &PreviewEnvironment,
    host: &str,
    environments: impl Iterator<Item = &'a PreviewEnvironment>,
) -> Option<&'a PreviewEnvironment> {
    let mut environments = environments;
    environments.find(|other| {
        other.uid() != environment.uid()
            && other.status.as_ref().is_some_and(|status| status.hosts.iter().any(|theirs| theirs == host))
            && seniority(other) < seniority(environment)
    })
}

fn seniority(environment: &PreviewEnvironment) -> (Option<jiff::Timestamp>, Option<String>) {
    (environment.metadata.creation_timestamp.as_ref().map(|time| time.0), environment.uid())
}

/// Returns the value of every declared parameter: the revision's over the PreviewRepository's over
/// the template's default. A value for an undeclared parameter is a mistake.
fn parameters(
    environment: &PreviewEnvironment,
    repository: &PreviewRepository,
    entry: &RepositoryEnvironment,
    template: &PreviewTemplate,
) -> Result<BTreeMap<String, String>, Mistake> {
    let namespace = repository.namespace().unwrap_or_default();
    let given = entry.deploy.as_ref().map(|deploy| deploy.parameters.as_slice()).unwrap_or_default();
    let asked = environment.spec.revision.parameters.as_slice();
    let declared = &template.spec.parameters;
    let undeclared = |values: &[Parameter]| {
        values.iter().find(|given| !declared.iter().any(|declared| declared.name == given.name)).cloned()
    };
    let unknown = |parameter: &Parameter, place: String, remedy: &str| {
        let what =
            format!("PreviewTemplate {} declares no parameter {}", template.name_any(), parameter.name);
        Mistake::new(Reason::ParameterUnknown, Cause::new(what).detail(place).remedy(remedy))
    };
    let entry_parameters =
        format!("{}, spec.environments[{}].deploy.parameters", title(repository), entry.name);
    if let Some(parameter) = undeclared(given) {
        let place = format!("{entry_parameters}[{}]", parameter.name);
        return Err(unknown(&parameter, place, "remove it, or declare it in spec.parameters"));
    }
    if let Some(parameter) = undeclared(asked) {
        let (name, parameter_name) = (environment.name_any(), &parameter.name);
        let place =
            format!("PreviewEnvironment {namespace}/{name}, spec.revision.parameters[{parameter_name}]");
        let remedy = "request the deployment again without it, or declare it in spec.parameters";
        return Err(unknown(&parameter, place, remedy));
    }
    declared
        .iter()
        .map(|declared| {
            let value = asked.iter().chain(given).find(|given| given.name == declared.name);
            let value = value.map(|given| &given.value).or(declared.default.as_ref()).ok_or_else(|| {
                let what =
                    format!("PreviewTemplate {} needs parameter {}", template.name_any(), declared.name);
                let cause = Cause::new(what).detail(entry_parameters.clone()).remedy("give it a value");
                Mistake::new(Reason::ParameterMissing, cause)
            })?;
            Ok((declared.name.clone(), value.clone()))
        })
        .collect()
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
