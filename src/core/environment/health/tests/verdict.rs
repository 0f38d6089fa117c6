//! Health of the environment as a whole.

use super::*;

#[test]
fn nothing_is_ready() {
    let assessment = World::new("").at(0);
    assert_eq!(
        assessment,
        Assessment {
            components: vec![],
            verdict: EnvironmentHealth::Ready,
            trouble: None,
            unconfirmed: None,
            blocking_pods: vec![],
            look_again_after: None
        }
    );
}

#[test]
fn an_object_that_is_not_there_is_waited_for() {
    let mut world = World::new("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n");
    world.live[0] = None;
    let assessment = world.at(10);
    assert_eq!(
        assessment.verdict,
        progressing("NotFound", "ConfigMap/settings: not found in the cluster yet")
    );
    assert!(!assessment.components[0].ready);
    assert_eq!(assessment.look_again_after, Some(Duration::from_secs(590)));
}

#[test]
fn an_object_that_is_going_is_not_ready() {
    let world = World::new(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, deletionTimestamp: T+1, finalizers: [a/b]}\n",
    );
    assert!(
        matches!(world.verdict(2), EnvironmentHealth::Progressing { reason, .. } if reason == "Terminating")
    );
}

#[test]
fn missed_deadline_fails_with_the_pending_cause() {
    let world = with_pod(&container(
        "ready: false\nstarted: true\nrestartCount: 0\nstate: {running: {startedAt: T+5}}",
    ));
    let before = world.at(599);
    assert!(matches!(&before.verdict, EnvironmentHealth::Progressing { reason, .. } if reason == "NotReady"));
    assert_eq!(before.look_again_after, Some(Duration::from_secs(1)));
    let after = world.at(600);
    assert_eq!(
        after.verdict,
        failed(
            "NotReady",
            "Deployment/web, container web: readiness probe hasn't succeeded, not ready within 10m (GET :8080/healthz)"
        )
    );
    assert_eq!(after.look_again_after, None);
    // Components show the present state, not the result of the attempt.
    assert_eq!(before.components, after.components);
}

#[test]
fn first_failure_precedes_other_failures_and_lateness() {
    let route = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: a, namespace: preview, generation: 1}
spec: {parentRefs: [{name: shared}]}
";
    let job = |name: &str| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}, generation: 1}}\nstatus: {{conditions: [{{type: Failed, status: 'True', reason: DeadlineExceeded, message: too late}}]}}\n"
        )
    };
    let world = World::new(&format!("{route}---\n{}---\n{}", job("b"), job("c")));
    let assessment = world.at(1);
    assert_eq!(assessment.verdict, failed("DeadlineExceeded", "Job/b: too late"));
    let names: Vec<_> = assessment.components.iter().map(|component| component.name.as_str()).collect();
    assert_eq!(names, ["HTTPRoute/a", "Job/b", "Job/c"]);
}

#[test]
fn a_failure_that_healed_is_gone() {
    let mut world = with_pod(&waiting("InvalidImageName", "wrong"));
    assert!(matches!(world.verdict(5), EnvironmentHealth::Failed { .. }));
    world.live[0].as_mut().expect("live").data["status"]["availableReplicas"] = 1.into();
    assert_eq!(world.verdict(6), EnvironmentHealth::Ready);
}

#[test]
fn messages_are_bounded() {
    let world = with_pod(&waiting("CreateContainerError", &"long ".repeat(2_000)));
    let assessment = world.at(60);
    assert!(assessment.components[0].message.chars().count() <= MAX_MESSAGE);
    let EnvironmentHealth::Failed { message, .. } = assessment.verdict else {
        panic!("{:?}", assessment.verdict)
    };
    assert!(message.chars().count() <= MAX_MESSAGE && message.contains("container web"));
}

#[test]
fn a_node_whose_clock_is_ahead_gives_no_more_than_the_grace() {
    let mut world = with_pod(&waiting("CreateContainerConfigError", "x"));
    let status = world.pods[0].status.as_mut().expect("status");
    status.start_time = Some(read(&Value::String(at(500).to_string())));
    assert_eq!(world.at(1).look_again_after, Some(Duration::from_secs(10)));
}
