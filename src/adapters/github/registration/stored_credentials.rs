//! The objects in the cluster for an App: its Secrets, and a snippet of a class that uses it.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;

use super::GithubInstance;

/// Names of the Secrets with an App's credentials, in the operator's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCredentials {
    /// The operator's namespace.
    pub namespace: String,
    /// Name of the Secret with `appId` and `privateKey`, as in a class's
    /// `spec.forge.github.secretName`.
    pub credentials: String,
    /// Name of the Secret with the webhook's secret; `None` without a webhook.
    pub webhook: Option<String>,
    /// Key in that Secret. A Secret may have several keys while the webhook's secret is rotated.
    pub webhook_key: String,
}

impl StoredCredentials {
    /// Returns the names of the Secrets.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.credentials.as_str()).chain(self.webhook.as_deref())
    }

    /// Returns the Secrets. `webhook_secret` is from GitHub; without one there is no Secret for it.
    pub fn secrets(&self, app_id: u64, private_key: &str, webhook_secret: Option<&str>) -> Vec<Secret> {
        let app = [("appId", app_id.to_string()), ("privateKey", private_key.to_owned())];
        let mut secrets = vec![self.secret(&self.credentials, app)];
        if let (Some(name), Some(secret)) = (&self.webhook, webhook_secret) {
            secrets.push(self.secret(name, [(self.webhook_key.as_str(), secret.to_owned())]));
        }
        secrets
    }

    fn secret<const N: usize>(&self, name: &str, data: [(&str, String); N]) -> Secret {
        let labels = [("app.kubernetes.io/part-of", "matinee")];
        Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(self.namespace.clone()),
                labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
                ..ObjectMeta::default()
            },
            data: Some(BTreeMap::from(
                data.map(|(key, value)| (key.to_owned(), ByteString(value.into_bytes()))),
            )),
            type_: Some("Opaque".to_owned()),
            ..Secret::default()
        }
    }
}

/// Returns a `PreviewClass` that uses the App, for all repositories of these accounts but not for
/// every namespace of the cluster.
pub fn class_snippet(github: &GithubInstance, secret_name: &str, accounts: &[&str]) -> String {
    let accounts: &[&str] = if accounts.is_empty() { &["OWNER"] } else { accounts };
    let repositories = accounts.iter().map(|login| format!("\"{login}/*\"")).collect::<Vec<_>>().join(", ");
    let url = if github.api() == "https://api.github.com" {
        String::new()
    } else {
        format!("      url: {}\n", github.api())
    };
    format!(
        "apiVersion: matinee.dev/v1alpha1\nkind: PreviewClass\nmetadata:\n  name: standard\nspec:\n  \
         grants:\n  - repositories: [{repositories}]\n    # The namespace of the team that may use them. Add a grant for each further team.\n    namespaces: [team-shop]\n  forge:\n    github:\n{url}      secretName: {secret_name}\n  routing:\n    \
         domain: preview.example.com\n    gateway: {{name: previews, namespace: gateway-system}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::PreviewClass;

    fn stored() -> StoredCredentials {
        StoredCredentials {
            namespace: "matinee-system".into(),
            credentials: "github".into(),
            webhook: Some("matinee-webhook".into()),
            webhook_key: "secret".into(),
        }
    }

    #[test]
    fn secrets_have_the_keys_that_are_read() {
        let secrets = stored().secrets(7, "PEM", Some("s3cret"));
        let shown = serde_json::to_value(&secrets).unwrap();
        assert_eq!(shown[0]["metadata"]["name"], "github");
        assert_eq!(shown[0]["metadata"]["namespace"], "matinee-system");
        assert_eq!(shown[0]["data"], serde_json::json!({"appId": "Nw==", "privateKey": "UEVN"}));
        assert_eq!(shown[1]["metadata"]["name"], "matinee-webhook");
        assert_eq!(shown[1]["data"], serde_json::json!({"secret": "czNjcmV0"}));
        assert_eq!(stored().names().collect::<Vec<_>>(), ["github", "matinee-webhook"]);
        assert_eq!(stored().secrets(7, "PEM", None).len(), 1);
    }

    #[test]
    fn the_class_can_be_applied() {
        let server = GithubInstance::parse("https://ghe.example.com").unwrap();
        let yaml = class_snippet(&server, "github", &["acme", "mona"]);
        let class: PreviewClass = serde_saphyr::from_str(&yaml).unwrap();
        assert_eq!(class.spec.grants[0].repositories, ["acme/*", "mona/*"]);
        assert_eq!(class.spec.grants[0].namespaces, ["team-shop"]);
        assert_eq!(class.spec.forge.github.url, "https://ghe.example.com/api/v3");
        assert_eq!(class.spec.forge.github.secret_name, "github");
        let com = GithubInstance::parse("https://github.com").unwrap();
        let class: PreviewClass = serde_saphyr::from_str(&class_snippet(&com, "app", &[])).unwrap();
        assert_eq!(class.spec.forge.github.url, "https://api.github.com");
    }
}
