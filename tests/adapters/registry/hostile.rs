//! Registries that try to abuse the operator.

use matinee::adapters::registry::{RegistryClient, RegistrySettings};
use registry_stand_in::control::types::{Authentication, FaultEffect, NewFault};
use registry_stand_in::{Settings, StandIn};

use crate::support::{PR_7, World, ask, invalid, mona, refused, settings, token_hosts};

fn bearer(realm: &str) -> String {
    format!("Bearer realm=\"{realm}\",service=\"registry.test\"")
}

#[tokio::test]
async fn nobody_else_is_asked_for_a_token() {
    let world = World::start(Authentication::Bearer).await;
    let victim = StandIn::start(Settings::default()).await.unwrap();
    let port = victim.address().port();
    for realm in [
        format!("http://127.0.0.1:{port}/token"),
        format!("http://localhost:{port}/token"),
        format!("http://{}@127.0.0.1:{port}/token", world.stand_in.host()),
        format!("http://127.0.0.1:{port}\\\\@{}/token", world.stand_in.host()),
        format!("//127.0.0.1:{port}/token"),
        format!("https://localhost:{port}/token"),
        "http://169.254.169.254/latest/meta-data".into(),
        "https://kubernetes.default.svc/api".into(),
        "file:///etc/passwd".into(),
        "/token".into(),
    ] {
        for credentials in [None, Some(&mona())] {
            world.answer_next(401, &[("www-authenticate", &bearer(&realm))]).await;
            let error = world.pr_7(credentials).await;
            assert!(invalid(&error).contains("it asks for a token, but the"), "{realm}: {error:?}");
        }
    }
    assert!(victim.control().requests().await.unwrap().is_empty());
    let asked = world.requests().await;
    assert!(asked.iter().all(|request| request == &format!("HEAD {PR_7} none 401")), "{asked:?}");
}

#[tokio::test]
async fn a_host_that_is_allowed_is_asked_for_that_registry_only() {
    let issuer = StandIn::start(Settings::default()).await.unwrap();
    let mut allowed = World::start(Authentication::Bearer).await;
    let mut other = World::start(Authentication::Bearer).await;
    let token_hosts = token_hosts(&allowed.stand_in.host(), "localhost");
    for world in [&mut allowed, &mut other] {
        let client = RegistrySettings { token_hosts: token_hosts.clone(), ..settings() };
        world.client = RegistryClient::new(client).unwrap();
    }
    let realm = format!("http://localhost:{}/token", issuer.address().port());
    for world in [&allowed, &other] {
        world.answer_next(401, &[("www-authenticate", &bearer(&realm))]).await;
    }
    invalid(&other.pr_7(None).await);
    assert!(issuer.control().requests().await.unwrap().is_empty());
    // The issuer's tokens are not valid at this registry.
    refused(&allowed.pr_7(None).await);
    assert_eq!(issuer.control().requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn token_of_a_registry_is_not_sent_to_another() {
    // Both name the same endpoint, service and scope.
    let issuer = World::start(Authentication::Bearer).await;
    let host = issuer.stand_in.host();
    let mut hosts = token_hosts(&host, "127.0.0.1");
    let evil = StandIn::start(Settings::default()).await.unwrap();
    hosts.extend(token_hosts(&evil.host(), "127.0.0.1"));
    let client = RegistryClient::new(RegistrySettings { token_hosts: hosts, ..settings() }).unwrap();
    issuer.make_private().await;
    assert_eq!(ask(&client, &format!("{host}/acme/shop:pr-7"), Some(&mona()), true).await, Ok(true));
    issuer.requests().await;
    let headers = [("www-authenticate".to_owned(), bearer(&format!("http://{host}/token")))].into();
    let effect = FaultEffect::Answer { status: 401, headers, body: String::new() };
    let fault = NewFault { method: None, path: "/v2/".into(), times: 9, effect };
    evil.control().add_fault(fault).await.unwrap();
    ask(&client, &format!("{}/acme/shop:pr-7", evil.host()), None, true).await.unwrap_err();
    assert_eq!(issuer.requests().await, ["GET /token none 200"], "it gets what anybody gets");
}

#[tokio::test]
async fn redirects_to_others_are_not_followed() {
    let world = World::start(Authentication::Bearer).await;
    let victim = StandIn::start(Settings::default()).await.unwrap();
    let port = victim.address().port();
    let own = world.stand_in.host();
    for location in [
        format!("http://127.0.0.1:{port}/x"),
        format!("//127.0.0.1:{port}/x"),
        format!("\\\\127.0.0.1:{port}/x"),
        format!("https://{own}/x"),
        format!("http://mona@{own}/x"),
        format!("http://{own}@127.0.0.1:{port}/x"),
        "http://169.254.169.254/".into(),
    ] {
        world.answer_next(307, &[("location", &location)]).await;
        let error = world.pr_7(Some(&mona())).await;
        assert!(invalid(&error).contains("which isn't followed"), "{location}: {error:?}");
    }
    // The token endpoint must not redirect the adapter either.
    let headers = [("location".to_owned(), format!("http://127.0.0.1:{port}/token"))].into();
    let effect = FaultEffect::Answer { status: 307, headers, body: String::new() };
    world.control.break_next("/token", effect).await.unwrap();
    invalid(&world.pr_7(Some(&mona())).await);
    assert!(victim.control().requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn addresses_of_this_machine_and_its_link_are_not_asked() {
    let world = World::start(Authentication::Open).await;
    // A resolver reads numbers as addresses, so they count as addresses.
    for host in [
        "169.254.169.254",
        "0.0.0.0:5000",
        "[fe80::1]:5000",
        "[::ffff:a9fe:a9fe]",
        "0xa9fea9fe:80",
        "[fd00:ec2::254]",
    ] {
        let error = ask(&world.client, &format!("{host}/acme/shop"), Some(&mona()), true).await;
        assert!(invalid(&error).contains("where nothing is sent"), "{host}: {error:?}");
    }
}

#[tokio::test]
async fn challenges_that_can_not_be_met_are_told() {
    let world = World::start(Authentication::Open).await;
    let long = format!("Bearer realm=\"{}\"", "x".repeat(9000));
    for (challenge, why) in [
        ("", "no WWW-Authenticate"),
        ("Digest realm=\"x\"", "it requires Digest"),
        ("Bearer realm=\"http://open", "can't be read"),
        ("Bearer service=\"x\"", "no realm"),
        (&long, "more than 8192 bytes"),
    ] {
        let headers = [("www-authenticate", challenge)];
        world.answer_next(401, if challenge.is_empty() { &[] } else { &headers }).await;
        let error = world.pr_7(Some(&mona())).await;
        assert!(invalid(&error).contains(why), "{error:?}");
    }
    assert_eq!(world.pr_7(None).await, Ok(true));
}

#[tokio::test]
async fn a_challenge_that_never_ends_does() {
    let world = World::start(Authentication::Bearer).await;
    let headers =
        [("www-authenticate".to_owned(), bearer(&format!("http://{}/token", world.stand_in.host())))];
    let effect = FaultEffect::Answer { status: 401, headers: headers.into(), body: String::new() };
    let fault = NewFault { method: None, path: "/v2/".into(), times: 99, effect };
    world.control.add_fault(fault).await.unwrap();
    refused(&world.pr_7(Some(&mona())).await);
    assert_eq!(world.requests().await.len(), 3);
}

#[tokio::test]
async fn answers_that_hold_no_token_are_told_without_being_shown() {
    let world = World::start(Authentication::Bearer).await;
    let long = format!("{{\"token\":\"{}\"}}", "x".repeat(70_000));
    for body in [
        "",
        "{}",
        "[]",
        "{\"token\":7}",
        "{\"token\":\"\"}",
        "{\"token\":\"internal secret\"}",
        "{\"token\":\"internal\\r\\nx: y\"}",
        "<internal>",
        &long,
    ] {
        let effect = FaultEffect::Answer { status: 200, headers: [].into(), body: body.to_owned() };
        world.control.break_next("/token", effect).await.unwrap();
        let error = world.pr_7(None).await.unwrap_err();
        assert!(error.to_string().contains("token") || body.len() > 1000, "{error}");
        assert!(!error.to_string().contains("internal"), "{error}");
    }
    // The answer uses OAuth's name for the token and has no lifetime.
    world.control.set_authentication(Authentication::Open).await.unwrap();
    let effect =
        FaultEffect::Answer { status: 200, headers: [].into(), body: "{\"access_token\":\"t\"}".into() };
    world.control.break_next("/token", effect).await.unwrap();
    world
        .answer_next(
            401,
            &[("www-authenticate", &bearer(&format!("http://{}/token", world.stand_in.host())))],
        )
        .await;
    assert_eq!(world.pr_7(None).await, Ok(true));
    assert_eq!(world.requests().await.last().unwrap(), &format!("HEAD {PR_7} bearer 200"));
}
