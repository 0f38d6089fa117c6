//! Registry credentials in a Secret of the type `kubernetes.io/dockerconfigjson`, with the
//! semantics of the kubelet. <https://kubernetes.io/docs/concepts/containers/images/#config-json>

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use super::ImageReference;
use crate::core::{glob, truncate};

/// Key of the configuration in such a Secret.
pub const DOCKER_CONFIG_JSON: &str = ".dockerconfigjson";

/// Keys for Docker Hub in such files. `docker login` writes the first one.
const DOCKER_HUB: [&str; 3] = ["index.docker.io", "docker.io", "registry-1.docker.io"];

/// `docker login` pads base64; other tools may not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Credentials for a registry. Neither field is ever shown, since some registries take a token as
/// the username.
#[derive(Clone)]
pub struct Credentials {
    /// The username, without a colon: Basic authentication separates it from the password by a
    /// colon (RFC 7617, section 2).
    pub username: SecretString,
    /// Password or token.
    pub password: SecretString,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials([REDACTED])")
    }
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Value>,
}

/// Returns the credentials for an image from the data of the Secret `name`; `None` when the Secret
/// has none for that image.
///
/// A key of `auths` is a host, optionally with a port and with a path that begins the image's path.
/// `*` matches any part of one label of the host. A scheme before the host, and `/v1/` or `/v2/`
/// after it, are ignored. Of several matching keys, the one with the longest path wins, then the
/// one with the fewest stars; the kubelet would also try the others.
///
/// # Errors
/// The mistake, with the Secret and the key, never with their contents.
pub fn credentials_for(
    name: &str,
    data: &BTreeMap<String, Vec<u8>>,
    image: &ImageReference,
) -> Result<Option<Credentials>, String> {
    let wrong = |what: &str| format!("Secret \"{name}\": {what}");
    let bytes = data.get(DOCKER_CONFIG_JSON).ok_or_else(|| {
        wrong(&format!(
            "\"{DOCKER_CONFIG_JSON}\" is missing: make it with `kubectl create secret docker-registry`"
        ))
    })?;
    // serde's message may repeat the contents.
    let config: Config = serde_json::from_slice(bytes).map_err(|error| {
        wrong(&format!(
            "\"{DOCKER_CONFIG_JSON}\" is not an object with \"auths\" (line {}, column {}): make it with `kubectl create secret docker-registry`",
            error.line(),
            error.column()
        ))
    })?;
    let best = config
        .auths
        .iter()
        .filter_map(|(key, entry)| Some((fit(key, image)?, key, entry)))
        .max_by(|(a, ..), (b, ..)| a.cmp(b));
    let Some((_, key, entry)) = best else { return Ok(None) };
    entry_credentials(entry).map(Some).map_err(|what| {
        wrong(&format!("{DOCKER_CONFIG_JSON}: auths[\"{}\"] {what}", truncate::cut(key, 100)))
    })
}

/// Returns how well a key matches an image, greater is better; `None` when it doesn't match.
fn fit(key: &str, image: &ImageReference) -> Option<(usize, std::cmp::Reverse<usize>, usize)> {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let (host, path) = key.split_once('/').unwrap_or((key, ""));
    // Only an API version that is a whole path segment is ignored.
    let path = ["v1", "v2"]
        .iter()
        .find_map(|version| match path.strip_prefix(version)? {
            "" => Some(""),
            rest => rest.strip_prefix('/'),
        })
        .unwrap_or(path);
    let path = path.trim_end_matches('/');
    let repository = image.repository();
    let below = path.is_empty()
        || repository.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let host = host.to_ascii_lowercase();
    let hosts = if image.host() == "docker.io" {
        DOCKER_HUB.iter().any(|name| host_fits(&host, name))
    } else {
        host_fits(&host, &image.host().to_ascii_lowercase())
    };
    (below && hosts).then(|| (path.len(), std::cmp::Reverse(host.matches('*').count()), host.len()))
}

fn host_fits(pattern: &str, host: &str) -> bool {
    let ((pattern, pattern_port), (host, port)) = (split_port(pattern), split_port(host));
    let (mut patterns, mut labels) = (pattern.split('.'), host.split('.'));
    if pattern_port != port {
        return false;
    }
    loop {
        match (patterns.next(), labels.next()) {
            (None, None) => return true,
            (Some(pattern), Some(label)) if glob::matches(pattern, label) => {}
            _ => return false,
        }
    }
}

/// In an IPv6 address, the colon of the port comes after the bracket.
fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (host, None),
    }
}

fn entry_credentials(entry: &Value) -> Result<Credentials, &'static str> {
    let text = |key: &str| match entry.get(key) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(_) => Err("has a field that should be text and isn't"),
    };
    let (auth, username, password) = (text("auth")?, text("username")?, text("password")?);
    if auth.is_empty() {
        return match (username, password) {
            ("", "") => Err("has neither \"auth\" nor \"username\" and \"password\""),
            ("", _) => Err("has a \"password\" without a \"username\""),
            (_, "") => Err("has a \"username\" without a \"password\""),
            (username, _) if username.contains(':') => Err("has a \"username\" with a colon"),
            _ => Ok(Credentials { username: username.into(), password: password.into() }),
        };
    }
    // `auth` takes precedence over `username` and `password`, as in the kubelet.
    let decoded = BASE64.decode(auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = decoded.ok_or("has an \"auth\" that is not text in base64")?;
    match decoded.split_once(':') {
        // Some tools pad with NUL bytes.
        Some((username, password)) if !username.is_empty() => {
            Ok(Credentials { username: username.into(), password: password.trim_end_matches('\0').into() })
        }
        _ => Err("has an \"auth\" that is not username:password in base64"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;
    use serde_json::json;

    use super::*;

    fn read(config: &str, image: &str) -> Result<Option<Credentials>, String> {
        let data = BTreeMap::from([(DOCKER_CONFIG_JSON.to_owned(), config.as_bytes().to_vec())]);
        credentials_for("pull", &data, &image.parse().unwrap())
    }

    /// Returns the username found for an image when each key has itself as the username.
    fn chosen(keys: &[&str], image: &str) -> Option<String> {
        let auths: serde_json::Map<_, _> = keys
            .iter()
            .map(|key| {
                ((*key).to_owned(), json!({"auth": base64_of(&format!("{}:p", key.replace(':', ";")))}))
            })
            .collect();
        let found = read(&json!({"auths": auths}).to_string(), image).unwrap();
        found.map(|found| found.username.expose_secret().replace(';', ":"))
    }

    fn base64_of(text: &str) -> String {
        BASE64.encode(text)
    }

    #[test]
    fn both_ways_to_write_credentials_are_read() {
        let both = |entry: &Value| {
            let found = read(&json!({"auths": {"ghcr.io": entry}}).to_string(), "ghcr.io/acme/shop")
                .unwrap()
                .unwrap();
            (found.username.expose_secret().to_owned(), found.password.expose_secret().to_owned())
        };
        let pair = |username: &str, password: &str| (username.to_owned(), password.to_owned());
        assert_eq!(both(&json!({"username": "mona", "password": "a:b"})), pair("mona", "a:b"));
        assert_eq!(both(&json!({"auth": base64_of("mona:a:b"), "email": "x"})), pair("mona", "a:b"));
        assert_eq!(both(&json!({"auth": base64_of("mona:p").trim_end_matches('=')})), pair("mona", "p"));
        let auth = json!({"auth": base64_of("lisa:q"), "username": "mona", "password": "p"});
        assert_eq!(both(&auth), pair("lisa", "q"));
        assert_eq!(both(&json!({"auth": base64_of("mona:"), "username": null})), pair("mona", ""));
    }

    #[test]
    fn keys_are_hosts_with_paths_and_stars() {
        for (key, image) in [
            ("ghcr.io", "ghcr.io/acme/shop"),
            ("https://ghcr.io", "ghcr.io/acme/shop"),
            ("https://GHCR.io/v2/", "ghcr.io/acme/shop"),
            ("ghcr.io/acme", "ghcr.io/acme/shop"),
            ("ghcr.io/acme/shop", "ghcr.io/acme/shop"),
            ("*.example.com", "eu.example.com/shop"),
            ("eu-*.example.com:5000", "eu-1.example.com:5000/shop"),
            ("[::1]:5000", "[::1]:5000/shop"),
            ("https://index.docker.io/v1/", "alpine"),
            ("docker.io", "acme/shop"),
            ("registry-1.docker.io/acme", "acme/shop"),
        ] {
            assert_eq!(chosen(&[key], image).as_deref(), Some(key), "{key} should fit {image}");
        }
        for (key, image) in [
            ("ghcr.io", "ghcr.io.evil.example/acme"),
            ("example.com", "eu.example.com/shop"),
            ("*.example.com", "example.com/shop"),
            ("*.example.com", "a.b.example.com/shop"),
            ("*", "ghcr.io/acme"),
            ("*", "registry:5000/acme"),
            ("*.io", "ghcr.io:5000/acme"),
            ("ghcr.io", "ghcr.io:443/acme"),
            ("ghcr.io:443", "ghcr.io/acme"),
            ("ghcr.io/acme", "ghcr.io/acme-evil/shop"),
            ("ghcr.io/acme/shop/web", "ghcr.io/acme/shop"),
            ("index.docker.io", "ghcr.io/acme"),
            ("", "ghcr.io/acme"),
        ] {
            assert_eq!(chosen(&[key], image), None, "{key} should not fit {image}");
        }
    }

    #[test]
    fn the_closest_key_counts() {
        let keys = ["ghcr.io", "ghcr.io/acme", "ghcr.io/acme/shop", "*.io", "g*.io/acme"];
        assert_eq!(chosen(&keys, "ghcr.io/acme/shop/web").as_deref(), Some("ghcr.io/acme/shop"));
        assert_eq!(chosen(&keys, "ghcr.io/acme/other").as_deref(), Some("ghcr.io/acme"));
        assert_eq!(chosen(&keys, "ghcr.io/x").as_deref(), Some("ghcr.io"));
        assert_eq!(chosen(&keys, "quay.io/x").as_deref(), Some("*.io"));
    }

    #[test]
    fn mistakes_name_the_key_never_its_value() {
        for (config, why) in [
            ("s3cret", "not an object with \"auths\" (line 1, column 1)"),
            (r#"{"auths": "s3cret"}"#, "not an object"),
            (r#"{"auths": {"ghcr.io": "s3cret"}}"#, "auths[\"ghcr.io\"] has neither"),
            (r#"{"auths": {"ghcr.io": {"auth": "czNjcmV0"}}}"#, "not username:password"),
            (r#"{"auths": {"ghcr.io": {"auth": "s3cret!"}}}"#, "not text in base64"),
            (r#"{"auths": {"ghcr.io": {"auth": ["s3cret"]}}}"#, "isn't"),
            (r#"{"auths": {"ghcr.io": {"username": "s3cret"}}}"#, "without a \"password\""),
            (r#"{"auths": {"ghcr.io": {"password": "s3cret"}}}"#, "without a \"username\""),
            (r#"{"auths": {"ghcr.io": {"username": "a:b", "password": "s3cret"}}}"#, "with a colon"),
        ] {
            let error = read(config, "ghcr.io/acme").unwrap_err();
            assert!(error.starts_with("Secret \"pull\": ") && error.contains(why), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
            // A mistake in one entry doesn't affect other registries.
            assert!(why.starts_with("not an object") || read(config, "quay.io/acme").unwrap().is_none());
        }
        assert!(read("{}", "ghcr.io/acme").unwrap().is_none());
        let image = "ghcr.io/acme".parse().unwrap();
        let error = credentials_for("pull", &BTreeMap::new(), &image).unwrap_err();
        assert!(error.contains("\".dockerconfigjson\" is missing"), "{error}");
    }

    #[test]
    fn credentials_are_not_shown() {
        let config = json!({"auths": {"ghcr.io": {"username": "s3cret", "password": "s3cret"}}});
        let found = read(&config.to_string(), "ghcr.io/acme").unwrap();
        assert_eq!(format!("{found:?}"), "Some(Credentials([REDACTED]))");
    }

    proptest! {
        #[test]
        fn anything_is_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200), key in "\\PC{0,40}", auth in "\\PC{0,40}") {
            let image = "ghcr.io/acme/shop".parse().unwrap();
            let data = BTreeMap::from([(DOCKER_CONFIG_JSON.to_owned(), bytes)]);
            let _ = credentials_for("pull", &data, &image);
            let _ = read(&json!({"auths": {key: {"auth": auth}, "ghcr.io": {"auth": base64_of(&auth)}}}).to_string(), "ghcr.io/a");
        }
    }
}
