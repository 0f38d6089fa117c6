//! Who may use what: classes and the repositories they admit, and environments that two Repositories would both have.

use kube::ResourceExt as _;

use super::cause::Cause;
use super::glob;
use super::names;
use super::target::Mistake;
use crate::api::{PreviewClass, PreviewEnvironment, Repository, RepositoryEnvironment};

/// What to do about a class that doesn't admit a Repository.
const ADMIT: &str = "ask the platform team to add it, or name another class";

/// Checks that the class admits the Repository, by the GitHub repository and by namespace.
pub fn class_admits(class: &PreviewClass, repository: &Repository) -> Result<(), Mistake> {
    let namespace = repository.namespace().unwrap_or_default();
    let name = repository.name_any();
    let wanted = &repository.spec.repository;
    if !class.spec.repositories.iter().any(|pattern| glob::matches_ignoring_case(pattern, wanted)) {
        let what = format!("PreviewClass {} does not admit {wanted}", class.name_any());
        let detail = format!(
            "Repository {namespace}/{name}: spec.repository {wanted} matches none of spec.repositories of PreviewClass {}",
            class.name_any()
        );
        let cause = Cause::new(what).detail(detail).remedy(ADMIT);
        return Err(Mistake::new("RepositoryNotAllowed", cause));
    }
    if !class.spec.namespaces.iter().any(|pattern| glob::matches(pattern, &namespace)) {
        let what = format!("PreviewClass {} does not admit namespace {namespace}", class.name_any());
        let detail = format!(
            "Repository {namespace}/{name}: its namespace matches none of spec.namespaces of PreviewClass {}",
            class.name_any()
        );
        let cause = Cause::new(what).detail(detail).remedy(ADMIT);
        return Err(Mistake::new("NamespaceNotAllowed", cause));
    }
    Ok(())
}

/// The Repository that holds an environment: of all that name the same GitHub environment of the same GitHub repository, the oldest one (by
/// creation time, then by UID, so that every observer decides alike).
pub fn holder<'a>(
    repositories: &[&'a Repository],
    repository: &'a Repository,
    environment: &RepositoryEnvironment,
) -> &'a Repository {
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

/// Whether no other Repository of the same GitHub repository is older, in the order of [`holder`]. So at most one is, and it holds all of its
/// environments. One that is being deleted isn't it.
pub fn is_oldest(repositories: &[&Repository], repository: &Repository) -> bool {
    let of = |other: &Repository| other.spec.repository.to_lowercase();
    repository.metadata.deletion_timestamp.is_none()
        && repositories
            .iter()
            .filter(|other| other.metadata.deletion_timestamp.is_none() && of(other) == of(repository))
            .all(|other| seniority(repository) <= seniority(other))
}

fn seniority(repository: &Repository) -> (Option<jiff::Timestamp>, Option<String>) {
    (repository.metadata.creation_timestamp.as_ref().map(|time| time.0), repository.uid())
}

/// Reason of an environment whose objects' names another one has.
pub const NAME_TAKEN: &str = "NameTaken";

/// Checks that the Repository holds the environment: no other one has the same environment on GitHub, and no other entry has the same names
/// of objects.
///
/// # Errors
/// `EnvironmentClaimed`, `NameTaken`.
pub fn holds(
    repositories: &[&Repository],
    repository: &Repository,
    environment: &RepositoryEnvironment,
) -> Result<(), Mistake> {
    let holder = holder(repositories, repository, environment);
    if holder.uid() == repository.uid() {
        return has_names(repositories, repository, environment);
    }
    let what = format!(
        "Repository {}/{} has GitHub environment \"{}\" of {} already",
        holder.namespace().unwrap_or_default(),
        holder.name_any(),
        names::github_pattern(environment),
        repository.spec.repository,
    );
    let cause = Cause::new(what)
        .detail(place_of(repository, environment))
        .remedy("remove one of the two, or set another githubEnvironment");
    Err(Mistake::new("EnvironmentClaimed", cause))
}

/// Checks that no other entry's objects can have the names of this one's: names are made by joining parts, and `shop` with `web-staging` comes
/// to the same as `shop-web` with `staging`. The older Repository has them, and within one the entry that comes first.
fn has_names(
    repositories: &[&Repository],
    repository: &Repository,
    environment: &RepositoryEnvironment,
) -> Result<(), Mistake> {
    let name = repository.name_any();
    let place =
        |of: &Repository, entry: &str| of.spec.environments.iter().position(|other| other.name == entry);
    let own = (seniority(repository), place(repository, &environment.name));
    let taken = repositories
        .iter()
        .filter(|other| {
            other.metadata.deletion_timestamp.is_none() && other.namespace() == repository.namespace()
        })
        .flat_map(|other| other.spec.environments.iter().map(move |entry| (other, entry)))
        .filter(|(other, entry)| names::can_clash((&name, environment), (&other.name_any(), entry)))
        .find(|(other, entry)| (seniority(other), place(other, &entry.name)) < own);
    let Some((other, entry)) = taken else { return Ok(()) };
    let what = format!(
        "object name {} belongs to spec.environments[{}] of Repository {} already",
        names::preview_environment(&name, &environment.name, None),
        entry.name,
        other.name_any(),
    );
    let cause = Cause::new(what).detail(place_of(repository, environment)).remedy("rename one of the two");
    Err(Mistake::new(NAME_TAKEN, cause))
}

/// Checks that the object of an environment's name, if there is one, is that environment's.
///
/// # Errors
/// `NameTaken`.
pub fn is_own(
    repository: &Repository,
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
        && Some(&spec.github_environment) == names::github_environment(environment, pull_request).as_ref()
    {
        return Ok(());
    }
    let what = format!(
        "PreviewEnvironment {}/{} is GitHub environment \"{}\" of Repository {}, entry {} already",
        repository.namespace().unwrap_or_default(),
        existing.name_any(),
        spec.github_environment,
        spec.repository_ref.name,
        spec.environment,
    );
    let cause = Cause::new(what)
        .detail(place_of(repository, environment))
        .remedy("delete that object, or rename the entry");
    Err(Mistake::new(NAME_TAKEN, cause))
}

/// The entry of an environment, for people.
fn place_of(repository: &Repository, environment: &RepositoryEnvironment) -> String {
    format!(
        "Repository {}/{}, spec.environments[{}]",
        repository.namespace().unwrap_or_default(),
        repository.name_any(),
        environment.name
    )
}

fn claim(repository: &Repository, environment: &RepositoryEnvironment) -> (String, String) {
    (repository.spec.repository.to_lowercase(), names::github_pattern(environment).to_lowercase())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn repository(name: &str, second: u8, environments: &Value) -> Repository {
        serde_json::from_value(json!({
            "apiVersion": "matinee.dev/v1alpha1", "kind": "Repository",
            "metadata": {"name": name, "namespace": "team", "uid": format!("uid-{name}"),
                "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z")},
            "spec": {"repository": format!("acme/{name}"), "className": "standard", "environments": environments},
        }))
        .unwrap()
    }

    fn reason(all: &[&Repository], repository: &Repository, entry: usize) -> Option<&'static str> {
        holds(all, repository, &repository.spec.environments[entry]).err().map(|mistake| mistake.reason)
    }

    #[test]
    fn of_two_environments_of_one_name_the_older_repository_has_it() {
        let older = repository("c8", 1, &json!([{"name": "web-staging"}, {"name": "docs"}]));
        let younger = repository("c8-web", 2, &json!([{"name": "staging"}, {"name": "docs"}]));
        let all = [&younger, &older];
        assert_eq!(reason(&all, &older, 0), None);
        assert_eq!(reason(&all, &younger, 0), Some(NAME_TAKEN));
        assert_eq!((reason(&all, &older, 1), reason(&all, &younger, 1)), (None, None));
        let message = holds(&all, &younger, &younger.spec.environments[0]).unwrap_err().message;
        for word in [
            "c8-web-staging",
            "spec.environments[staging]",
            "spec.environments[web-staging] of Repository c8",
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
        assert_eq!((reason(&[&own], &own, 0), reason(&[&own], &own, 1)), (None, Some(NAME_TAKEN)));
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
            // As after `githubEnvironment` was changed.
            existing("shop", "staging", "staging-before"),
        ] {
            let (reason, message) = check(Some(&other)).unwrap();
            assert_eq!(reason, NAME_TAKEN);
            assert!(message.contains("PreviewEnvironment team/shop-staging"), "{message}");
        }
    }
}
