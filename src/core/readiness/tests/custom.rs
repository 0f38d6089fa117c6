//! Kinds that nobody told us about.

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
    assert_eq!(certificate(1, ready).verdict(5), Verdict::Ready);
    assert!(
        matches!(certificate(2, ready).verdict(5), Verdict::Progressing { reason, .. } if reason == "NotObserved")
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
        progressing("NotObserved", "Certificate/web: its controller hasn't taken up the change yet")
    );
    assert!(matches!(
        certificate(1, "status: {observedGeneration: -1}").verdict(60),
        Verdict::Progressing { .. }
    ));
}

#[test]
fn no_status_is_ready_once_a_controller_had_time_to_write_one() {
    let world = certificate(1, "");
    let early = world.at(2);
    assert!(matches!(&early.verdict, Verdict::Progressing { reason, .. } if reason == "NoStatus"));
    assert_eq!(early.look_again_after, Some(Duration::from_secs(4)));
    let later = world.at(6);
    assert_eq!(later.verdict, Verdict::Ready);
    assert_eq!(later.components, []);
}

#[test]
fn what_is_ready_by_being_there_is_no_component() {
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
        assert_eq!((assessment.verdict, assessment.components), (Verdict::Ready, vec![]), "{kind}");
    }
}

#[test]
fn a_definition_is_ready_when_it_is_served() {
    let definition = |conditions: &str| {
        World::new(&format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: x.example.com}}\nstatus: {{conditions: {conditions}}}\n"
        ))
        .verdict(5)
    };
    assert_eq!(definition("[{type: Established, status: 'True'}]"), Verdict::Ready);
    assert!(matches!(definition("[]"), Verdict::Progressing { .. }));
    assert!(matches!(
        definition("[{type: NamesAccepted, status: 'False', reason: ListKindConflict, message: taken}]"),
        Verdict::Failed { reason, .. } if reason == "ListKindConflict"
    ));
}
