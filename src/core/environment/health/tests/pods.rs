//! Crashes, memory, scheduling and probes.

use super::*;

fn crashed(restarts: i32, state: &str) -> World {
    crashed_by(restarts, state, "{exitCode: 1, reason: Error, startedAt: T+5, finishedAt: T+6}")
}

fn crashed_by(restarts: i32, state: &str, last: &str) -> World {
    with_pod(&container(&format!(
        "ready: false\nrestartCount: {restarts}\nlastState: {{terminated: {last}}}\nstate: {state}"
    )))
}

const BACK_OFF: &str = "{waiting: {reason: CrashLoopBackOff, message: back-off 10s restarting failed container=web pod=web-6d4f-abcde_preview(web-6d4f-abcde-uid)}}";

#[test]
fn single_crash_is_no_failure() {
    let ended = with_pod(&container(
        "ready: false\nrestartCount: 0\nstate: {terminated: {exitCode: 1, reason: Error, startedAt: T+5, finishedAt: T+6}}",
    ));
    assert_eq!(
        ended.verdict(6),
        progressing(
            "Crashed",
            "Deployment/web, container web: crashed with exit code 1 (registry.example/web:1)"
        )
    );
    let back = crashed(1, "{running: {startedAt: T+7}}");
    assert!(matches!(back.verdict(8), EnvironmentHealth::Progressing { .. }));
}

#[test]
fn crash_loop_fails_and_stays_failed_between_restarts() {
    let expected = failed(
        "CrashLoopBackOff",
        "Deployment/web, container web: crashed with exit code 1, restarted once (registry.example/web:1)",
    );
    assert_eq!(crashed(1, BACK_OFF).verdict(8), expected);
    let ended = "{terminated: {exitCode: 1, reason: Error, startedAt: T+7, finishedAt: T+8}}";
    assert_eq!(crashed(1, ended).verdict(8), expected);
    // In back-off, running for a moment, and terminated: the verdict is the same.
    let states = [BACK_OFF, "{running: {startedAt: T+20}}", ended];
    let verdicts: Vec<_> = states.map(|state| crashed(3, state).verdict(21)).into_iter().collect();
    assert!(
        matches!(&verdicts[0], EnvironmentHealth::Failed { message, .. } if message.contains("restarted 3 times"))
    );
    assert!(verdicts.iter().all(|verdict| *verdict == verdicts[0]), "{verdicts:?}");
    // The message hardly changes overnight.
    assert_eq!(crashed(31, BACK_OFF).verdict(21), crashed(38, BACK_OFF).verdict(21));
}

#[test]
fn container_running_again_after_crashes_is_not_ready() {
    let world = crashed(4, "{running: {startedAt: T+100}}");
    let early = world.at(101);
    assert!(matches!(early.verdict, EnvironmentHealth::Failed { .. }));
    assert_eq!(early.look_again_after, Some(Duration::from_secs(59)));
    assert_eq!(
        world.verdict(160),
        progressing(
            "NotReady",
            "Deployment/web, container web: readiness probe hasn't succeeded (GET :8080/healthz)"
        )
    );
}

#[test]
fn out_of_memory_names_the_limit() {
    let last = "{exitCode: 137, reason: OOMKilled, startedAt: T+5, finishedAt: T+6}";
    assert_eq!(
        crashed_by(2, BACK_OFF, last).verdict(30),
        failed(
            "OOMKilled",
            "Deployment/web, container web: OOMKilled: more memory used than its limit of 64Mi, restarted 2 times (registry.example/web:1)"
        )
    );
}

#[test]
fn exit_code_zero_fails_a_long_running_container() {
    let last = "{exitCode: 0, reason: Completed, startedAt: T+5, finishedAt: T+6}";
    let verdict = crashed_by(2, BACK_OFF, last).verdict(30);
    assert!(
        matches!(&verdict, EnvironmentHealth::Failed { message, .. } if message.contains("ended by itself with exit code 0")),
        "{verdict:?}"
    );
}

#[test]
fn termination_message_is_not_repeated() {
    let last = "{exitCode: 1, reason: Error, message: 'password=hunter2', startedAt: T+5, finishedAt: T+6}";
    let verdict = crashed_by(2, BACK_OFF, last).verdict(30);
    assert!(
        matches!(&verdict, EnvironmentHealth::Failed { message, .. } if !message.contains("hunter2")),
        "{verdict:?}"
    );
}

#[test]
fn failing_init_container_is_named() {
    let mut world = with_pod(
        "
conditions: [{type: PodScheduled, status: 'True'}, {type: Initialized, status: 'False'}]
initContainerStatuses:
- name: migrate
  image: registry.example/migrate:1
  imageID: ''
  ready: false
  restartCount: 2
  state: {waiting: {reason: CrashLoopBackOff, message: back-off 20s}}
  lastState: {terminated: {exitCode: 3, reason: Error, startedAt: T+5, finishedAt: T+6}}
containerStatuses:
- {name: web, image: registry.example/web:1, imageID: '', ready: false, restartCount: 0, state: {waiting: {reason: PodInitializing}}}
",
    );
    world.pods[0].spec.as_mut().expect("spec").init_containers =
        Some(read(&serde_json::json!([{"name": "migrate", "image": "registry.example/migrate:1"}])));
    assert_eq!(
        world.verdict(30),
        failed(
            "CrashLoopBackOff",
            "Deployment/web, init container migrate: crashed with exit code 3, restarted 2 times (registry.example/migrate:1)"
        )
    );
    // While it runs, the verdict is to wait for it.
    let status = world.pods[0].status.as_mut().and_then(|status| status.init_container_statuses.as_mut());
    let migrate = &mut status.expect("statuses")[0];
    *migrate = read(
        &serde_json::json!({"name": "migrate", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"running": {"startedAt": at(5).to_string()}}}),
    );
    assert!(
        matches!(world.verdict(30), EnvironmentHealth::Progressing { reason, .. } if reason == "Initializing")
    );
}

#[test]
fn a_sidecar_that_crashes_is_found() {
    let mut world = with_pod(
        "
conditions: [{type: PodScheduled, status: 'True'}]
initContainerStatuses:
- name: proxy
  image: registry.example/proxy:1
  imageID: ''
  ready: false
  restartCount: 2
  started: false
  state: {waiting: {reason: CrashLoopBackOff, message: back-off 20s}}
  lastState: {terminated: {exitCode: 139, reason: Error, startedAt: T+5, finishedAt: T+6}}
containerStatuses:
- {name: web, image: registry.example/web:1, imageID: '', ready: true, started: true, restartCount: 0, state: {running: {startedAt: T+5}}}
",
    );
    world.pods[0].spec.as_mut().expect("spec").init_containers = Some(read(
        &serde_json::json!([{"name": "proxy", "image": "registry.example/proxy:1", "restartPolicy": "Always"}]),
    ));
    let verdict = world.verdict(30);
    assert!(
        matches!(&verdict, EnvironmentHealth::Failed { message, .. } if message.contains("container proxy") && message.contains("SIGSEGV")),
        "{verdict:?}"
    );
}

const UNSCHEDULABLE: &str = "conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, lastTransitionTime: T+2, message: '0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.'}]";

#[test]
fn a_pod_waits_for_a_node_as_long_as_the_class_says() {
    let mut world = with_pod(UNSCHEDULABLE);
    let message = "Deployment/web: no node fits the pod: 1 Insufficient cpu";
    for (grace, seconds) in [("30s", 30), ("5m", 300), ("9m", 540)] {
        world.limits.scheduling_grace = grace.parse().expect("a duration");
        assert_eq!(world.verdict(seconds + 1), progressing("Unschedulable", message));
        assert_eq!(world.at(seconds + 1).look_again_after, Some(Duration::from_secs(1)));
        assert_eq!(world.verdict(seconds + 2), failed("Unschedulable", message));
    }
    assert_eq!(ClassHealth::default().scheduling_grace.to_string(), "5m");
}

#[test]
fn lasting_trouble_is_reported_while_waiting() {
    let world = with_pod(UNSCHEDULABLE);
    let early = world.at(10);
    assert_eq!((early.trouble, early.look_again_after), (None, Some(Duration::from_secs(2))));
    let trouble = world.at(12).trouble.expect("trouble");
    assert!(trouble.starts_with("Deployment/web: no node fits the pod"), "{trouble}");
    assert_eq!(world.at(302).trouble, None, "the failure reports it");
}

#[test]
fn a_pod_that_a_node_was_chosen_for_waits_until_the_deadline() {
    let world = with_pod(&format!("nominatedNodeName: node-7\n{UNSCHEDULABLE}"));
    assert!(
        matches!(world.verdict(599), EnvironmentHealth::Progressing { reason, .. } if reason == "Unschedulable")
    );
    assert!(
        matches!(world.verdict(600), EnvironmentHealth::Failed { reason, .. } if reason == "Unschedulable")
    );
}

#[test]
fn a_readiness_gate_is_named() {
    let mut world = with_pod(&container(
        "ready: true\nstarted: true\nrestartCount: 0\nstate: {running: {startedAt: T+5}}",
    ));
    world.pods[0].spec.as_mut().expect("spec").readiness_gates =
        Some(read(&serde_json::json!([{"conditionType": "example.com/attached"}])));
    assert_eq!(
        world.verdict(30),
        progressing(
            "NotReady",
            "Deployment/web: the pod is waiting for its readiness gate example.com/attached"
        )
    );
}

#[test]
fn a_pod_of_nobody_has_nobody_to_make_another() {
    let pod = |phase: &str, status: &str| {
        World::new(&format!(
            "
apiVersion: v1
kind: Pod
metadata: {{name: seed, namespace: preview, uid: seed-uid}}
spec: {{restartPolicy: Never, containers: [{{name: seed, image: registry.example/seed:1}}]}}
status:
  phase: {phase}
  startTime: T+3
{status}"
        ))
    };
    let ended = "  containerStatuses:\n  - {name: seed, image: '', imageID: '', ready: false, restartCount: 0, state: {terminated: {exitCode: 2, reason: Error}}}";
    assert_eq!(
        pod("Failed", ended).verdict(5),
        failed("Crashed", "Pod/seed, container seed: crashed with exit code 2 (registry.example/seed:1)")
    );
    assert_eq!(pod("Succeeded", "").verdict(5), EnvironmentHealth::Ready);
    assert!(matches!(
        pod("Failed", "  reason: Evicted\n  message: The node was low on resource memory.").verdict(5),
        EnvironmentHealth::Failed { reason, .. } if reason == "Evicted"
    ));
}
