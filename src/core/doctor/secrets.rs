//! Secrets that a class names: whether they exist and have the required keys. The checks never read
//! the values.

use std::collections::BTreeSet;

use super::{Finding, Looked, Unread};
use crate::api::{GithubConnection, Registry, SlackConnection};
use crate::core::image::DOCKER_CONFIG_JSON;

/// The keys of a Secret or ConfigMap that have a value.
pub type Keys = Looked<BTreeSet<String>>;

/// Checks GitHub's credentials.
pub fn github(namespace: &str, connection: &GithubConnection, keys: &Keys) -> Finding {
    let name = &connection.secret_name;
    let what = format!("Secret {namespace}/{name} for GitHub");
    let create = format!(
        "`kubectl -n {namespace} create secret generic {name} --from-literal=appId=… --from-file=privateKey=…`, or with a token: --from-literal=token=…"
    );
    let keys = match there(&what, keys, &create) {
        Ok(keys) => keys,
        Err(finding) => return finding,
    };
    let has = |key: &str| keys.contains(key);
    match (has("token"), has("appId"), has("privateKey")) {
        (true, false, false) => Finding::ok(what, "it has a token"),
        (false, true, true) => Finding::ok(what, "it has an App's id and private key"),
        (false, true, false) => Finding::problem(what, "privateKey is missing beside appId", create),
        (false, false, true) => Finding::problem(what, "appId is missing beside privateKey", create),
        (false, false, false) => {
            Finding::problem(what, "it has neither token, nor appId and privateKey", create)
        }
        (true, _, _) => Finding::problem(what, "it has both a token and an App's keys", "remove one of them"),
    }
}

/// Checks Slack's secrets. `users` are the keys of the ConfigMap or Secret that maps Slack users to
/// GitHub users.
pub fn slack(namespace: &str, connection: &SlackConnection, keys: &Keys, users: &Keys) -> Vec<Finding> {
    let name = &connection.secret_name;
    let what = format!("Secret {namespace}/{name} for Slack");
    let create = format!(
        "`kubectl -n {namespace} create secret generic {name} --from-literal=signingSecret=… --from-literal=botToken=…`, as docs/slack.md says"
    );
    let first = match there(&what, keys, &create) {
        Err(finding) => finding,
        Ok(keys) if !keys.contains("signingSecret") => {
            Finding::problem(what, "signingSecret is missing, so no command is taken", create)
        }
        Ok(keys) if connection.channel.is_some() && !keys.contains("botToken") => {
            Finding::problem(what, "botToken is missing, so nothing is posted to spec.slack.channel", create)
        }
        Ok(_) => Finding::ok(what, "it has what is read"),
    };
    let (kind, name) = match (&connection.users_from.config_map_name, &connection.users_from.secret_name) {
        (Some(name), _) => ("ConfigMap", name.as_str()),
        (None, name) => ("Secret", name.as_deref().unwrap_or_default()),
    };
    let what = format!("{kind} {namespace}/{name} for Slack's users");
    let how = "each key is the id of a Slack user, and its value a GitHub login: docs/slack.md shows how";
    let second = match there(&what, users, &format!("create it: {how}")) {
        Err(finding) => finding,
        Ok(users) if users.is_empty() => Finding::warning(
            what,
            "it names nobody, so nobody may command from Slack",
            format!("add people to it: {how}"),
        ),
        Ok(users) => Finding::ok(what, format!("users: {}", users.len())),
    };
    vec![first, second]
}

/// Checks the credentials of a registry; `None` for a registry without credentials.
pub fn registry(namespace: &str, registry: &Registry, keys: &Keys) -> Option<Finding> {
    let name = registry.secret_name.as_ref()?;
    let what = format!("Secret {namespace}/{name} for {}", registry.host);
    let create = format!(
        "`kubectl -n {namespace} create secret docker-registry {name} --docker-server={} …`",
        registry.host
    );
    Some(match there(&what, keys, &create) {
        Err(finding) => finding,
        Ok(keys) if keys.contains(DOCKER_CONFIG_JSON) => Finding::ok(what, "it has a registry's credentials"),
        Ok(_) => Finding::problem(what, format!("{DOCKER_CONFIG_JSON} is missing"), create),
    })
}

fn there<'a>(what: &str, keys: &'a Keys, create: &str) -> Result<&'a BTreeSet<String>, Finding> {
    match keys {
        Ok(Some(keys)) => Ok(keys),
        Ok(None) => Err(Finding::problem(what, "it isn't there", create)),
        Err(Unread::Forbidden) => {
            Err(Finding::skipped(what, "this account may not read it: the operator and administrators may"))
        }
        Err(unread) => Err(unread.finding(what)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Verdict;
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
    fn slack_needs_its_signing_secret_and_to_post_a_bot_token() {
        let connection = |more: serde_json::Value| -> SlackConnection {
            let mut all = json!({"secretName": "slack", "usersFrom": {"configMapName": "people"}});
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value(all).unwrap()
        };
        let plain = connection(json!({}));
        let fine = slack("m", &plain, &keys(&["signingSecret"]), &keys(&["U1", "U2"]));
        assert_eq!(fine[1], Finding::ok("ConfigMap m/people for Slack's users", "users: 2"));
        assert!(fine.iter().all(|finding| finding.verdict == Verdict::Ok), "{fine:?}");

        let posting = connection(json!({"channel": "C1"}));
        let lacks = &slack("m", &posting, &keys(&["signingSecret"]), &keys(&["U1"]))[0];
        assert!(lacks.verdict == Verdict::Problem && lacks.message.contains("botToken"), "{lacks:?}");
        let lacks = &slack("m", &plain, &keys(&["botToken"]), &keys(&["U1"]))[0];
        assert!(lacks.message.contains("signingSecret is missing") && lacks.remedy.is_some(), "{lacks:?}");

        let secret = connection(json!({"usersFrom": {"secretName": "people"}}));
        let nobody = slack("m", &secret, &Ok(None), &keys(&[]));
        assert_eq!(nobody[0].message, "it isn't there");
        assert_eq!(
            (nobody[1].verdict, nobody[1].what.as_str()),
            (Verdict::Warning, "Secret m/people for Slack's users")
        );
        assert_eq!(slack("m", &secret, &Ok(None), &Ok(None))[1].verdict, Verdict::Problem);
    }

    #[test]
    fn a_registry_needs_what_docker_login_writes() {
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
