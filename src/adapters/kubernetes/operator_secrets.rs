//! Writing Secrets of the operator's own namespace, for whoever sets it up. The operator itself only reads them.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};

use super::cluster::bounded;
use crate::ports::ClusterError;

/// The field manager of what is written.
const MANAGER: &str = "matinee-github-connect";

/// What may be overwritten of a Secret that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// Nothing: a key that somebody else set is a [`ClusterError::Conflict`].
    Nothing,
    /// The keys that are written. The others stay.
    Keys,
    /// All its data: what isn't written is gone.
    Everything,
}

/// Writes Secrets of one namespace.
pub struct OwnSecrets(Api<Secret>);

impl OwnSecrets {
    /// Of the namespace.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self(Api::namespaced(client, namespace))
    }

    /// The data of the one of that name; `None` when there is none.
    pub async fn read(&self, name: &str) -> Result<Option<BTreeMap<String, ByteString>>, ClusterError> {
        let found = bounded::<_, ClusterError>(self.0.get_opt(name)).await?;
        Ok(found.map(|secret| secret.data.unwrap_or_default()))
    }

    /// Asks the API server whether it would take the Secret, and writes nothing.
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
