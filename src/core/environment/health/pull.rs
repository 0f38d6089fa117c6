//! Why an image can't be pulled, from what container runtimes say: containerd, CRI-O and Docker, and registries by way of them.
//!
//! Errors of Go programs are chains whose cause comes last, such as
//! `failed to pull and unpack image "…": failed to resolve image: failed to do request: Head "https://…": dial tcp: lookup …: no such host`.

use super::kubelet_text::innermost;
use crate::core::cause::Cause;

/// Words of a registry or of a way to it that isn't there, with the short form of each.
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

/// Words of a TLS connection that one side doesn't accept, with the short form of each.
const TLS: [(&str, &str); 6] = [
    ("unknown authority", "registry's TLS certificate signed by unknown authority"),
    ("has expired or is not yet valid", "registry's TLS certificate expired or not yet valid"),
    ("x509: certificate is valid for", "registry's TLS certificate valid for another host"),
    ("doesn't contain any ip sans", "registry's TLS certificate valid for another host"),
    ("relies on legacy common name", "registry's TLS certificate without a host name"),
    ("gave http response to https client", "registry answers without TLS"),
];

/// Words of a registry that lets nobody pull without an account, or not this one.
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

/// The cause of a failed pull, from what the kubelet says of it; an empty text where it says nothing.
pub(super) fn cause(said: &str, image: &str) -> Cause {
    // CRI-O tries the image as another kind of artifact then, which it never was.
    let said = said.split("; artifact err:").next().unwrap_or(said);
    let lower = said.to_ascii_lowercase();
    let has = |words: &str| lower.contains(words);
    let of_image = |what: &str| Cause::new(what).detail(image).said(said);
    let of_host = |what: &str| match host(said) {
        // A mirror or a proxy, which the image's name doesn't tell.
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
    // A file system's "permission denied" is the node's matter.
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

/// The cause of an image whose name can't be used, or that isn't on the node.
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

/// Whether the text has the words; those that begin with a colon have to be at its end.
fn has_end(lower: &str, words: &str) -> bool {
    if words.starts_with(':') { lower.ends_with(words) } else { lower.contains(words) }
}

/// The host that was asked.
fn host(said: &str) -> Option<&str> {
    let before = ["lookup ", "https://", "http://", "container registry "];
    let (_, rest) = before.iter().find_map(|words| said.split_once(words))?;
    let host = rest.split(['/', '"', ' ']).next()?.trim_end_matches(':');
    Some(host).filter(|host| !host.is_empty())
}

/// The registry of an image; without one in its name it is Docker Hub.
fn registry(image: &str) -> &str {
    let first = image.split_once('/').map(|(first, _)| first);
    first.filter(|first| first.contains(['.', ':']) || *first == "localhost").unwrap_or("docker.io")
}

/// `linux/arm64` out of `no matching manifest for linux/arm64 in …`, or out of `architecture "arm64", variant "v8", OS "linux"`.
fn platform(said: &str) -> Option<String> {
    if let Some((_, rest)) = said.split_once("no matching manifest for ") {
        return rest.split(' ').next().map(|platform| platform.trim_end_matches([',', ':']).to_owned());
    }
    let named = |name: &str| said.split_once(name)?.1.trim_start_matches('"').split(['"', ',']).next();
    let architecture = named("architecture ")?;
    Some(format!("{}/{architecture}", named("OS ").unwrap_or("linux")))
}

/// `503 Service Unavailable` out of `unexpected status from HEAD request to …: 503 Service Unavailable`.
fn server_error(said: &str) -> Option<&str> {
    let status = said.rsplit(": ").find(|part| {
        part.len() >= 3
            && part.starts_with('5')
            && part.bytes().take(3).all(|b| b.is_ascii_digit())
            && part.as_bytes().get(3).is_none_or(|b| *b == b' ')
    })?;
    Some(status.split(" (").next().unwrap_or(status))
}
