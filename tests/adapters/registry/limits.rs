//! The adapter keeps rate limits until they end.

use jiff::{SignedDuration, Timestamp};
use matinee::ports::RegistryError;
use registry_stand_in::control::types::{Authentication, FaultEffect};

use crate::support::{World, mona};

/// Returns the seconds until a limit ends.
fn wait(result: &Result<bool, RegistryError>) -> i64 {
    match result {
        Err(RegistryError::RateLimited { until }) => until
            .duration_since(Timestamp::now())
            .round(jiff::Unit::Second)
            .unwrap_or(SignedDuration::MAX)
            .as_secs(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nothing_is_sent_before_a_limit_ends() {
    for path in ["/v2/", "/token"] {
        let world = World::start(Authentication::Bearer).await;
        world.control.break_next(path, FaultEffect::RateLimit { retry_after: Some(5) }).await.unwrap();
        let limited = world.pr_7(None).await;
        assert!((1..=5).contains(&wait(&limited)), "{limited:?}");
        world.requests().await;
        assert_eq!(world.pr_7(None).await, limited);
        assert_eq!(world.ask("acme/other", None).await, limited);
        assert_eq!(world.requests().await, [""; 0]);
        // Requests with other credentials are counted separately.
        assert_eq!(world.pr_7(Some(&mona())).await, Ok(true));
        let Err(RegistryError::RateLimited { until }) = limited else { unreachable!() };
        let left = until.duration_since(Timestamp::now());
        tokio::time::sleep(left.try_into().unwrap_or_default()).await;
        assert_eq!(world.pr_7(None).await, Ok(true));
    }
}

#[tokio::test]
async fn limits_without_an_end_or_without_measure_have_bounds() {
    for (retry_after, expected) in [(None, 60), (Some(4_000_000), 3600)] {
        let world = World::start(Authentication::Open).await;
        world.control.break_next("/v2/", FaultEffect::RateLimit { retry_after }).await.unwrap();
        let left = wait(&world.pr_7(None).await);
        assert!((expected - 30..=expected).contains(&left), "{left}");
    }
}
