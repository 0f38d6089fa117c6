//! Conditions of PreviewRepositories.

use kube::ResourceExt as _;

use super::{Finding, Subject, Unread};
use crate::api::{ConditionStatus, PreviewRepository, find_condition};
use crate::core::conditions::STALLED;
use crate::core::truncate::cut;

/// Most PreviewRepositories to list.
const LISTED: usize = 20;
/// Longest part of a condition's message to show, in characters.
const SHOWN: usize = 300;

/// Lists the PreviewRepositories that wait for somebody to change something. They don't affect
/// others.
pub fn check(repositories: &Result<Vec<PreviewRepository>, Unread>) -> Vec<Finding> {
    let subject = Subject::new("PreviewRepositories");
    let repositories = match repositories {
        Ok(repositories) => repositories,
        Err(unread) => return vec![subject.unread(unread)],
    };
    let mut stalled: Vec<Finding> = repositories.iter().filter_map(stalled).collect();
    let found = stalled.len();
    if found > LISTED {
        stalled.truncate(LISTED - 1);
        stalled.push(subject.warning(
            format!("{} more are stalled", found - stalled.len()),
            "list all with `kubectl get previewrepositories -A`",
        ));
    }
    match (found, repositories.len()) {
        (0, 0) => vec![subject.skipped("none exists")],
        (0, all) => vec![subject.ok(format!("none of {all} is stalled"))],
        _ => stalled,
    }
}

fn stalled(repository: &PreviewRepository) -> Option<Finding> {
    let condition = find_condition(&repository.status.as_ref()?.conditions, STALLED)?;
    (condition.status == ConditionStatus::True.as_str()).then(|| {
        let (namespace, name) = (repository.namespace().unwrap_or_default(), repository.name_any());
        Subject::new(format!("PreviewRepository {namespace}/{name}")).warning(
            format!("{}: {}", condition.reason, cut(&condition.message, SHOWN)),
            format!(
                "correct it: docs/troubleshooting.md explains {}; see `kubectl -n {namespace} describe previewrepository {name}`",
                condition.reason
            ),
        )
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::super::Verdict;
    use super::*;

    /// A PreviewRepository `team-shop/shop` of the class `standard`, with one environment.
    #[allow(clippy::needless_pass_by_value)] // reads better where it is called
    pub(crate) fn repository(environment: Value) -> PreviewRepository {
        let mut entry = json!({"name": "one", "deploy": {"template": {"ref": {"name": "shop"}}}});
        entry.as_object_mut().unwrap().extend(environment.as_object().unwrap().clone());
        serde_json::from_value(json!({
            "apiVersion": "matinee.dev/v1alpha1",
            "kind": "PreviewRepository",
            "metadata": {"name": "shop", "namespace": "team-shop", "generation": 1},
            "spec": {"repository": "acme/shop", "className": "standard", "environments": [entry]},
        }))
        .unwrap()
    }

    fn with(stalled: &str) -> PreviewRepository {
        let mut repository = repository(json!({}));
        let condition = json!({
            "type": "Stalled", "status": stalled, "reason": "ClassMissing", "message": "there is no PreviewClass x",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        repository.status =
            serde_json::from_value(json!({"observedGeneration": 1, "conditions": [condition]})).unwrap();
        repository
    }

    #[test]
    fn stalled_repositories_are_listed_with_their_reason() {
        assert_eq!(check(&Ok(vec![]))[0].verdict, Verdict::Skipped);
        assert_eq!(
            check(&Ok(vec![with("False"), repository(json!({}))])),
            [Subject::new("PreviewRepositories").ok("none of 2 is stalled")]
        );
        assert_eq!(check(&Err(Unread::Forbidden))[0].verdict, Verdict::Skipped);
        let found = check(&Ok(vec![with("False"), with("True")]));
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].what.as_str(), found[0].verdict),
            ("PreviewRepository team-shop/shop", Verdict::Warning)
        );
        assert_eq!(found[0].message, "ClassMissing: there is no PreviewClass x");
        assert!(found[0].remedy.as_ref().unwrap().contains("explains ClassMissing"));
    }

    #[test]
    fn at_most_twenty_lines_are_listed() {
        let all = check(&Ok(vec![with("True"); 20]));
        assert!(all.len() == 20 && all.iter().all(|one| one.what != "PreviewRepositories"));
        let more = check(&Ok(vec![with("True"); 25]));
        assert_eq!(more.len(), 20);
        assert_eq!(more[19].message, "6 more are stalled");
    }
}
