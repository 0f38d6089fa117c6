//! Image names. The grammar is in
//! <https://github.com/distribution/reference/blob/main/reference.go>.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::core::truncate;

/// The registry of a name without a host.
const DOCKER_HUB: &str = "docker.io";
/// The prefix of a Docker Hub name of one segment.
const OFFICIAL: &str = "library/";
/// Most characters of a host name (RFC 1035, section 2.3.4), of a repository and of a tag.
const LONGEST_HOST: usize = 253;
const LONGEST_REPOSITORY: usize = 255;
const LONGEST_TAG: usize = 128;
/// Digest algorithms, each with its number of hexadecimal digits.
const ALGORITHMS: [(&str, usize); 3] = [("sha256", 64), ("sha384", 96), ("sha512", 128)];

/// An image reference, `host[:port]/repository[:tag][@digest]`, with the defaults filled in. All
/// parts follow the grammar, so they need no escaping in a URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageReference {
    host: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl ImageReference {
    /// Returns the host, and the port if there is one, of the registry; `docker.io` when the name
    /// has no host. It is in lower case, unless only its capitals distinguish it from a segment of
    /// a repository.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns host and port of the registry's API. For `docker.io` it is `registry-1.docker.io`.
    pub fn api_host(&self) -> &str {
        if self.host == DOCKER_HUB { "registry-1.docker.io" } else { &self.host }
    }

    /// Returns the repository in the registry, for example `library/alpine`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns the tag; `latest` when the name has neither tag nor digest.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest, for example `sha256:…`.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// Returns the manifest's reference in the repository: the digest if there is one, else the
    /// tag. A tag beside a digest has no effect.
    pub fn manifest(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or("latest")
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for ImageReference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text)
            .map_err(|why| format!("\"{}\" is not an image reference: {why}", truncate::cut(text, 100)))
    }
}

fn parse(text: &str) -> Result<ImageReference, String> {
    if text.is_empty() {
        return Err("it is empty".into());
    }
    if text.contains("://") {
        return Err("it is a URL: leave the scheme out".into());
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(checked_digest(digest)?)),
        None => (text, None),
    };
    // A colon before the last slash belongs to a port.
    let after_slash = rest.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match rest[after_slash..].rfind(':') {
        Some(at) => (&rest[..after_slash + at], Some(checked_tag(&rest[after_slash + at + 1..])?)),
        None => (rest, None),
    };
    let (host, path) = split_host(name);
    let host = checked_host(host)?;
    let repository =
        if host == DOCKER_HUB && !path.contains('/') { format!("{OFFICIAL}{path}") } else { path.to_owned() };
    if path.len() == 64 && name == path && path.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("64 hexadecimal digits are the id of an image, not its name".into());
    }
    check_repository(path, &repository)?;
    let tag = match (tag, &digest) {
        (None, None) => Some("latest".to_owned()),
        (tag, _) => tag,
    };
    Ok(ImageReference { host, repository, tag, digest })
}

/// Splits off the host. The first segment is a host if it can't be a segment of a repository.
fn split_host(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.bytes().any(|byte| byte.is_ascii_uppercase()) =>
        {
            (first, rest)
        }
        _ => (DOCKER_HUB, name),
    }
}

fn checked_host(text: &str) -> Result<String, String> {
    let (host, port) = match text.rfind(':') {
        // The colons of an IPv6 address are in brackets.
        Some(at) if !text[at..].contains(']') => (&text[..at], Some(&text[at + 1..])),
        _ => (text, None),
    };
    if let Some(port) = port
        && !(port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0))
    {
        return Err(format!("\"{}\" is not a port", truncate::cut(port, 20)));
    }
    let bad = || format!("\"{}\" is not a host name", truncate::cut(host, 60));
    if let Some(address) = host.strip_prefix('[') {
        address.strip_suffix(']').and_then(|address| address.parse::<Ipv6Addr>().ok()).ok_or_else(bad)?;
    } else {
        let label = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if host.len() > LONGEST_HOST || !host.split('.').all(label) {
            return Err(bad());
        }
    }
    let lower = text.to_ascii_lowercase();
    Ok(match lower.as_str() {
        // The former name of Docker Hub.
        "index.docker.io" => DOCKER_HUB.to_owned(),
        // Only its capitals make this segment a host.
        _ if !lower.contains(['.', ':']) && lower != "localhost" => text.to_owned(),
        _ => lower,
    })
}

/// Checks a repository. `written` is the part of the text that errors quote.
fn check_repository(written: &str, repository: &str) -> Result<(), String> {
    if written.is_empty() {
        return Err("the repository is missing".into());
    }
    if repository.len() > LONGEST_REPOSITORY {
        return Err(format!("the repository has more than {LONGEST_REPOSITORY} characters"));
    }
    if written.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(format!("the repository \"{}\" must be in lower case", truncate::cut(written, 60)));
    }
    match written.split('/').find(|segment| !is_path_component(segment)) {
        None => Ok(()),
        Some("") => Err("a segment of the repository is empty".into()),
        Some(segment) => Err(format!(
            "\"{}\" can't be a segment of a repository: write letters and digits with \".\", \"_\", \"__\" or dashes between them",
            truncate::cut(segment, 60)
        )),
    }
}

/// Returns whether a segment consists of `[a-z0-9]+` parts, separated by one of `.`, `_`, `__` or
/// any number of dashes.
fn is_path_component(segment: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = segment.as_bytes();
    if !(bytes.first().is_some_and(|byte| plain(*byte)) && bytes.last().is_some_and(|byte| plain(*byte))) {
        return false;
    }
    bytes.split(|byte| plain(*byte)).all(|separator| {
        matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|byte| *byte == b'-')
    })
}

fn checked_tag(tag: &str) -> Result<String, String> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let fits = tag.len() <= LONGEST_TAG
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-');
    if fits {
        Ok(tag.to_owned())
    } else {
        Err(format!(
            "\"{}\" is not a tag: a tag is 1 to {LONGEST_TAG} letters, digits, \"_\", \".\" and \"-\", and begins with none of the last two",
            truncate::cut(tag, 60)
        ))
    }
}

fn checked_digest(digest: &str) -> Result<String, String> {
    let shown = || truncate::cut(digest, 60);
    let (algorithm, hex) = digest.split_once(':').ok_or_else(|| {
        format!("\"{}\" is not a digest: write it like sha256: and 64 hexadecimal digits", shown())
    })?;
    let Some((_, length)) = ALGORITHMS.iter().find(|(name, _)| *name == algorithm) else {
        return Err(format!("the digest \"{}\" is none of sha256, sha384 and sha512", shown()));
    };
    let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if hex.len() != *length || !hex.bytes().all(digits) {
        return Err(format!("the digest \"{}\" has not {length} hexadecimal digits in lower case", shown()));
    }
    Ok(digest.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn names_are_made_whole() {
        for (text, whole) in [
            ("alpine", "docker.io/library/alpine:latest"),
            ("alpine:3.20", "docker.io/library/alpine:3.20"),
            ("acme/shop", "docker.io/acme/shop:latest"),
            ("docker.io/alpine", "docker.io/library/alpine:latest"),
            ("index.docker.io/acme/shop", "docker.io/acme/shop:latest"),
            ("ghcr.io/acme/shop/web:pr-7", "ghcr.io/acme/shop/web:pr-7"),
            ("localhost/shop", "localhost/shop:latest"),
            ("localhost:5000/shop:1", "localhost:5000/shop:1"),
            ("registry:5000/a/b", "registry:5000/a/b:latest"),
            ("Registry/a", "Registry/a:latest"),
            ("LocalHost/a", "localhost/a:latest"),
            ("GHCR.io/acme/shop", "ghcr.io/acme/shop:latest"),
            ("10.0.0.1:5000/a", "10.0.0.1:5000/a:latest"),
            ("[::1]:5000/a:b", "[::1]:5000/a:b"),
            ("[fd00::7]/a", "[fd00::7]/a:latest"),
            ("x.example/a__b/c---d/e.f_g", "x.example/a__b/c---d/e.f_g:latest"),
            ("shop:_x-1.2", "docker.io/library/shop:_x-1.2"),
            // A single segment before a colon is a repository with a tag.
            ("localhost:5000", "docker.io/library/localhost:5000"),
        ] {
            let reference: ImageReference = text.parse().unwrap();
            assert_eq!(reference.to_string(), whole, "{text}");
            assert_eq!(whole.parse::<ImageReference>().unwrap(), reference, "{text}");
        }
    }

    #[test]
    fn a_digest_takes_the_place_of_the_tag() {
        let text = format!("ghcr.io/acme/shop@sha256:{HEX}");
        let reference: ImageReference = text.parse().unwrap();
        assert_eq!(reference.to_string(), text);
        assert_eq!((reference.tag(), reference.manifest()), (None, &*format!("sha256:{HEX}")));
        let both: ImageReference = format!("acme/shop:1@sha512:{HEX}{HEX}").parse().unwrap();
        assert_eq!((both.tag(), both.manifest()), (Some("1"), &*format!("sha512:{HEX}{HEX}")));
    }

    #[test]
    fn the_api_of_docker_hub_is_elsewhere() {
        let api = |text: &str| text.parse::<ImageReference>().unwrap().api_host().to_owned();
        assert_eq!(api("alpine"), "registry-1.docker.io");
        assert_eq!(api("quay.io:443/acme/shop"), "quay.io:443");
    }

    #[test]
    fn mistakes_are_named() {
        for (text, why) in [
            ("", "it is empty"),
            ("https://ghcr.io/acme/shop", "leave the scheme out"),
            ("acme/Shop", "\"acme/Shop\" must be in lower case"),
            ("ghcr.io/", "the repository is missing"),
            ("/shop", "a segment of the repository is empty"),
            ("acme//shop", "a segment of the repository is empty"),
            ("acme/shop/", "a segment of the repository is empty"),
            ("acme/-shop", "\"-shop\" can't be a segment"),
            ("acme/sh___op", "\"sh___op\" can't be a segment"),
            ("acme/sh..op", "\"sh..op\" can't be a segment"),
            ("acme/sh op", "\"sh op\" can't be a segment"),
            ("ghcr.io/../shop", "\"..\" can't be a segment"),
            ("acme/shop:", "\"\" is not a tag"),
            ("acme/shop:-x", "\"-x\" is not a tag"),
            ("acme/shop:a:b", "\"shop:a\" can't be a segment"),
            ("acme/shop:é", "\"é\" is not a tag"),
            ("ghcr.io:0/acme", "\"0\" is not a port"),
            ("ghcr.io:70000/acme", "\"70000\" is not a port"),
            ("ghcr.io:+1/acme", "\"+1\" is not a port"),
            ("-ghcr.io/acme", "\"-ghcr.io\" is not a host name"),
            ("ghcr..io/acme", "\"ghcr..io\" is not a host name"),
            ("[::1/acme", "is not a host name"),
            ("user:word@ghcr.io/acme", "\"ghcr.io/acme\" is not a digest"),
            ("shop@sha256", "\"sha256\" is not a digest"),
            ("shop@md5:00", "none of sha256, sha384 and sha512"),
            ("shop@sha256:00", "has not 64 hexadecimal digits"),
            (HEX, "the id of an image"),
        ] {
            let error = text.parse::<ImageReference>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        let upper = format!("shop@sha256:{}", HEX.to_uppercase());
        assert!(upper.parse::<ImageReference>().unwrap_err().contains("in lower case"));
        for text in ["a".repeat(256), format!("{}.io/a", "a".repeat(260)), format!("a:{}", "b".repeat(129))] {
            let error = text.parse::<ImageReference>().unwrap_err();
            assert!(error.len() < 400, "{error}");
        }
        // The limit includes the prefix that is added.
        assert!("a".repeat(250).parse::<ImageReference>().is_err());
    }

    proptest! {
        #[test]
        fn anything_is_read_without_harm(text in "\\PC{0,80}") {
            let _ = text.parse::<ImageReference>();
        }

        #[test]
        fn parsed_reference_is_url_safe_and_round_trips(
            text in "([A-Za-z0-9.:\\[\\]-]{1,12}/)?[a-z0-9._/-]{1,20}(:[\\w.-]{1,10})?(@sha256:[0-9a-f]{64})?"
        ) {
            if let Ok(reference) = text.parse::<ImageReference>() {
                prop_assert_eq!(reference.to_string().parse::<ImageReference>().unwrap(), reference.clone());
                let url = format!("https://h/v2/{}/manifests/{}", reference.repository(), reference.manifest());
                let read = url::Url::parse(&url).unwrap();
                prop_assert_eq!(read.as_str(), url);
            }
        }
    }
}
