//! Watches a ConfigMap with settings that may change while the operator runs.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};

/// Calls `changed` with the ConfigMap's data at the start and after each change; with `None` when
/// the ConfigMap doesn't exist. Never returns.
pub async fn config_map(
    client: Client,
    namespace: String,
    name: String,
    changed: impl Fn(Option<BTreeMap<String, String>>) + Send + 'static,
) {
    let config_maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
    let watch = watcher::watch_object(config_maps, &name).default_backoff();
    let mut watch = std::pin::pin!(watch);
    loop {
        match watch.try_next().await {
            Ok(Some(found)) => changed(found.map(|found| found.data.unwrap_or_default())),
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(namespace, name, %error, "watch of the settings failed, restarting it");
            }
        }
    }
}
