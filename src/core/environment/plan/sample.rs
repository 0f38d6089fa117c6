//! Target for tests. Every name in it is unique, so a test notices when one is used instead of
//! another.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::PullRequestSource;
use crate::core::environment::resolved::Target;

/// Routing through a Gateway.
pub(crate) const GATEWAY: &str = r"
grants: [{repositories: [acme/*], namespaces: ['*']}]
forge: {github: {secretName: the-github-secret}}
routing:
  domain: dev.example
  gateway: {name: the-gateway, namespace: gateway-namespace, sectionName: the-listener}
isolation:
  podSecurity: Baseline
  quota: {pods: '17', limits.cpu: '18'}
  defaultRequests: {cpu: 19m}
  defaultLimits: {memory: 20Mi}
  network:
    ingressFrom: [192.0.2.0/24]
    egressTo: [198.51.100.0/24, 0.0.0.0/0]
";

/// Routing through an Ingress, without a network policy and with defaults otherwise.
pub(crate) const INGRESS: &str = r"
grants: [{repositories: [acme/*], namespaces: ['*']}]
forge: {github: {secretName: the-github-secret}}
routing:
  domain: dev.example
  ingress:
    className: the-ingress-class
    namespace: ingress-namespace
    annotations: {cert-manager.io/issuer: the-issuer, matinee.dev/applied-digest: forged}
    tlsSecretName: the-certificate
isolation:
  network: {policy: None}
";

/// A template of one Deployment and one Service, and two endpoints.
pub(crate) const TEMPLATE: &str = r"
parameters:
- {name: replicas, default: '2'}
resources:
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: the-deployment, labels: {app: the-app, matinee.dev/environment-uid: forged, matinee.dev/own: x}}
  spec:
    replicas: '{{ parameters.replicas }}'
    selector: {matchLabels: {app: the-app}}
    template:
      metadata: {labels: {app: the-app}}
      spec: {containers: [{name: the-container, image: 'the-image:{{ sha }}'}]}
- apiVersion: v1
  kind: Service
  metadata: {name: the-service, namespace: the-preview-namespace}
  spec:
    selector: {app: the-app}
    ports: [{port: 81, targetPort: 8081}, {port: 82, targetPort: 8082}]
endpoints:
- {name: first, service: the-service, port: 81}
- {name: second, service: the-service, port: 82, path: /health}
";

pub(crate) fn target(class: &str, template: &str) -> Target {
    let template: crate::api::PreviewTemplateSpec = serde_saphyr::from_str(template).unwrap();
    let parameters: BTreeMap<String, String> = template
        .parameters
        .iter()
        .map(|parameter| (parameter.name.clone(), parameter.default.clone().unwrap()))
        .collect();
    Target {
        environment_name: "the-environment-object".into(),
        environment_namespace: "the-team-namespace".into(),
        environment_uid: "4f0c3ff5-0000-4000-8000-00000000f00d".into(),
        repository_name: "the-repository-object".into(),
        repository: "acme/the-repository".into(),
        environment: "the-environment".into(),
        github_environment: "the-environment/pr-71".into(),
        pull_request: Some(PullRequestSource {
            number: 71,
            branch: "the-branch".into(),
            author: "the-author".into(),
            labels: vec!["the-first-label".into(), "the-second-label".into()],
            fork: false,
            draft: false,
            bot: false,
        }),
        sha: "0123456789abcdef0123456789abcdef01234567".into(),
        payload: Value::Null,
        namespace: "the-preview-namespace".into(),
        host: "the-host.dev.example".into(),
        url: "https://the-host.dev.example".into(),
        class_name: "the-class".into(),
        class: serde_saphyr::from_str(class).unwrap(),
        template_name: "the-template".into(),
        template,
        parameters,
    }
}

/// Returns the template's objects with only the placeholder for a number replaced.
pub(crate) fn unrendered(target: &Target) -> Vec<Value> {
    let mut objects: Vec<Value> =
        target.template.resources.iter().map(|resource| resource.0.clone()).collect();
    for object in &mut objects {
        if let Some(replicas) = object.pointer_mut("/spec/replicas") {
            *replicas = 2.into();
        }
    }
    objects
}
