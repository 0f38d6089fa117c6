//! Routes from the environment's host names to its Services, one for each endpoint.

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend,
    IngressSpec, IngressTLS, ServiceBackendPort,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::DynamicObject;
use serde_json::Value;

use super::forbidden::known_group;
use super::guard_rails::metadata;
use super::http_route::{BackendReference, HTTPRoute, HttpRouteRule, HttpRouteSpec, ParentReference};
use super::labels::{Marks, reserved};
use super::mistake;
use super::object::{group_of, kind_of, typed};
use crate::api::{Endpoint, GatewayRouting, IngressRouting};
use crate::core::environment::resolved::Target;
use crate::core::mistake::{Mistake, Reason};
use crate::core::naming;

/// Returns the host name of each of the template's endpoints, in their order.
pub fn hosts(target: &Target) -> Vec<String> {
    naming::hosts(&target.host, &target.template.endpoints)
}

pub(super) fn routes(
    target: &Target,
    marks: &Marks,
    resources: &[DynamicObject],
) -> Result<Vec<DynamicObject>, Mistake> {
    let hosts = hosts(target);
    let mut routes = Vec::with_capacity(hosts.len());
    for (index, (endpoint, host)) in target.template.endpoints.iter().zip(&hosts).enumerate() {
        check_backend(index, endpoint, resources)?;
        let metadata = metadata(&target.namespace, &format!("matinee-{}", endpoint.name));
        let routing = &target.class.routing;
        routes.push(match (&routing.gateway, &routing.ingress) {
            (Some(gateway), _) => typed(&http_route(metadata, endpoint, host, gateway), marks)?,
            (None, Some(ingress)) => typed(&ingress_for(metadata, endpoint, host, &hosts, ingress), marks)?,
            (None, None) => {
                let message = "the class's routing has neither gateway nor ingress; set one of them";
                return Err(mistake(Reason::ClassInvalid, message));
            }
        });
    }
    Ok(routes)
}

/// Checks that the endpoint's Service is in the template and has that port. If the template
/// contains a custom resource (such as a `HelmRelease` or a database cluster), its controller may
/// create the Service, so a missing Service is a mistake only without custom resources.
fn check_backend(index: usize, endpoint: &Endpoint, resources: &[DynamicObject]) -> Result<(), Mistake> {
    let services =
        || resources.iter().filter(|object| (group_of(object), kind_of(object)) == ("", "Service"));
    let service =
        services().find(|service| service.metadata.name.as_deref() == Some(endpoint.service.as_str()));
    let Some(service) = service else {
        if resources.iter().any(|object| !known_group(group_of(object))) {
            return Ok(());
        }
        let names: Vec<&str> = services().filter_map(|service| service.metadata.name.as_deref()).collect();
        let there =
            if names.is_empty() { "no Service".to_owned() } else { format!("only {}", names.join(", ")) };
        let message = format!(
            "endpoints[{index}].service: Service \"{}\" isn't among the template's resources, which have {there}; add it or name another",
            endpoint.service
        );
        return Err(mistake(Reason::EndpointUnknown, message));
    };
    let ports: Vec<i64> = service
        .data
        .pointer("/spec/ports")
        .and_then(Value::as_array)
        .map(|ports| ports.iter().filter_map(|port| port.get("port")?.as_i64()).collect())
        .unwrap_or_default();
    if ports.contains(&i64::from(endpoint.port)) {
        return Ok(());
    }
    let there: Vec<String> = ports.iter().map(ToString::to_string).collect();
    let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
    let message = format!(
        "endpoints[{index}].port: Service \"{}\" has no port {} (it has {there}); add it or name another",
        endpoint.service, endpoint.port
    );
    Err(mistake(Reason::EndpointUnknown, message))
}

fn http_route(metadata: ObjectMeta, endpoint: &Endpoint, host: &str, gateway: &GatewayRouting) -> HTTPRoute {
    let parent = ParentReference {
        group: "gateway.networking.k8s.io".to_owned(),
        kind: "Gateway".to_owned(),
        name: gateway.name.clone(),
        namespace: gateway.namespace.clone(),
        section_name: gateway.section_name.clone(),
    };
    let backend = BackendReference { name: endpoint.service.clone(), port: endpoint.port };
    let spec = HttpRouteSpec {
        parent_refs: vec![parent],
        hostnames: vec![host.to_owned()],
        rules: vec![HttpRouteRule { backend_refs: vec![backend] }],
    };
    HTTPRoute { metadata, spec }
}

/// Every Ingress requests a certificate for all hosts, because they share one Secret. Otherwise
/// each Ingress would have the certificate issued for its own host alone.
fn ingress_for(
    mut metadata: ObjectMeta,
    endpoint: &Endpoint,
    host: &str,
    hosts: &[String],
    routing: &IngressRouting,
) -> Ingress {
    let annotations = routing.annotations.iter().filter(|(name, _)| !reserved(name));
    metadata.annotations = Some(annotations.map(|(name, value)| (name.clone(), value.clone())).collect());
    let backend = IngressBackend {
        service: Some(IngressServiceBackend {
            name: endpoint.service.clone(),
            port: Some(ServiceBackendPort { number: Some(endpoint.port), name: None }),
        }),
        resource: None,
    };
    let path = HTTPIngressPath { backend, path: Some("/".to_owned()), path_type: "Prefix".to_owned() };
    let rule =
        IngressRule { host: Some(host.to_owned()), http: Some(HTTPIngressRuleValue { paths: vec![path] }) };
    let tls = routing
        .tls_secret_name
        .as_ref()
        .map(|secret| vec![IngressTLS { hosts: Some(hosts.to_vec()), secret_name: Some(secret.clone()) }]);
    let spec = IngressSpec {
        default_backend: None,
        ingress_class_name: routing.class_name.clone(),
        rules: Some(vec![rule]),
        tls,
    };
    Ingress { metadata, spec: Some(spec), status: None }
}
