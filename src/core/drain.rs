//! Whether everything is about to be removed: a key of the ConfigMap with settings.

use std::collections::BTreeMap;

/// The key. `true` stops everything new.
pub const KEY: &str = "drain";

/// Whether the ConfigMap says so.
pub fn is_on(settings: &BTreeMap<String, String>) -> bool {
    settings.get(KEY).is_some_and(|value| value.trim() == "true")
}
