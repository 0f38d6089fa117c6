use serde_json::json;

use super::*;
use crate::adapters::github::doctor::app_permissions::tests::grants;
use crate::core::doctor::Verdict;
use crate::core::doctor::repositories::tests::repository;

fn app() -> App {
    let permissions = grants(&[("deployments", "write"), ("metadata", "read"), ("pull_requests", "read")]);
    App {
        slug: "matinee".into(),
        settings: "https://github.com/settings/apps/matinee".into(),
        permissions: permissions.clone(),
        events: vec!["deployment".into(), "pull_request".into()],
        only: None,
        installations: Some(Ok(vec![Installation {
            id: 7,
            account: "Acme".into(),
            settings: "https://github.com/organizations/acme/settings/installations/7".into(),
            permissions,
            suspended: false,
            rate: Some(Ok(Rate { limit: 5000, remaining: 4900 })),
        }])),
        hook: Some(Ok(Some(Hook {
            url: "https://m.example.com/webhooks/github".into(),
            content_type: "json".into(),
            signed: true,
            insecure: false,
        }))),
        deliveries: Some(Ok(vec![Delivery { guid: "a".into(), status: "OK".into(), code: 202 }])),
    }
}

fn previews() -> PreviewRepository {
    repository(json!({"trigger": {"pullRequest": {}}}))
}

/// Returns all problems of an App that serves one PreviewRepository with previews.
fn troubles(app: App) -> Vec<Finding> {
    let repositories = [previews()];
    let observed =
        Observed { ahead: Some(SignedDuration::ZERO), identity: Some(Ok(Identity::App(Box::new(app)))) };
    let mut all = check(&observed, &repositories, &Uses::of(&repositories, &[]));
    all.retain(|finding| matches!(finding.verdict, Verdict::Warning | Verdict::Problem));
    assert!(all.iter().all(|finding| finding.remedy.is_some()), "{all:?}");
    all
}

fn installed(change: impl FnOnce(&mut Installation)) -> App {
    let mut app = app();
    change(&mut app.installations.as_mut().unwrap().as_mut().unwrap()[0]);
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
        let observed = Observed { ahead: None, identity: Some(Err(why.to_owned())) };
        let found = check(&observed, &[], &Uses::default());
        assert_eq!((found.len(), found[0].verdict), (1, Verdict::Problem));
        assert_eq!(found[0].message, why);
        assert!(found[0].remedy.as_ref().unwrap().contains(remedy), "{found:?}");
    }
    let untried = check(&Observed::default(), &[], &Uses::default());
    assert_eq!(untried[0].verdict, Verdict::Skipped);
}

#[test]
fn a_clock_far_ahead_is_a_problem_for_apps() {
    let with = |seconds, identity| {
        let observed =
            Observed { ahead: Some(SignedDuration::from_secs(seconds)), identity: Some(Ok(identity)) };
        check(&observed, &[], &Uses::default())[1].clone()
    };
    let token = || Identity::Token(Token::default());
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
fn a_token_is_judged_by_its_scopes_and_rate_limit() {
    let of = |scopes: Option<&[&str]>, remaining| {
        let token = Token {
            login: Some("mona".into()),
            scopes: scopes.map(|scopes| scopes.iter().map(|scope| (*scope).to_owned()).collect()),
            rate: Some(Rate { limit: 5000, remaining }),
        };
        check(&Observed { ahead: None, identity: Some(Ok(Identity::Token(token))) }, &[], &Uses::default())
    };
    let classic = of(Some(&["repo", "user"]), 4000);
    assert_eq!(classic[0], Subject::new("credentials").ok("valid token of mona"));
    assert_eq!(classic[1].verdict, Verdict::Ok);
    assert_eq!(classic[2], Subject::new("rate limit").ok("4000 of 5000 requests remain this hour"));
    assert_eq!(classic[3].verdict, Verdict::Skipped);
    assert!(classic[3].message.contains("only administrators"));
    let weak = of(Some(&["public_repo"]), 4000);
    assert!(weak[1].verdict == Verdict::Problem && weak[1].remedy.is_some(), "{weak:?}");
    assert_eq!(of(None, 4000)[1].verdict, Verdict::Skipped);
    let spent = &of(None, 499)[2];
    assert_eq!(spent.verdict, Verdict::Warning);
    assert!(spent.remedy.as_ref().unwrap().contains("--sweep-interval"));
}

#[test]
fn an_app_must_be_installed_on_the_owners_of_repositories() {
    let nowhere = App { installations: Some(Ok(Vec::new())), ..app() };
    let (message, remedy) = trouble(nowhere, Verdict::Problem);
    assert_eq!(message, "the App is not installed");
    assert_eq!(remedy, "install it: https://github.com/settings/apps/matinee/installations");
    let (message, _) = trouble(installed(|one| one.account = "other".into()), Verdict::Problem);
    assert_eq!(
        message,
        "the App is not installed on the owner of PreviewRepository team-shop/shop (acme/shop)"
    );
    let (message, remedy) = trouble(App { only: Some(8), ..app() }, Verdict::Problem);
    assert!(message.contains("no installation 8") && remedy.contains("installationId"));
    assert_eq!(troubles(App { only: Some(7), ..app() }), []);
}

#[test]
fn a_suspended_installation_is_a_problem_where_it_is_needed() {
    let suspended = |one: &mut Installation| {
        one.suspended = true;
        one.rate = Some(Err("403 This installation has been suspended".into()));
    };
    let (message, remedy) = trouble(installed(suspended), Verdict::Problem);
    assert_eq!(message, "the installation on Acme is suspended");
    assert!(remedy.ends_with("/organizations/acme/settings/installations/7"));
    let mut other = app();
    let all = other.installations.as_mut().unwrap().as_mut().unwrap();
    all.push(Installation {
        id: 8,
        account: "other".into(),
        suspended: true,
        permissions: all[0].permissions.clone(),
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
    unused.permissions.insert("checks".into(), "read".into());
    let (message, _) = trouble(unused, Verdict::Warning);
    assert!(message.ends_with("checks: read"), "nobody needs it yet: {message}");
}

#[test]
fn an_installation_without_token_or_requests_is_reported() {
    let (message, _) =
        trouble(installed(|one| one.rate = Some(Err("404 Not Found".into()))), Verdict::Problem);
    assert_eq!(message, "can't get a token: 404 Not Found");
    let (message, _) =
        trouble(installed(|one| one.rate = Some(Ok(Rate { limit: 5000, remaining: 3 }))), Verdict::Warning);
    assert_eq!(message, "3 of 5000 requests remain this hour");
}

#[test]
fn events_and_deliveries_are_checked_only_with_a_webhook() {
    let none = App { hook: Some(Ok(None)), events: Vec::new(), deliveries: Some(Err("404".into())), ..app() };
    let (message, _) = trouble(none, Verdict::Warning);
    assert!(message.contains("the App has none"), "{message}");
    let (message, _) = trouble(App { deliveries: Some(Err("no answer".into())), ..app() }, Verdict::Problem);
    assert!(message.contains("can't be listed: no answer"));
    let failed = Delivery { guid: "b".into(), status: String::new(), code: 403 };
    let (_, remedy) = trouble(App { deliveries: Some(Ok(vec![failed])), ..app() }, Verdict::Problem);
    assert!(remedy.contains("the secrets differ"));
    let (message, _) = trouble(App { events: vec!["pull_request".into()], ..app() }, Verdict::Warning);
    assert!(message.contains("\"Deployments\""), "{message}");
}
