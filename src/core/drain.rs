//! Drain mode: a key of the ConfigMap with Matinee's settings stops new work before an uninstall.

use std::collections::BTreeMap;

/// Key of the setting. With `true`, Matinee starts nothing new.
pub const KEY: &str = "drain";

/// Whether the ConfigMap turns drain mode on.
pub fn is_on(settings: &BTreeMap<String, String>) -> bool {
    settings.get(KEY).is_some_and(|value| value.trim() == "true")
}
