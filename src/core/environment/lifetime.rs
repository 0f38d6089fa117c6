//! Lifetime of an environment.

use jiff::{SignedDuration, Timestamp};

use crate::api::{ClassLifetime, Duration, Lifetime, RepositoryLifetime};

/// Returns when an environment of a pull request is deleted. The lifetime counts from when its
/// present revision was first seen. The environment's own lifetime takes precedence over the
/// PreviewRepository's, which takes precedence over the class's default. The class's maximum limits
/// all of them.
pub fn expires(
    revision_seen: Timestamp,
    environment: Option<&Lifetime>,
    repository: Option<&RepositoryLifetime>,
    class: &ClassLifetime,
) -> Timestamp {
    let wish = environment
        .map(|lifetime| lifetime.delete_after)
        .or(repository.map(|lifetime| lifetime.delete_after))
        .unwrap_or(class.delete_after);
    after(revision_seen, wish.min(class.max_delete_after))
}

fn after(time: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration.as_std())
        .ok()
        .and_then(|duration| time.checked_add(duration).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_specific_lifetime_wins_within_the_class_bound() {
        let seen: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let class = ClassLifetime {
            delete_after: Duration::from_hours(168),
            max_delete_after: Duration::from_hours(240),
        };
        let hours = |hours| Duration::from_hours(hours);
        let own = |h| Lifetime { delete_after: hours(h) };
        let repository = |h| RepositoryLifetime { delete_after: hours(h) };
        for (environment, repository, wanted) in [
            (None, None, "2026-01-08T00:00:00Z"),
            (None, Some(repository(2)), "2026-01-01T02:00:00Z"),
            (Some(own(1)), Some(repository(2)), "2026-01-01T01:00:00Z"),
            (Some(own(1_000)), None, "2026-01-11T00:00:00Z"),
        ] {
            let got = expires(seen, environment.as_ref(), repository.as_ref(), &class);
            assert_eq!(got.to_string(), wanted);
        }
    }
}
