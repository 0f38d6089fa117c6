//! Writes that succeed, fail, hang and are cancelled. The time is tokio's paused clock.

use std::sync::atomic::AtomicUsize;

use serde_json::json;
use tokio::sync::oneshot;

use super::*;

fn request(uid: &str) -> DeploymentRequest {
    let spec = json!({"repositoryRef": {"name": "shop"}, "environment": "staging", "sha": "1".repeat(40)});
    let metadata = json!({"name": format!("request-{uid}"), "namespace": "team", "uid": uid});
    serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
}

fn writes() -> Publisher {
    Publisher::new(&Queues::default())
}

fn unknown() -> WriteError {
    ForgeError::Unknown("no answer".to_owned()).into()
}

/// Runs the tasks that are ready.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_result_is_handed_out_once() {
    let writes = writes();
    let (one, other) = (request("one"), request("other"));
    assert_eq!(writes.commit_statuses.progress(&one), WriteProgress::Idle);
    let (answer, answered) = oneshot::channel::<()>();
    writes.commit_statuses.start(&one, "success".to_owned(), async move {
        answered.await.unwrap();
        Ok(())
    });
    settle().await;
    assert_eq!(
        writes.commit_statuses.progress(&one),
        WriteProgress::UnderWay { about: "success".to_owned() }
    );
    assert_eq!(writes.commit_statuses.under_way().len(), 1);
    answer.send(()).unwrap();
    settle().await;
    assert_eq!(writes.commit_statuses.progress(&other), WriteProgress::Idle);
    assert!(writes.commit_statuses.has_result(&one) && writes.commit_statuses.under_way().is_empty());
    let about = "success".to_owned();
    assert_eq!(writes.commit_statuses.progress(&one), WriteProgress::Finished { about, result: Ok(()) });
    assert_eq!(writes.commit_statuses.progress(&one), WriteProgress::Idle);
}

#[tokio::test(start_paused = true)]
async fn a_result_is_lost_neither_to_a_look_nor_to_a_failure() {
    let writes = writes();
    let one = request("one");
    writes.commit_statuses.start(&one, "success".to_owned(), async { Ok(()) });
    settle().await;
    // This is a reconcile that began before the write ended.
    assert_eq!(writes.commit_statuses.look(&one), WriteProgress::UnderWay { about: "success".to_owned() });
    let WriteProgress::Finished { about, result } = writes.commit_statuses.progress(&one) else { panic!() };
    // The reconcile can't use the result yet.
    writes.commit_statuses.give_back(&one, about.clone(), result);
    assert!(writes.commit_statuses.has_result(&one));
    assert_eq!(writes.commit_statuses.progress(&one), WriteProgress::Finished { about, result: Ok(()) });
    assert_eq!(writes.commit_statuses.look(&one), WriteProgress::Idle);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_hangs_delays_no_other() {
    let writes = writes();
    for number in 0..20 {
        writes.commit_statuses.start(
            &request(&format!("hangs-{number}")),
            "x".to_owned(),
            std::future::pending(),
        );
    }
    let other = request("other");
    writes.commit_statuses.start(&other, "x".to_owned(), async { Ok(()) });
    settle().await;
    assert!(writes.commit_statuses.has_result(&other));
    assert_eq!(writes.commit_statuses.under_way().len(), 20);
}

#[tokio::test(start_paused = true)]
async fn the_pause_grows_with_each_failure_until_a_success() {
    let writes = writes();
    let (one, now) = (request("one"), Timestamp::UNIX_EPOCH);
    let fail = async |error: WriteError| {
        let failed = error.clone();
        writes.commit_statuses.start(&one, "x".to_owned(), async move { Err(failed) });
        settle().await;
        assert!(matches!(
            writes.commit_statuses.progress(&one),
            WriteProgress::Finished { result: Err(_), .. }
        ));
        writes.commit_statuses.pause(&one, &error, now)
    };
    let mut waits = Vec::new();
    for _ in 0..4 {
        let wait = fail(unknown()).await;
        waits.push(wait.as_millis());
        let WriteProgress::Paused { problem, .. } = writes.commit_statuses.progress(&one) else { panic!() };
        assert_eq!(problem, "GitHub did not answer: no answer");
        tokio::time::sleep(wait).await;
        assert_eq!(writes.commit_statuses.progress(&one), WriteProgress::Idle);
    }
    assert_eq!(waits, [500, 1_000, 2_000, 4_000]);
    let until = now + jiff::SignedDuration::from_mins(30);
    assert_eq!(fail(ForgeError::RateLimited { until }.into()).await, Duration::from_mins(30));
    writes.commit_statuses.forget(&one);
    assert_eq!(fail(unknown()).await.as_millis(), 500);
}

#[tokio::test(start_paused = true)]
async fn newer_write_replaces_the_running_write() {
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (writes, one, taken_back) = (writes(), request("one"), Arc::<AtomicUsize>::default());
    let guard = Dropped(Arc::clone(&taken_back));
    writes.commit_statuses.start(&one, "older".to_owned(), async move {
        let _guard = guard;
        std::future::pending().await
    });
    settle().await;
    writes.commit_statuses.start(&one, "newer".to_owned(), async { Ok(()) });
    settle().await;
    assert_eq!(taken_back.load(Ordering::SeqCst), 1, "a queue learns of it by the caller's going away");
    let about = "newer".to_owned();
    assert_eq!(writes.commit_statuses.progress(&one), WriteProgress::Finished { about, result: Ok(()) });
}

#[tokio::test(start_paused = true)]
async fn cancelled_write_does_not_affect_the_next_write() {
    let (writes, one) = (writes(), request("one"));
    writes.commit_statuses.start(&one, "older".to_owned(), std::future::pending());
    settle().await;
    writes.commit_statuses.forget(&one);
    assert_eq!(writes.commit_statuses.progress(&one), WriteProgress::Idle);
    writes.commit_statuses.start(&one, "newer".to_owned(), std::future::pending());
    settle().await;
    assert_eq!(writes.commit_statuses.progress(&one), WriteProgress::UnderWay { about: "newer".to_owned() });
}

#[tokio::test(start_paused = true)]
async fn shutdown_starts_no_writes_and_completes_running_writes() {
    let (writes, one, two) = (writes(), request("one"), request("two"));
    let (answer, answered) = oneshot::channel::<()>();
    writes.commit_statuses.start(&one, "x".to_owned(), async move {
        answered.await.unwrap();
        Ok(())
    });
    // A queue that closes cancels the waiting writes.
    let turned_away = ForgeError::NotSent("this replica is shutting down".to_owned());
    writes.commit_statuses.start(&two, "x".to_owned(), async move { Err(turned_away.into()) });
    writes.stop();
    writes.commit_statuses.start(&request("late"), "x".to_owned(), async { panic!("it was started") });
    writes.courtesy(async { panic!("it was started") });
    let closing = writes.close();
    tokio::pin!(closing);
    assert!(tokio::time::timeout(Duration::from_mins(1), &mut closing).await.is_err());
    answer.send(()).unwrap();
    closing.await;
    let finished: Vec<_> = writes.commit_statuses.finished().into_iter().map(|found| found.name).collect();
    assert_eq!(finished, ["request-one"], "what was not sent leaves nothing to record");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_panics_can_be_started_again() {
    let (writes, one) = (writes(), request("one"));
    writes.commit_statuses.start(&one, "x".to_owned(), async { panic!("a fault") });
    settle().await;
    assert_eq!(writes.commit_statuses.progress(&one), WriteProgress::Idle);
}

#[tokio::test(start_paused = true)]
async fn the_slots_of_an_object_are_separate_and_end_together() {
    let writes = writes();
    let environment: PreviewEnvironment = serde_json::from_value(json!({
        "metadata": {"name": "shop-preview", "namespace": "team", "uid": "one"},
        "spec": {
            "repositoryRef": {"name": "shop"}, "environment": "preview", "githubEnvironment": "preview",
            "revision": {"sha": "1".repeat(40)},
        },
    }))
    .unwrap();
    let report = |id| crate::core::publish::deployment_status::inactive(id, "over", None);
    let statuses = &writes.deployment_statuses;
    statuses.start_in(&environment, 7, report(7), async { Ok(()) });
    statuses.start_in(&environment, 8, report(8), std::future::pending());
    settle().await;
    assert_eq!(statuses.slots(&environment), [7, 8]);
    assert_eq!(statuses.under_way().len(), 1);
    assert!(matches!(statuses.progress_in(&environment, 7), WriteProgress::Finished { .. }));
    assert!(matches!(statuses.progress_in(&environment, 8), WriteProgress::UnderWay { .. }));
    statuses.forget_in(&environment, 7);
    assert_eq!(statuses.slots(&environment), [8]);
    statuses.forget(&environment);
    assert!(statuses.slots(&environment).is_empty());
}
