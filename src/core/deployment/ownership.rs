//! Ownership: which repositories a class admits, and which of several PreviewRepositories owns an
//! environment that all of them name.

use std::borrow::Borrow;
use std::cmp::Reverse;

use kube::ResourceExt as _;

use crate::api::{
    ANNOTATION_DEFAULT_CLASS, PreviewClass, PreviewEnvironment, PreviewRepository, RepositoryEnvironment,
};
use crate::core::cause::Cause;
use crate::core::mistake::{Mistake, Reason};
use crate::core::{glob, naming};

/// The remedy for a class that doesn't admit a PreviewRepository.
const ADMIT: &str = "ask the platform team to add it, or name another class";

/// Returns the name of a PreviewRepository's class: the one that it names, whether that class exists
/// or not, else the default class. Of several default classes it is the newest, as with
/// `StorageClass` objects.
/// <https://kubernetes.io/docs/concepts/storage/storage-classes/#default-storageclass>
pub fn class_name_of<'a, C: Borrow<PreviewClass>>(
    repository: &'a PreviewRepository,
    classes: &'a [C],
) -> Option<&'a str> {
    let is_default = |class: &&PreviewClass| {
        class.annotations().get(ANNOTATION_DEFAULT_CLASS).is_some_and(|value| value == "true")
    };
    let default = || {
        let defaults = classes.iter().map(Borrow::borrow).filter(is_default);
        let newest = defaults.max_by_key(|class| {
            (class.metadata.creation_timestamp.as_ref().map(|time| time.0), Reverse(&class.metadata.name))
        });
        newest?.metadata.name.as_deref()
    };
    repository.spec.class_name.as_deref().or_else(default)
}

/// Returns the class of a PreviewRepository, if it exists.
pub fn class_of<'a, C: Borrow<PreviewClass>>(
    repository: &PreviewRepository,
    classes: &'a [C],
) -> Option<&'a C> {
    let name = class_name_of(repository, classes)?;
    classes.iter().find(|class| (*class).borrow().metadata.name.as_deref() == Some(name))
}

/// Checks that a grant of the class admits the PreviewRepository: its GitHub repository, and its
/// namespace.
pub fn class_admits(class: &PreviewClass, repository: &PreviewRepository) -> Result<(), Mistake> {
    let namespace = repository.namespace().unwrap_or_default();
    let name = repository.name_any();
    let wanted = &repository.spec.repository;
    let class_name = class.name_any();
    let grants = class.spec.grants.iter().filter(|grant| {
        grant.repositories.iter().any(|pattern| glob::matches_ignoring_case(pattern, wanted))
    });
    let mut namespaces = grants.flat_map(|grant| &grant.namespaces).peekable();
    if namespaces.peek().is_none() {
        let what = format!("PreviewClass {class_name} does not admit {wanted}");
        let detail = format!(
            "PreviewRepository {namespace}/{name}: spec.repository {wanted} matches no repositories in spec.grants of PreviewClass {class_name}"
        );
        let cause = Cause::new(what).detail(detail).remedy(ADMIT);
        return Err(Mistake::new(Reason::RepositoryNotAllowed, cause));
    }
    if !namespaces.any(|pattern| glob::matches(pattern, &namespace)) {
        let what = format!("PreviewClass {class_name} does not admit {wanted} in namespace {namespace}");
        let detail = format!(
            "PreviewRepository {namespace}/{name}: its namespace matches no namespaces of the repository's spec.grants of PreviewClass {class_name}"
        );
        let cause = Cause::new(what).detail(detail).remedy(ADMIT);
        return Err(Mistake::new(Reason::NamespaceNotAllowed, cause));
    }
    Ok(())
}

/// Returns the PreviewRepository that owns an environment: of all that name the same GitHub
/// environment of the same GitHub repository, the oldest one (by creation time, then by UID, so
/// that every observer decides alike).
pub fn holder<'a>(
    repositories: &[&'a PreviewRepository],
    repository: &'a PreviewRepository,
    environment: &RepositoryEnvironment,
) -> &'a PreviewRepository {
    let key = claim(repository, environment);
    repositories
        .iter()
        .copied()
        .filter(|other| other.metadata.deletion_timestamp.is_none())
        .filter(|other| other.spec.environments.iter().any(|entry| claim(other, entry) == key))
        .chain(std::iter::once(repository))
        .min_by_key(|candidate| seniority(candidate))
        .unwrap_or(repository)
}

/// Returns whether a PreviewRepository is the oldest for its GitHub repository, in the order of
/// [`holder`]. At most one is, and it owns all of its environments. A PreviewRepository that is
/// being deleted never is.
pub fn is_oldest(repositories: &[&PreviewRepository], repository: &PreviewRepository) -> bool {
    let of = |other: &PreviewRepository| other.spec.repository.to_lowercase();
    repository.metadata.deletion_timestamp.is_none()
        && repositories
            .iter()
            .filter(|other| other.metadata.deletion_timestamp.is_none() && of(other) == of(repository))
            .all(|other| seniority(repository) <= seniority(other))
}

fn seniority(repository: &PreviewRepository) -> (Option<jiff::Timestamp>, Option<String>) {
    (repository.metadata.creation_timestamp.as_ref().map(|time| time.0), repository.uid())
}

/// Checks that the PreviewRepository owns the environment: no other one owns the same environment
/// on GitHub, and no other entry has the same object names.
///
/// # Errors
/// `EnvironmentClaimed`, `NameTaken`.
pub fn holds(
    repositories: &[&PreviewRepository],
    repository: &PreviewRepository,
    environment: &RepositoryEnvironment,
) -> Result<(), Mistake> {
    let holder = holder(repositories, repository, environment);
    if holder.uid() == repository.uid() {
        return has_names(repositories, repository, environment);
    }
    let what = format!(
        "PreviewRepository {}/{} has GitHub environment \"{}\" of {} already",
        holder.namespace().unwrap_or_default(),
        holder.name_any(),
        naming::github_pattern(environment),
        repository.spec.repository,
    );
    let cause = Cause::new(what)
        .detail(place_of(repository, environment))
        .remedy("remove one of the two, or set another githubEnvironment");
    Err(Mistake::new(Reason::EnvironmentClaimed, cause))
}

/// Checks that no other entry produces the same object names. Names are joined from parts, so
/// `shop` with `web-staging` gives the same name as `shop-web` with `staging`. The older
/// PreviewRepository keeps the name; within one PreviewRepository, the earlier entry does.
fn has_names(
    repositories: &[&PreviewRepository],
    repository: &PreviewRepository,
    environment: &RepositoryEnvironment,
) -> Result<(), Mistake> {
    let name = repository.name_any();
    let place = |of: &PreviewRepository, entry: &str| {
        of.spec.environments.iter().position(|other| other.name == entry)
    };
    let own = (seniority(repository), place(repository, &environment.name));
    let taken = repositories
        .iter()
        .filter(|other| {
            other.metadata.deletion_timestamp.is_none() && other.namespace() == repository.namespace()
        })
        .flat_map(|other| other.spec.environments.iter().map(move |entry| (other, entry)))
        .filter(|(other, entry)| naming::can_clash((&name, environment), (&other.name_any(), entry)))
        .find(|(other, entry)| (seniority(other), place(other, &entry.name)) < own);
    let Some((other, entry)) = taken else { return Ok(()) };
    let what = format!(
        "object name {} belongs to spec.environments[{}] of PreviewRepository {} already",
        naming::preview_environment(&name, &environment.name, None),
        entry.name,
        other.name_any(),
    );
    let cause = Cause::new(what).detail(place_of(repository, environment)).remedy("rename one of the two");
    Err(Mistake::new(Reason::NameTaken, cause))
}

/// Checks that an existing object with an environment's name belongs to that environment.
///
/// # Errors
/// `NameTaken`.
pub fn is_own(
    repository: &PreviewRepository,
    environment: &RepositoryEnvironment,
    pull_request: Option<i64>,
    existing: Option<&PreviewEnvironment>,
) -> Result<(), Mistake> {
    let Some(existing) = existing else { return Ok(()) };
    let spec = &existing.spec;
    let number = spec.pull_request.as_ref().map(|reference| reference.number);
    if spec.repository_ref.name == repository.name_any()
        && spec.environment == environment.name
        && number == pull_request
        && Some(&spec.github_environment) == naming::github_environment(environment, pull_request).as_ref()
    {
        return Ok(());
    }
    let what = format!(
        "PreviewEnvironment {}/{} is GitHub environment \"{}\" of PreviewRepository {}, entry {} already",
        repository.namespace().unwrap_or_default(),
        existing.name_any(),
        spec.github_environment,
        spec.repository_ref.name,
        spec.environment,
    );
    let cause = Cause::new(what)
        .detail(place_of(repository, environment))
        .remedy("delete that object, or rename the entry");
    Err(Mistake::new(Reason::NameTaken, cause))
}

/// Names the entry of an environment in messages for users.
fn place_of(repository: &PreviewRepository, environment: &RepositoryEnvironment) -> String {
    format!(
        "PreviewRepository {}/{}, spec.environments[{}]",
        repository.namespace().unwrap_or_default(),
        repository.name_any(),
        environment.name
    )
}

fn claim(repository: &PreviewRepository, environment: &RepositoryEnvironment) -> (String, String) {
    (repository.spec.repository.to_lowercase(), naming::github_pattern(environment).to_lowercase())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn repository(name: &str, second: u8, environments: &Value) -> PreviewRepository {
        serde_json::from_value(json!({
            "apiVersion": "matinee.dev/v1alpha1", "kind": "PreviewRepository",
            "metadata": {"name": name, "namespace": "team", "uid": format!("uid-{name}"),
                "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z")},
            "spec": {"repository": format!("acme/{name}"), "className": "standard", "environments": environments},
        }))
        .unwrap()
    }

    fn reason(all: &[&PreviewRepository], repository: &PreviewRepository, entry: usize) -> Option<Reason> {
        holds(all, repository, &repository.spec.environments[entry]).err().map(|mistake| mistake.reason)
    }

    fn class(name: &str, second: u8, annotations: &Value, grants: &Value) -> PreviewClass {
        serde_json::from_value(json!({
            "metadata": {"name": name, "annotations": annotations,
                "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z")},
            "spec": {"grants": grants, "forge": {"github": {"secretName": "github"}},
                "routing": {"domain": "dev.example", "gateway": {"name": "g", "namespace": "g"}}},
        }))
        .unwrap()
    }

    #[test]
    fn a_grant_admits_its_repositories_in_its_namespaces_only() {
        let grants = json!([
            {"repositories": ["acme/shop"], "namespaces": ["team"]},
            {"repositories": ["acme/web", "acme/docs"], "namespaces": ["another"]},
            {"repositories": ["ACME/docs"], "namespaces": ["te*"]},
        ]);
        let class = class("standard", 1, &json!({}), &grants);
        for (name, wanted) in [
            ("shop", None),
            ("docs", None),
            ("web", Some("NamespaceNotAllowed")),
            ("else", Some("RepositoryNotAllowed")),
        ] {
            let result = class_admits(&class, &repository(name, 1, &json!([{"name": "one"}])));
            assert_eq!(result.err().map(|mistake| mistake.reason.as_str()), wanted, "{name}");
        }
    }

    #[test]
    fn a_repository_without_class_name_has_the_newest_default_class() {
        let default = json!({"matinee.dev/is-default-class": "true"});
        let grants = json!([{"repositories": ["acme/*"], "namespaces": ["team"]}]);
        let all = [
            class("old", 1, &default, &grants),
            class("new", 2, &default, &grants),
            class("standard", 3, &json!({"matinee.dev/is-default-class": "false"}), &grants),
        ];
        let mut repository = repository("shop", 1, &json!([{"name": "one"}]));
        let name = |repository: &PreviewRepository, all: &[PreviewClass]| {
            class_of(repository, all).map(kube::ResourceExt::name_any)
        };
        assert_eq!(name(&repository, &all).as_deref(), Some("standard"), "the one that it names");
        repository.spec.class_name = None;
        assert_eq!(name(&repository, &all).as_deref(), Some("new"));
        assert_eq!(name(&repository, &all[2..]), None);
        repository.spec.class_name = Some("missing".to_owned());
        assert_eq!(name(&repository, &all), None, "a name is never replaced by the default");
    }

    #[test]
    fn of_two_environments_of_one_name_the_older_repository_has_it() {
        let older = repository("c8", 1, &json!([{"name": "web-staging"}, {"name": "docs"}]));
        let younger = repository("c8-web", 2, &json!([{"name": "staging"}, {"name": "docs"}]));
        let all = [&younger, &older];
        assert_eq!(reason(&all, &older, 0), None);
        assert_eq!(reason(&all, &younger, 0), Some(Reason::NameTaken));
        assert_eq!((reason(&all, &older, 1), reason(&all, &younger, 1)), (None, None));
        let message = holds(&all, &younger, &younger.spec.environments[0]).unwrap_err().message;
        for word in [
            "c8-web-staging",
            "spec.environments[staging]",
            "spec.environments[web-staging] of PreviewRepository c8",
        ] {
            assert!(message.contains(word), "{message}");
        }
        let mut elsewhere = older.clone();
        elsewhere.metadata.namespace = Some("another".to_owned());
        assert_eq!(reason(&[&younger, &elsewhere], &younger, 0), None, "names are a namespace's");
    }

    #[test]
    fn within_one_repository_the_first_entry_has_the_name() {
        let trigger = json!({"pullRequest": {}});
        let own = repository("shop", 1, &json!([{"name": "web", "trigger": trigger}, {"name": "web-pr-1"}]));
        assert_eq!((reason(&[&own], &own, 0), reason(&[&own], &own, 1)), (None, Some(Reason::NameTaken)));
    }

    #[test]
    fn an_object_of_another_environment_is_not_taken_over() {
        let shop = repository("shop", 1, &json!([{"name": "staging", "githubEnvironment": "Staging"}]));
        let entry = &shop.spec.environments[0];
        let existing = |repository: &str, environment: &str, github: &str| {
            let spec = json!({"repositoryRef": {"name": repository}, "environment": environment,
                "githubEnvironment": github, "revision": {"sha": "0".repeat(40)}});
            let object = json!({"apiVersion": "matinee.dev/v1alpha1", "kind": "PreviewEnvironment",
                "metadata": {"name": "shop-staging", "namespace": "team"}, "spec": spec});
            serde_json::from_value::<PreviewEnvironment>(object).unwrap()
        };
        let check = |existing: Option<&PreviewEnvironment>| {
            is_own(&shop, entry, None, existing).err().map(|mistake| (mistake.reason, mistake.message))
        };
        assert_eq!(check(None), None);
        assert_eq!(check(Some(&existing("shop", "staging", "Staging"))), None);
        for other in [
            existing("shop-staging", "staging", "Staging"),
            existing("shop", "other", "Staging"),
            // The state after `githubEnvironment` was changed.
            existing("shop", "staging", "staging-before"),
        ] {
            let (reason, message) = check(Some(&other)).unwrap();
            assert_eq!(reason, Reason::NameTaken);
            assert!(message.contains("PreviewEnvironment team/shop-staging"), "{message}");
        }
    }
}
