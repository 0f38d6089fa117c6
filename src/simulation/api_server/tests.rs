use serde_json::json;

use super::*;

fn server() -> ApiServer {
    let clock = SimulatedClock::start();
    let server = ApiServer::new(clock, Arc::new(Journal::new(clock)));
    server.create("test", "kubectl", &namespace("a")).unwrap();
    server
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

fn place(kind: &str, name: &str) -> Place {
    let (group, version, kind) = match kind {
        "Deployment" => ("apps", "v1", kind),
        "PreviewEnvironment" => ("matinee.dev", "v1alpha1", kind),
        _ => ("", "v1", kind),
    };
    let namespace = (kind != "Namespace").then_some("a");
    Place::new(&GroupVersionKind::gvk(group, version, kind), namespace, name)
}

#[allow(clippy::needless_pass_by_value)] // a literal
fn config(fields: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "a"}, "data": fields})
}

#[allow(clippy::needless_pass_by_value)] // a literal
fn deployment(spec: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "a"}, "spec": spec})
}

fn environment(deployment: i64) -> Value {
    json!({
        "apiVersion": "matinee.dev/v1alpha1", "kind": "PreviewEnvironment",
        "metadata": {"name": "e", "namespace": "a"},
        "spec": {
            "repositoryRef": {"name": "shop"}, "environment": "preview", "githubEnvironment": "preview/pr-1",
            "revision": {"sha": "1".repeat(40), "deploymentId": deployment},
        },
    })
}

fn apply(server: &ApiServer, manager: &str, object: &Value) -> DynamicObject {
    server.apply("test", manager, Part::Main, object, false).unwrap()
}

fn code(result: Result<DynamicObject, ClusterError>) -> (u16, String) {
    match result {
        Err(ClusterError::Refused { code, message }) => (code, message),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_field_that_its_manager_no_longer_applies_is_removed() {
    let server = server();
    apply(&server, "one", &config(json!({"a": "1", "b": "1"})));
    apply(&server, "other", &config(json!({"b": "1", "c": "1"})));
    let after = apply(&server, "one", &config(json!({"d": "1"})));
    assert_eq!(after.data["data"], json!({"b": "1", "c": "1", "d": "1"}), "b has another owner");
    let after = apply(&server, "other", &config(json!({})));
    assert_eq!(after.data["data"], json!({"d": "1"}));
}

#[tokio::test(start_paused = true)]
async fn a_forced_conflict_takes_the_field_over() {
    let server = server();
    apply(&server, "one", &config(json!({"a": "1"})));
    let after = apply(&server, "other", &config(json!({"a": "2"})));
    assert_eq!(after.data["data"]["a"], "2");
    let managers: Vec<_> =
        after.metadata.managed_fields.unwrap().into_iter().map(|entry| entry.manager.unwrap()).collect();
    assert_eq!(managers, ["other"]);
    let after = apply(&server, "one", &config(json!({})));
    assert_eq!(after.data["data"]["a"], "2", "it isn't the first manager's any more");
}

#[tokio::test(start_paused = true)]
async fn an_apply_that_changes_nothing_writes_nothing() {
    let server = server();
    let one = apply(&server, "one", &config(json!({"a": "1"})));
    let version = server.version();
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let two = apply(&server, "one", &config(json!({"a": "1"})));
    assert_eq!((one.metadata.resource_version, server.version()), (two.metadata.resource_version, version));
}

#[tokio::test(start_paused = true)]
async fn only_a_change_of_the_spec_raises_the_generation() {
    let server = server();
    let object = deployment(json!({"replicas": 1}));
    assert_eq!(apply(&server, "one", &object).metadata.generation, Some(1));
    let with_status = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "a"},
        "spec": {"replicas": 9}, "status": {"replicas": 1},
    });
    let after = server.apply("test", "kubelet", Part::Status, &with_status, false).unwrap();
    assert_eq!((after.metadata.generation, &after.data["spec"]["replicas"]), (Some(1), &json!(1)));
    let after = apply(&server, "one", &with_status);
    assert_eq!((after.metadata.generation, &after.data["status"]["replicas"]), (Some(2), &json!(1)));
}

#[tokio::test(start_paused = true)]
async fn a_uid_in_an_apply_is_a_precondition() {
    let server = server();
    let mut object = config(json!({}));
    object["metadata"]["uid"] = "other".into();
    assert!(matches!(
        server.apply("test", "one", Part::Main, &object, false),
        Err(ClusterError::Conflict(message)) if message.starts_with("uid mismatch")
    ));
    apply(&server, "one", &config(json!({})));
    let (code, message) = code(server.apply("test", "one", Part::Main, &object, false));
    assert!(code == 422 && message.contains("metadata.uid"), "{message}");
    let place = place("ConfigMap", "c");
    assert!(matches!(server.delete("test", &place, Some("other")), Err(ClusterError::Conflict(_))));
    assert!(server.get(&place).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_changes_nothing() {
    let server = server();
    server.apply("test", "one", Part::Main, &config(json!({"a": "1"})), true).unwrap();
    assert!(server.get(&place("ConfigMap", "c")).is_none());
    let mut elsewhere = config(json!({}));
    elsewhere["metadata"]["namespace"] = "missing".into();
    assert_eq!(code(server.apply("test", "one", Part::Main, &elsewhere, true)).0, 404);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_id_never_goes_back() {
    let server = server();
    apply(&server, "one", &environment(2));
    let (code, message) = code(server.apply("test", "one", Part::Main, &environment(1), false));
    assert!(code == 422 && message.contains("revision.deploymentId never goes back"), "{message}");
    assert_eq!(apply(&server, "one", &environment(3)).metadata.generation, Some(2));
}

#[tokio::test(start_paused = true)]
async fn an_object_is_removed_with_its_last_finalizer() {
    let server = server();
    let mut object = environment(1);
    object["metadata"]["finalizers"] = json!(["matinee.dev/a"]);
    apply(&server, "one", &object);
    let place = place("PreviewEnvironment", "e");
    server.delete("test", &place, None).unwrap();
    let marked = server.get(&place).unwrap();
    assert!(marked.metadata.deletion_timestamp.is_some());
    assert_eq!(marked.metadata.generation, Some(2));
    let added = server.update("test", Part::Main, &place, |object| {
        object["metadata"]["finalizers"] = json!(["matinee.dev/a", "matinee.dev/b"]);
    });
    assert_eq!(code(added).0, 422);
    let removed = server.update("test", Part::Main, &place, |object| {
        object["metadata"]["finalizers"] = json!([]);
    });
    removed.unwrap();
    assert!(server.get(&place).is_none());
    assert!(server.since(0).last().unwrap().deleted);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_created_in_a_namespace_that_is_being_deleted() {
    let server = server();
    server.delete("test", &place("Namespace", "a"), None).unwrap();
    let (code, message) = code(server.create("test", "one", &config(json!({}))));
    assert!(crate::core::environment::plan::refusal::is_namespace_gone(code, &message), "{code} {message}");
    let mut elsewhere = config(json!({}));
    elsewhere["metadata"]["namespace"] = "missing".into();
    let (code, message) = self::code(server.create("test", "one", &elsewhere));
    assert!(crate::core::environment::plan::refusal::is_namespace_gone(code, &message), "{code} {message}");
}

#[tokio::test(start_paused = true)]
async fn a_name_is_taken_once() {
    let server = server();
    server.create("test", "one", &config(json!({}))).unwrap();
    assert!(matches!(server.create("test", "one", &config(json!({}))), Err(ClusterError::Conflict(_))));
    let mut generated = config(json!({}));
    generated["metadata"] = json!({"generateName": "c-", "namespace": "a"});
    let names = [(); 2].map(|()| server.create("test", "one", &generated).unwrap().metadata.name.unwrap());
    assert_ne!(names[0], names[1]);
}

#[tokio::test(start_paused = true)]
async fn an_object_without_its_required_fields_is_rejected() {
    let server = server();
    let mut object = environment(1);
    object["spec"] = json!({});
    assert_eq!(code(server.apply("test", "one", Part::Main, &object, false)).0, 422);
    let unknown = json!({"apiVersion": "x.dev/v1", "kind": "X", "metadata": {"name": "x", "namespace": "a"}});
    assert_eq!(code(server.apply("test", "one", Part::Main, &unknown, false)).0, 404);
}
