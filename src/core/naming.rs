//! Names made from other names: namespaces, hosts, URLs, objects, and environments on GitHub.
//!
//! These names are short and readable, so two environments can get the same one: `shop-a` with `b`
//! and `shop` with `a-b`, or PreviewRepositories of the same name in two namespaces. The UID, never
//! the name, decides which environment owns a namespace or host. Objects in one namespace can't
//! share a name, so [`ownership`](crate::core::deployment::ownership) gives the name to only one of
//! two such entries.

use sha2::{Digest as _, Sha256};

use crate::api::{DeploymentRequestSpec, Endpoint, RepositoryEnvironment, Routing};
use crate::core::dns_label::{MAX_LABEL, dns_label};
use crate::core::forge::same_environment;

/// Longest value of a Kubernetes label, which is as long as a DNS label.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/>
const MAX_LABEL_VALUE: usize = MAX_LABEL;
/// Longest host name. <https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4>
const MAX_HOST: usize = 253;
/// Name of the default environment. Namespaces and hosts leave it out.
const USUAL_ENVIRONMENT: &str = "preview";
/// Placeholder for the pull request's number in the name of an environment on GitHub.
const NUMBER: &str = "{number}";

/// Kind of environment that a name on GitHub refers to, within an entry of a PreviewRepository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belongs {
    /// The environment of this pull request.
    PullRequest(i64),
    /// The entry's only environment, shared by all.
    Standing,
}

impl Belongs {
    /// Returns the pull request's number, if the environment belongs to one.
    pub const fn pull_request(self) -> Option<i64> {
        match self {
            Self::PullRequest(number) => Some(number),
            Self::Standing => None,
        }
    }
}

/// Returns the name of the preview's namespace, a DNS label: `preview-shop-pr-7`,
/// `preview-shop-docs-pr-7`, `preview-shop-staging`.
///
/// `repository` is the name of the PreviewRepository object, `environment` the name of its entry
/// there.
pub fn namespace(repository: &str, environment: &str, pull_request: Option<i64>) -> String {
    let text = match pull_request {
        Some(number) if environment == USUAL_ENVIRONMENT => format!("preview-{repository}-pr-{number}"),
        Some(number) => format!("preview-{repository}-{environment}-pr-{number}"),
        None => format!("preview-{repository}-{environment}"),
    };
    dns_label(&[&text], MAX_LABEL)
}

/// Returns the host name of the first endpoint: `pr-7-shop.<domain>`, `docs-pr-7-shop.<domain>`,
/// `staging-shop.<domain>`. It has at most 253 characters for domains of at most 190, the limit in
/// the schema. It is always one label deep, because a wildcard certificate covers only one.
pub fn host(repository: &str, environment: &str, pull_request: Option<i64>, domain: &str) -> String {
    let text = match pull_request {
        Some(number) if environment == USUAL_ENVIRONMENT => format!("pr-{number}-{repository}"),
        Some(number) => format!("{environment}-pr-{number}-{repository}"),
        None => format!("{environment}-{repository}"),
    };
    in_domain(&text, domain)
}

/// Returns the host name of any endpoint but the first: `<endpoint>-<host>`.
pub fn endpoint_host(endpoint: &str, host: &str) -> String {
    let (label, domain) = host.split_once('.').unwrap_or((host, ""));
    in_domain(&format!("{endpoint}-{label}"), domain)
}

/// Returns the host names of the endpoints, in their order. The first endpoint has the
/// environment's host name, the others have names made from it. Empty without endpoints.
pub fn hosts(host: &str, endpoints: &[Endpoint]) -> Vec<String> {
    let first = endpoints.first().map(|_| host.to_owned());
    let others = endpoints.iter().skip(1).map(|endpoint| endpoint_host(&endpoint.name, host));
    first.into_iter().chain(others).collect()
}

/// Returns the URL of a host with the class's scheme and port, without a path. It leaves the
/// scheme's default port out.
pub fn url(routing: &Routing, host: &str) -> String {
    let scheme = routing.scheme.as_str();
    match routing.port {
        Some(port) if port != routing.scheme.default_port() => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://{host}"),
    }
}

/// Returns the name of the `PreviewEnvironment`: `shop-preview-pr-7`, `shop-staging`.
pub fn preview_environment(repository: &str, environment: &str, pull_request: Option<i64>) -> String {
    match pull_request {
        Some(number) => format!("{repository}-{environment}-pr-{number}"),
        None => format!("{repository}-{environment}"),
    }
}

/// Whether objects of two entries can get the same name. Each entry comes with the name of its
/// PreviewRepository object; both objects are in one namespace.
pub fn can_clash(one: (&str, &RepositoryEnvironment), other: (&str, &RepositoryEnvironment)) -> bool {
    let [first, second] =
        [one, other].map(|(repository, entry)| preview_environment(repository, &entry.name, None));
    match (is_of_pull_requests(one.1), is_of_pull_requests(other.1)) {
        (false, true) => is_of_a_pull_request(&first, &second),
        (true, false) => is_of_a_pull_request(&second, &first),
        (true, true) | (false, false) => first == second,
    }
}

fn is_of_a_pull_request(name: &str, base: &str) -> bool {
    pull_request_in(name, base).is_some()
}

/// Returns the number of the pull request if the name is `<base>-pr-<number>`.
fn pull_request_in(name: &str, base: &str) -> Option<i64> {
    let text = name.strip_prefix(base)?.strip_prefix("-pr-")?;
    text.parse::<i64>().ok().filter(|number| *number > 0 && number.to_string() == text)
}

/// Returns what the name of a `PreviewEnvironment` refers to within an entry of the
/// PreviewRepository `repository`.
pub fn meaning(name: &str, repository: &str, entry: &RepositoryEnvironment) -> Option<Belongs> {
    let base = preview_environment(repository, &entry.name, None);
    if is_of_pull_requests(entry) {
        pull_request_in(name, &base).map(Belongs::PullRequest)
    } else {
        (name == base).then_some(Belongs::Standing)
    }
}

/// Returns the name of the `DeploymentRequest` for a commit: the name of the `PreviewEnvironment`
/// and the first 12 characters of the SHA.
pub fn deployment_request(
    repository: &str,
    environment: &str,
    pull_request: Option<i64>,
    sha: &str,
) -> String {
    let sha: String = sha.chars().take(12).collect();
    format!("{}-{sha}", preview_environment(repository, environment, pull_request))
}

/// Returns another name for a `DeploymentRequest` whose name is taken, for example by a request for
/// the same commit on another branch. The suffix is eight hexadecimal digits of a hash of
/// repository, environment, pull request, commit and branch.
pub fn distinct_request(name: &str, spec: &DeploymentRequestSpec) -> String {
    let number = spec.pull_request.as_ref().map_or(0, |reference| reference.number);
    let branch = spec.requested_by.branch.as_deref().unwrap_or_default();
    let whole =
        [&spec.repository_ref.name, &spec.environment, &number.to_string(), &spec.sha, branch].join("\n");
    format!("{name}-{}", short_hash(&whole))
}

/// Returns the name of the environment on GitHub for a pull request, or for none. `None` when the
/// entry has no such environment: a pull request's environment of an entry with one shared
/// environment, or the reverse.
pub fn github_environment(environment: &RepositoryEnvironment, pull_request: Option<i64>) -> Option<String> {
    let pattern = github_pattern(environment);
    match (pattern.contains(NUMBER), pull_request) {
        (true, Some(number)) => Some(pattern.replace(NUMBER, &number.to_string())),
        (false, None) => Some(pattern),
        _ => None,
    }
}

/// Returns the name on GitHub of the environment that a pull request, or none, refers to: the
/// shared one if the entry has one, otherwise the pull request's own.
pub fn place_seen_from(environment: &RepositoryEnvironment, pull_request: Option<i64>) -> Option<String> {
    github_environment(environment, None).or_else(|| github_environment(environment, pull_request))
}

/// Returns what the name of an environment on GitHub refers to within this entry of a
/// PreviewRepository, or `None` when it belongs to another. Ignores case, as GitHub does.
pub fn pull_request_of(environment: &RepositoryEnvironment, github_name: &str) -> Option<Belongs> {
    let pattern = github_pattern(environment);
    let Some((before, _)) = pattern.split_once(NUMBER) else {
        return same_environment(&pattern, github_name).then_some(Belongs::Standing);
    };
    let lower = github_name.to_lowercase();
    let rest = lower.strip_prefix(&before.to_lowercase())?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    // The text after the number may begin with a digit too, so try each length and compare the
    // whole name.
    (1..=digits)
        .filter_map(|length| rest[..length].parse::<i64>().ok())
        .filter(|number| *number > 0)
        .find(|number| same_environment(&pattern.replace(NUMBER, &number.to_string()), github_name))
        .map(Belongs::PullRequest)
}

/// Whether each pull request has its own environment of this entry.
pub fn is_of_pull_requests(environment: &RepositoryEnvironment) -> bool {
    github_pattern(environment).contains(NUMBER)
}

/// Returns the name of the environment on GitHub as the PreviewRepository gives it, with `{number}`
/// where each pull request has its own.
pub fn github_pattern(environment: &RepositoryEnvironment) -> String {
    let of_pull_requests = environment.trigger.as_ref().is_some_and(|trigger| trigger.pull_request.is_some());
    match &environment.github_environment {
        Some(name) => name.clone(),
        None if of_pull_requests => format!("{}/pr-{NUMBER}", environment.name),
        None => environment.name.clone(),
    }
}

/// Returns a value for a Kubernetes label: the text itself if it is valid, otherwise its valid
/// characters, cut, with a hash of the whole text.
pub fn label_value(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let whole = text.len() <= MAX_LABEL_VALUE
        && text.chars().all(allowed)
        && !text.starts_with(|c: char| !c.is_ascii_alphanumeric())
        && !text.ends_with(|c: char| !c.is_ascii_alphanumeric());
    if whole {
        return text.to_owned();
    }
    let kept: String = text.chars().map(|c| if allowed(c) { c } else { '-' }).collect();
    cut_and_hash(kept.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()), text, MAX_LABEL_VALUE)
}

/// Returns a readable DNS label (RFC 1123) of at most `max` characters for any text. Every run of
/// characters other than letters and digits becomes one hyphen. A text that is too long is cut and
/// gets a hash of the whole, and one without a letter or digit becomes its hash. Unlike with
/// [`dns_label`], two texts can get the same label (`Fix/1` and `fix-1`).
pub fn slug(text: &str, max: usize) -> String {
    let mut label = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            label.push(c.to_ascii_lowercase());
        } else if !label.ends_with('-') && !label.is_empty() {
            label.push('-');
        }
    }
    label.truncate(label.trim_end_matches('-').len());
    if label.is_empty() || label.len() > max { cut_and_hash(&label, text, max) } else { label }
}

fn in_domain(text: &str, domain: &str) -> String {
    let max = MAX_LABEL.min(MAX_HOST.saturating_sub(domain.len() + 1));
    format!("{}.{domain}", dns_label(&[text], max))
}

/// Returns the beginning of `kept` (ASCII) and eight hexadecimal digits of the SHA-256 of the whole
/// text, in at most `max` characters.
fn cut_and_hash(kept: &str, whole: &str, max: usize) -> String {
    let hash = short_hash(whole);
    let room = max.saturating_sub(hash.len() + 1).min(kept.len());
    let start = kept[..room].trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    if start.is_empty() { hash } else { format!("{start}-{hash}") }
}

/// Returns eight hexadecimal digits of the text's SHA-256.
fn short_hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    format!("{:08x}", digest.iter().take(4).fold(0_u32, |hash, byte| hash << 8 | u32::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Commands, PullRequestTrigger, Scheme, Trigger};

    const LONG: &str = "a-repository-object-with-forty-letters-x";

    fn entry(name: &str, github: Option<&str>, of_pull_requests: bool) -> RepositoryEnvironment {
        RepositoryEnvironment {
            name: name.to_owned(),
            github_environment: github.map(str::to_owned),
            trigger: of_pull_requests
                .then(|| Trigger { pull_request: Some(PullRequestTrigger::default()), ..Trigger::default() }),
            gates: None,
            commands: Commands::default(),
            deploy: None,
            lifetime: None,
        }
    }

    #[test]
    fn names_are_those_that_users_expect() {
        assert_eq!(namespace("shop", "preview", Some(7)), "preview-shop-pr-7");
        assert_eq!(namespace("shop", "docs", Some(7)), "preview-shop-docs-pr-7");
        assert_eq!(namespace("shop", "staging", None), "preview-shop-staging");
        // Characters that are invalid in a label are replaced, and a hash distinguishes the name
        // from `shop-web`.
        assert_eq!(namespace("shop.web", "preview", Some(7)), "preview-shop-web-pr-7-ce49ef04");
        assert_eq!(host("shop", "preview", Some(7), "dev.example"), "pr-7-shop.dev.example");
        assert_eq!(host("shop", "docs", Some(7), "dev.example"), "docs-pr-7-shop.dev.example");
        assert_eq!(host("shop", "staging", None, "dev.example"), "staging-shop.dev.example");
        assert_eq!(endpoint_host("api", "pr-7-shop.dev.example"), "api-pr-7-shop.dev.example");
        assert_eq!(preview_environment("shop", "preview", Some(7)), "shop-preview-pr-7");
        assert_eq!(preview_environment("shop", "staging", None), "shop-staging");
        assert_eq!(
            deployment_request("shop", "preview", Some(7), "0123456789abcdef0123456789abcdef01234567"),
            "shop-preview-pr-7-0123456789ab"
        );
        assert_eq!(deployment_request("shop", "staging", None, "0123"), "shop-staging-0123");
    }

    #[test]
    fn entries_with_the_same_object_name_clash() {
        let (web, staging) = (entry("web-staging", None, false), entry("staging", None, false));
        assert!(can_clash(("c8", &web), ("c8-web", &staging)));
        assert!(!can_clash(("c8", &web), ("c8-app", &staging)));
        let (previews, docs) = (entry("web", None, true), entry("web-docs", None, true));
        assert!(can_clash(("shop", &docs), ("shop-web", &entry("docs", None, true))));
        assert!(!can_clash(("shop", &previews), ("shop", &docs)));
        // A pull request's environment, and a shared one with a similar name.
        for (standing, clashes) in [
            ("web-pr-7", true),
            ("web-pr-0", false),
            ("web-pr-07", false),
            ("web-pr-x", false),
            ("web", false),
        ] {
            let standing = entry(standing, None, false);
            assert_eq!(can_clash(("shop", &previews), ("shop", &standing)), clashes, "{}", standing.name);
            assert_eq!(can_clash(("shop", &standing), ("shop", &previews)), clashes, "{}", standing.name);
        }
        assert!(can_clash(("shop-web", &entry("pr-1", None, false)), ("shop", &previews)));
    }

    #[test]
    fn requests_of_two_branches_for_a_commit_have_distinct_names() {
        let of = |branch: &str| DeploymentRequestSpec {
            repository_ref: crate::api::LocalReference { name: "shop".to_owned() },
            environment: "staging".to_owned(),
            sha: "0".repeat(40),
            pull_request: None,
            requested_by: crate::api::RequestedBy { branch: Some(branch.to_owned()), ..Default::default() },
            parameters: Vec::new(),
            force: false,
            not_before: None,
        };
        let name = deployment_request("shop", "staging", None, &"0".repeat(40));
        let [main, again, release] = ["main", "main", "release/1"].map(|b| distinct_request(&name, &of(b)));
        assert_eq!(main, again);
        assert_ne!(main, release);
        assert!(main.starts_with("shop-staging-000000000000-") && main.len() == name.len() + 9, "{main}");
    }

    #[test]
    fn long_names_fit_and_differ() {
        let namespaces = [i64::MAX, i64::MAX - 1].map(|n| namespace(LONG, "an-environment-of-20", Some(n)));
        assert_ne!(namespaces[0], namespaces[1]);
        for name in &namespaces {
            assert_eq!(name.len(), MAX_LABEL, "{name}");
            assert!(name.starts_with("preview-a-repository-object-with-forty-letters-x-an-en"), "{name}");
        }
        let domain = format!("{}.example", "d".repeat(182));
        assert_eq!(domain.len(), 190);
        let hosts = [1, 2].map(|n| host(LONG, "an-environment-of-20", Some(n), &domain));
        assert_ne!(hosts[0], hosts[1]);
        let second = endpoint_host("an-endpoint-with--20", &hosts[0]);
        assert_ne!(second, hosts[0]);
        for host in hosts.iter().chain([&second]) {
            assert!(host.len() <= 253, "{host}");
            assert!(host.split('.').next().is_some_and(|label| label.len() <= MAX_LABEL), "{host}");
            assert!(host.ends_with(&format!(".{domain}")), "{host}");
        }
    }

    #[test]
    fn any_text_becomes_a_label() {
        assert_eq!(slug("Feature/ÜBER_cool!!", 63), "feature-ber-cool");
        assert_eq!(slug("--", 63).len(), 8);
        assert_ne!(slug("--", 63), slug("…", 63));
        assert_eq!(slug("abcdefgh-ijklmnopq", 17), "abcdefgh-d1da5081");
        assert_eq!(label_value("shop.Web_1"), "shop.Web_1");
        assert_eq!(label_value(""), "");
        for text in ["_x", "x.", "a b", &"long-".repeat(20)] {
            let value = label_value(text);
            assert!(value.len() <= 63 && value.as_bytes()[value.len() - 9] == b'-', "{value}");
            assert!(value.starts_with(|c: char| c.is_ascii_alphanumeric()), "{value}");
        }
    }

    #[test]
    fn urls_name_only_a_port_that_the_scheme_does_not_imply() {
        let mut routing = Routing {
            domain: "dev.example".into(),
            scheme: Scheme::Http,
            port: None,
            probe_address: None,
            gateway: None,
            ingress: None,
        };
        assert_eq!(url(&routing, "pr-7-shop.dev.example"), "http://pr-7-shop.dev.example");
        routing.port = Some(8080);
        assert_eq!(url(&routing, "h.example"), "http://h.example:8080");
        routing.port = Some(443);
        assert_eq!(url(&routing, "h.example"), "http://h.example:443");
        routing.scheme = Scheme::Https;
        assert_eq!(url(&routing, "h.example"), "https://h.example");
    }

    #[test]
    fn names_on_github_lead_to_the_environment_and_back() {
        let preview = entry("preview", None, true);
        assert_eq!(github_environment(&preview, Some(12)).as_deref(), Some("preview/pr-12"));
        assert_eq!(github_environment(&preview, None), None);
        let staging = entry("staging", None, false);
        assert_eq!(github_environment(&staging, None).as_deref(), Some("staging"));
        assert_eq!(github_environment(&staging, Some(1)), None);
        assert_eq!(place_seen_from(&staging, Some(1)).as_deref(), Some("staging"));
        assert_eq!(place_seen_from(&preview, Some(12)).as_deref(), Some("preview/pr-12"));
        assert_eq!(place_seen_from(&preview, None), None);
        // The entry has no trigger, but its name says that it is for pull requests.
        let by_hand = entry("docs", Some("Docs {number}0 of {number}"), false);
        assert_eq!(github_environment(&by_hand, Some(3)).as_deref(), Some("Docs 30 of 3"));

        for (entry, name, meaning) in [
            (&preview, "preview/pr-12", Some(Belongs::PullRequest(12))),
            (&preview, "Preview/PR-12", Some(Belongs::PullRequest(12))),
            (&preview, "preview/pr-", None),
            (&preview, "preview/pr-0", None),
            (&preview, "preview/pr-012", None),
            (&preview, "preview/pr-12x", None),
            (&preview, "preview/pr--12", None),
            (&preview, "preview/pr-99999999999999999999", None),
            (&preview, "preview", None),
            (&preview, "", None),
            (&staging, "STAGING", Some(Belongs::Standing)),
            (&staging, "staging/pr-1", None),
            (&by_hand, "docs 1230 OF 123", Some(Belongs::PullRequest(123))),
            (&by_hand, "docs 1000 of 100", Some(Belongs::PullRequest(100))),
            (&by_hand, "docs 1230 of 124", None),
            (&by_hand, "docs 123 of 123", None),
        ] {
            assert_eq!(pull_request_of(entry, name), meaning, "{name}");
        }
    }
}
