//! Checks how requests reach a class's previews: the Gateway or ingress class, and DNS.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use k8s_openapi::api::networking::v1::IngressClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;

use super::REQUEST_TIMEOUT;
use super::reader::Reader;
use crate::adapters::url_probe::addresses;
use crate::api::{GatewayRouting, PreviewClass};
use crate::core::doctor::{Finding, Looked, Unread, gateway, ingress, name};

/// Checks whether the API server serves the Gateway API.
pub(super) async fn gateway_api(reader: &Reader) -> Finding {
    let kinds = match reader.path::<APIResourceList>("/apis/gateway.networking.k8s.io/v1").await {
        Ok(list) => Ok(list.resources.into_iter().map(|resource| resource.kind).collect()),
        Err(Unread::NotServed) => Ok(Vec::new()),
        Err(Unread::Forbidden) => Err("this account may not ask what is served".to_owned()),
        Err(Unread::Failed(why)) => Err(why),
    };
    gateway::served(&kinds)
}

/// Checks the Gateway or ingress class, and the DNS records of the domain.
pub(super) async fn check(reader: &Reader, class: &PreviewClass) -> Vec<Finding> {
    let routing = &class.spec.routing;
    let label = format!("doctor-{:016x}.{}", RandomState::new().build_hasher().finish(), routing.domain);
    let (found, seen) = tokio::join!(addresses(&label, REQUEST_TIMEOUT), async {
        match &routing.gateway {
            Some(gateway) => Some(read(reader, gateway).await),
            None => None,
        }
    });
    let mut findings = Vec::new();
    let mut at = Vec::new();
    if let (Some(gateway), Some(seen)) = (&routing.gateway, &seen) {
        findings.extend(gateway::check(routing, gateway, seen));
        at = seen.as_ref().ok().and_then(Option::as_ref).map(gateway::addresses).unwrap_or_default();
    }
    if let Some(ingress) = &routing.ingress {
        let classes: Api<IngressClass> = Api::all(reader.client.clone());
        findings.push(ingress::check(ingress, &reader.list(classes).await));
    }
    findings.push(name::check(routing, &label, &found, &at));
    findings
}

async fn read(reader: &Reader, gateway: &GatewayRouting) -> Looked<Value> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "Gateway"));
    let gateways: Api<DynamicObject> = Api::namespaced_with(reader.client.clone(), &gateway.namespace, &kind);
    Ok(reader.get(gateways, &gateway.name).await?.map(|found| found.data))
}
