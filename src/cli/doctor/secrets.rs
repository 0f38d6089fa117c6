//! Reads the Secrets that a class names.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;

use super::reader::Reader;
use crate::api::{PreviewClass, SlackUsers};
use crate::core::doctor::Finding;
use crate::core::doctor::secrets::{self, Keys};

/// Checks the Secrets of GitHub, Slack and the registries.
pub(super) async fn check(reader: &Reader, class: &PreviewClass) -> Vec<Finding> {
    let namespace = &reader.namespace;
    let github = &class.spec.forge.github;
    let mut findings =
        vec![secrets::github(namespace, github, &reader.secret_keys(&github.secret_name).await)];
    if let Some(slack) = &class.spec.slack {
        let (keys, users) =
            tokio::join!(reader.secret_keys(&slack.secret_name), users(reader, &slack.users_from));
        findings.extend(secrets::slack(namespace, slack, &keys, &users));
    }
    for registry in &class.spec.registries {
        if let Some(name) = &registry.secret_name {
            findings.extend(secrets::registry(namespace, registry, &reader.secret_keys(name).await));
        }
    }
    findings
}

async fn users(reader: &Reader, from: &SlackUsers) -> Keys {
    match (&from.config_map_name, &from.secret_name) {
        (Some(name), _) => {
            let maps: Api<ConfigMap> = Api::namespaced(reader.client.clone(), &reader.namespace);
            let map = reader.get(maps, name).await?;
            Ok(map.map(|map| map.data.into_iter().flatten().map(|(key, _)| key).collect()))
        }
        (None, Some(name)) => reader.secret_keys(name).await,
        // The schema rejects this.
        (None, None) => Ok(Some(BTreeSet::new())),
    }
}
