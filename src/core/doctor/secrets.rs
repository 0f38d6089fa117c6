//! Secrets of Slack and of registries that a class names: whether they exist and have the required
//! keys. The checks never read the values.

use std::collections::BTreeSet;

use super::{Finding, Looked, Subject};
use crate::api::SlackConnection;
use crate::core::image::DOCKER_CONFIG_JSON;

/// The keys of a Secret or ConfigMap that have a value.
pub type Keys = Looked<BTreeSet<String>>;

/// Checks that the object exists and has these keys.
fn check(subject: &Subject, keys: &Keys, needed: &[&str], create: &str) -> Finding {
    let keys = match subject.require(keys, "not found", create) {
        Ok(keys) => keys,
        Err(finding) => return finding,
    };
    match needed.iter().find(|key| !keys.contains(**key)) {
        None => subject.ok("has all needed keys"),
        Some(missing) => subject.problem(format!("{missing} is missing"), create),
    }
}

/// Checks Slack's secrets. `users` are the keys of the ConfigMap or Secret that maps Slack users to
/// GitHub users.
pub fn slack(namespace: &str, connection: &SlackConnection, keys: &Keys, users: &Keys) -> Vec<Finding> {
    let name = &connection.secret_name;
    let create = format!(
        "`kubectl -n {namespace} create secret generic {name} --from-literal=signingSecret=… --from-literal=botToken=…`: see docs/slack.md"
    );
    let subject = Subject(format!("Secret {namespace}/{name} for Slack"));
    let posts = connection.channel.is_some();
    let needed = if posts { &["signingSecret", "botToken"][..] } else { &["signingSecret"] };
    let secret = check(&subject, keys, needed, &create);

    let from = &connection.users_from;
    let (kind, name) = match (&from.config_map_name, &from.secret_name) {
        (Some(name), _) => ("ConfigMap", name.as_str()),
        (None, name) => ("Secret", name.as_deref().unwrap_or_default()),
    };
    let subject = Subject(format!("{kind} {namespace}/{name} for Slack's users"));
    let how = "each key is a Slack user's id, and its value a GitHub login: see docs/slack.md";
    let users = match subject.require(users, "not found", format!("create it: {how}")) {
        Ok(users) if users.is_empty() => {
            subject.warning("empty, so nobody may use commands in Slack", format!("add users: {how}"))
        }
        Ok(users) => subject.ok(format!("users: {}", users.len())),
        Err(finding) => finding,
    };
    vec![secret, users]
}

/// Checks the credentials of a registry.
pub fn registry(namespace: &str, name: &str, host: &str, keys: &Keys) -> Finding {
    let create =
        format!("`kubectl -n {namespace} create secret docker-registry {name} --docker-server={host} …`");
    let subject = Subject(format!("Secret {namespace}/{name} for {host}"));
    check(&subject, keys, &[DOCKER_CONFIG_JSON], &create)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Unread, Verdict};
    use super::*;

    #[allow(clippy::unnecessary_wraps)] // same type as the checks take
    fn keys(names: &[&str]) -> Keys {
        Ok(Some(names.iter().map(|name| (*name).to_owned()).collect()))
    }

    #[test]
    fn slack_needs_a_signing_secret_and_a_bot_token_to_post() {
        let connection = |more: serde_json::Value| -> SlackConnection {
            let mut all = json!({"secretName": "slack", "usersFrom": {"configMapName": "people"}});
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value(all).unwrap()
        };
        let plain = connection(json!({}));
        let fine = slack("m", &plain, &keys(&["signingSecret"]), &keys(&["U1", "U2"]));
        assert_eq!(fine[1], Subject::new("ConfigMap m/people for Slack's users").ok("users: 2"));
        assert!(fine.iter().all(|finding| finding.verdict == Verdict::Ok), "{fine:?}");

        let posting = connection(json!({"channel": "C1"}));
        let lacks = &slack("m", &posting, &keys(&["signingSecret"]), &keys(&["U1"]))[0];
        assert!(lacks.verdict == Verdict::Problem && lacks.message.contains("botToken"), "{lacks:?}");
        let lacks = &slack("m", &plain, &keys(&["botToken"]), &keys(&["U1"]))[0];
        assert!(lacks.message.contains("signingSecret is missing") && lacks.remedy.is_some(), "{lacks:?}");

        let secret = connection(json!({"usersFrom": {"secretName": "people"}}));
        let nobody = slack("m", &secret, &Ok(None), &keys(&[]));
        assert_eq!(nobody[0].message, "not found");
        assert_eq!(
            (nobody[1].verdict, nobody[1].what.as_str()),
            (Verdict::Warning, "Secret m/people for Slack's users")
        );
        assert_eq!(slack("m", &secret, &Ok(None), &Ok(None))[1].verdict, Verdict::Problem);
    }

    #[test]
    fn a_registry_needs_docker_credentials() {
        let with = |keys: &Keys| registry("m", "pull", "ghcr.io", keys);
        assert_eq!(with(&keys(&[".dockerconfigjson"])).verdict, Verdict::Ok);
        let wrong = with(&keys(&["token"]));
        assert_eq!(wrong.what, "Secret m/pull for ghcr.io");
        assert_eq!(wrong.message, ".dockerconfigjson is missing");
        assert!(wrong.remedy.unwrap().contains("create secret docker-registry pull --docker-server=ghcr.io"));
        assert_eq!(with(&Ok(None)).verdict, Verdict::Problem);
        assert_eq!(with(&Err(Unread::Forbidden)).verdict, Verdict::Skipped);
    }
}
