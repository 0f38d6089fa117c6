//! Every name that is made from others: namespaces, hosts, URLs, objects, and environments on GitHub.
//!
//! Names made here are short and readable, so two different environments can come to the same one (`shop-a` with `b`, `shop` with
//! `a-b`; the same PreviewRepository's name in two namespaces). Who holds a namespace or host is decided by UID, never by name. Objects of one
//! namespace can't share a name, so [`claims`](crate::core::deployment::ownership) lets only one of two such entries have it.

use sha2::{Digest as _, Sha256};

use crate::api::{DeploymentRequestSpec, Endpoint, RepositoryEnvironment, Routing};
use crate::core::dns_label::{MAX_LABEL, dns_label};
use crate::core::forge::same_environment;

/// The longest value of a Kubernetes label, which is as long as a DNS label.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/>
const MAX_LABEL_VALUE: usize = MAX_LABEL;
/// The longest host name. <https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4>
const MAX_HOST: usize = 253;
/// The environment whose name is left out of namespaces and hosts.
const USUAL_ENVIRONMENT: &str = "preview";
/// Stands for the pull request's number in the name of an environment on GitHub.
const NUMBER: &str = "{number}";

/// What the name of an environment on GitHub means to an environment of a PreviewRepository that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belongs {
    /// It is that pull request's environment.
    PullRequest(i64),
    /// It is the one environment there is.
    Standing,
}

impl Belongs {
    /// The pull request's number, if the environment is one's.
    pub const fn pull_request(self) -> Option<i64> {
        match self {
            Self::PullRequest(number) => Some(number),
            Self::Standing => None,
        }
    }
}

/// The preview's namespace: `preview-shop-pr-7`, `preview-shop-docs-pr-7`, `preview-shop-staging`. A DNS label.
///
/// `repository` is the name of the PreviewRepository object, `environment` the name of its entry there.
pub fn namespace(repository: &str, environment: &str, pull_request: Option<i64>) -> String {
    let text = match pull_request {
        Some(number) if environment == USUAL_ENVIRONMENT => format!("preview-{repository}-pr-{number}"),
        Some(number) => format!("preview-{repository}-{environment}-pr-{number}"),
        None => format!("preview-{repository}-{environment}"),
    };
    dns_label(&[&text], MAX_LABEL)
}

/// Host name of the first endpoint: `pr-7-shop.<domain>`, `docs-pr-7-shop.<domain>`, `staging-shop.<domain>`. At most 253 characters,
/// for domains of up to 190 as the schema has them; always one label deep, since a wildcard certificate covers no more.
pub fn host(repository: &str, environment: &str, pull_request: Option<i64>, domain: &str) -> String {
    let text = match pull_request {
        Some(number) if environment == USUAL_ENVIRONMENT => format!("pr-{number}-{repository}"),
        Some(number) => format!("{environment}-pr-{number}-{repository}"),
        None => format!("{environment}-{repository}"),
    };
    in_domain(&text, domain)
}

/// Host name of an endpoint that isn't the first: `<endpoint>-<host>`.
pub fn endpoint_host(endpoint: &str, host: &str) -> String {
    let (label, domain) = host.split_once('.').unwrap_or((host, ""));
    in_domain(&format!("{endpoint}-{label}"), domain)
}

/// Host name of each endpoint, in their order: the first has the environment's own, the others have
/// names made from it. Empty without endpoints.
pub fn hosts(host: &str, endpoints: &[Endpoint]) -> Vec<String> {
    let first = endpoints.first().map(|_| host.to_owned());
    let others = endpoints.iter().skip(1).map(|endpoint| endpoint_host(&endpoint.name, host));
    first.into_iter().chain(others).collect()
}

/// URL of a host under the class's scheme and port; without a path, and without the port that the scheme has anyway.
pub fn url(routing: &Routing, host: &str) -> String {
    let scheme = routing.scheme.as_str();
    match routing.port {
        Some(port) if port != routing.scheme.default_port() => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://{host}"),
    }
}

/// Name of the `PreviewEnvironment`: `shop-preview-pr-7`, `shop-staging`.
pub fn preview_environment(repository: &str, environment: &str, pull_request: Option<i64>) -> String {
    match pull_request {
        Some(number) => format!("{repository}-{environment}-pr-{number}"),
        None => format!("{repository}-{environment}"),
    }
}

/// Whether objects of two entries can come to the same name. Each is given as the name of its PreviewRepository object and the entry; both are in
/// one namespace.
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

/// The pull request for which a name is what comes of `base`.
fn pull_request_in(name: &str, base: &str) -> Option<i64> {
    let text = name.strip_prefix(base)?.strip_prefix("-pr-")?;
    text.parse::<i64>().ok().filter(|number| *number > 0 && number.to_string() == text)
}

/// What the name of a `PreviewEnvironment` means to an entry of a PreviewRepository of that name.
pub fn meaning(name: &str, repository: &str, entry: &RepositoryEnvironment) -> Option<Belongs> {
    let base = preview_environment(repository, &entry.name, None);
    if is_of_pull_requests(entry) {
        pull_request_in(name, &base).map(Belongs::PullRequest)
    } else {
        (name == base).then_some(Belongs::Standing)
    }
}

/// Name of the `DeploymentRequest` for a commit: that of the `PreviewEnvironment` and the first 12 characters of the SHA.
pub fn deployment_request(
    repository: &str,
    environment: &str,
    pull_request: Option<i64>,
    sha: &str,
) -> String {
    let sha: String = sha.chars().take(12).collect();
    format!("{}-{sha}", preview_environment(repository, environment, pull_request))
}

/// Name of a `DeploymentRequest` whose own name another one has, as that of the same commit on another branch: with eight hexadecimal digits
/// of what tells the two apart.
pub fn distinct_request(name: &str, spec: &DeploymentRequestSpec) -> String {
    let number = spec.pull_request.as_ref().map_or(0, |reference| reference.number);
    let branch = spec.requested_by.branch.as_deref().unwrap_or_default();
    let whole =
        [&spec.repository_ref.name, &spec.environment, &number.to_string(), &spec.sha, branch].join("\n");
    format!("{name}-{}", short_hash(&whole))
}

/// Name of the environment on GitHub for a pull request, or for none. `None` when the entry has no such environment: a pull request's
/// of an entry with one standing environment, or the other way round.
pub fn github_environment(environment: &RepositoryEnvironment, pull_request: Option<i64>) -> Option<String> {
    let pattern = github_pattern(environment);
    match (pattern.contains(NUMBER), pull_request) {
        (true, Some(number)) => Some(pattern.replace(NUMBER, &number.to_string())),
        (false, None) => Some(pattern),
        _ => None,
    }
}

/// Name on GitHub of the environment that is meant from where a pull request, or none, stands: the one that all share, or the pull
/// request's own.
pub fn place_seen_from(environment: &RepositoryEnvironment, pull_request: Option<i64>) -> Option<String> {
    github_environment(environment, None).or_else(|| github_environment(environment, pull_request))
}

/// Whether the name of an environment on GitHub belongs to this entry of a PreviewRepository, and what it means there. Case is ignored, as
/// GitHub does.
pub fn pull_request_of(environment: &RepositoryEnvironment, github_name: &str) -> Option<Belongs> {
    let pattern = github_pattern(environment);
    let Some((before, _)) = pattern.split_once(NUMBER) else {
        return same_environment(&pattern, github_name).then_some(Belongs::Standing);
    };
    let lower = github_name.to_lowercase();
    let rest = lower.strip_prefix(&before.to_lowercase())?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    // What follows the number may begin with a digit too, so each length is tried and the whole name compared.
    (1..=digits)
        .filter_map(|length| rest[..length].parse::<i64>().ok())
        .filter(|number| *number > 0)
        .find(|number| same_environment(&pattern.replace(NUMBER, &number.to_string()), github_name))
        .map(Belongs::PullRequest)
}

/// Whether each pull request has an environment of its own of this entry.
pub fn is_of_pull_requests(environment: &RepositoryEnvironment) -> bool {
    github_pattern(environment).contains(NUMBER)
}

/// Name of the environment on GitHub as a PreviewRepository writes it, with `{number}` where each pull request has its own.
pub fn github_pattern(environment: &RepositoryEnvironment) -> String {
    let of_pull_requests = environment.trigger.as_ref().is_some_and(|trigger| trigger.pull_request.is_some());
    match &environment.github_environment {
        Some(name) => name.clone(),
        None if of_pull_requests => format!("{}/pr-{NUMBER}", environment.name),
        None => environment.name.clone(),
    }
}

/// A value for a Kubernetes label: the text itself where it may stand there, else what may of it, cut, with a hash of the whole.
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

/// A DNS label (RFC 1123) of at most `max` characters out of any text, for people to read. Other characters than letters and digits become
/// a hyphen, many in a row one; too long a text is cut and gets a hash of the whole, and one without a single letter or digit becomes its
/// hash. Unlike those of [`dns_label`], the labels of two texts can be the same (`Fix/1` and `fix-1`).
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

/// The beginning of `kept` (ASCII), and eight hexadecimal digits of the SHA-256 of the whole text, in at most `max` characters.
fn cut_and_hash(kept: &str, whole: &str, max: usize) -> String {
    let hash = short_hash(whole);
    let room = max.saturating_sub(hash.len() + 1).min(kept.len());
    let start = kept[..room].trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    if start.is_empty() { hash } else { format!("{start}-{hash}") }
}

/// Eight hexadecimal digits of the SHA-256.
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
        // What can't stand in a label is replaced, with a hash so that `shop-web` has another.
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
    fn entries_whose_objects_can_have_one_name_clash() {
        let (web, staging) = (entry("web-staging", None, false), entry("staging", None, false));
        assert!(can_clash(("c8", &web), ("c8-web", &staging)));
        assert!(!can_clash(("c8", &web), ("c8-app", &staging)));
        let (previews, docs) = (entry("web", None, true), entry("web-docs", None, true));
        assert!(can_clash(("shop", &docs), ("shop-web", &entry("docs", None, true))));
        assert!(!can_clash(("shop", &previews), ("shop", &docs)));
        // One pull request's environment, and one that is named like it.
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
    fn requests_for_one_commit_of_two_branches_have_names_of_their_own() {
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
        // Nobody triggers it here, but the name says that it is for pull requests.
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
