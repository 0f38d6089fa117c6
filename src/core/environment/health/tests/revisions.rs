//! Only the current revision counts.

use super::*;

const CRASHING: &str = "conditions: [{type: PodScheduled, status: 'True'}]
containerStatuses:
- name: web
  image: registry.example/web:0
  imageID: ''
  ready: false
  restartCount: 9
  lastState: {terminated: {exitCode: 1, reason: Error, startedAt: T+0, finishedAt: T+0}}
  state: {waiting: {reason: CrashLoopBackOff}}";

fn two_pods(new: &str) -> World {
    World::new(&format!(
        "{DEPLOYMENT}---\n{}---\n{}",
        web_pod("web-5c9f-fghij", "old-set-uid", CRASHING),
        web_pod("web-6d4f-abcde", "new-set-uid", new)
    ))
}

#[test]
fn broken_pod_of_the_old_revision_does_not_fail_the_new_revision() {
    let world = two_pods(&waiting("ContainerCreating", ""));
    assert!(
        matches!(world.verdict(5), EnvironmentHealth::Progressing { reason, .. } if reason == "ContainerCreating")
    );
}

#[test]
fn broken_old_pod_does_not_hide_a_broken_new_pod() {
    let world = two_pods(&waiting("InvalidImageName", "couldn't parse image name"));
    assert!(
        matches!(world.verdict(5), EnvironmentHealth::Failed { reason, .. } if reason == "InvalidImageName")
    );
}

#[test]
fn a_pod_that_is_being_deleted_does_not_count() {
    let mut world = with_pod(CRASHING);
    assert!(matches!(world.verdict(20), EnvironmentHealth::Failed { .. }));
    world.pods[0].metadata.deletion_timestamp = Some(read(&Value::String(at(19).to_string())));
    assert!(matches!(world.verdict(20), EnvironmentHealth::Progressing { .. }));
}

#[test]
fn unobserved_fix_is_not_judged_by_the_old_pods() {
    let mut world = with_pod(CRASHING);
    let live = world.live[0].as_mut().expect("live");
    live.metadata.generation = Some(3);
    assert!(
        matches!(world.verdict(20), EnvironmentHealth::Progressing { reason, .. } if reason == "NotObserved")
    );
}

#[test]
fn a_new_revision_whose_replica_set_is_not_in_sight_has_no_pods_yet() {
    let mut world = with_pod(CRASHING);
    let live = world.live[0].as_mut().expect("live");
    let annotations = live.metadata.annotations.as_mut().expect("annotations");
    annotations.insert("deployment.kubernetes.io/revision".to_owned(), "3".to_owned());
    live.data["status"]["updatedReplicas"] = 0.into();
    assert!(
        matches!(world.verdict(20), EnvironmentHealth::Progressing { reason, .. } if reason == "RollingOut")
    );
}

#[test]
fn cache_older_than_the_apply_is_not_ready() {
    let mut world = with_pod("conditions: [{type: Ready, status: 'True'}]");
    let live = world.live[0].as_mut().expect("live");
    live.data["status"]["availableReplicas"] = 1.into();
    world.applied_generation = Some(2);
    assert_eq!(world.verdict(20), EnvironmentHealth::Ready);
    world.applied_generation = Some(3);
    assert!(
        matches!(world.verdict(20), EnvironmentHealth::Progressing { reason, .. } if reason == "NotObserved")
    );
}

const STATEFUL_SET: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web, namespace: preview, uid: sts-uid, generation: 2}
spec: {replicas: 1, updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 0}}}
status: {observedGeneration: 2, replicas: 1, currentReplicas: 1, currentRevision: web-old, updateRevision: web-new}
";

fn stateful_pod(hash: &str) -> String {
    web_pod("web-0", "sts-uid", CRASHING)
        .replace("  uid:", &format!("  labels: {{controller-revision-hash: {hash}}}\n  uid:"))
}

/// Returns the names of the pods to delete.
fn stuck(world: &World, second: i64) -> Vec<String> {
    world.at(second).blocking_pods.into_iter().map(|pod| format!("{} {}", pod.name, pod.uid)).collect()
}

#[test]
fn a_broken_pod_that_holds_up_a_stateful_set_is_to_be_deleted() {
    let world = World::new(&format!("{STATEFUL_SET}---\n{}", stateful_pod("web-old")));
    let verdict = world.verdict(20);
    assert!(
        matches!(&verdict, EnvironmentHealth::Progressing { reason, message } if reason == "HeldUpByEarlierRevision" && message.contains("Matinee deletes that pod")),
        "{verdict:?}"
    );
    assert_eq!(stuck(&world, 20), ["web-0 web-0-uid"]);
    // A pod that is being deleted isn't deleted again.
    let mut world = world;
    world.pods[0].metadata.deletion_timestamp = Some(read(&Value::String(at(21).to_string())));
    assert_eq!(stuck(&world, 22), Vec::<String>::new());
}

#[test]
fn a_pod_that_holds_up_nothing_is_not_deleted() {
    let no_pods: Vec<String> = Vec::new();
    for (from, to, is_reported) in [
        // The StatefulSet replaces pods of any revision at once.
        ("replicas: 1, updateStrategy", "replicas: 1, podManagementPolicy: Parallel, updateStrategy", true),
        // Somebody replaces pods by hand.
        ("type: RollingUpdate", "type: OnDelete", true),
        // The pod stays at the earlier revision.
        ("partition: 0", "partition: 1", true),
        // The controller hasn't observed the change yet, so the update revision is unknown.
        ("observedGeneration: 2", "observedGeneration: 1", false),
        ("updateRevision: web-new", "updateRevision: web-old", false),
    ] {
        let set = STATEFUL_SET.replacen(from, to, 1);
        assert_ne!(set, STATEFUL_SET);
        let world = World::new(&format!("{set}---\n{}", stateful_pod("web-old")));
        assert_eq!(stuck(&world, 20), no_pods, "{to}");
        if is_reported {
            assert!(
                matches!(world.verdict(20), EnvironmentHealth::Progressing { message, .. } if message.contains("delete that pod"))
            );
        }
    }
}

#[test]
fn a_pod_of_an_earlier_revision_that_may_become_ready_is_left_alone() {
    let starting = "conditions: [{type: PodScheduled, status: 'True'}, {type: Ready, status: 'False', lastTransitionTime: T+3}]
containerStatuses:
- {name: web, image: '', imageID: '', ready: false, started: true, restartCount: 0, state: {running: {startedAt: T+4}}}";
    let pod = web_pod("web-0", "sts-uid", starting)
        .replace("  uid:", "  labels: {controller-revision-hash: web-old}\n  uid:");
    let mut world = World::new(&format!("{STATEFUL_SET}---\n{pod}"));
    world.limits.deadline = "5m".parse().expect("a duration");
    assert_eq!(stuck(&world, 20), Vec::<String>::new());
    assert_eq!(stuck(&world, 302), Vec::<String>::new());
    // The pod had as much time as a revision has.
    assert_eq!(stuck(&world, 303), ["web-0 web-0-uid"]);
}

#[test]
fn a_stateful_set_fails_by_a_pod_of_its_update_revision() {
    let world = World::new(&format!("{STATEFUL_SET}---\n{}", stateful_pod("web-new")));
    assert!(
        matches!(world.verdict(20), EnvironmentHealth::Failed { reason, .. } if reason == "CrashLoopBackOff")
    );
}

#[test]
fn a_daemon_set_fails_by_a_pod_of_its_templates_generation() {
    let set = "
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: web, namespace: preview, uid: ds-uid, generation: 2, annotations: {deprecated.daemonset.template.generation: '2'}}
status: {observedGeneration: 2, desiredNumberScheduled: 1, currentNumberScheduled: 1, updatedNumberScheduled: 1, numberMisscheduled: 0, numberReady: 0, numberUnavailable: 1}
";
    let pod = |generation: u8| {
        web_pod("web-abcde", "ds-uid", CRASHING).replace(
            "  uid:",
            &format!("  labels: {{pod-template-generation: '{generation}', controller-revision-hash: h{generation}}}\n  uid:"),
        )
    };
    let verdict = |yaml: &str| World::new(yaml).verdict(20);
    assert!(matches!(verdict(&format!("{set}---\n{}", pod(1))), EnvironmentHealth::Progressing { .. }));
    assert!(matches!(verdict(&format!("{set}---\n{}", pod(2))), EnvironmentHealth::Failed { .. }));
    let unannotated = set.replace(", annotations: {deprecated.daemonset.template.generation: '2'}", "");
    assert!(matches!(verdict(&format!("{unannotated}---\n{}", pod(7))), EnvironmentHealth::Failed { .. }));
}

#[test]
fn of_several_failing_pods_the_same_pod_is_reported() {
    let world = World::new(&format!(
        "{DEPLOYMENT}---\n{}---\n{}",
        web_pod("web-6d4f-fghij", "new-set-uid", &waiting("ErrImageNeverPull", "not present")),
        web_pod("web-6d4f-abcde", "new-set-uid", &waiting("InvalidImageName", "couldn't parse"))
    ));
    // `World::at` assesses twice, with the pods in either order.
    assert!(
        matches!(world.verdict(5), EnvironmentHealth::Failed { reason, .. } if reason == "ErrImageNeverPull")
    );
}
