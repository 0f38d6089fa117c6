use serde_json::{Value, json};

use super::super::*;
use crate::api::{self, Origin, PreviewRepositorySpec, RepositoryEnvironment};
use crate::core::forge::RepositoryRole;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

fn repository(environments: &Value) -> PreviewRepositorySpec {
    let spec = json!({"repository": "acme/shop", "className": "standard", "environments": environments});
    serde_json::from_value(spec).expect("a PreviewRepository")
}

fn usual() -> PreviewRepositorySpec {
    repository(&json!([
        {"name": "preview", "trigger": {"pullRequest": {}}},
        {"name": "staging", "trigger": {"push": {"branches": ["main"]}}},
        {"name": "production", "commands": {"role": "Maintain"}, "gates": {"after": ["staging"]}},
    ]))
}

fn said(text: &str) -> Command {
    parse(text, Channel::Comment).expect(text).command
}

fn resolved<'a>(text: &str, repository: &'a PreviewRepositorySpec) -> Resolved<'a> {
    resolve(&said(text), repository).expect(text)
}

fn given(channel: &Value) -> api::DeploymentCommand {
    let mut spec = json!({"repositoryRef": {"name": "shop"}, "text": "/deploy", "login": "ada"});
    spec.as_object_mut().unwrap().extend(channel.as_object().unwrap().clone());
    let mut command = api::DeploymentCommand::new(
        "comment-1-0",
        serde_json::from_value(spec).expect("a DeploymentCommand"),
    );
    command.metadata.uid = Some("1b4e28ba-2fa1-11d2-883f-0016d3cca427".to_owned());
    command
}

fn in_comment() -> api::DeploymentCommand {
    given(&json!({"comment": {"id": 1, "pullRequest": {"number": 7}}}))
}

fn in_slack() -> api::DeploymentCommand {
    given(&json!({"slack": {"user": "U1", "channel": "C1"}}))
}

#[test]
fn an_unknown_environment_is_told_with_those_that_there_are() {
    let usual = usual();
    let error = resolve(&said("/deploy stagign"), &usual).expect_err("unknown");
    assert_eq!(error.reason, "EnvironmentUnknown");
    assert_eq!(error.message, "there is no environment stagign; there are preview, staging, production");
    let resolved = resolved("/lock Staging x", &usual);
    assert_eq!(resolved.command, Command::Lock { environment: "staging".to_owned(), reason: "x".to_owned() });
    assert_eq!(resolved.entry.map(|entry| entry.name.as_str()), Some("staging"));
}

#[test]
fn the_preview_is_the_environment_of_pull_requests() {
    let name = |environments: Value| {
        let repository = repository(&environments);
        resolve(&said("/preview"), &repository).map(|resolved| resolved.entry.unwrap().name.clone())
    };
    let of_pull_requests =
        |name: &str| json!({"name": name, "githubEnvironment": format!("{name} {{number}}")});
    assert_eq!(name(json!([{"name": "staging"}, of_pull_requests("docs")])).unwrap(), "docs");
    assert_eq!(name(json!([of_pull_requests("docs"), of_pull_requests("preview")])).unwrap(), "preview");
    assert_eq!(name(json!([{"name": "staging"}])).unwrap_err().reason, "WrongPlace");
    let several = name(json!([of_pull_requests("docs"), of_pull_requests("web")])).unwrap_err();
    assert!(several.message.contains("docs, web"), "{}", several.message);
}

#[test]
fn promotion_takes_the_commit_of_the_previous_environment() {
    let entry = |more: Value| -> RepositoryEnvironment {
        let mut entry = json!({"name": "production"});
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(entry).expect("an entry")
    };
    let follows =
        json!({"trigger": {"deploymentStatus": {"environment": "staging"}}, "gates": {"after": ["qa"]}});
    assert_eq!(promoted_from(&entry(follows)).unwrap(), "staging");
    assert_eq!(promoted_from(&entry(json!({"gates": {"after": ["qa"]}}))).unwrap(), "qa");
    for nothing in [json!({}), json!({"gates": {"after": ["qa", "staging"]}})] {
        assert_eq!(promoted_from(&entry(nothing)).unwrap_err().reason, "NothingToPromote");
    }
    assert_eq!(resolve(&said("/promote staging"), &usual()).unwrap_err().reason, "NothingToPromote");
    assert!(resolve(&said("/promote production"), &usual()).is_ok());
}

#[test]
fn role_is_configured_per_environment() {
    use RepositoryRole::{Admin, Maintain, None, Read, Triage, Write};
    let usual = usual();
    for (text, role) in [
        ("/deploy staging", Write),
        ("/preview", Write),
        ("/deploy production", Maintain),
        ("/approve production", Maintain),
        ("/unlock production", Maintain),
        ("/where", Read),
        ("/help", Read),
    ] {
        assert_eq!(needed(&resolved(text, &usual)), role, "{text}");
    }
    let roles = [None, Read, Triage, Write, Maintain, Admin];
    for (least, permitted) in [(Read, 5), (Write, 3), (Maintain, 2), (Admin, 1), (None, 5)] {
        assert_eq!(roles.iter().filter(|role| permits(**role, least)).count(), permitted, "{least:?}");
    }
}

#[test]
fn a_deployment_is_asked_for_by_who_gave_the_command() {
    let usual = usual();
    let resolved = resolved("/deploy staging tag=1 --force", &usual);
    let (name, spec) = request(&in_comment(), &resolved, SHA).unwrap().expect("a request");
    assert_eq!(name, "shop-staging-0123456789ab-1b4e28ba");
    assert_eq!((spec.environment.as_str(), spec.sha.as_str(), spec.force), ("staging", SHA, true));
    assert_eq!(spec.pull_request, None, "the environment is one for all, wherever the command was given");
    assert_eq!(spec.parameters, [Parameter { name: "tag".to_owned(), value: "1".to_owned() }]);
    assert_eq!(spec.requested_by.origin, Origin::Comment);
    assert_eq!(spec.requested_by.login.as_deref(), Some("ada"));
    assert_eq!(spec.requested_by.command.as_deref(), Some("comment-1-0"));
    let (_, from_slack) = request(&in_slack(), &resolved, SHA).unwrap().expect("a request");
    assert_eq!(from_slack.requested_by.origin, Origin::Slack);
}

#[test]
fn a_preview_belongs_to_the_pull_request_of_the_comment() {
    let usual = usual();
    for text in ["/preview", "/deploy preview"] {
        let resolved = resolved(text, &usual);
        let (name, spec) = request(&in_comment(), &resolved, SHA).unwrap().expect("a request");
        assert_eq!(name, "shop-preview-pr-7-0123456789ab-1b4e28ba");
        assert_eq!(spec.pull_request.map(|reference| reference.number), Some(7));
        assert_eq!(request(&in_slack(), &resolved, SHA).unwrap_err().reason, "WrongPlace");
    }
}

#[test]
fn only_some_commands_ask_for_a_deployment() {
    let usual = usual();
    for (text, asks) in [
        ("/promote production", true),
        ("/lock staging x", false),
        ("/unlock staging", false),
        ("/approve staging", false),
        ("/where", false),
        ("/help", false),
    ] {
        assert_eq!(request(&in_comment(), &resolved(text, &usual), SHA).unwrap().is_some(), asks, "{text}");
    }
}
