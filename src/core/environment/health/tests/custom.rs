//! Custom resources of unknown kinds.

use super::*;

fn certificate(generation: i64, status: &str) -> World {
    World::new(&format!(
        "
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {{name: web, namespace: preview, generation: {generation}, creationTimestamp: T+1}}
{status}"
    ))
}

#[test]
fn ready_decides_and_its_own_generation_counts() {
    let ready = "status: {conditions: [{type: Ready, status: 'True', reason: Ready, message: up to date, observedGeneration: 1}]}";
    assert_eq!(certificate(1, ready).verdict(5), EnvironmentHealth::Ready);
    assert!(
        matches!(certificate(2, ready).verdict(5), EnvironmentHealth::Progressing { reason, .. } if reason == "NotObserved")
    );
    let issuing =
        "status: {conditions: [{type: Ready, status: 'False', reason: DoesNotExist, message: Issuing}]}";
    assert_eq!(certificate(1, issuing).verdict(5), progressing("DoesNotExist", "Certificate/web: Issuing"));
    let nameless = "status: {conditions: [{type: Ready, status: 'False', reason: '', message: Issuing}]}";
    assert_eq!(certificate(1, nameless).verdict(5), progressing("NotReady", "Certificate/web: Issuing"));
}

#[test]
fn stalled_and_reconciling_are_read_as_kstatus_reads_them() {
    let status = |kind: &str| {
        format!(
            "status: {{observedGeneration: 1, conditions: [{{type: {kind}, status: 'True', reason: Because, message: so}}, {{type: Ready, status: 'False', reason: No, message: no}}]}}"
        )
    };
    assert_eq!(certificate(1, &status("Stalled")).verdict(5), failed("Because", "Certificate/web: so"));
    assert_eq!(
        certificate(1, &status("Reconciling")).verdict(5),
        progressing("Because", "Certificate/web: so")
    );
    assert_eq!(
        certificate(2, &status("Stalled")).verdict(5),
        progressing("NotObserved", "Certificate/web: its controller hasn't processed the change yet")
    );
    assert!(matches!(
        certificate(1, "status: {observedGeneration: -1}").verdict(60),
        EnvironmentHealth::Progressing { .. }
    ));
}

#[test]
fn object_without_status_is_ready_after_a_grace_period() {
    let world = certificate(1, "");
    let early = world.at(2);
    assert!(matches!(&early.verdict, EnvironmentHealth::Progressing { reason, .. } if reason == "NoStatus"));
    assert_eq!(early.look_again_after, Some(Duration::from_secs(9)));
    let later = world.at(11);
    assert_eq!(later.verdict, EnvironmentHealth::Ready);
    assert_eq!(later.components, []);
    let empty = certificate(1, "status: {observedGeneration: 1, conditions: [], phase: ''}");
    assert!(
        matches!(empty.verdict(2), EnvironmentHealth::Progressing { reason, .. } if reason == "NoStatus")
    );
    assert_eq!(empty.verdict(11), EnvironmentHealth::Ready);
}

/// Returns the verdict about an operator's cluster object that is a minute old.
fn cluster(annotations: &str, status: &str) -> EnvironmentHealth {
    World::new(&format!(
        "
apiVersion: rabbitmq.com/v1beta1
kind: RabbitmqCluster
metadata: {{name: mq, namespace: preview, generation: 3, creationTimestamp: T+1, annotations: {{{annotations}}}}}
status: {{{status}}}"
    ))
    .verdict(60)
}

#[test]
fn conditions_whose_names_say_that_something_is_well_have_to_be_true() {
    let conditions = |ready: &str, success: &str| {
        cluster(
            "",
            &format!(
                "conditions: [{{type: AllReplicasReady, status: '{ready}', reason: NotAllPodsReady, message: 0/1 pods}}, {{type: NoWarnings, status: 'False'}}, {{type: ReconcileSuccess, status: '{success}', reason: Initialising}}]"
            ),
        )
    };
    assert_eq!(
        conditions("False", "Unknown"),
        progressing(
            "NotAllPodsReady",
            "RabbitmqCluster/mq: its condition AllReplicasReady is False: 0/1 pods"
        )
    );
    assert_eq!(
        conditions("True", "Unknown"),
        progressing("Initialising", "RabbitmqCluster/mq: its condition ReconcileSuccess is Unknown")
    );
    assert_eq!(conditions("True", "True"), EnvironmentHealth::Ready);
}

#[test]
fn conditions_that_should_be_false_say_nothing() {
    for kind in [
        "Progressing",
        "Degraded",
        "Paused",
        "Active",
        "Running",
        "UpdateAvailable",
        "LastBackupSucceeded",
        "NotReady",
        "Unavailable",
        "ResourcesAwareManagement",
    ] {
        let verdict = cluster("", &format!("conditions: [{{type: {kind}, status: 'False'}}]"));
        assert_eq!(verdict, EnvironmentHealth::Ready, "{kind}");
    }
    assert_eq!(
        cluster("", "conditions: [{type: NotReady, status: 'True', reason: Creating}]"),
        progressing("Creating", "RabbitmqCluster/mq: its condition NotReady is True")
    );
}

#[test]
fn a_condition_of_an_earlier_generation_is_not_believed() {
    let available = |generation: &str| {
        cluster("", &format!("conditions: [{{type: Available, status: 'True'{generation}}}]"))
    };
    assert_eq!(available(""), EnvironmentHealth::Ready);
    assert_eq!(available(", observedGeneration: 3"), EnvironmentHealth::Ready);
    assert_eq!(available(", observedGeneration: 0"), EnvironmentHealth::Ready, "it is never written");
    assert!(
        matches!(available(", observedGeneration: 2"), EnvironmentHealth::Progressing { reason, .. } if reason == "NotObserved")
    );
}

#[test]
fn an_observed_generation_may_be_text_or_never_written() {
    assert_eq!(cluster("", "observedGeneration: '3', phase: Healthy"), EnvironmentHealth::Ready);
    assert_eq!(cluster("", "observedGeneration: 5f7c9d, phase: Healthy"), EnvironmentHealth::Ready);
    for status in ["observedGeneration: '2'", "observedGeneration: 2", "observedGeneration: 0"] {
        assert!(
            matches!(cluster("", status), EnvironmentHealth::Progressing { reason, .. } if reason == "NotObserved"),
            "{status}"
        );
    }
    assert_eq!(
        cluster("", "observedGeneration: 0, conditions: [{type: Ready, status: 'True'}]"),
        EnvironmentHealth::Ready
    );
}

#[test]
fn a_phase_of_work_or_trouble_is_waited_out() {
    for (status, message) in [
        ("phase: Creating", "its status.phase is creating"),
        ("phase: ApplyingChanges", "its status.phase is applyingchanges"),
        ("state: In progress", "its status.state is inprogress"),
        ("health: {status: Progressing}", "its status.health.status is progressing"),
        ("phase: Failed", "its status.phase is failed"),
    ] {
        let expected = progressing("NotReady", &format!("RabbitmqCluster/mq: {message}"));
        assert_eq!(cluster("", status), expected, "{status}");
    }
    for status in ["phase: Running", "state: ready", "health: green", "phase: Something new to us"] {
        assert_eq!(cluster("", status), EnvironmentHealth::Ready, "{status}");
    }
}

#[test]
fn the_template_says_what_makes_an_object_ready() {
    let unfinished = "phase: Creating, conditions: [{type: Available, status: 'False'}]";
    assert_eq!(cluster("matinee.dev/ready-when: exists", unfinished), EnvironmentHealth::Ready);
    let when = "matinee.dev/ready-when: 'status.phase=Online,condition=Available'";
    assert_eq!(
        cluster(when, "phase: Creating"),
        progressing(
            "NotReady",
            "RabbitmqCluster/mq: it isn't status.phase=Online yet (matinee.dev/ready-when)"
        )
    );
    let available = "conditions: [{type: Available, status: 'True'}, {type: Ready, status: 'False'}]";
    assert_eq!(cluster(when, &format!("phase: Online, {available}")), EnvironmentHealth::Ready);
    assert!(matches!(cluster(when, available), EnvironmentHealth::Progressing { .. }));
    assert!(matches!(
        cluster(when, &format!("observedGeneration: 2, phase: Online, {available}")),
        EnvironmentHealth::Progressing { reason, .. } if reason == "NotObserved"
    ));
    assert!(matches!(
        cluster(when, "conditions: [{type: Stalled, status: 'True', reason: Because, message: so}]"),
        EnvironmentHealth::Failed { reason, .. } if reason == "Because"
    ));
}

#[test]
fn objects_without_health_are_not_listed_as_components() {
    for (api_version, kind) in [
        ("v1", "ConfigMap"),
        ("v1", "Secret"),
        ("v1", "ServiceAccount"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding"),
        ("networking.k8s.io/v1", "NetworkPolicy"),
        ("batch/v1", "CronJob"),
        ("apps/v1", "ControllerRevision"),
    ] {
        let world = World::new(&format!(
            "apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: x, generation: 1, creationTimestamp: T+1}}\n"
        ));
        let assessment = world.at(1);
        assert_eq!((assessment.verdict, assessment.components), (EnvironmentHealth::Ready, vec![]), "{kind}");
    }
}

#[test]
fn crd_is_ready_when_served() {
    let definition = |conditions: &str| {
        World::new(&format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: x.example.com}}\nstatus: {{conditions: {conditions}}}\n"
        ))
        .verdict(5)
    };
    assert_eq!(definition("[{type: Established, status: 'True'}]"), EnvironmentHealth::Ready);
    assert!(matches!(definition("[]"), EnvironmentHealth::Progressing { .. }));
    assert!(matches!(
        definition("[{type: NamesAccepted, status: 'False', reason: ListKindConflict, message: taken}]"),
        EnvironmentHealth::Failed { reason, .. } if reason == "ListKindConflict"
    ));
}
