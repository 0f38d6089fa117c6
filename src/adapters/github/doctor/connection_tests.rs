use serde_json::json;

use super::*;
use crate::adapters::github::doctor::app_permissions::tests::grants;
use crate::core::doctor::Verdict;
use crate::core::doctor::repositories::tests::repository;

fn app() -> App {
    let permissions = grants(&[("deployments", "write"), ("metadata", "read"), ("pull_requests", "read")]);
    App {
        registration: Registration {
            slug: "matinee".into(),
            owner: None,
            html_url: "https://github.com/apps/matinee".into(),
            permissions: permissions.clone(),
            events: vec!["deployment".into(), "pull_request".into()],
        },
        only: None,
        installations: vec![Installation {
            id: 7,
            account: Some(Login { login: "Acme".into(), kind: "Organization".into() }),
            html_url: "https://github.com/organizations/acme/settings/installations/7".into(),
            permissions,
            suspended_at: None,
        }],
        hook: Some(Hook {
            url: Some("https://m.example.com/webhooks/github".into()),
            insecure_ssl: json!("0"),
        }),
        deliveries: vec![Delivery { guid: "a".into(), status: "OK".into(), status_code: 202 }],
    }
}

fn previews() -> PreviewRepository {
    repository(json!({"trigger": {"pullRequest": {}}}))
}

/// Returns all problems of an App that serves one PreviewRepository with previews.
fn troubles(app: App) -> Vec<Finding> {
    let repositories = [previews()];
    let identity = Ok(Identity::App(Box::new(app)));
    let uses = Uses::of(&repositories, &[]);
    let mut all = check(&identity, Some(SignedDuration::ZERO), &repositories, &uses);
    all.retain(|finding| matches!(finding.verdict, Verdict::Warning | Verdict::Problem));
    assert!(all.iter().all(|finding| finding.remedy.is_some()), "{all:?}");
    all
}

fn installed(change: impl FnOnce(&mut Installation)) -> App {
    let mut app = app();
    change(&mut app.installations[0]);
    app
}

/// Returns the only problem.
fn trouble(app: App, verdict: Verdict) -> (String, String) {
    let mut all = troubles(app);
    assert_eq!(all.len(), 1, "{all:?}");
    let finding = all.remove(0);
    assert_eq!(finding.verdict, verdict, "{finding:?}");
    (finding.message, finding.remedy.unwrap())
}

#[test]
fn a_correct_app_has_no_problems() {
    assert_eq!(troubles(app()), []);
}

#[test]
fn rejected_credentials_have_a_remedy_by_cause() {
    for (why, remedy) in [
        (
            "GitHub credentials: GET /app: 401 'Issued at' claim ('iat') must be an Integer",
            "set this machine's clock",
        ),
        ("GitHub did not answer: GET /app: connection refused", "spec.forge.github.url"),
        ("GitHub credentials: GET /app: 401 Bad credentials", "appId and privateKey"),
    ] {
        let found = check(&Err(why.to_owned()), None, &[], &Uses::default());
        assert_eq!((found.len(), found[0].verdict), (1, Verdict::Problem));
        assert_eq!(found[0].message, why);
        assert!(found[0].remedy.as_ref().unwrap().contains(remedy), "{found:?}");
    }
}

#[test]
fn a_clock_far_ahead_is_a_problem_for_apps() {
    let with = |seconds, identity| {
        check(&Ok(identity), Some(SignedDuration::from_secs(seconds)), &[], &Uses::default())[1].clone()
    };
    let token = || Identity::Token { login: None, scopes: None };
    let as_app = || Identity::App(Box::new(app()));
    assert_eq!(with(-20, as_app()).verdict, Verdict::Ok);
    assert_eq!(with(45, as_app()).verdict, Verdict::Warning);
    let far = with(61, as_app());
    assert_eq!(far.verdict, Verdict::Problem);
    assert_eq!(far.message, "this machine's clock is 61 s ahead of GitHub's");
    assert!(far.remedy.unwrap().contains("NTP"));
    assert_eq!(with(-300, token()).verdict, Verdict::Warning);
}

#[test]
fn a_token_is_judged_by_its_scopes() {
    let of = |scopes: Option<&str>| {
        let token = Identity::Token { login: Some("mona".into()), scopes: scopes.map(str::to_owned) };
        check(&Ok(token), None, &[], &Uses::default())
    };
    let classic = of(Some("user, repo"));
    assert_eq!(classic[0], Subject::new("credentials").ok("valid token of mona"));
    assert_eq!(classic[1].verdict, Verdict::Ok);
    assert_eq!(classic[2].verdict, Verdict::Skipped);
    assert!(classic[2].message.contains("only administrators"));
    let weak = of(Some("public_repo"));
    assert!(weak[1].verdict == Verdict::Problem && weak[1].remedy.is_some(), "{weak:?}");
    assert_eq!(of(None)[1].verdict, Verdict::Skipped);
}

#[test]
fn an_app_must_have_an_installation() {
    let (message, remedy) = trouble(App { installations: Vec::new(), ..app() }, Verdict::Problem);
    assert_eq!(message, "the App is not installed");
    assert_eq!(remedy, "install it: https://github.com/settings/apps/matinee/installations");
    let other = App { only: Some(8), installations: Vec::new(), ..app() };
    let (message, remedy) = trouble(other, Verdict::Problem);
    assert!(message.contains("no installation 8") && remedy.contains("installationId"));
    assert_eq!(troubles(App { only: Some(7), ..app() }), []);
}

#[test]
fn suspended_installation_is_a_problem_when_needed() {
    let since = || Some("2026-01-01T00:00:00Z".to_owned());
    let (message, remedy) = trouble(installed(|one| one.suspended_at = since()), Verdict::Problem);
    assert_eq!(message, "the installation on Acme is suspended");
    assert!(remedy.ends_with("/organizations/acme/settings/installations/7"));
    let mut other = app();
    other.installations.push(Installation {
        id: 8,
        account: Some(Login { login: "other".into(), ..Login::default() }),
        permissions: other.registration.permissions.clone(),
        suspended_at: since(),
        ..Installation::default()
    });
    trouble(other, Verdict::Warning);
}

#[test]
fn pending_permissions_are_reported() {
    let (message, remedy) = trouble(
        installed(|one| {
            one.permissions.insert("deployments".into(), "read".into());
        }),
        Verdict::Problem,
    );
    assert_eq!(message, "Acme hasn't accepted the App's new permissions: deployments: write");
    assert!(remedy.contains("accept them"));
    let mut unused = app();
    unused.registration.permissions.insert("checks".into(), "read".into());
    let (message, _) = trouble(unused, Verdict::Warning);
    assert!(message.ends_with("checks: read"), "nobody needs it yet: {message}");
}

#[test]
fn events_and_deliveries_are_checked_only_with_a_webhook() {
    let none =
        App { hook: None, registration: Registration { events: Vec::new(), ..app().registration }, ..app() };
    let (message, _) = trouble(none, Verdict::Warning);
    assert!(message.contains("the App has none"), "{message}");
    let failed = Delivery { guid: "b".into(), status: String::new(), status_code: 403 };
    let (_, remedy) = trouble(App { deliveries: vec![failed], ..app() }, Verdict::Problem);
    assert!(remedy.contains("the secrets differ"));
    let mut unsubscribed = app();
    unsubscribed.registration.events = vec!["pull_request".into()];
    let (message, _) = trouble(unsubscribed, Verdict::Warning);
    assert!(message.contains("\"Deployments\""), "{message}");
}

#[test]
fn an_organizations_app_is_set_up_there() {
    let settings = |kind: &str| {
        let owner = Some(Login { login: "acme".into(), kind: kind.into() });
        let html_url = "https://ghe.example.com/github-apps/m".into();
        Registration { slug: "m".into(), owner, html_url, ..Registration::default() }.settings()
    };
    assert_eq!(settings("Organization"), "https://ghe.example.com/organizations/acme/settings/apps/m");
    assert_eq!(settings("User"), "https://ghe.example.com/settings/apps/m");
}

#[test]
fn answers_of_github_may_have_gaps() {
    let installation: Installation =
        serde_json::from_value(json!({"id": 7, "account": null, "suspended_at": null})).unwrap();
    assert_eq!(installation, Installation { id: 7, ..Installation::default() });
    let hook: Hook = serde_json::from_value(json!({"url": null, "insecure_ssl": 0})).unwrap();
    assert_eq!(hook.url, None);
    let registration: Registration = serde_json::from_value(json!({"slug": "m", "owner": null})).unwrap();
    assert_eq!(registration.slug, "m");
}
