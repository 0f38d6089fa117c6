//! Cleans the messages of kubelet, container runtime and controllers: removes what changes every
//! time, secrets, and repetitions.

use k8s_openapi::api::core::v1::Pod;

use crate::core::api_error::{self, SentValues};
use crate::core::cause::Cause;
use crate::core::truncate::cut;

/// Longest message, in characters.
const MAX: usize = 320;
/// Longest end of a chain of errors to use as the cause, in characters.
const MAX_CAUSE: usize = 60;
/// Longest condition message to use in full, in characters.
const MAX_SENTENCE: usize = 100;

/// Beginnings that only wrap the cause, each with the text that ends the wrapper. Between the two
/// is the image or the container, which the cause names anyway.
const WRAPPERS: [(&str, &str); 16] = [
    ("rpc error: code = ", " desc = "),
    ("Back-off pulling image \"", "\": "),
    ("ErrImagePull: ", ""),
    ("RegistryUnavailable: ", ""),
    ("SignatureValidationFailed: ", ""),
    ("failed to pull and unpack image \"", "\": "),
    ("failed to resolve reference \"", "\": "),
    // containerd 2
    ("failed to resolve image: ", ""),
    ("failed to do request: ", "\": "),
    ("failed to start container \"", "\": "),
    ("failed to create containerd task: ", ""),
    ("failed to create shim task: ", ""),
    ("OCI runtime create failed: ", ""),
    ("runc create failed: ", ""),
    ("unable to start container process: ", ""),
    ("error during container init: ", ""),
];

/// Cleans the kubelet's message about a container of the pod. `workload` is the name of the pod's
/// owner.
pub(super) fn about_pod(message: &str, pod: &Pod, workload: &str) -> String {
    let mut text = message.to_owned();
    // The kubelet writes a pod as name_namespace(uid).
    if let (Some(name), Some(uid)) = (&pod.metadata.name, &pod.metadata.uid) {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        text = text.replace(&format!("{name}_{namespace}({uid})"), workload);
        text = text.replace(uid.as_str(), "…").replace(name.as_str(), workload);
    }
    tidy(&text)
}

/// Cleans a controller's message about a pod that it can't create: the API server's message without
/// the pod's generated name and without values, which are those of the applied object.
pub(super) fn about_creation(message: &str, sent: &SentValues) -> String {
    for start in ["pods \"", "Pod \""] {
        let Some(rest) = message.strip_prefix(start) else { continue };
        for end in ["\" is forbidden: ", "\" is invalid: "] {
            if let Some((_, cause)) = rest.split_once(end) {
                return tidy(&api_error::text_about(cause, sent));
            }
        }
    }
    tidy(&api_error::text_about(message, sent))
}

/// Cleans the scheduler's message: why no node fits the pod, without the part about preemption.
pub(super) fn about_scheduling(message: &str) -> String {
    let end = [" no new claims to deallocate", " preemption:"]
        .iter()
        .filter_map(|marker| message.find(marker))
        .min()
        .unwrap_or(message.len());
    tidy(&message[..end])
}

/// Returns the cause in a condition that an object's controller wrote. For a long chain of errors
/// it is the end of the chain.
pub(super) fn by_controller(reason: &str, message: &str) -> Cause {
    let said = tidy(message);
    let what = innermost(&said);
    if said.is_empty() {
        Cause::new(reason)
    } else if said.chars().count() <= MAX_SENTENCE || what == said {
        Cause::new(said)
    } else {
        Cause::new(what).said(said.clone())
    }
}

/// Cleans any other message.
pub(super) fn tidy(message: &str) -> String {
    let unwrapped = unwrap(message.trim());
    let words: Vec<String> = unwrapped.split_whitespace().map(word).collect();
    cut(&words.join(" "), MAX)
}

/// Returns the end of a chain of errors, where Go programs put the cause, with the links before it
/// that are short.
pub(super) fn innermost(said: &str) -> &str {
    // containerd ends a chain with the class of the error, which is mostly "unknown".
    let said = said.strip_suffix(": unknown").unwrap_or(said);
    let mut start = said.len();
    for (at, _) in said.rmatch_indices(": ").map(|(at, colon)| (at + colon.len(), colon)).chain([(0, "")]) {
        let link = said.get(at..).unwrap_or(said);
        if start < said.len() && link.chars().count() > MAX_CAUSE {
            break;
        }
        start = at;
    }
    said.get(start..).unwrap_or(said)
}

fn unwrap(message: &str) -> &str {
    let mut text = message;
    'wrapped: loop {
        for (start, end) in WRAPPERS {
            if let Some((_, inner)) = text.strip_prefix(start).and_then(|rest| rest.split_once(end))
                && !inner.is_empty()
            {
                text = inner;
                continue 'wrapped;
            }
        }
        return text;
    }
}

fn word(word: &str) -> String {
    let url = without_secrets(word);
    let stable = without_ports(&url);
    without_ids(&stable)
}

/// Removes user, password and query from a URL: registries redirect to storage with signed URLs.
fn without_secrets(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
    let end = rest.find(['"', '\'', '>', ')', ',']).unwrap_or(rest.len());
    let (url, tail) = rest.split_at(end);
    let path = url.find(['/', '?', '#']).unwrap_or(url.len());
    // A password may contain any of these characters.
    if url[..path].contains(':') && !url[..path].contains('@') && url[path..].contains('@') {
        return format!("{scheme}://…{tail}");
    }
    let url = url.split(['?', '#']).next().unwrap_or(url);
    let host = url[..path].rfind('@').map_or(0, |at| at + 1);
    // A colon after the URL belongs to the sentence.
    let colon = if tail.is_empty() && rest.ends_with(':') && !url.ends_with(':') { ":" } else { "" };
    format!("{scheme}://{}{colon}{tail}", &url[host..])
}

/// Removes the local end from `10.0.0.5:34233->10.96.0.10:53:`, because its port changes every
/// time.
fn without_ports(word: &str) -> String {
    word.split_once("->").map_or_else(|| word.to_owned(), |(_, far)| far.to_owned())
}

/// Removes ids of containers and sandboxes. It keeps the digest of an image, which identifies it.
fn without_ids(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    let mut run = String::new();
    for c in word.chars().chain(std::iter::once(' ')) {
        if c.is_ascii_hexdigit() {
            run.push(c);
            continue;
        }
        if run.len() >= 32 && !text.ends_with("sha256:") {
            text.push('…');
        } else {
            text.push_str(&run);
        }
        run.clear();
        text.push(c);
    }
    text.pop();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_is_not_there() {
        let message = "Back-off pulling image \"registry.example/nope:1\": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image \"registry.example/nope:1\": failed to resolve reference \"registry.example/nope:1\": registry.example/nope:1: not found";
        assert_eq!(tidy(message), "registry.example/nope:1: not found");
    }

    #[test]
    fn a_registry_that_is_not_reached_reads_the_same_each_time() {
        let message = |port: u16| {
            format!(
                "failed to pull and unpack image \"docker.io/library/nope:1\": failed to resolve reference \"docker.io/library/nope:1\": failed to do request: Head \"https://registry-1.docker.io/v2/library/nope/manifests/1\": dial tcp: lookup registry-1.docker.io on 10.96.0.10:53: read udp 10.88.0.5:{port}->10.96.0.10:53: i/o timeout"
            )
        };
        assert_eq!(tidy(&message(34_233)), tidy(&message(51_111)));
        assert_eq!(
            tidy(&message(1)),
            "dial tcp: lookup registry-1.docker.io on 10.96.0.10:53: read udp 10.96.0.10:53: i/o timeout"
        );
    }

    #[test]
    fn signed_urls_and_passwords_are_left_out() {
        let text =
            tidy("failed open: Get \"https://user:pass@storage.example/blob?X-Signature=abc&x=1\": 503");
        assert_eq!(text, "failed open: Get \"https://storage.example/blob\": 503");
        assert_eq!(
            tidy("from https://storage.example/blob?sig=abc: 503"),
            "from https://storage.example/blob: 503"
        );
        assert_eq!(
            tidy("see https://storage.example:5000/blob: 503"),
            "see https://storage.example:5000/blob: 503"
        );
        for password in ["hunter2#1", "hunter2?x", "hunter2/x"] {
            let text = tidy(&format!("dial redis://ada:{password}@redis:6379 failed"));
            assert_eq!(text, "dial redis://… failed");
        }
        // A mail address in the path isn't a user.
        assert_eq!(tidy("https://storage.example/a@b"), "https://storage.example/a@b");
    }

    #[test]
    fn ids_go_and_digests_stay() {
        let id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        assert_eq!(tidy(&format!("container {id} failed")), "container … failed");
        assert_eq!(tidy(&format!("image a@sha256:{id}: gone")), format!("image a@sha256:{id}: gone"));
        assert_eq!(tidy("no deadbeef here"), "no deadbeef here");
    }

    #[test]
    fn innermost_kubelet_error_is_the_cause() {
        assert_eq!(innermost("one: two"), "one: two");
        assert_eq!(innermost("just one"), "just one");
        assert_eq!(innermost(""), "");
        let unlink = "failed to extract layer: mount callback failed on /data/tmpmounts/containerd-mount7: unlinkat /data/containerd/tmpmounts/x: directory not empty: unknown";
        assert_eq!(innermost(unlink), "unlinkat /data/containerd/tmpmounts/x: directory not empty");
        let long = format!("first: {}", "word ".repeat(40));
        assert_eq!(innermost(long.trim()), "word ".repeat(40).trim());
    }

    #[test]
    fn a_wrapper_around_nothing_stays() {
        assert_eq!(tidy("Back-off pulling image \"nope:1\""), "Back-off pulling image \"nope:1\"");
        assert_eq!(tidy("ErrImagePull: "), "ErrImagePull:");
    }

    #[test]
    fn a_pod_that_is_refused_is_not_named() {
        let about_creation = |message: &str| super::about_creation(message, &SentValues::default());
        assert_eq!(
            about_creation(
                "pods \"web-5c9f-abcde\" is forbidden: exceeded quota: preview, requested: pods=1"
            ),
            "exceeded quota: preview, requested: pods=1"
        );
        assert_eq!(about_creation("Pod \"web-5c9f-abcde\" is invalid: spec.x: Required"), "spec.x: Required");
        assert_eq!(about_creation("Internal error occurred: boom"), "boom");
        let invalid = "Pod \"web-5c9f-abcde\" is invalid: spec.containers[0].env[0].valueFrom: Invalid value: \"hunter2\": may not be set";
        assert_eq!(
            about_creation(invalid),
            "spec.containers[0].env[0].valueFrom: Invalid value: may not be set"
        );
    }

    #[test]
    fn the_scheduler_says_why_not() {
        assert_eq!(
            about_scheduling(
                "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
            ),
            "0/1 nodes are available: 1 Insufficient cpu."
        );
    }
}
