//! Objects that a platform team sets up once, and helpers that read the operator's conditions.

use std::fmt::Write as _;
use std::net::SocketAddr;

use anyhow::Result;
use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::account::Accounts;
use super::release::WEBHOOK_SECRET;
use super::{ACCOUNT, APP_CLASS, CLASS, SLACK_USERS, SYSTEM, Stage};
use crate::objects::{apply, apply_object};

const CLASS_YAML: &str = include_str!("../../manifests/stage/class.yaml");
/// The custom resources of `matinee.dev`.
const VERSION: &str = "matinee.dev/v1alpha1";
/// Returns the operator's user name for the API server.
pub(super) fn operator_user() -> String {
    format!("system:serviceaccount:{SYSTEM}:{ACCOUNT}")
}

pub(super) struct Setup<'a> {
    pub(super) client: &'a Client,
    pub(super) accounts: &'a Accounts,
    pub(super) github_url: &'a str,
    pub(super) gateway_port: u16,
    pub(super) probe_address: Option<SocketAddr>,
    pub(super) registry: String,
    pub(super) slack: &'a slack_stand_in::control::types::App,
    /// Id of the channel to which results are posted.
    pub(super) slack_channel: &'a str,
}

/// Returns the classes, and the names and contents of the Secrets to which they refer.
fn classes(accounts: &Accounts) -> [(&'static str, &'static str, Value); 2] {
    let app = json!({"appId": accounts.app_id.to_string(), "privateKey": accounts.private_key});
    [(CLASS, "github", json!({"token": accounts.token})), (APP_CLASS, "github-app", app)]
}

/// Applies the prerequisites of the operator: its namespace, and the credentials in it.
pub(super) async fn prepare(setup: &Setup<'_>) -> Result<()> {
    let client = setup.client;
    apply_object(client, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}}))
        .await?;
    let slack = json!({"signingSecret": setup.slack.signing_secret, "botToken": setup.slack.bot_token});
    let webhook = json!({"secret": setup.accounts.webhook_secret});
    let mut objects = vec![
        ("Secret", WEBHOOK_SECRET, "stringData", webhook),
        ("Secret", "slack", "stringData", slack),
        ("ConfigMap", SLACK_USERS, "data", json!({})),
    ];
    objects.extend(
        classes(setup.accounts).map(|(_, secret, content)| ("Secret", secret, "stringData", content)),
    );
    for (kind, name, field, content) in objects {
        let metadata = json!({"name": name, "namespace": SYSTEM});
        apply_object(client, json!({"apiVersion": "v1", "kind": kind, "metadata": metadata, field: content}))
            .await?;
    }
    Ok(())
}

/// Applies the two classes, after the chart has installed their definition.
pub(super) async fn make_classes(setup: &Setup<'_>) -> Result<()> {
    for (class, secret, _) in classes(setup.accounts) {
        apply_object(setup.client, class_object(setup, class, secret)?).await?;
    }
    Ok(())
}

fn class_object(setup: &Setup<'_>, name: &str, secret: &str) -> Result<Value> {
    let yaml = CLASS_YAML
        .replace("NAME", name)
        .replace("PORT", &setup.gateway_port.to_string())
        .replace("GITHUB_URL", setup.github_url)
        .replace("SECRET", secret);
    let mut class: Value = serde_saphyr::from_str(&yaml)?;
    class["spec"]["registries"] = json!([{"host": setup.registry, "insecure": true}]);
    class["spec"]["slack"] = json!({
        "secretName": "slack",
        "usersFrom": {"configMapName": SLACK_USERS},
        "channel": setup.slack_channel,
    });
    if let Some(address) = setup.probe_address {
        class["spec"]["routing"]["probeAddress"] = address.to_string().into();
    }
    Ok(class)
}

/// A condition of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// The reason, in one CamelCase word.
    pub reason: String,
    /// The reason, for people.
    pub message: String,
}

/// Returns a condition of an object by its type, if it has it.
pub fn condition(object: &DynamicObject, kind: &str) -> Option<Condition> {
    let all = object.data["status"]["conditions"].as_array()?;
    let found = all.iter().find(|found| found["type"] == kind)?;
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    Some(Condition { status: text("status"), reason: text("reason"), message: text("message") })
}

/// Returns all conditions of an object in a few lines, for messages.
pub fn conditions(object: &DynamicObject) -> String {
    let mut lines = format!(
        "{} {} (generation {}, observed {})",
        object.types.as_ref().map_or("object", |types| &types.kind),
        object.metadata.name.as_deref().unwrap_or_default(),
        object.metadata.generation.unwrap_or_default(),
        object.data["status"]["observedGeneration"],
    );
    for found in object.data["status"]["conditions"].as_array().into_iter().flatten() {
        let text = |field: &str| found[field].as_str().unwrap_or_default();
        // Writing into a string can't fail.
        let _ =
            write!(lines, "\n  {}={} {} {}", text("type"), text("status"), text("reason"), text("message"));
    }
    lines
}

impl Stage {
    /// Returns the API for objects of any kind, with the administrator's rights; `api_version` as
    /// in YAML.
    pub fn objects(&self, api_version: &str, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    /// Returns the API for a namespace's `PreviewEnvironments`.
    pub fn environments(&self, namespace: &str) -> Api<DynamicObject> {
        self.objects(VERSION, "PreviewEnvironment", Some(namespace))
    }

    /// Returns the API for a namespace's `DeploymentRequests`.
    pub fn requests(&self, namespace: &str) -> Api<DynamicObject> {
        self.objects(VERSION, "DeploymentRequest", Some(namespace))
    }

    /// Returns the API for a namespace's `PreviewRepositories`.
    pub fn repositories(&self, namespace: &str) -> Api<DynamicObject> {
        self.objects(VERSION, "PreviewRepository", Some(namespace))
    }

    /// Returns the API for a namespace's `PreviewTemplates`.
    pub fn templates(&self, namespace: &str) -> Api<DynamicObject> {
        self.objects(VERSION, "PreviewTemplate", Some(namespace))
    }

    /// Returns the API for the `PreviewClasses`.
    pub fn classes(&self) -> Api<DynamicObject> {
        self.objects(VERSION, "PreviewClass", None)
    }

    /// Applies every object of a YAML text in its order, with the administrator's rights.
    ///
    /// # Errors
    /// When the text is no YAML, or an object is rejected; the message names it.
    pub async fn apply(&self, yaml: &str) -> Result<()> {
        apply(&self.client, yaml).await
    }

    /// Creates a PreviewClass like [`CLASS`] after `change` has edited its content, for tests that
    /// need other routing, limits or grants.
    ///
    /// # Errors
    /// When the API server rejects it.
    pub async fn class_like(&self, name: &str, change: impl FnOnce(&mut Value)) -> Result<()> {
        let usual = self.classes().get(CLASS).await?;
        let mut spec = usual.data["spec"].clone();
        change(&mut spec);
        let metadata = json!({"name": name});
        let class =
            json!({"apiVersion": VERSION, "kind": "PreviewClass", "metadata": metadata, "spec": spec});
        apply_object(&self.client, class).await
    }
}
