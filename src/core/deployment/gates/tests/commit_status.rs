use proptest::prelude::*;

use super::*;
use crate::core::forge::CommitState;

#[test]
fn commit_status_shows_the_state_of_the_request() {
    let mut world = World::new(&json!({"checks": ["build"]}));
    let open = world.judge(&checks(vec![check("build", CheckState::Passed)]));
    let failed = world.judge(&checks(vec![check("build", CheckState::Failed("failure".to_owned()))]));
    world.lock("production");
    let locked = world.judge(&Facts::default());
    for (standing, state, description) in [
        (Standing::Judged(&open), CommitState::Pending, "about to be deployed to staging"),
        (
            Standing::Judged(&locked),
            CommitState::Pending,
            "locked by grace since 2026-01-05T10:00:00Z: release freeze",
        ),
        (Standing::Judged(&failed), CommitState::Failure, "check failed: build (failure)"),
        (Standing::Refused("it is\na draft"), CommitState::Failure, "it is a draft"),
        (Standing::UnderWay, CommitState::Pending, "deploying to staging"),
        (Standing::Live, CommitState::Success, "deployed to staging"),
        (Standing::Failed("web: OOMKilled"), CommitState::Failure, "not deployed to staging: web: OOMKilled"),
        (Standing::Superseded("newer"), CommitState::Error, "not deployed to staging: newer"),
    ] {
        let status = commit_status("staging", standing, Some("https://x.example".to_owned()));
        assert_eq!((status.state, status.description.as_str()), (state, description));
        assert_eq!(status.context, "matinee/staging");
        assert_eq!(status.target_url.as_deref(), Some("https://x.example"));
        assert_eq!(recorded(&status), format!("{}: {description}", state.as_github()));
    }
}

proptest! {
    #[test]
    fn commit_status_fits_githubs_limit(cause in "\\PC{0,400}") {
        let status = commit_status("staging", Standing::Failed(&cause), None);
        prop_assert!(status.description.chars().count() <= 140);
        prop_assert!(recorded(&status).chars().count() <= 200);
    }
}
