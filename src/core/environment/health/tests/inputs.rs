//! Objects that a pod needs and something else creates: Secrets, `ConfigMap`s, pull secrets,
//! service accounts.

use super::*;

/// Adds a Secret or ConfigMap to the template.
fn with_object(mut world: World, kind: &str, name: &str) -> World {
    world.expect("v1", kind, &serde_json::json!({"metadata": {"name": name}}));
    world
}

/// Returns the Deployment with a pod whose container the kubelet can't create.
fn lacking(message: &str) -> World {
    with_pod(&waiting("CreateContainerConfigError", message))
}

/// Expects that the verdict waits for the input until `second` and fails then.
fn waits_until(world: &World, second: i64, input: Option<&str>) {
    let early = world.at(second - 1);
    assert_eq!(early.look_again_after, Some(Duration::from_secs(1)), "{early:?}");
    let EnvironmentHealth::Progressing { message, .. } = early.verdict else { panic!("{:?}", early.verdict) };
    if let Some(input) = input {
        assert!(message.contains(&format!(": waiting for {input}")), "{message}");
        assert!(early.trouble.is_some(), "the trouble isn't reported");
    }
    let EnvironmentHealth::Failed { message, .. } = world.verdict(second) else {
        panic!("the verdict still waits")
    };
    assert!(!message.contains("waiting for"), "{message}");
}

#[test]
fn what_another_controller_creates_has_the_class_s_time() {
    for (message, input) in [
        ("secret \"db\" not found", "Secret/db"),
        ("configmap \"settings\" not found", "ConfigMap/settings"),
        ("couldn't find key password in Secret preview/db", "Secret/db"),
        ("couldn't find key greeting in ConfigMap preview/texts", "ConfigMap/texts"),
    ] {
        let mut world = lacking(message);
        waits_until(&world, 3 + 120, Some(input));
        world.limits.missing_input_grace = "30s".parse().expect("a duration");
        waits_until(&world, 3 + 30, Some(input));
        world.limits.missing_input_grace = "0s".parse().expect("a duration");
        assert!(matches!(world.verdict(4), EnvironmentHealth::Failed { .. }));
    }
}

#[test]
fn what_the_template_has_nobody_else_creates() {
    for (message, kind, name) in [
        ("secret \"db\" not found", "Secret", "db"),
        ("couldn't find key greeting in ConfigMap preview/texts", "ConfigMap", "texts"),
    ] {
        waits_until(&with_object(lacking(message), kind, name), 3 + 10, None);
        // An object of another kind with that name is another object.
        let other = if kind == "Secret" { "ConfigMap" } else { "Secret" };
        assert!(matches!(
            with_object(lacking(message), other, name).verdict(60),
            EnvironmentHealth::Progressing { .. }
        ));
    }
}

#[test]
fn what_no_input_makes_right_fails_as_before() {
    waits_until(&lacking("container has runAsNonRoot and image will run as root"), 3 + 10, None);
}

#[test]
fn a_container_after_long_init_containers_has_its_time() {
    let mut world = lacking("secret \"db\" not found");
    let conditions = world.pods[0].status.as_mut().and_then(|status| status.conditions.as_mut());
    conditions.expect("conditions").push(read(
        &serde_json::json!({"type": "Initialized", "status": "True", "lastTransitionTime": at(300).to_string()}),
    ));
    waits_until(&world, 300 + 120, Some("Secret/db"));
}

#[test]
fn a_container_that_starts_again_has_its_time() {
    let world = with_pod(&container(
        "ready: false\nrestartCount: 1\nlastState: {terminated: {exitCode: 0, reason: Completed, finishedAt: T+400}}\nstate: {waiting: {reason: CreateContainerConfigError, message: 'secret \"db\" not found'}}",
    ));
    waits_until(&world, 400 + 120, Some("Secret/db"));
}

#[test]
fn a_pull_secret_that_others_create_has_the_class_s_time() {
    let cause = "failed to authorize: failed to fetch anonymous token: unexpected status from GET request: 401 Unauthorized";
    let mut world = with_pod(&waiting("ErrImagePull", cause));
    let spec = world.pods[0].spec.as_mut().expect("spec");
    spec.image_pull_secrets = Some(read(&serde_json::json!([{"name": "registry"}])));
    waits_until(&world, 3 + 120, Some("Secret/registry"));
    // The template has the Secret, so it exists: the registry rejects its content.
    waits_until(&with_object(world, "Secret", "registry"), 3 + 45, None);
}

#[test]
fn a_pull_secret_does_not_make_a_wrong_image_right() {
    let mut world = with_pod(&waiting("ErrImagePull", "registry.example/web:1: not found"));
    let spec = world.pods[0].spec.as_mut().expect("spec");
    spec.image_pull_secrets = Some(read(&serde_json::json!([{"name": "registry"}])));
    assert!(matches!(world.verdict(4), EnvironmentHealth::Failed { .. }));
}
