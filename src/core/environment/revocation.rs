//! Withdrawal of the permission for an environment. It keeps running for the time that its class sets
//! (`onRevoked`), so that a mistake in a class can be corrected, and is deleted then.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;

use crate::api::{Admission, PreviewClass, PreviewEnvironment};
use crate::core::environment::resolve::Admitted;
use crate::core::environment::status;
use crate::core::mistake::{Mistake, Reason};

/// Returns the admission of an environment. `before` is the last one: a withdrawal stays recorded
/// until the environment has passed every check.
pub fn admission_of(admitted: &Admitted<'_>, before: Option<&Admission>) -> Admission {
    let Admitted { repository, class, .. } = *admitted;
    Admission {
        class_name: class.name_any(),
        repository: repository.spec.repository.clone(),
        github: class.spec.forge.github.clone(),
        delete_after: class.spec.on_revoked.delete_after,
        revoked_time: before.and_then(|before| before.revoked_time.clone()),
    }
}

/// Returns the admission of an environment that its class no longer admits. `class` is the class of
/// the last admission, if it still exists: its `onRevoked` may have changed since.
pub fn withdrawn(before: &Admission, class: Option<&PreviewClass>, now: Timestamp) -> Admission {
    Admission {
        delete_after: class.map_or(before.delete_after, |class| class.spec.on_revoked.delete_after),
        revoked_time: before.revoked_time.clone().or_else(|| Some(Time(status::seconds(now)))),
        ..before.clone()
    }
}

/// Shortest time from a withdrawal to the deletion. Somebody may replace a class with two commands, or
/// move the annotation of the default class.
const SHORTEST: SignedDuration = SignedDuration::from_secs(30);

/// Returns when an environment with a withdrawn admission is deleted; `None` while it is admitted.
pub fn ends(admission: &Admission) -> Option<Timestamp> {
    let since = admission.revoked_time.as_ref()?.0;
    let wait = SignedDuration::try_from(admission.delete_after.as_std()).ok();
    let wait = wait.map(|wait| wait.max(SHORTEST));
    Some(wait.and_then(|wait| since.checked_add(wait).ok()).unwrap_or(Timestamp::MAX))
}

/// Whether a mistake withdraws the permission of an environment: the team or the platform team took it
/// away. A claim of another PreviewRepository doesn't, because its author may not even have a grant.
pub const fn is_revoked_by(mistake: Reason) -> bool {
    matches!(
        mistake,
        Reason::RepositoryMissing
            | Reason::EnvironmentUnknown
            | Reason::ClassMissing
            | Reason::RepositoryNotAllowed
            | Reason::NamespaceNotAllowed
    )
}

/// Whether a refused pull request may not have the environment that it has, because the
/// configuration changed. The author of a pull request makes it a draft, and can make it ready again,
/// so a draft keeps its environment.
pub fn is_withdrawal(environment: &PreviewEnvironment, refusal: Reason) -> bool {
    let has_namespace = environment.status.as_ref().is_some_and(|status| status.namespace.is_some());
    has_namespace && matches!(refusal, Reason::ForkNotAllowed | Reason::BotNotAllowed)
}

/// Adds to a mistake when the environment is deleted because of it.
pub fn announced(mistake: &Mistake, ends: Timestamp) -> Mistake {
    let message = format!("{}; Matinee deletes the environment at {ends}", mistake.message);
    Mistake { reason: mistake.reason, message }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::{Duration, GithubConnection};

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    fn admitted_before() -> Admission {
        Admission {
            class_name: "standard".into(),
            repository: "acme/shop".into(),
            github: GithubConnection { url: "https://api.github.com".into(), secret_name: "github".into() },
            delete_after: Duration::from_hours(1),
            revoked_time: None,
        }
    }

    #[test]
    fn environment_ends_after_the_grace_of_its_class() {
        let admitted = admitted_before();
        assert_eq!(ends(&admitted), None);
        let first = withdrawn(&admitted, None, at("2026-01-01T00:00:00.7Z"));
        assert_eq!(ends(&first), Some(at("2026-01-01T01:00:00Z")), "whole seconds, as the API stores them");
        let later = withdrawn(&first, None, at("2026-01-01T00:30:00Z"));
        assert_eq!(later, first, "the time counts from the first observation");
        let forever = Admission { delete_after: Duration::from_hours(u64::MAX / 3_600), ..first };
        assert_eq!(ends(&forever), Some(Timestamp::MAX));
    }

    #[test]
    fn claim_of_another_repository_withdraws_nothing() {
        assert!(is_revoked_by(Reason::RepositoryNotAllowed) && is_revoked_by(Reason::ClassMissing));
        assert!(!is_revoked_by(Reason::EnvironmentClaimed) && !is_revoked_by(Reason::NameTaken));
    }

    #[test]
    fn class_can_still_change_the_grace() {
        let class: PreviewClass = serde_json::from_value(json!({
            "apiVersion": "matinee.dev/v1alpha1",
            "kind": "PreviewClass",
            "metadata": {"name": "standard"},
            "spec": {
                "grants": [{"repositories": ["acme/*"], "namespaces": ["team-other"]}],
                "forge": {"github": {"secretName": "github"}},
                "routing": {"domain": "preview.example.com"},
                "onRevoked": {"deleteAfter": "0s"},
            },
        }))
        .unwrap();
        let now = at("2026-01-01T00:00:00Z");
        let withdrawn = withdrawn(&admitted_before(), Some(&class), now);
        assert_eq!(ends(&withdrawn), Some(at("2026-01-01T00:00:30Z")), "never after one observation");
    }

    #[test]
    fn only_a_running_environment_can_lose_its_permission() {
        let mut environment: PreviewEnvironment = serde_json::from_value(json!({
            "apiVersion": "matinee.dev/v1alpha1",
            "kind": "PreviewEnvironment",
            "metadata": {"name": "shop-pr-1", "namespace": "team-shop"},
            "spec": {
                "repositoryRef": {"name": "shop"},
                "environment": "pr",
                "githubEnvironment": "preview/pr-1",
                "revision": {"sha": "0123456789012345678901234567890123456789"},
            },
            "status": {"observedGeneration": 1},
        }))
        .unwrap();
        assert!(!is_withdrawal(&environment, Reason::ForkNotAllowed));
        if let Some(status) = &mut environment.status {
            status.namespace =
                serde_json::from_value(json!({"name": "preview-shop-pr-1", "uid": "u"})).unwrap();
        }
        assert!(is_withdrawal(&environment, Reason::ForkNotAllowed));
        assert!(!is_withdrawal(&environment, Reason::NotTheHead), "only this revision is wrong");
        assert!(!is_withdrawal(&environment, Reason::DraftNotAllowed), "its author can make it ready");
    }
}
