//! The environment's labels. Matinee finds its objects, pods and ReplicaSets by them, and the UID
//! among them decides ownership.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::api::{
    GROUP, LABEL_ENVIRONMENT, LABEL_ENVIRONMENT_NAMESPACE, LABEL_ENVIRONMENT_UID, LABEL_PULL_REQUEST,
    LABEL_REPOSITORY,
};
use crate::core::environment::resolved::Confinement;
use crate::core::naming::label_value;

/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/>
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Labels of one environment.
pub(super) struct Marks(BTreeMap<String, String>);

impl Marks {
    pub(super) fn of(confinement: &Confinement<'_>) -> Self {
        let mut labels = BTreeMap::from([
            (LABEL_ENVIRONMENT_UID.to_owned(), confinement.environment_uid.to_owned()),
            (LABEL_ENVIRONMENT.to_owned(), label_value(confinement.environment_name)),
            (LABEL_ENVIRONMENT_NAMESPACE.to_owned(), confinement.environment_namespace.to_owned()),
            (LABEL_REPOSITORY.to_owned(), label_value(confinement.repository_name)),
        ]);
        if let Some(number) = confinement.pull_request {
            labels.insert(LABEL_PULL_REQUEST.to_owned(), number.to_string());
        }
        Self(labels)
    }

    /// Adds the labels. It keeps the user's own, except for those under `matinee.dev/`, which mark
    /// the owner.
    pub(super) fn add_to(&self, labels: &mut BTreeMap<String, String>) {
        labels.retain(|name, _| !reserved(name));
        labels.extend(self.0.clone());
        labels.entry(MANAGED_BY.to_owned()).or_insert_with(|| "matinee".to_owned());
    }

    /// Adds the labels to untyped ones. It keeps a value that isn't a string, which the API server
    /// rejects.
    pub(super) fn add_to_json(&self, labels: &mut Map<String, Value>) {
        labels.retain(|name, _| !reserved(name));
        labels.extend(self.0.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))));
        labels.entry(MANAGED_BY).or_insert_with(|| Value::from("matinee"));
    }
}

/// Whether only Matinee may set a label or annotation.
pub(super) fn reserved(name: &str) -> bool {
    name.strip_prefix(GROUP).is_some_and(|rest| rest.starts_with('/'))
}
