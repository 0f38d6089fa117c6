//! Longer deadlines that objects set themselves.

use super::*;

/// Returns the Deployment with a progress deadline and a container that runs but isn't ready.
fn slow(progress_deadline: i64) -> World {
    let mut world = with_pod(&container(
        "ready: false\nstarted: true\nrestartCount: 0\nstate: {running: {startedAt: T+5}}",
    ));
    let data = &mut world.live[0].as_mut().expect("live").data;
    data["spec"]["progressDeadlineSeconds"] = progress_deadline.into();
    data["status"]["conditions"][1]["lastUpdateTime"] = at(5).to_string().into();
    world
}

#[track_caller]
fn fails_at(world: &World, second: i64, words: &str) {
    let before = world.at(second - 1);
    assert!(matches!(before.verdict, EnvironmentHealth::Progressing { .. }), "{before:?}");
    assert_eq!(before.look_again_after, Some(Duration::from_secs(1)));
    let after = world.verdict(second);
    assert!(
        matches!(&after, EnvironmentHealth::Failed { message, .. } if message.contains(&format!("not ready within {words}"))),
        "{after:?}"
    );
}

#[test]
fn the_class_sets_the_deadline() {
    let mut world = slow(600);
    fails_at(&world, 600, "10m");
    world.limits.deadline = "25m".parse().expect("a duration");
    fails_at(&world, 1_500, "25m");
    // Exceeding Kubernetes' default progress deadline isn't a failure before the class's deadline.
    let data = &mut world.live[0].as_mut().expect("live").data;
    data["status"]["conditions"][1] = serde_json::json!(
        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "lastUpdateTime": at(605).to_string()}
    );
    assert!(matches!(world.verdict(1_499), EnvironmentHealth::Progressing { .. }));
    assert!(matches!(world.verdict(1_500), EnvironmentHealth::Failed { .. }));
}

#[test]
fn longer_progress_deadline_extends_the_deadline() {
    // The deadline counts from the last progress, plus a minute in which the Deployment reports it.
    fails_at(&slow(1_800), 1_920, "32m");
    fails_at(&slow(60), 600, "10m");
}

#[test]
fn startup_probe_extends_the_deadline() {
    let mut world = slow(600);
    let container = &mut world.pods[0].spec.as_mut().expect("spec").containers[0];
    container.startup_probe = Some(read(&serde_json::json!(
        {"httpGet": {"port": 8080}, "initialDelaySeconds": 20, "periodSeconds": 10, "failureThreshold": 90}
    )));
    // 5 s until the container runs, 920 s for the startup probe, 10 s for the readiness probe, and
    // a minute.
    fails_at(&world, 1_020, "17m");
    // A container that starts late has its full time too.
    let world = {
        let mut world = world;
        let status = world.pods[0].status.as_mut().and_then(|status| status.container_statuses.as_mut());
        let running = status.and_then(|statuses| statuses[0].state.as_mut()?.running.as_mut());
        running.expect("running").started_at = Some(read(&Value::String(at(305).to_string())));
        world
    };
    fails_at(&world, 1_320, "22m");
}

#[test]
fn active_deadline_of_a_job_extends_the_deadline_for_all() {
    let job = "
apiVersion: batch/v1
kind: Job
metadata: {name: seed, namespace: preview, uid: job-uid, generation: 1}
spec: {completions: 1, activeDeadlineSeconds: 1200}
status: {startTime: T+60, active: 1}
";
    let world = World::new(job);
    fails_at(&world, 1_320, "22m");
    // A Deployment that waits for data from the Job.
    let mut world = slow(600);
    world.expect("batch/v1", "Job", &{
        let mut text = job.to_owned();
        text = text.replace("T+60", &at(60).to_string());
        let mut documents: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
        documents.remove(0)
    });
    fails_at(&world, 1_320, "22m");
}
