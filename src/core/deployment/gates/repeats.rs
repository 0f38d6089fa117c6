//! A limit on repeated deployments of the same commits to the same environment. It ensures that no
//! fault makes Matinee deploy in a loop.
//!
//! The first deployment of a commit within an hour isn't counted, so new pushes are never held
//! back. Deployments that somebody explicitly requests aren't held back either.

use jiff::{SignedDuration, Timestamp};

use crate::api::Origin;
use crate::core::deployment::payload::Mark;
use crate::core::forge::{Deployment, same_environment};
use crate::core::truncate::short_sha;

/// Most repeated deployments to one environment within [`WINDOW`].
pub const MOST: usize = 30;
/// How long a deployment counts.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(1);

/// A deployment that must not be created yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// When the next deployment may be created.
    pub until: Timestamp,
    /// Message for users.
    pub message: String,
}

/// The deployment that is about to be created.
#[derive(Clone, Copy, Debug)]
pub struct Next<'a> {
    /// Identity of this cluster. Deployments of other clusters aren't counted.
    pub cluster: &'a str,
    /// The mark of the request's run in the deployment's payload.
    pub mark: &'a str,
    /// Name of the environment on GitHub.
    pub environment: &'a str,
    /// The commit.
    pub sha: &'a str,
}

/// Returns whether requests of this origin can be held back. Explicit requests can't.
pub const fn bounds(origin: Origin) -> bool {
    match origin {
        Origin::PullRequest | Origin::Push | Origin::DeploymentStatus => true,
        Origin::Comment | Origin::Slack | Origin::Manual => false,
    }
}

/// Returns whether the next deployment is held back. `known` are the repository's deployments as
/// GitHub lists them, in any order and possibly with duplicates.
///
/// A deployment that exists already isn't held back. It exists when the response to its creation
/// was lost.
pub fn hold(next: Next<'_>, known: &[Deployment], now: Timestamp) -> Option<Hold> {
    let mut recent = Vec::new();
    for deployment in known {
        let Some(mark) = Mark::find(&deployment.payload).filter(|mark| mark.cluster == next.cluster) else {
            continue;
        };
        if mark.request == next.mark {
            return None;
        }
        // A time that can't be parsed counts as recent.
        let created = deployment.created_at.parse::<Timestamp>().unwrap_or(now);
        if same_environment(&deployment.environment, next.environment) && now.duration_since(created) < WINDOW
        {
            recent.push((deployment.id, created, deployment.sha.as_str()));
        }
    }
    recent.sort_unstable();
    recent.dedup();
    let mut seen: Vec<&str> = Vec::new();
    let mut repeats = Vec::new();
    for (_, created, sha) in recent {
        if seen.contains(&sha) {
            repeats.push(created);
        } else {
            seen.push(sha);
        }
    }
    if !seen.contains(&next.sha) || repeats.len() < MOST {
        return None;
    }
    // One more deployment fits when this one is older than the window.
    let until = repeats[repeats.len() - MOST].checked_add(WINDOW).unwrap_or(now);
    let short = short_sha(next.sha);
    let message = format!(
        "{MOST} deployments to {} within an hour repeated commits that were deployed there: {short} is deployed again at {until} at the \
         earliest. Push a new commit or give /deploy to deploy at once",
        next.environment
    );
    Some(Hold { until, message })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const NEXT: Next<'_> = Next { cluster: "ours", mark: "next", environment: "staging", sha: "a" };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn deployment(id: i64, sha: &str, second: i64) -> Deployment {
        let mark = Mark {
            cluster: "ours".to_owned(),
            request: format!("request-{id}"),
            pull_request: None,
            parameters: BTreeMap::new(),
        };
        Deployment {
            id,
            sha: sha.to_owned(),
            environment: "Staging".to_owned(),
            payload: mark.to_payload(),
            creator: "matinee".to_owned(),
            created_at: at(second).to_string(),
        }
    }

    /// Returns `count` deployments that alternate between two commits, one a minute.
    fn in_turns(count: i64) -> Vec<Deployment> {
        (0..count).map(|id| deployment(id, if id % 2 == 0 { "a" } else { "b" }, id)).collect()
    }

    #[test]
    fn deployments_in_a_circle_end_after_thirty_within_the_hour() {
        let most = i64::try_from(MOST).unwrap();
        assert_eq!(hold(NEXT, &in_turns(most + 1), at(100)), None);
        let known = in_turns(most + 2);
        let held = hold(NEXT, &known, at(100)).unwrap();
        // The first deployment of each commit isn't counted.
        assert_eq!(held.until, at(2 + 3_600));
        assert_eq!(hold(NEXT, &known, held.until), None, "one more fits then");
    }

    #[test]
    fn a_circle_that_goes_on_stays_bounded() {
        let mut known: Vec<Deployment> = Vec::new();
        for second in (0..3 * 3_600).step_by(10) {
            let id = i64::try_from(known.len()).unwrap();
            let sha = if id % 2 == 0 { "a" } else { "b" };
            // GitHub's pages may overlap.
            let listed = [known.clone(), known.clone()].concat();
            if hold(Next { sha, ..NEXT }, &listed, at(second)).is_none() {
                known.push(deployment(id, sha, second));
            }
        }
        for first in 0..known.len() {
            let begins: Timestamp = known[first].created_at.parse().unwrap();
            let within = known[first..].iter().filter(|other| {
                other.created_at.parse::<Timestamp>().unwrap().duration_since(begins) < WINDOW
            });
            // The first deployment of each commit isn't counted.
            assert!(within.count() <= MOST + 2, "from {begins}");
        }
        assert!(known.len() > 2 * MOST, "the loop continues: {}", known.len());
    }

    #[test]
    fn new_commits_and_other_deployments_are_not_held_back() {
        let known = in_turns(99);
        let allowed = |next: Next<'_>| hold(next, &known, at(100)).is_none();
        assert!(!allowed(NEXT));
        assert!(allowed(Next { sha: "c", ..NEXT }), "a push");
        assert!(allowed(Next { environment: "production", ..NEXT }));
        assert!(allowed(Next { cluster: "another", ..NEXT }));
        assert!(allowed(Next { mark: "request-5", ..NEXT }), "it exists already");
        let by_others: Vec<Deployment> = known
            .iter()
            .map(|known| Deployment { payload: serde_json::Value::Null, ..known.clone() })
            .collect();
        assert_eq!(hold(NEXT, &by_others, at(100)), None, "somebody else's");
        let pushes: Vec<Deployment> = (0..99).map(|id| deployment(id, &id.to_string(), id)).collect();
        assert_eq!(
            hold(Next { sha: "5", ..NEXT }, &pushes, at(100)),
            None,
            "a hundred pushes and a push back"
        );
        assert_eq!(hold(NEXT, &known, at(100 + 3_600)), None, "an hour later");
    }

    #[test]
    fn what_somebody_asks_for_is_not_bounded() {
        assert!(bounds(Origin::Push) && bounds(Origin::PullRequest) && bounds(Origin::DeploymentStatus));
        assert!(!bounds(Origin::Comment) && !bounds(Origin::Slack) && !bounds(Origin::Manual));
    }
}
