//! Images that can't be pulled, and containers that can't be created.

use super::*;

const NOT_FOUND: &str = "rpc error: code = NotFound desc = failed to pull and unpack image \"registry.example/web:1\": failed to resolve reference \"registry.example/web:1\": registry.example/web:1: not found";
const NO_HOST: &str = "failed to pull and unpack image \"registry.example/web:1\": failed to resolve reference \"registry.example/web:1\": failed to do request: Head \"https://registry.example/v2/web/manifests/1\": dial tcp: lookup registry.example: no such host";

#[test]
fn an_image_that_does_not_exist_fails_at_the_first_try() {
    let expected =
        failed("ImagePullBackOff", "Deployment/web, container web: image not found (registry.example/web:1)");
    assert_eq!(with_pod(&waiting("ErrImagePull", NOT_FOUND)).verdict(4), expected);
    // The verdict is the same while the kubelet backs off.
    let backing_off = format!("Back-off pulling image \"registry.example/web:1\": ErrImagePull: {NOT_FOUND}");
    assert_eq!(with_pod(&waiting("ImagePullBackOff", &backing_off)).verdict(5), expected);
}

#[test]
fn a_registry_out_of_reach_fails_after_ten_seconds() {
    let message = "Deployment/web, container web: image registry not reachable, no such host (registry.example/web:1): dial tcp: lookup registry.example: no such host";
    let first = with_pod(&waiting("ErrImagePull", NO_HOST)).at(4);
    assert_eq!(first.verdict, progressing("ErrImagePull", message));
    assert_eq!(first.look_again_after, Some(Duration::from_secs(9)));

    let backing_off = format!("Back-off pulling image \"registry.example/web:1\": ErrImagePull: {NO_HOST}");
    assert_eq!(
        with_pod(&waiting("ImagePullBackOff", &backing_off)).verdict(5),
        progressing("ErrImagePull", message)
    );
    let expected = failed("ImagePullBackOff", message);
    assert_eq!(with_pod(&waiting("ImagePullBackOff", &backing_off)).verdict(13), expected);
    // The second try doesn't change the verdict.
    assert_eq!(with_pod(&waiting("ErrImagePull", NO_HOST)).verdict(15), expected);
}

#[test]
fn an_older_kubelet_does_not_repeat_the_cause() {
    let world = with_pod(&waiting("ImagePullBackOff", "Back-off pulling image \"registry.example/web:1\""));
    assert_eq!(
        world.verdict(5),
        failed(
            "ImagePullBackOff",
            "Deployment/web, container web: image not pulled (registry.example/web:1)"
        )
    );
}

#[test]
fn denied_and_unauthorized_fail_when_later_tries_are_too() {
    for cause in [
        "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
        "unexpected status from HEAD request to https://registry.example/v2/web/manifests/1: 401 Unauthorized",
        "unexpected status from HEAD request to https://registry.example/v2/web/manifests/1: 403 Forbidden",
        "unexpected status from HEAD request to https://registry.example/v2/web/manifests/1: 429 Too Many Requests",
        "unexpected status from HEAD request to https://registry.example/v2/web/manifests/1: 503 Service Unavailable",
    ] {
        for reason in ["ErrImagePull", "ImagePullBackOff"] {
            let world = with_pod(&waiting(reason, cause));
            let early = world.at(4);
            assert!(
                matches!(&early.verdict, EnvironmentHealth::Progressing { message, .. } if message.contains(cause)),
                "{early:?}"
            );
            assert_eq!(early.look_again_after, Some(Duration::from_secs(44)));
            let late = world.verdict(48);
            assert!(
                matches!(&late, EnvironmentHealth::Failed { reason, message } if reason == "ImagePullBackOff" && message.contains(cause)),
                "{late:?}"
            );
        }
    }
}

#[test]
fn an_image_that_is_wrong_fails_at_once() {
    for (cause, words) in [
        ("registry.example/web:1: not found", "image not found"),
        ("manifest unknown: manifest unknown", "image not found"),
        ("no match for platform in manifest: not found", "platform"),
        ("invalid reference format", "invalid reference format"),
    ] {
        for reason in ["ErrImagePull", "ImagePullBackOff"] {
            let verdict = with_pod(&waiting(reason, cause)).verdict(4);
            assert!(
                matches!(&verdict, EnvironmentHealth::Failed { message, .. } if message.contains(words)),
                "{verdict:?}"
            );
        }
    }
}

#[test]
fn names_that_no_try_makes_right_fail_at_once() {
    let verdict = with_pod(&waiting(
        "InvalidImageName",
        "Failed to apply default image tag \"Web::1\": couldn't parse image name \"Web::1\": invalid reference format",
    ))
    .verdict(4);
    assert!(
        matches!(&verdict, EnvironmentHealth::Failed { reason, .. } if reason == "InvalidImageName"),
        "{verdict:?}"
    );
    assert_eq!(
        with_pod(&waiting(
            "ErrImageNeverPull",
            "Container image \"registry.example/web:1\" is not present with pull policy of Never"
        ))
        .verdict(4),
        failed(
            "ErrImageNeverPull",
            "Deployment/web, container web: image not on the node, and imagePullPolicy is Never (registry.example/web:1)"
        )
    );
}

#[test]
fn what_a_container_needs_may_come_a_little_later() {
    for reason in ["CreateContainerConfigError", "CreateContainerError", "ImageInspectError"] {
        let world = with_pod(&waiting(reason, "no space left on device"));
        let early = world.at(5);
        assert!(
            matches!(&early.verdict, EnvironmentHealth::Progressing { reason: said, .. } if said == reason),
            "{early:?}"
        );
        assert_eq!(early.look_again_after, Some(Duration::from_secs(8)));
        // The verdict changes at exactly that time.
        let late = world.at(13);
        assert!(
            matches!(&late.verdict, EnvironmentHealth::Failed { reason: said, message } if said == reason && message.contains("container web") && message.contains("no space left on device")),
            "{late:?}"
        );
        assert_eq!(late.look_again_after, None);
    }
}

#[test]
fn the_pod_is_not_named() {
    let message = "container has runAsNonRoot and image will run as root (pod: \"web-6d4f-abcde_preview(web-6d4f-abcde-uid)\", container: web)";
    assert_eq!(
        with_pod(&waiting("CreateContainerConfigError", message)).verdict(20),
        failed(
            "CreateContainerConfigError",
            "Deployment/web, container web: container has runAsNonRoot and image will run as root"
        )
    );
}

#[test]
fn a_program_that_is_not_in_the_image_reads_the_same_at_every_stage() {
    let message = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: \"/serve\": stat /serve: no such file or directory";
    let expected = failed(
        "StartError",
        "Deployment/web, container web: executable not found (/serve): exec: \"/serve\": stat /serve: no such file or directory",
    );
    assert_eq!(with_pod(&waiting("RunContainerError", message)).verdict(4), expected);
    let ended = format!(
        "{{terminated: {{exitCode: 128, reason: StartError, message: {}, startedAt: null, finishedAt: T+5}}}}",
        serde_json::to_string(message).expect("text")
    );
    let first = with_pod(&container(&format!("ready: false\nrestartCount: 0\nstate: {ended}")));
    assert_eq!(first.verdict(6), expected);
    let later = with_pod(&container(&format!(
        "ready: false\nrestartCount: 3\nlastState: {ended}\nstate: {{waiting: {{reason: CrashLoopBackOff, message: back-off 40s restarting failed container=web pod=web-6d4f-abcde_preview(web-6d4f-abcde-uid)}}}}"
    )));
    assert_eq!(later.verdict(60), expected);
}

#[test]
fn container_being_created_names_its_missing_inputs() {
    let mut world = with_pod(&waiting("ContainerCreating", ""));
    assert_eq!(
        world.verdict(5),
        progressing(
            "ContainerCreating",
            "Deployment/web, container web: being created (registry.example/web:1)"
        )
    );
    let pod = &mut world.pods[0];
    pod.spec.as_mut().expect("spec").volumes = Some(read(&serde_json::json!([
        {"name": "a", "configMap": {"name": "settings"}},
        {"name": "b", "secret": {"secretName": "maybe", "optional": true}},
        {"name": "c", "secret": {"secretName": "keys"}},
        {"name": "d", "emptyDir": {}},
    ])));
    let conditions = pod.status.as_mut().and_then(|status| status.conditions.as_mut()).expect("conditions");
    conditions.push(read(&serde_json::json!({"type": "PodReadyToStartContainers", "status": "False"})));
    let verdict = world.verdict(20);
    assert!(
        matches!(&verdict, EnvironmentHealth::Progressing { message, .. } if message.ends_with("volumes or network of the pod not there yet (it needs ConfigMap/settings, Secret/keys)")),
        "{verdict:?}"
    );
}
