//! Causes of failed image pulls, from the messages of containerd, CRI-O and Docker, and of
//! registries that these repeat.
//!
//! Errors of Go programs are chains with the cause at the end, such as
//! `failed to pull and unpack image "…": failed to resolve image: failed to do request: Head "https://…": dial tcp: lookup …: no such host`.

use super::kubelet_text::innermost;
use crate::core::cause::Cause;

/// Messages about a registry that can't be reached, with the short form of each.
const UNREACHABLE: [(&str, &str); 14] = [
    ("no such host", "no such host"),
    ("temporary failure in name resolution", "no name server answers"),
    ("server misbehaving", "no name server answers"),
    (": try again", "no name server answers"),
    ("connection refused", "connection refused"),
    ("connection reset", "connection reset"),
    ("network is unreachable", "network is unreachable"),
    ("no route to host", "no route to host"),
    ("tls handshake timeout", "TLS handshake timeout"),
    ("i/o timeout", "timeout"),
    ("deadline exceeded", "timeout"),
    ("client.timeout", "timeout"),
    ("registry is unavailable", "unavailable"),
    (": eof", "connection closed"),
];

/// Messages about a TLS connection that one side rejects, with the short form of each.
const TLS: [(&str, &str); 6] = [
    ("unknown authority", "registry's TLS certificate signed by unknown authority"),
    ("has expired or is not yet valid", "registry's TLS certificate expired or not yet valid"),
    ("x509: certificate is valid for", "registry's TLS certificate valid for another host"),
    ("doesn't contain any ip sans", "registry's TLS certificate valid for another host"),
    ("relies on legacy common name", "registry's TLS certificate without a host name"),
    ("gave http response to https client", "registry answers without TLS"),
];

/// Messages of a registry that requires an account, or denies access to this one.
const NO_ACCESS: [&str; 8] = [
    "unauthorized",
    "forbidden",
    "denied",
    "authorization failed",
    "authentication required",
    "failed to authorize",
    "failed to fetch anonymous token",
    "no basic auth credentials",
];

/// Returns the cause of a failed pull from the kubelet's message, which may be empty.
pub(super) fn cause(said: &str, image: &str) -> Cause {
    // CRI-O also tries the image as another kind of artifact. Ignore that error.
    let said = said.split("; artifact err:").next().unwrap_or(said);
    let lower = said.to_ascii_lowercase();
    let has = |words: &str| lower.contains(words);
    let of_image = |what: &str| Cause::new(what).detail(image).said(said);
    let of_host = |what: &str| match host(said) {
        // A mirror or a proxy, which the image's name doesn't show.
        Some(host) if !host.ends_with(registry(image)) => {
            Cause::new(what).detail(host).said(format!("pulling {image}: {said}"))
        }
        _ => of_image(what),
    };
    if said.is_empty() {
        Cause::new("image not pulled").detail(image)
    } else if let Some((_, what)) = TLS.iter().find(|(words, _)| has(words)) {
        of_host(what)
    } else if has("x509:") || has("tls: ") {
        of_host(&format!("TLS to the registry failed: {}", innermost(said)))
    } else if has("toomanyrequests") || has("too many requests") || has("rate limit") {
        of_image("rate limited by the registry")
    } else if has("no match for platform") || has("no matching manifest") || has("no image found in ") {
        let platform = platform(said).unwrap_or_else(|| "the node's platform".to_owned());
        of_image(&format!("image not built for {platform}"))
    } else if has("signature") || has("image verifier") {
        of_image("image's signature not accepted")
    } else if has("repository does not exist or may require") {
        of_image("no access to the image, or no such image").remedy("check name and credentials")
    // A file system's "permission denied" is about the node, not the registry.
    } else if NO_ACCESS.iter().any(|words| has(words)) && !lower.ends_with(": permission denied") {
        of_image("no access to the image").remedy("check the credentials for the registry")
    } else if has("no space left on device") {
        of_image("no space left on the node for the image")
    } else if let Some((_, why)) = UNREACHABLE.iter().find(|(words, _)| has_end(&lower, words)) {
        of_host(&format!("image registry not reachable, {why}"))
    } else if let Some(status) = server_error(said) {
        of_image(&format!("image registry answered {status}"))
    } else if has("not found") && (has("failed to copy") || has("content descriptor")) {
        of_image("part of the image not found")
    } else if has("not found") || has("manifest unknown") || has("name unknown") {
        Cause::new("image not found").detail(image)
    } else {
        of_image(&format!("image not pulled: {}", innermost(said)))
    }
}

/// Returns the cause for an image whose name is invalid, or that isn't on the node.
pub(super) fn unusable(reason: &str, said: &str, image: &str) -> Cause {
    match reason {
        "InvalidImageName" => Cause::new("image name not valid").detail(image).said(innermost(said)),
        "ErrImageNeverPull" => {
            Cause::new("image not on the node, and imagePullPolicy is Never").detail(image)
        }
        _ => Cause::new(format!("image not readable on the node: {}", innermost(said)))
            .detail(image)
            .said(said),
    }
}

/// Whether the text contains the words; words that begin with a colon must be at its end.
fn has_end(lower: &str, words: &str) -> bool {
    if words.starts_with(':') { lower.ends_with(words) } else { lower.contains(words) }
}

/// Returns the host of the request.
fn host(said: &str) -> Option<&str> {
    let before = ["lookup ", "https://", "http://", "container registry "];
    let (_, rest) = before.iter().find_map(|words| said.split_once(words))?;
    let host = rest.split(['/', '"', ' ']).next()?.trim_end_matches(':');
    Some(host).filter(|host| !host.is_empty())
}

/// Returns the registry of an image; Docker Hub if its name has none.
fn registry(image: &str) -> &str {
    let first = image.split_once('/').map(|(first, _)| first);
    first.filter(|first| first.contains(['.', ':']) || *first == "localhost").unwrap_or("docker.io")
}

/// Returns `linux/arm64` from `no matching manifest for linux/arm64 in …`, or from `architecture
/// "arm64", variant "v8", OS "linux"`.
fn platform(said: &str) -> Option<String> {
    if let Some((_, rest)) = said.split_once("no matching manifest for ") {
        return rest.split(' ').next().map(|platform| platform.trim_end_matches([',', ':']).to_owned());
    }
    let named = |name: &str| said.split_once(name)?.1.trim_start_matches('"').split(['"', ',']).next();
    let architecture = named("architecture ")?;
    Some(format!("{}/{architecture}", named("OS ").unwrap_or("linux")))
}

/// Returns `503 Service Unavailable` from `unexpected status from HEAD request to …: 503 Service
/// Unavailable`.
fn server_error(said: &str) -> Option<&str> {
    let status = said.rsplit(": ").find(|part| {
        part.len() >= 3
            && part.starts_with('5')
            && part.bytes().take(3).all(|b| b.is_ascii_digit())
            && part.as_bytes().get(3).is_none_or(|b| *b == b' ')
    })?;
    Some(status.split(" (").next().unwrap_or(status))
}
