//! An API server that lists the objects of any number of previews.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use anyhow::Context as _;
use http::{Request, Response, Uri};
use kube::Client;
use kube::api::GroupVersionKind;
use kube::client::Body;
use kube::core::discovery::ApiResource;
use serde_json::{Map, Value, json};

/// Objects of one preview.
const OBJECTS: &str = include_str!("objects.yaml");

/// A kind with the text of its objects of one preview.
struct Listed {
    kind: GroupVersionKind,
    plural: String,
    /// JSON of each object; `NUMBER` is the preview's number.
    texts: Vec<String>,
}

pub struct ApiServer {
    previews: usize,
    kinds: Vec<Listed>,
}

impl ApiServer {
    pub fn new(previews: usize) -> anyhow::Result<Self> {
        let objects: Vec<Value> = serde_saphyr::from_str(OBJECTS)?;
        let mut kinds: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for (index, mut object) in objects.into_iter().enumerate() {
            complete(&mut object, index);
            let key = |field: &str| Some(object.get(field)?.as_str()?.to_owned());
            let key = (key("apiVersion").context("no apiVersion")?, key("kind").context("no kind")?);
            let Value::Object(mut fields) = object else { continue };
            // The items of a list have no kind.
            fields.remove("apiVersion");
            fields.remove("kind");
            kinds.entry(key).or_default().push(Value::Object(fields).to_string());
        }
        let kinds = kinds.into_iter().map(|((api_version, kind), texts)| {
            let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
            let kind = GroupVersionKind::gvk(group, version, &kind);
            Listed { plural: ApiResource::from_gvk(&kind).plural, kind, texts }
        });
        Ok(Self { previews, kinds: kinds.collect() })
    }

    pub fn kinds(&self) -> Vec<GroupVersionKind> {
        self.kinds.iter().map(|kind| kind.kind.clone()).collect()
    }

    pub fn client(self: &Arc<Self>) -> Client {
        let server = Arc::clone(self);
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = Arc::clone(&server);
            async move {
                if request.uri().query().is_some_and(|query| query.contains("watch=")) {
                    // Nothing changes after the list.
                    std::future::pending::<()>().await;
                }
                Ok::<_, Infallible>(server.answer(request.uri()))
            }
        });
        Client::new(service, "default")
    }

    fn answer(&self, uri: &Uri) -> Response<Body> {
        let query: BTreeMap<_, _> =
            url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).collect();
        let (_, name) = uri.path().rsplit_once('/').unwrap_or_default();
        let text = match self.kinds.iter().find(|kind| kind.plural == name) {
            Some(kind) => {
                let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok());
                self.page(kind, number("continue").unwrap_or_default(), number("limit").unwrap_or(usize::MAX))
            }
            None => self.resources(uri.path().trim_start_matches("/apis/").trim_start_matches("/api/")),
        };
        Response::new(Body::from(text.into_bytes()))
    }

    fn page(&self, kind: &Listed, start: usize, limit: usize) -> String {
        let all = self.previews * kind.texts.len();
        let end = all.min(start.saturating_add(limit));
        let mut metadata = json!({"resourceVersion": "1000000"});
        if end < all {
            metadata["continue"] = end.to_string().into();
        }
        let mut text = format!(r#"{{"kind":"List","apiVersion":"v1","metadata":{metadata},"items":["#);
        for index in start..end {
            if index > start {
                text.push(',');
            }
            let number = index / kind.texts.len();
            if let Some(object) = kind.texts.get(index % kind.texts.len()) {
                text.push_str(&object.replace("NUMBER", &format!("{number:04}")));
            }
        }
        text.push_str("]}");
        text
    }

    /// Lists the kinds of a group and version.
    fn resources(&self, group_version: &str) -> String {
        let kinds = self.kinds.iter().filter(|kind| kind.kind.api_version() == group_version);
        let resources = kinds.map(|kind| {
            json!({
                "name": kind.plural, "singularName": "", "kind": kind.kind.kind,
                "namespaced": kind.kind.kind != "Namespace", "verbs": ["list", "watch"],
            })
        });
        let resources: Vec<Value> = resources.collect();
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources})
            .to_string()
    }
}

/// Returns the UID of a preview's PreviewEnvironment.
pub fn environment_uid(number: usize) -> String {
    format!("4f0c3ff5-0000-4000-8000-00000000{number:04}")
}

/// Adds what all objects have.
fn complete(object: &mut Value, index: usize) {
    let is_own = object["apiVersion"] == "matinee.dev/v1alpha1";
    let is_created_by_controller = object["metadata"].get("ownerReferences").is_some();
    let managed = managed_fields(object, is_own, is_created_by_controller);
    let is_namespace = object["kind"] == "Namespace";
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    if !is_namespace {
        metadata.entry("namespace").or_insert_with(|| "preview-shop-pr-NUMBER".into());
    }
    let uid = if object_is_environment(metadata) {
        "4f0c3ff5-0000-4000-8000-00000000NUMBER".to_owned()
    } else {
        format!("{index:08}-0000-4000-8000-00000000NUMBER")
    };
    metadata.insert("uid".to_owned(), uid.into());
    metadata.insert("resourceVersion".to_owned(), "1NUMBER".into());
    metadata.insert("generation".to_owned(), 1.into());
    metadata.insert("creationTimestamp".to_owned(), "2026-03-01T09:29:59Z".into());
    if let Some(labels) = metadata.entry("labels").or_insert_with(|| json!({})).as_object_mut() {
        for (name, value) in [
            ("app.kubernetes.io/managed-by", "matinee"),
            ("matinee.dev/environment", "shop-preview-pr-NUMBER"),
            ("matinee.dev/environment-namespace", "team-shop"),
            ("matinee.dev/environment-uid", "4f0c3ff5-0000-4000-8000-00000000NUMBER"),
            ("matinee.dev/pull-request", "NUMBER"),
            ("matinee.dev/repository", "shop"),
        ] {
            labels.insert(name.to_owned(), value.into());
        }
    }
    if !is_created_by_controller && !is_own {
        let digest = "c46fbd61bc52be5e52a7fce9135451886bae1baf356e321e8bf6940d15f2d551";
        if let Some(annotations) = metadata.entry("annotations").or_insert_with(|| json!({})).as_object_mut()
        {
            annotations.insert("matinee.dev/applied-digest".to_owned(), digest.into());
        }
    }
    metadata.insert("managedFields".to_owned(), managed);
}

fn object_is_environment(metadata: &Map<String, Value>) -> bool {
    metadata.get("finalizers").is_some()
}

/// Returns managed fields: one entry for the content and one for the status.
fn managed_fields(object: &Value, is_own: bool, is_created_by_controller: bool) -> Value {
    let Some(fields) = object.as_object() else { return json!([]) };
    let of = |with_status: bool| -> Map<String, Value> {
        let chosen = fields.iter().filter(|(name, _)| {
            (*name == "status") == with_status && !["apiVersion", "kind"].contains(&name.as_str())
        });
        chosen.map(|(name, value)| (format!("f:{name}"), names_of(value))).collect()
    };
    let (manager, operation) = if is_created_by_controller {
        ("kube-controller-manager", "Update")
    } else if is_own {
        ("matinee-ingest", "Apply")
    } else {
        ("matinee-environment", "Apply")
    };
    let entry = |manager: &str, operation: &str, fields: Map<String, Value>| {
        json!({
            "manager": manager, "operation": operation, "apiVersion": object["apiVersion"],
            "time": "2026-03-01T10:30:00Z", "fieldsType": "FieldsV1", "fieldsV1": fields,
        })
    };
    let mut entries = vec![entry(manager, operation, of(false))];
    let status = of(true);
    if !status.is_empty() {
        let mut status = entry(if is_own { manager } else { "kubelet" }, "Update", status);
        status["subresource"] = "status".into();
        entries.push(status);
    }
    entries.into()
}

/// Returns the set of a value's fields, with items of lists by name or type.
fn names_of(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (format!("f:{name}"), names_of(value))).collect()
        }
        Value::Array(items) => {
            let keyed = items.iter().filter_map(|item| {
                let key = ["name", "type", "mountPath", "containerPort"]
                    .into_iter()
                    .find(|key| item.get(key).is_some())?;
                let mut fields = names_of(item);
                fields["."] = json!({});
                Some((format!("k:{}", json!({key: item[key]})), fields))
            });
            keyed.collect()
        }
        _ => json!({}),
    }
}
