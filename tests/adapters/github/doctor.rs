//! What `matinee doctor` reads from GitHub, and its findings.

use std::time::Duration;

use github_stand_in::control::types::{FaultEffect, NewApp, NewFault, NewHook, NewInstallation, NewToken};
use matinee::adapters::github::diagnose;
use matinee::core::doctor::{Finding, Verdict};
use matinee::ports::Secrets as _;

use crate::stand_in::{World, permissions};
use crate::support::{connection, hurried};

async fn judged(world: &World) -> Vec<Finding> {
    let secret = world.secrets.secret("github").await.unwrap().unwrap();
    let connection = connection(world.stand_in.api_url());
    let findings = diagnose(&connection, &secret, &hurried(), &[], &[]).await;
    let shown = format!("{findings:?}");
    assert!(!shown.contains("ghs_") && !shown.contains("PRIVATE KEY"), "{shown}");
    findings
}

fn find<'a>(findings: &'a [Finding], what: &str) -> &'a Finding {
    let found = findings.iter().find(|finding| finding.what == what);
    found.unwrap_or_else(|| panic!("no \"{what}\" in {findings:#?}"))
}

/// Creates a world whose Secret has another App, with these events, and with a webhook if there is
/// a URL.
async fn hooked(url: Option<&str>, events: &[&str]) -> World {
    let world = World::new().await;
    let new = NewApp {
        slug: "hooked".into(),
        owner: "acme".into(),
        permissions: permissions(),
        events: events.iter().map(|event| (*event).to_owned()).collect(),
        webhook: url.map(|url| NewHook {
            url: url.to_owned(),
            secret: Some("s3cret".into()),
            ..NewHook::default()
        }),
    };
    let app = world.control.create_app(new).await.unwrap();
    let new = NewInstallation { account: "acme".into(), repositories: None };
    world.control.install_app(app.id, new).await.unwrap();
    world.secrets.set(&[("appId", &app.id.to_string()), ("privateKey", &app.private_key)]);
    world.control.settle(Duration::from_secs(5)).await.unwrap();
    world
}

#[tokio::test]
async fn an_app_is_seen_with_its_installations() {
    let world = World::new().await;
    let findings = judged(&world).await;
    for what in ["credentials", "clock", "permissions", "installations"] {
        assert_eq!(find(&findings, what).verdict, Verdict::Ok, "{findings:#?}");
    }
    assert_eq!(findings[0].message, "valid for the App matinee");
    assert_eq!(find(&findings, "installations").message, "on acme");
    let webhook = find(&findings, "webhook");
    let pages = world.stand_in.html_url().trim_end_matches('/');
    let settings = format!("under {pages}/settings/apps/matinee:");
    assert!(webhook.remedy.as_ref().unwrap().contains(&settings), "{webhook:?}");
    assert!(
        webhook.verdict == Verdict::Warning && webhook.message.contains("the App has none"),
        "{webhook:?}"
    );
}

#[tokio::test]
async fn nothing_is_changed() {
    let world = World::new().await;
    world.forget().await;
    judged(&world).await;
    let all = world.control.requests().await.unwrap();
    let writes: Vec<_> = all.iter().filter(|request| request.method != "GET").collect();
    assert!(!all.is_empty() && writes.is_empty(), "{writes:?}");
}

#[tokio::test]
async fn a_webhook_whose_deliveries_fail_is_told_with_what_to_do() {
    let world = hooked(Some("http://127.0.0.1:1/elsewhere"), &["push"]).await;
    let findings = judged(&world).await;
    assert_eq!(find(&findings, "webhook").message, "its URL is http://127.0.0.1:1/elsewhere");
    let deliveries = find(&findings, "deliveries");
    assert_eq!(deliveries.verdict, Verdict::Problem);
    assert_eq!(
        deliveries.message,
        "2 of the last 2 failed, the newest without a response (failed to connect to host)"
    );
    assert!(deliveries.remedy.as_ref().unwrap().contains("/settings/apps/hooked/advanced"), "{deliveries:?}");
    assert!(find(&findings, "events").message.contains("\"Deployments\""));
    assert!(!format!("{findings:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_suspended_installation_is_told() {
    let world = World::new().await;
    world.control.suspend_installation(world.installation).await.unwrap();
    let findings = judged(&world).await;
    let told = find(&findings, "installations");
    assert_eq!(
        (told.verdict, told.message.as_str()),
        (Verdict::Warning, "the installation on acme is suspended")
    );
    assert!(told.remedy.as_ref().unwrap().contains("/settings/installations/"), "{told:?}");
}

#[tokio::test]
async fn permissions_that_wait_to_be_accepted_are_told() {
    let world = World::new().await;
    let body = format!(
        r#"[{{"id": {}, "account": {{"login": "acme"}}, "permissions": {{"metadata": "read"}}, "suspended_at": null,
             "html_url": "https://github.com/organizations/acme/settings/installations/1"}}]"#,
        world.installation
    );
    let effect = FaultEffect::Answer { status: 200, headers: [].into(), body: Some(body) };
    let fault = NewFault { method: None, path: "/app/installations".into(), times: None, effect };
    world.control.add_fault(fault).await.unwrap();
    let findings = judged(&world).await;
    let told = find(&findings, "installations");
    assert!(
        told.message.starts_with("acme hasn't accepted the App's new permissions: checks: read"),
        "{told:?}"
    );
    assert!(
        told.remedy.as_ref().unwrap().ends_with("/organizations/acme/settings/installations/1"),
        "{told:?}"
    );
}

#[tokio::test]
async fn token_owner_is_shown() {
    let world = World::new().await;
    let token = world.control.create_classic_token("mona").await.unwrap();
    world.secrets.set(&[("token", &token)]);
    let findings = judged(&world).await;
    assert_eq!(find(&findings, "credentials").message, "valid token of mona");
    assert_eq!(find(&findings, "permissions").verdict, Verdict::Ok);
    assert_eq!(find(&findings, "webhook").verdict, Verdict::Skipped);

    let new = NewToken { user: "mona".into(), permissions: Some(permissions()), ..NewToken::default() };
    let token = world.control.create_token(new).await.unwrap();
    world.secrets.set(&[("token", &token)]);
    assert_eq!(find(&judged(&world).await, "permissions").verdict, Verdict::Skipped);
}

#[tokio::test]
async fn credentials_that_are_refused_or_missing_are_told() {
    let world = World::new().await;
    for pairs in [
        &[("token", "ghp_wrong")][..],
        &[("appId", "1"), ("privateKey", &world.app.private_key)],
        &[("other", "x")],
    ] {
        world.secrets.set(pairs);
        let findings = judged(&world).await;
        let told = find(&findings, "credentials");
        assert_eq!(told.verdict, Verdict::Problem, "{pairs:?}");
        assert!(told.remedy.as_ref().unwrap().contains("Secret"), "{told:?}");
        assert!(!told.message.contains("ghp_wrong"), "{told:?}");
    }
}

#[tokio::test]
async fn a_github_that_does_not_answer_is_told_within_the_time() {
    let secret = [("token".to_owned(), b"ghp_x".to_vec())].into();
    let told = &diagnose(&connection("http://127.0.0.1:1"), &secret, &hurried(), &[], &[]).await[0];
    assert_eq!(told.verdict, Verdict::Problem);
    assert!(
        told.message.contains("GET /user") && told.remedy.as_ref().unwrap().contains("spec.forge.github.url"),
        "{told:?}"
    );
}
