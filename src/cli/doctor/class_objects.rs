//! Reads the objects that a class names: Secrets, the Gateway or ingress class, and DNS records.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;

use super::REQUEST_TIMEOUT;
use super::reader::Reader;
use crate::adapters::url_probe::addresses;
use crate::api::{GatewayRouting, PreviewClass, SlackUsers};
use crate::core::doctor::secrets::{self, Keys};
use crate::core::doctor::{Finding, Looked, class, dns, gateway, ingress};

/// Checks a class and the objects that it names.
pub(super) async fn check(reader: &Reader, class: &PreviewClass) -> Vec<Finding> {
    let mut findings = vec![class::ready(class)];
    let (secrets, routing) = tokio::join!(check_secrets(reader, class), check_routing(reader, class));
    findings.extend(secrets);
    findings.extend(routing);
    findings
}

/// Checks the Secrets of Slack and the registries. The condition of the class and the section of
/// the connection report the one of GitHub.
async fn check_secrets(reader: &Reader, class: &PreviewClass) -> Vec<Finding> {
    let namespace = &reader.namespace;
    let mut findings = Vec::new();
    if let Some(slack) = &class.spec.slack {
        let (keys, users) =
            tokio::join!(reader.secret_keys(&slack.secret_name), users(reader, &slack.users_from));
        findings.extend(secrets::slack(namespace, slack, &keys, &users));
    }
    for registry in &class.spec.registries {
        if let Some(name) = &registry.secret_name {
            let keys = reader.secret_keys(name).await;
            findings.push(secrets::registry(namespace, name, &registry.host, &keys));
        }
    }
    findings
}

async fn users(reader: &Reader, from: &SlackUsers) -> Keys {
    match (&from.config_map_name, &from.secret_name) {
        (Some(name), _) => {
            let map: Option<ConfigMap> = reader.own(name).await?;
            Ok(map.map(|map| map.data.unwrap_or_default().into_keys().collect()))
        }
        (None, Some(name)) => reader.secret_keys(name).await,
        // The schema rejects this.
        (None, None) => Ok(Some(BTreeSet::new())),
    }
}

/// Checks the Gateway or ingress class, and the DNS records of the domain.
async fn check_routing(reader: &Reader, class: &PreviewClass) -> Vec<Finding> {
    let routing = &class.spec.routing;
    let label = format!("doctor-{:016x}.{}", RandomState::new().build_hasher().finish(), routing.domain);
    let found = addresses(&label, REQUEST_TIMEOUT).await;
    let mut findings = Vec::new();
    let mut at = Vec::new();
    if let Some(gateway) = &routing.gateway {
        let seen = read(reader, gateway).await;
        findings.extend(gateway::check(routing, gateway, &seen));
        at = seen.ok().flatten().map(|seen| gateway::addresses(&seen)).unwrap_or_default();
    }
    if let Some(ingress) = &routing.ingress {
        findings.push(ingress::check(ingress, &reader.list().await));
    }
    findings.push(dns::check(routing, &label, &found, &at));
    findings
}

async fn read(reader: &Reader, gateway: &GatewayRouting) -> Looked<Value> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "Gateway"));
    let gateways: Api<DynamicObject> = Api::namespaced_with(reader.client.clone(), &gateway.namespace, &kind);
    Ok(reader.get(gateways, &gateway.name).await?.map(|found| found.data))
}
