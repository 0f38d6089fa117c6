//! Writes Secrets in the operator's namespace for the person who installs Matinee. The operator
//! itself only reads them.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};

use super::cluster::bounded;
use crate::ports::ClusterError;

/// Field manager of the Secrets.
const MANAGER: &str = "matinee-github-connect";

/// The parts of an existing Secret that may be overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// Nothing: a key that another field manager set is a [`ClusterError::Conflict`].
    Nothing,
    /// The written keys. All other keys stay.
    Keys,
    /// All data. Keys that aren't written are removed.
    Everything,
}

/// Access to the Secrets of one namespace.
pub struct OwnSecrets(Api<Secret>);

impl OwnSecrets {
    /// Creates access to the Secrets of the namespace.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self(Api::namespaced(client, namespace))
    }

    /// Returns the data of the Secret with that name; `None` when it doesn't exist.
    pub async fn read(&self, name: &str) -> Result<Option<BTreeMap<String, ByteString>>, ClusterError> {
        let found = bounded::<_, ClusterError>(self.0.get_opt(name)).await?;
        Ok(found.map(|secret| secret.data.unwrap_or_default()))
    }

    /// Checks by a dry run that the API server accepts the Secret.
    pub async fn would_take(&self, secret: &Secret, overwrite: Overwrite) -> Result<(), ClusterError> {
        self.send(secret, overwrite, true).await
    }

    /// Writes the Secret.
    pub async fn write(&self, secret: &Secret, overwrite: Overwrite) -> Result<(), ClusterError> {
        self.send(secret, overwrite, false).await
    }

    async fn send(&self, secret: &Secret, overwrite: Overwrite, dry_run: bool) -> Result<(), ClusterError> {
        let name = secret.name_any();
        if overwrite != Overwrite::Nothing
            && let Some(mut there) = bounded::<_, ClusterError>(self.0.get_opt(&name)).await?
        {
            let mut data = secret.data.clone().unwrap_or_default();
            if overwrite == Overwrite::Keys {
                for (key, value) in there.data.take().unwrap_or_default() {
                    data.entry(key).or_insert(value);
                }
            }
            there.data = Some(data);
            let parameters = PostParams { dry_run, field_manager: Some(MANAGER.to_owned()) };
            return bounded(async { self.0.replace(&name, &parameters, &there).await.map(|_| ()) }).await;
        }
        let mut parameters = PatchParams::apply(MANAGER);
        parameters.dry_run = dry_run;
        let patch = Patch::Apply(secret);
        bounded(async { self.0.patch(&name, &parameters, &patch).await.map(|_| ()) }).await
    }
}
