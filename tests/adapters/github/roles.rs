//! Roles of users in a repository.

use std::time::Duration;

use github_stand_in::Settings;
use github_stand_in::control::types::{AccountKind, Role};
use matinee::adapters::github::GithubForges;
use matinee::core::forge::RepositoryRole;
use matinee::metrics::Metrics;
use matinee::ports::{ForgeError, Forges};
use serde_json::json;
use wiremock::MockServer;

use crate::stand_in::{World, permissions};
use crate::support::{Memory, connection, forge, hurried, in_turn, json_answer, shop};

const MONA: &str = "/repos/acme/shop/collaborators/mona/permission";

#[tokio::test]
async fn every_role_is_told() {
    let world = World::new().await;
    let forge = world.forge().await.unwrap();
    for (login, given, expected) in [
        ("reader", Role::Read, RepositoryRole::Read),
        ("triager", Role::Triage, RepositoryRole::Triage),
        ("writer", Role::Write, RepositoryRole::Write),
        ("maintainer", Role::Maintain, RepositoryRole::Maintain),
        ("administrator", Role::Admin, RepositoryRole::Admin),
    ] {
        world.control.set_role("acme/shop", login, given).await.unwrap();
        assert_eq!(forge.permission(&shop(), login).await.unwrap(), expected);
    }
    world.control.create_account("dependabot[bot]", AccountKind::Bot).await.unwrap();
    assert_eq!(
        forge.permission(&shop(), "dependabot[bot]").await.unwrap(),
        RepositoryRole::Read,
        "it is public"
    );
    world.forget().await;
    for nobody in ["", "..", "nobody/../acme", "not-a-user"] {
        assert_eq!(forge.permission(&shop(), nobody).await.unwrap(), RepositoryRole::None, "{nobody}");
    }
    assert_eq!(world.answers().await.0, [404, 404], "there is nothing to ask about no name");
}

#[tokio::test]
async fn what_is_not_understood_is_no_role() {
    for (answer, expected) in [
        (json!({"permission": "write", "role_name": "Release manager"}), RepositoryRole::Write),
        (json!({"permission": "read", "role_name": "admin"}), RepositoryRole::Read),
        (json!({"permission": "owner", "role_name": "admin"}), RepositoryRole::None),
        (json!({}), RepositoryRole::None),
    ] {
        let server = MockServer::start().await;
        in_turn(&server, "GET", MONA, vec![json_answer(200, &answer)]).await;
        assert_eq!(forge(&server).await.permission(&shop(), "mona").await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_role_is_remembered_for_a_while_and_then_asked_for_conditionally() {
    let world = World::new().await;
    world.control.set_role("acme/shop", "mona", Role::Write).await.unwrap();
    let forge = world.forge().await.unwrap();
    for login in ["mona", "Mona", "mona"] {
        assert_eq!(forge.permission(&shop(), login).await.unwrap(), RepositoryRole::Write);
    }
    assert_eq!(world.requests("GET", "/repos/acme/shop/collaborators/*").await.len(), 1);

    let settings =
        matinee::adapters::github::GithubSettings { permission_max_age: Duration::ZERO, ..hurried() };
    let world = World::with(Settings::default(), settings, permissions()).await;
    world.control.set_role("acme/shop", "mona", Role::Write).await.unwrap();
    let forge = world.forge().await.unwrap();
    assert_eq!(forge.permission(&shop(), "mona").await.unwrap(), RepositoryRole::Write);
    world.forget().await;
    assert_eq!(forge.permission(&shop(), "mona").await.unwrap(), RepositoryRole::Write);
    assert_eq!(world.answers().await, (vec![304], 0));
    world.control.set_role("acme/shop", "mona", Role::None).await.unwrap();
    assert_eq!(forge.permission(&shop(), "mona").await.unwrap(), RepositoryRole::Read);
}

#[tokio::test]
async fn a_failure_to_ask_is_an_error_and_no_role() {
    let world = World::new().await;
    let token = world.control.create_classic_token("stranger").await.unwrap();
    let forges = GithubForges::new(Memory::with(&[("token", &token)]), hurried(), Metrics::default());
    let forge = forges.forge(&connection(world.stand_in.api_url()), &shop()).await.unwrap();
    let error = forge.permission(&shop(), "mona").await.unwrap_err();
    assert!(matches!(error, ForgeError::Forbidden(_)), "{error:?}");
}
