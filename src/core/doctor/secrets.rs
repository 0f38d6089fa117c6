//! Secrets that a class names: whether they exist and have the required keys. The checks never read
//! the values.

use std::collections::BTreeSet;

use super::{Finding, Looked, Subject};
use crate::api::{GithubConnection, Registry, SlackConnection};
use crate::core::image::DOCKER_CONFIG_JSON;

/// The keys of a Secret or ConfigMap that have a value.
pub type Keys = Looked<BTreeSet<String>>;

/// Checks that the object exists, and then its keys.
fn check(
    subject: String,
    keys: &Keys,
    create: &str,
    judge: impl FnOnce(&Subject, &BTreeSet<String>) -> Finding,
) -> Finding {
    let subject = Subject(subject);
    subject.require(keys, "not found", create).map_or_else(|finding| finding, |keys| judge(&subject, keys))
}

/// Checks GitHub's credentials.
pub fn github(namespace: &str, connection: &GithubConnection, keys: &Keys) -> Finding {
    let name = &connection.secret_name;
    let create = format!(
        "`kubectl -n {namespace} create secret generic {name} --from-literal=appId=… --from-file=privateKey=…`, or with a token: --from-literal=token=…"
    );
    check(format!("Secret {namespace}/{name} for GitHub"), keys, &create, |subject, keys| {
        match ["token", "appId", "privateKey"].map(|key| keys.contains(key)) {
            [true, false, false] => subject.ok("has a token"),
            [false, true, true] => subject.ok("has an App's id and private key"),
            [false, true, false] => subject.problem("privateKey is missing", &create),
            [false, false, true] => subject.problem("appId is missing", &create),
            [false, false, false] => subject.problem("has neither token, nor appId and privateKey", &create),
            [true, ..] => subject.problem("has both a token and an App's keys", "remove one of them"),
        }
    })
}

/// Checks Slack's secrets. `users` are the keys of the ConfigMap or Secret that maps Slack users to
/// GitHub users.
pub fn slack(namespace: &str, connection: &SlackConnection, keys: &Keys, users: &Keys) -> Vec<Finding> {
    let name = &connection.secret_name;
    let create = format!(
        "`kubectl -n {namespace} create secret generic {name} --from-literal=signingSecret=… --from-literal=botToken=…`: see docs/slack.md"
    );
    let secret = check(format!("Secret {namespace}/{name} for Slack"), keys, &create, |subject, keys| {
        if !keys.contains("signingSecret") {
            subject.problem("signingSecret is missing, so Matinee rejects all commands", &create)
        } else if connection.channel.is_some() && !keys.contains("botToken") {
            subject.problem("botToken is missing, so Matinee can't post to spec.slack.channel", &create)
        } else {
            subject.ok("has all needed keys")
        }
    });
    let from = &connection.users_from;
    let (kind, name) = match (&from.config_map_name, &from.secret_name) {
        (Some(name), _) => ("ConfigMap", name.as_str()),
        (None, name) => ("Secret", name.as_deref().unwrap_or_default()),
    };
    let subject = format!("{kind} {namespace}/{name} for Slack's users");
    let how = "each key is a Slack user's id, and its value a GitHub login: see docs/slack.md";
    let users = check(subject, users, &format!("create it: {how}"), |subject, users| match users.len() {
        0 => subject.warning("empty, so nobody may use commands in Slack", format!("add users: {how}")),
        all => subject.ok(format!("users: {all}")),
    });
    vec![secret, users]
}

/// Checks the credentials of a registry; `None` for a registry without credentials.
pub fn registry(namespace: &str, registry: &Registry, keys: &Keys) -> Option<Finding> {
    let (name, host) = (registry.secret_name.as_ref()?, &registry.host);
    let create =
        format!("`kubectl -n {namespace} create secret docker-registry {name} --docker-server={host} …`");
    Some(check(format!("Secret {namespace}/{name} for {host}"), keys, &create, |subject, keys| {
        if keys.contains(DOCKER_CONFIG_JSON) {
            subject.ok("has a registry's credentials")
        } else {
            subject.problem(format!("{DOCKER_CONFIG_JSON} is missing"), &create)
        }
    }))
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
    fn github_takes_a_token_or_an_app() {
        let connection = GithubConnection { url: String::new(), secret_name: "github".into() };
        for (names, verdict, message) in [
            (&["token"][..], Verdict::Ok, "a token"),
            (&["appId", "privateKey", "installationId"], Verdict::Ok, "an App's"),
            (&["appId"], Verdict::Problem, "privateKey is missing"),
            (&["privateKey"], Verdict::Problem, "appId is missing"),
            (&["other"], Verdict::Problem, "neither"),
            (&["token", "appId", "privateKey"], Verdict::Problem, "both"),
        ] {
            let finding = github("m", &connection, &keys(names));
            assert_eq!(finding.verdict, verdict, "{names:?}");
            assert!(finding.message.contains(message), "{finding:?}");
            assert_eq!(finding.remedy.is_some(), verdict == Verdict::Problem);
        }
        let missing = github("m", &connection, &Ok(None));
        assert_eq!(missing.what, "Secret m/github for GitHub");
        assert!(
            missing
                .remedy
                .unwrap()
                .starts_with("`kubectl -n m create secret generic github --from-literal=appId")
        );
        let skipped = github("m", &connection, &Err(Unread::Forbidden));
        assert_eq!(skipped.verdict, Verdict::Skipped);
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
        let with = |secret: Option<&str>| Registry {
            host: "ghcr.io".into(),
            secret_name: secret.map(str::to_owned),
            insecure: false,
        };
        assert_eq!(registry("m", &with(None), &Ok(None)), None);
        assert_eq!(
            registry("m", &with(Some("pull")), &keys(&[".dockerconfigjson"])).unwrap().verdict,
            Verdict::Ok
        );
        let wrong = registry("m", &with(Some("pull")), &keys(&["token"])).unwrap();
        assert_eq!(wrong.what, "Secret m/pull for ghcr.io");
        assert!(wrong.remedy.unwrap().contains("create secret docker-registry pull --docker-server=ghcr.io"));
        assert_eq!(registry("m", &with(Some("pull")), &Ok(None)).unwrap().verdict, Verdict::Problem);
    }
}
