//! Texts that GitHub shows for each kind of failure: the cause, and the object as far as there is
//! room.

use proptest::prelude::*;

use super::*;
use crate::core::cause::Cause;
use crate::core::publish::deployment_status::DESCRIPTION_LIMIT;

fn short(verdict: EnvironmentHealth) -> String {
    match verdict {
        EnvironmentHealth::Failed { message, .. } => message.short(DESCRIPTION_LIMIT),
        other => panic!("{other:?}"),
    }
}

/// Returns the text that GitHub shows for a waiting container.
fn shown(reason: &str, message: &str) -> String {
    // After every grace time.
    short(with_pod(&waiting(reason, message)).verdict(200))
}

/// Messages of failed pulls from container runtimes, and the cause of each.
const PULLS: [(&str, &str); 27] = [
    // containerd 2
    (
        "failed to pull and unpack image \"registry.example/web:1\": failed to resolve image: registry.example/web:1: not found",
        "image not found (registry.example/web:1)",
    ),
    (
        "failed to pull and unpack image \"registry.example/web:1\": failed to resolve image: failed to do request: Head \"https://registry.example/v2/web/manifests/1\": dial tcp: lookup registry.example: no such host",
        "image registry not reachable, no such host (registry.example/web:1)",
    ),
    (
        "failed to pull and unpack image \"registry.example/web:1\": failed to resolve image: unexpected status from HEAD request to https://registry.example/v2/web/manifests/1: 401 Unauthorized",
        "no access to the image (registry.example/web:1): check the credentials for the registry",
    ),
    (
        "failed to pull and unpack image \"registry.example/web:1\": failed to resolve image: unexpected status from HEAD request to https://registry.example/v2/web/manifests/1: 403 Forbidden",
        "no access to the image (registry.example/web:1): check the credentials for the registry",
    ),
    (
        "failed to pull and unpack image \"docker.io/library/web:1\": failed to resolve image: pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
        "no access to the image, or no such image (registry.example/web:1): check name and credentials",
    ),
    (
        "failed to pull and unpack image \"registry.example/web:1\": failed to resolve image: unexpected status from HEAD request to https://registry.example/v2/web/manifests/1: 429 Too Many Requests (Retry-After: 2026-01-01T00:00:00Z)",
        "rate limited by the registry (registry.example/web:1)",
    ),
    (
        "failed to pull and unpack image \"registry.example/web:1\": failed to resolve image: unexpected status from HEAD request to https://registry.example/v2/web/manifests/1: 503 Service Unavailable",
        "image registry answered 503 Service Unavailable (registry.example/web:1)",
    ),
    (
        "failed to pull and unpack image \"registry.example/web:1\": no match for platform in manifest sha256:0123456789fedcba0123456789fedcba0123456789fedcba0123456789fedcba: not found",
        "image not built for the node's platform (registry.example/web:1)",
    ),
    (
        "failed to pull and unpack image \"registry.example/web:1\": failed to copy: httpReadSeeker: failed open: content at https://registry.example/v2/web/blobs/sha256:0123456789fedcba0123456789fedcba0123456789fedcba0123456789fedcba not found: not found",
        "part of the image not found (registry.example/web:1)",
    ),
    (
        "failed to pull and unpack image \"registry.example/web:1\": failed to extract layer sha256:0123456789fedcba0123456789fedcba0123456789fedcba0123456789fedcba: write /var/lib/containerd/x: no space left on device: unknown",
        "no space left on the node for the image (registry.example/web:1)",
    ),
    // containerd 1.7
    (
        "rpc error: code = NotFound desc = failed to pull and unpack image \"registry.example/web:1\": failed to resolve reference \"registry.example/web:1\": registry.example/web:1: not found",
        "image not found (registry.example/web:1)",
    ),
    (
        "rpc error: code = DeadlineExceeded desc = failed to pull and unpack image \"registry.example/web:1\": failed to resolve reference \"registry.example/web:1\": failed to do request: Head \"https://registry.example/v2/web/manifests/1\": dial tcp 192.0.2.1:443: i/o timeout",
        "image registry not reachable, timeout (registry.example/web:1)",
    ),
    (
        "rpc error: code = Unknown desc = failed to pull and unpack image \"registry.example:5000/web:1\": failed to resolve reference \"registry.example:5000/web:1\": failed to do request: Head \"https://registry.example:5000/v2/web/manifests/1\": dial tcp 192.0.2.1:5000: connect: connection refused",
        "image registry not reachable, connection refused (registry.example/web:1)",
    ),
    (
        "rpc error: code = Unknown desc = failed to pull and unpack image \"registry.example/web:1\": failed to resolve reference \"registry.example/web:1\": failed to do request: Head \"https://registry.example/v2/web/manifests/1\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "registry's TLS certificate signed by unknown authority (registry.example/web:1)",
    ),
    (
        "failed to resolve reference \"registry.example/web:1\": failed to do request: Head \"https://registry.example/v2/web/manifests/1\": http: server gave HTTP response to HTTPS client",
        "registry answers without TLS (registry.example/web:1)",
    ),
    (
        "failed to do request: Head \"https://registry.example/v2/web/manifests/1\": dial tcp: lookup registry.example: Try again",
        "image registry not reachable, no name server answers (registry.example/web:1)",
    ),
    (
        "failed to do request: Head \"https://registry.example/v2/web/manifests/1\": net/http: TLS handshake timeout",
        "image registry not reachable, TLS handshake timeout (registry.example/web:1)",
    ),
    // CRI-O
    (
        "unable to pull image or OCI artifact: pull image err: initializing source docker://registry.example/web:1: reading manifest 1 in registry.example/web: manifest unknown; artifact err: get manifest: build image source: reading manifest 1 in registry.example/web: manifest unknown",
        "image not found (registry.example/web:1)",
    ),
    (
        "unable to pull image or OCI artifact: pull image err: initializing source docker://registry.example/web:1: reading manifest 1 in registry.example/web: unauthorized: access to the requested resource is not authorized; artifact err: provided artifact is a container image",
        "no access to the image (registry.example/web:1): check the credentials for the registry",
    ),
    (
        "initializing source docker://registry.example/web:1: reading manifest 1 in registry.example/web: requested access to the resource is denied",
        "no access to the image (registry.example/web:1): check the credentials for the registry",
    ),
    (
        "initializing source docker://registry.example/web:1: pinging container registry mirror.example: Get \"https://mirror.example/v2/\": dial tcp: lookup mirror.example on 192.0.2.1:53: no such host",
        "image registry not reachable, no such host (mirror.example)",
    ),
    (
        "choosing an image from manifest list docker://registry.example/web:1: no image found in image index for architecture \"arm64\", variant \"v8\", OS \"linux\"",
        "image not built for linux/arm64 (registry.example/web:1)",
    ),
    (
        "SignatureValidationFailed: unable to pull image or OCI artifact: pull image err: Source image rejected: None of the signatures were accepted",
        "image's signature not accepted (registry.example/web:1)",
    ),
    // Docker
    (
        "Error response from daemon: manifest for registry.example/web:1 not found: manifest unknown: manifest unknown",
        "image not found (registry.example/web:1)",
    ),
    (
        "Error response from daemon: no matching manifest for linux/arm64/v8 in the manifest list entries",
        "image not built for linux/arm64/v8 (registry.example/web:1)",
    ),
    (
        "Error response from daemon: toomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit",
        "rate limited by the registry (registry.example/web:1)",
    ),
    // Unknown messages: the end of the chain.
    (
        "failed to pull and unpack image \"registry.example/web:1\": failed to unpack image on snapshotter overlayfs: mount callback failed on /data/tmpmounts/containerd-mount760407397: unlinkat /data/containerd/x: directory not empty: unknown",
        "image not pulled: unlinkat /data/containerd/x: directory not empty (registry.example/web:1)",
    ),
];

#[test]
fn pull_errors_of_each_runtime_become_a_short_cause() {
    for (message, expected) in PULLS {
        let expected = format!("web: {expected}");
        assert_eq!(shown("ErrImagePull", message), expected, "{message}");
        let backing_off =
            format!("Back-off pulling image \"registry.example/web:1\": ErrImagePull: {message}");
        assert_eq!(shown("ImagePullBackOff", &backing_off), expected, "{message}");
    }
}

#[test]
fn what_a_container_lacks_or_breaks_is_named_first() {
    for (reason, message, expected) in [
        ("CreateContainerConfigError", "secret \"db\" not found", "Secret not found (db)"),
        ("CreateContainerConfigError", "configmap \"settings\" not found", "ConfigMap not found (settings)"),
        (
            "CreateContainerConfigError",
            "couldn't find key greeting in ConfigMap preview/texts",
            "key not found in ConfigMap (greeting of texts)",
        ),
        (
            "CreateContainerConfigError",
            "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root (pod: \"web-6d4f-abcde_preview(web-6d4f-abcde-uid)\", container: web)",
            "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root",
        ),
        (
            "CreateContainerError",
            "failed to generate container \"0123456789fedcba0123456789fedcba0123456789fedcba0123456789fedcba\" spec: failed to generate spec: no command specified",
            "container not created: failed to generate spec: no command specified",
        ),
        ("CreateContainerError", "context deadline exceeded", "container not created in time"),
        (
            "RunContainerError",
            "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: \"serve\": executable file not found in $PATH",
            "executable not found (serve)",
        ),
        (
            "RunContainerError",
            "container create failed: executable file `serve` not found in $PATH: No such file or directory",
            "executable not found (serve)",
        ),
        (
            "RunContainerError",
            "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: \"/app\": permission denied",
            "executable not permitted to run (/app)",
        ),
        (
            "RunContainerError",
            "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: chdir to cwd (\"/srv\") set in config.json failed: no such file or directory",
            "working directory not found (/srv)",
        ),
        (
            "InvalidImageName",
            "couldn't parse image name: invalid reference format",
            "image name not valid (registry.example/web:1)",
        ),
        ("PostStartHookError", "exec: no", "postStart hook failed (registry.example/web:1)"),
    ] {
        assert_eq!(shown(reason, message), format!("web: {expected}"), "{message}");
    }
}

#[test]
fn the_whole_text_repeats_what_was_said() {
    let message = |said: &str| match with_pod(&waiting("ImagePullBackOff", said)).verdict(30) {
        EnvironmentHealth::Failed { message, .. } => message,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        message("dial tcp: lookup registry.example: no such host").as_str(),
        "Deployment/web, container web: image registry not reachable, no such host (registry.example/web:1): dial tcp: lookup registry.example: no such host"
    );
    assert_eq!(
        message("dial tcp: lookup mirror.example: no such host").as_str(),
        "Deployment/web, container web: image registry not reachable, no such host (mirror.example): pulling registry.example/web:1: dial tcp: lookup mirror.example: no such host"
    );
}

/// Returns a failure of each kind, with the words of its cause, for a container with that image.
fn failures(image: &str) -> Vec<(Cause, String)> {
    use crate::core::environment::health::{pull, refusal, start};

    let mut all: Vec<(Cause, &str)> = Vec::new();
    for (message, expected) in PULLS {
        let message = kubelet_text::tidy(message);
        all.push((pull::cause(&message, image), expected.split(" (").next().expect("a cause")));
    }
    all.push((pull::unusable("InvalidImageName", "no", image), "image name not valid"));
    all.push((pull::unusable("ErrImageNeverPull", "no", image), "image not on the node"));
    all.push((pull::unusable("ImageInspectError", "no", image), "image not readable on the node: no"));
    all.push((start::not_created("secret \"db\" not found"), "Secret not found"));
    all.push((start::not_created("couldn't find key k in Secret preview/db"), "key not found in Secret"));
    all.push((
        start::not_started("exec: \"/serve\": stat /serve: no such file or directory"),
        "executable not found",
    ));
    all.push((Cause::new("OOMKilled: more memory used than its limit of 64Mi").detail(image), "OOMKilled"));
    all.push((
        Cause::new("crashed with exit code 1, restarted 3 times").detail(image),
        "crashed with exit code 1",
    ));
    all.push((
        refusal::cause(
            "pods \"w\" is forbidden: exceeded quota: preview, requested: pods=1",
            &SentValues::default(),
        ),
        "exceeded quota",
    ));
    all.push((
        refusal::cause("pods \"w\" is forbidden: violates PodSecurity \"restricted:latest\": privileged (container \"web\" must not)", &SentValues::default()),
        "violates PodSecurity \"restricted:latest\"",
    ));
    all.push((
        refusal::cause(
            "admission webhook \"policy.example.com\" denied the request: images need a digest",
            &SentValues::default(),
        ),
        "denied by admission webhook \"policy.example.com\"",
    ));
    all.push((
        refusal::cause("Pod \"w\" is invalid: spec.containers[0].resources.requests: Invalid value: \"1Gi\": must be less than or equal to memory limit of 512Mi", &SentValues::default()),
        "must be less than or equal to memory limit of 512Mi",
    ));
    all.push((
        not_answering(
            "https://pr-1-shop.preview.example.com/",
            "GET https://pr-1-shop.preview.example.com/: connecting to 192.0.2.1:443: Connection refused",
        ),
        "Connection refused",
    ));
    all.into_iter().map(|(cause, words)| (cause, words.to_owned())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_description_keeps_the_cause_whatever_the_names(
        object in "[a-z][a-z0-9-]{0,61}[a-z]",
        container in "[a-z][a-z0-9-]{0,61}[a-z]",
        same in any::<bool>(),
        late in any::<bool>(),
        registry in "[a-z]{1,63}(\\.[a-z]{1,63}){1,3}(:5000)?",
        path in "(/[a-z0-9_é-]{1,60}){1,5}",
        tag in "(:[0-9a-f]{40})?(@sha256:[0-9a-f]{64})?",
    ) {
        let container = if same { object.clone() } else { container };
        for (cause, words) in failures(&format!("{registry}{path}{tag}")) {
            let cause = if late { cause.and("not ready within 10m") } else { cause };
            let cause = cause.in_container(&container).of("StatefulSet", &object);
            let shown = cause.short(DESCRIPTION_LIMIT);
            prop_assert!(shown.chars().count() <= DESCRIPTION_LIMIT, "{}", shown);
            prop_assert!(shown.contains(&words), "no {:?} in {:?}", words, shown);
            // The longest text after the subject is the cause with its consequence.
            if container.chars().count() + words.chars().count() < 50 {
                prop_assert!(shown.contains(&container), "no {:?} in {:?}", container, shown);
            }
            prop_assert!(cause.contains(&object) && cause.contains(&container), "{}", cause);
        }
    }
}
