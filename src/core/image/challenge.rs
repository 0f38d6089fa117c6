//! A registry's authentication challenge: the header `WWW-Authenticate` (RFC 9110, section 11.6.1),
//! and the Bearer parameters that registries use
//! (<https://distribution.github.io/distribution/spec/auth/token/>).

use http_auth::ChallengeRef;
use http_auth::parser::ChallengeParser;

/// Most bytes of all headers together, and most challenges in them. Real ones have a few hundred
/// bytes.
const LONGEST: usize = 8 << 10;
const MOST_CHALLENGES: usize = 16;

/// The authentication that a registry requires.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Challenge {
    /// Username and password (RFC 7617).
    Basic,
    /// A token from a token endpoint.
    Bearer(Bearer),
}

/// A Bearer challenge: the token endpoint and what the token is for. The registry sent all of it,
/// and nothing is validated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bearer {
    /// URL of the token endpoint.
    pub realm: String,
    /// The service that the token is for.
    pub service: Option<String>,
    /// The access that the token grants.
    pub scope: Option<String>,
}

impl Bearer {
    /// Returns the scope to request: only `pull`, even if the registry proposes more. The
    /// repository's name is taken from the registry's scope, since some registries use another name
    /// for it.
    pub fn pull_scope(&self, repository: &str) -> String {
        let proposed = self.scope.as_deref().and_then(|scope| {
            let mut parts = scope.split_ascii_whitespace().next()?.splitn(3, ':');
            let (kind, name, actions) = (parts.next()?, parts.next()?, parts.next()?);
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
            (kind == "repository"
                && (1..=512).contains(&name.len())
                && name.bytes().all(plain)
                && actions.split(',').any(|action| action == "pull"))
            .then_some(name)
        });
        format!("repository:{}:pull", proposed.unwrap_or(repository))
    }
}

/// Returns the challenge to answer, from the values of the headers `WWW-Authenticate`; Bearer is
/// preferred. The part of a header after a syntax error is ignored.
///
/// # Errors
/// The reason why no challenge can be answered, as text for a status.
pub fn challenge<'a>(headers: impl IntoIterator<Item = &'a str>) -> Result<Challenge, String> {
    let mut wrong = None;
    let mut others = Vec::new();
    let mut basic = false;
    let (mut length, mut count) = (0, 0);
    for header in headers {
        length += header.len();
        if length > LONGEST {
            return Err(format!("its WWW-Authenticate has more than {LONGEST} bytes"));
        }
        for parsed in ChallengeParser::new(header) {
            count += 1;
            if count > MOST_CHALLENGES {
                return Err(format!("its WWW-Authenticate has more than {MOST_CHALLENGES} challenges"));
            }
            // The parser's errors repeat the input, which must not get into a status.
            let Ok(parsed) = parsed else {
                wrong.get_or_insert("its WWW-Authenticate can't be read");
                break;
            };
            if parsed.scheme.eq_ignore_ascii_case("bearer") {
                match bearer(&parsed) {
                    Ok(bearer) => return Ok(Challenge::Bearer(bearer)),
                    Err(why) => wrong = Some(why),
                }
            } else if parsed.scheme.eq_ignore_ascii_case("basic") {
                basic = true;
            } else {
                others.push(crate::core::truncate::cut(parsed.scheme, 20));
            }
        }
    }
    if basic {
        return Ok(Challenge::Basic);
    }
    Err(match wrong {
        Some(why) => why.into(),
        None if others.is_empty() => "it doesn't say how (no WWW-Authenticate)".into(),
        None => format!("it requires {}, and Matinee supports only Basic and Bearer", others.join(", ")),
    })
}

fn bearer(challenge: &ChallengeRef<'_>) -> Result<Bearer, &'static str> {
    let parameter = |name: &str| {
        let mut found = challenge.params.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let first = found.next().map(|(_, value)| value.to_unescaped());
        // Parsers disagree on which of two equal parameters counts.
        if found.next().is_some() { Err("its Bearer challenge names a parameter twice") } else { Ok(first) }
    };
    let realm = parameter("realm")?.filter(|realm| !realm.is_empty());
    Ok(Bearer {
        realm: realm.ok_or("its Bearer challenge has no realm")?,
        service: parameter("service")?,
        scope: parameter("scope")?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        let [service, scope] = [service, scope].map(|text| text.map(str::to_owned));
        Challenge::Bearer(Bearer { realm: realm.to_owned(), service, scope })
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull""#;
        let scope = Some("repository:library/alpine:pull");
        let expected = bearer("https://auth.docker.io/token", Some("registry.docker.io"), scope);
        assert_eq!(challenge([hub]), Ok(expected.clone()));
        let failed = format!("{hub},error=\"insufficient_scope\"");
        assert_eq!(challenge([&*failed]), Ok(expected.clone()));
        // Several challenges, in one header and in two, in any order. Schemes and names ignore
        // case.
        assert_eq!(challenge([&*format!("Basic realm=\"x\", {hub}")]), Ok(expected.clone()));
        assert_eq!(challenge(["Basic realm=\"x\"", hub]), Ok(expected.clone()));
        let shouted = hub.replace("Bearer realm", "bEARER REALM");
        assert_eq!(challenge(["Negotiate", &shouted]), Ok(expected));
        assert_eq!(challenge(["BASIC realm=\"x, Bearer realm=\\\"y\\\"\""]), Ok(Challenge::Basic));
        assert_eq!(challenge(["Basic"]), Ok(Challenge::Basic));
        let escaped = r#"Bearer realm="https://x/\t\"oken\\", service=plain"#;
        assert_eq!(challenge([escaped]), Ok(bearer(r#"https://x/t"oken\"#, Some("plain"), None)));
        // A syntax error hides only the challenges after it.
        assert_eq!(challenge(["Basic realm=\"x\"", "Bearer realm=\"open"]), Ok(Challenge::Basic));
    }

    #[test]
    fn what_can_not_be_answered_is_told() {
        let (long, many) = (format!("Basic realm=\"{}\"", "x".repeat(LONGEST)), vec!["Digest"; 17]);
        for (headers, why) in [
            (vec![], "no WWW-Authenticate"),
            (vec!["Digest realm=\"x\", nonce=\"y\", Negotiate"], "it requires Digest, Negotiate"),
            (vec!["Bearer service=\"x\""], "no realm"),
            (vec!["Bearer realm=\"\""], "no realm"),
            (vec!["Bearer realm=\"a\", realm=\"b\""], "twice"),
            (vec!["Bearer realm=\"secret-open"], "can't be read"),
            (vec!["\u{e9}\u{0}"], "can't be read"),
            (vec![&*long], "more than 8192 bytes"),
            (many, "more than 16 challenges"),
        ] {
            let error = challenge(headers.iter().copied()).unwrap_err();
            assert!(error.contains(why) && !error.contains("secret"), "{headers:?}: {error}");
        }
    }

    #[test]
    fn only_pulling_is_asked_for() {
        for (proposed, asked) in [
            (None, "repository:acme/shop:pull"),
            (Some("repository:acme/shop:pull"), "repository:acme/shop:pull"),
            (Some("repository:mirror/acme/shop:push,pull,delete"), "repository:mirror/acme/shop:pull"),
            (Some("repository:acme/shop:pull repository:x:push"), "repository:acme/shop:pull"),
            (Some("repository:x:push"), "repository:acme/shop:pull"),
            (Some("registry:catalog:*"), "repository:acme/shop:pull"),
            (Some("repository:a b:pull"), "repository:acme/shop:pull"),
            (Some("repository:x&y=z:pull"), "repository:acme/shop:pull"),
            (Some("repository::pull"), "repository:acme/shop:pull"),
        ] {
            let Challenge::Bearer(bearer) = bearer("https://x", None, proposed) else { unreachable!() };
            assert_eq!(bearer.pull_scope("acme/shop"), asked, "{proposed:?}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_harm(headers in proptest::collection::vec("\\PC{0,60}", 0..4)) {
            let _ = challenge(headers.iter().map(String::as_str));
        }

        #[test]
        fn headers_that_are_nearly_right_are_read_without_harm(
            headers in proptest::collection::vec("(Bearer|Basic|,| |=|\"|\\\\|realm|service|x|é){0,14}", 0..4)
        ) {
            let _ = challenge(headers.iter().map(String::as_str));
        }

        #[test]
        fn quoted_realm_round_trips(realm in "[ -~]{1,40}") {
            let quoted = realm.replace('\\', "\\\\").replace('"', "\\\"");
            prop_assert_eq!(challenge([&*format!("Bearer realm=\"{quoted}\"")]), Ok(bearer(&realm, None, None)));
        }
    }
}
