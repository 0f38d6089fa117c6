//! Counts and conditions of workloads.

use super::*;

/// Returns the Deployment with a changed status. `status` is a JSON merge patch; null removes a
/// field.
fn deployment(status: &Value) -> World {
    let mut world = World::new(DEPLOYMENT);
    merge(&mut world, status);
    world
}

fn merge(world: &mut World, status: &Value) {
    let data = &mut world.live[0].as_mut().expect("live").data["status"];
    for (key, value) in status.as_object().expect("an object") {
        data[key] = value.clone();
    }
}

#[test]
fn deployment_is_ready_with_all_replicas_updated_and_available() {
    let all = serde_json::json!({"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1});
    let ready = deployment(&all).at(5);
    assert_eq!(ready.verdict, EnvironmentHealth::Ready);
    assert_eq!(ready.look_again_after, None);
    assert_eq!(ready.components.len(), 1);
    assert!(ready.components[0].ready && ready.components[0].name == "Deployment/web");

    for (change, reason) in [
        (serde_json::json!({"updatedReplicas": 0}), "RollingOut"),
        (serde_json::json!({"replicas": 2}), "RollingOut"),
        (serde_json::json!({"availableReplicas": 0}), "NotAvailable"),
        (serde_json::json!({"observedGeneration": 1}), "NotObserved"),
        (serde_json::json!({"observedGeneration": null}), "NotObserved"),
    ] {
        let mut world = deployment(&all);
        merge(&mut world, &change);
        assert!(
            matches!(world.verdict(5), EnvironmentHealth::Progressing { reason: said, .. } if said == reason),
            "{change}"
        );
    }
}

#[test]
fn a_deployment_asleep_is_ready() {
    let mut world = deployment(
        &serde_json::json!({"replicas": null, "updatedReplicas": null, "availableReplicas": null}),
    );
    world.live[0].as_mut().expect("live").data["spec"]["replicas"] = 0.into();
    assert_eq!(world.verdict(5), EnvironmentHealth::Ready);
}

#[test]
fn the_progress_deadline_is_a_failure_with_the_pods_cause() {
    let conditions = serde_json::json!({"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "ReplicaSet has timed out progressing."}]});
    let with_deadline = |mut world: World| {
        world.live[0].as_mut().expect("live").data["spec"]["progressDeadlineSeconds"] = 60.into();
        world
    };
    assert_eq!(
        with_deadline(deployment(&conditions)).verdict(5),
        failed("ProgressDeadlineExceeded", "Deployment/web: no progress within its progress deadline")
    );
    let mut world = with_deadline(with_pod(&container(
        "ready: false\nstarted: true\nrestartCount: 0\nstate: {running: {startedAt: T+5}}",
    )));
    merge(&mut world, &conditions);
    assert_eq!(
        world.verdict(5),
        failed(
            "ProgressDeadlineExceeded",
            "Deployment/web, container web: readiness probe hasn't succeeded, no progress within its progress deadline (GET :8080/healthz)"
        )
    );
    // It is available after all.
    merge(&mut world, &serde_json::json!({"availableReplicas": 1}));
    assert_eq!(world.verdict(5), EnvironmentHealth::Ready);
}

fn refused(message: &str, old_replicas: i64) -> World {
    let mut world = deployment(&serde_json::json!({"replicas": old_replicas, "updatedReplicas": 0}));
    world.replica_sets[1].status = Some(read(&serde_json::json!({"replicas": 0, "conditions": [
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "lastTransitionTime": at(1).to_string(), "message": message}
    ]})));
    world
}

#[test]
fn a_refusal_of_a_pod_repeats_no_value_that_was_applied() {
    let mut world =
        refused("admission webhook \"v.example.com\" denied the request: DB=hunter2 is not allowed", 0);
    let applied = serde_json::json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"template": {"spec": {"containers": [{"name": "web", "env": [{"name": "DB", "value": "hunter2"}]}]}}},
    });
    world.sent = SentValues::of_objects([&read::<DynamicObject>(&applied)]);
    let assessment = world.at(200);
    let message = "denied by admission webhook \"v.example.com\" (DB=… is not allowed)";
    assert_eq!(assessment.components[0].message, message);
    assert_eq!(assessment.verdict, failed("FailedCreate", &format!("Deployment/web: {message}")));
    assert!(!format!("{:?}", world.at(20)).contains("hunter2"));
}

#[test]
fn a_pod_that_may_not_be_made_fails_with_the_refusal() {
    for (refusal, message) in [
        (
            "exceeded quota: preview, requested: pods=1, used: pods=5, limited: pods=5",
            "exceeded quota (preview, requested: pods=1, used: pods=5, limited: pods=5)",
        ),
        (
            "violates PodSecurity \"restricted:latest\": privileged (container \"web\" must not set securityContext.privileged=true)",
            "violates PodSecurity \"restricted:latest\" (privileged (container \"web\" must not set securityContext.privileged=true))",
        ),
        (
            "maximum memory usage per Container is 1Gi, but limit is 2Gi",
            "pod not created: maximum memory usage per Container is 1Gi, but limit is 2Gi",
        ),
        (
            "failed quota: preview: must specify limits.cpu for: web",
            "failed quota (preview: must specify limits.cpu for: web)",
        ),
    ] {
        let world = refused(&format!("pods \"web-6d4f-abcde\" is forbidden: {refusal}"), 0);
        assert_eq!(world.verdict(2), failed("FailedCreate", &format!("Deployment/web: {message}")));
    }
    let limit = refused(
        "Pod \"web-6d4f-abcde\" is invalid: spec.containers[0].resources.requests: Invalid value: \"1Gi\": must be less than or equal to memory \
         limit of 512Mi",
        0,
    );
    assert!(
        matches!(limit.verdict(2), EnvironmentHealth::Failed { message, .. } if message.contains("limit of 512Mi")
            && message.contains("a container without limit has that of the class's spec.isolation.defaultLimits"))
    );
    let invalid = refused("Pod \"web-6d4f-abcde\" is invalid: spec.containers[0].name: Required value", 0);
    assert!(matches!(invalid.verdict(2), EnvironmentHealth::Failed { .. }));
}

#[test]
fn missing_inputs_of_a_new_namespace_have_a_grace_period() {
    for refusal in [
        "error looking up service account preview/web: serviceaccount \"web\" not found",
        "status unknown for quota: preview, resources: pods",
    ] {
        let world = refused(&format!("pods \"web-6d4f-abcde\" is forbidden: {refusal}"), 0);
        let early = world.at(2);
        assert!(
            matches!(&early.verdict, EnvironmentHealth::Progressing { reason, .. } if reason == "FailedCreate"),
            "{early:?}"
        );
        assert_eq!(early.look_again_after, Some(Duration::from_secs(9)), "the report is due then");
        assert!(matches!(world.verdict(120), EnvironmentHealth::Progressing { .. }));
        assert!(matches!(world.verdict(121), EnvironmentHealth::Failed { .. }));
    }
}

#[test]
fn a_quota_that_old_pods_still_fill_has_a_grace() {
    let world =
        refused("pods \"web-6d4f-abcde\" is forbidden: exceeded quota: preview, requested: pods=1", 1);
    assert!(matches!(world.verdict(2), EnvironmentHealth::Progressing { .. }));
    assert!(matches!(world.verdict(130), EnvironmentHealth::Failed { .. }));
}

#[test]
fn a_refusal_of_the_old_revision_is_not_this_ones() {
    let mut world = refused("pods \"web-5c9f-fghij\" is forbidden: violates PodSecurity", 0);
    world.replica_sets.swap(0, 1);
    let (old, new) = world.replica_sets.split_at_mut(1);
    std::mem::swap(&mut old[0].status, &mut new[0].status);
    merge(
        &mut world,
        &serde_json::json!({"conditions": [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "violates PodSecurity"}]}),
    );
    assert!(matches!(world.verdict(2), EnvironmentHealth::Progressing { .. }));
    // The Deployment's condition counts only without its ReplicaSet.
    world.replica_sets.clear();
    assert!(matches!(world.verdict(2), EnvironmentHealth::Failed { reason, .. } if reason == "FailedCreate"));
}

#[test]
fn a_container_just_back_from_a_crash_is_not_believed_at_once() {
    let mut world = with_pod(
        "
conditions: [{type: Ready, status: 'True'}]
containerStatuses:
- name: web
  image: ''
  imageID: ''
  ready: true
  started: true
  restartCount: 1
  state: {running: {startedAt: T+20}}
  lastState: {terminated: {exitCode: 1, reason: Error, startedAt: T+5, finishedAt: T+6}}",
    );
    merge(&mut world, &serde_json::json!({"availableReplicas": 1}));
    let early = world.at(21);
    assert!(
        matches!(&early.verdict, EnvironmentHealth::Progressing { reason, .. } if reason == "Crashed"),
        "{early:?}"
    );
    assert_eq!(early.look_again_after, Some(Duration::from_secs(9)));
    assert_eq!(world.verdict(30), EnvironmentHealth::Ready);
}

fn stateful_set(status: &str) -> EnvironmentHealth {
    World::new(&format!(
        "
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: db, namespace: preview, uid: sts-uid, generation: 2}}
spec: {{replicas: 2, updateStrategy: {{type: RollingUpdate, rollingUpdate: {{partition: 0}}}}}}
status: {{observedGeneration: 2, {status}}}"
    ))
    .verdict(5)
}

#[test]
fn a_stateful_set_is_ready_when_all_replicas_are_updated_and_ready() {
    let all = "replicas: 2, readyReplicas: 2, availableReplicas: 2, updatedReplicas: 2, currentReplicas: 2, currentRevision: a, updateRevision: a";
    assert_eq!(stateful_set(all), EnvironmentHealth::Ready);
    for (part, other) in [
        ("readyReplicas: 2", "readyReplicas: 1"),
        ("availableReplicas: 2", "availableReplicas: 1"),
        ("updatedReplicas: 2", "updatedReplicas: 1"),
        ("replicas: 2,", "replicas: 3,"),
    ] {
        assert!(
            matches!(stateful_set(&all.replacen(part, other, 1)), EnvironmentHealth::Progressing { .. }),
            "{other}"
        );
    }
}

fn job(status: &str, pods: &[String]) -> World {
    let pods: String = pods.iter().flat_map(|pod| ["---\n", pod]).collect();
    World::new(&format!(
        "
apiVersion: batch/v1
kind: Job
metadata: {{name: migrate, namespace: preview, uid: job-uid, generation: 1}}
spec: {{completions: 1, parallelism: 1, backoffLimit: 2}}
status: {{{status}}}
{pods}"
    ))
}

#[test]
fn job_is_ready_when_complete() {
    assert!(
        matches!(job("startTime: T+1, active: 1", &[]).verdict(5), EnvironmentHealth::Progressing { reason, .. } if reason == "Running")
    );
    assert_eq!(
        job("succeeded: 1, conditions: [{type: Complete, status: 'True', reason: CompletionsReached}]", &[])
            .verdict(5),
        EnvironmentHealth::Ready
    );
}

#[test]
fn removed_finished_job_keeps_its_result() {
    let finished = |failure: Option<&str>| crate::api::FinishedJob {
        sha: "a".repeat(40),
        deployment_id: None,
        digest: "d".to_owned(),
        failure: failure.map(str::to_owned),
    };
    let mut world = job("succeeded: 1, conditions: [{type: Complete, status: 'True'}]", &[]);
    world.entries[0].finished = Some(finished(None));
    assert_eq!(world.verdict(700), EnvironmentHealth::Ready);
    world.live[0].as_mut().unwrap().metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(1)));
    assert_eq!(world.verdict(700), EnvironmentHealth::Ready, "its TTL deletes it");
    world.live[0] = None;
    assert_eq!(world.verdict(700), EnvironmentHealth::Ready, "it has been deleted");
    world.entries[0].finished = Some(finished(Some("BackoffLimitExceeded")));
    assert_eq!(
        world.verdict(5),
        failed("BackoffLimitExceeded", "Job/migrate: it failed and has been deleted since")
    );
    world.entries[0].finished = None;
    assert!(
        matches!(world.verdict(5), EnvironmentHealth::Progressing { reason, .. } if reason == "NotFound")
    );
}

#[test]
fn a_job_that_failed_says_why() {
    let status = "failed: 3, conditions: [{type: Failed, status: 'True', reason: BackoffLimitExceeded, message: Job has reached the specified backoff limit}]";
    assert_eq!(
        job(status, &[]).verdict(5),
        failed("BackoffLimitExceeded", "Job/migrate: Job has reached the specified backoff limit")
    );
    let crashed = web_pod(
        "migrate-abcde",
        "job-uid",
        &container("ready: false\nrestartCount: 0\nstate: {terminated: {exitCode: 3, reason: Error, startedAt: T+1, finishedAt: T+2}}"),
    )
    .replace("phase: Pending", "phase: Failed");
    assert_eq!(
        job(status, std::slice::from_ref(&crashed)).verdict(5),
        failed(
            "BackoffLimitExceeded",
            "Job/migrate, container web: crashed with exit code 3, Job has reached the specified backoff limit (registry.example/web:1)"
        )
    );
    // A failed pod doesn't make the Job fail.
    assert!(
        matches!(job("active: 1, failed: 1", &[crashed]).verdict(5), EnvironmentHealth::Progressing { reason, .. } if reason == "Crashed")
    );
}

#[test]
fn of_a_job_that_tries_again_the_new_try_counts() {
    let could_not_start = web_pod(
        "migrate-abcde",
        "job-uid",
        &container(
            "ready: false\nrestartCount: 0\nstate: {terminated: {exitCode: 128, reason: StartError, message: no such file}}",
        ),
    )
    .replace("phase: Pending", "phase: Failed");
    let running = web_pod(
        "migrate-fghij",
        "job-uid",
        &container("ready: true\nrestartCount: 0\nstate: {running: {startedAt: T+5}}"),
    );
    let world = job("active: 1, failed: 1", &[could_not_start.clone(), running]);
    assert!(
        matches!(world.verdict(5), EnvironmentHealth::Progressing { reason, .. } if reason == "NotReady")
    );
    assert!(
        matches!(job("failed: 1", &[could_not_start]).verdict(5), EnvironmentHealth::Failed { reason, .. } if reason == "StartError")
    );
}

#[test]
fn a_job_whose_image_does_not_exist_fails_at_once() {
    let pod =
        web_pod("migrate-abcde", "job-uid", &waiting("ErrImagePull", "registry.example/web:1: not found"));
    assert!(
        matches!(job("active: 1", &[pod]).verdict(5), EnvironmentHealth::Failed { reason, .. } if reason == "ImagePullBackOff")
    );
}
