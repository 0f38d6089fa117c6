//! The Lease for leader election.

use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::cluster::bounded;
use crate::core::election::LeaderElectionRecord;
use crate::ports::{ClusterError, Leases};

/// Field manager of the Lease.
const MANAGER: &str = "matinee-lease";

/// One Lease.
pub struct KubeLease {
    leases: Api<Lease>,
    name: String,
}

impl KubeLease {
    /// Creates access to the Lease with that name, which need not exist yet.
    pub fn new(client: Client, namespace: &str, name: String) -> Self {
        Self { leases: Api::namespaced(client, namespace), name }
    }
}

#[async_trait]
impl Leases for KubeLease {
    async fn read(&self) -> Result<Option<(LeaderElectionRecord, String)>, ClusterError> {
        let found = bounded::<_, ClusterError>(self.leases.get_opt(&self.name)).await?;
        Ok(found.map(|lease| (record(lease.spec.unwrap_or_default()), version(lease.metadata))))
    }

    async fn write(&self, record: &LeaderElectionRecord, seen: Option<&str>) -> Result<String, ClusterError> {
        let manager = Some(MANAGER.to_owned());
        let written: Lease = if let Some(seen) = seen {
            // A patch keeps all other fields of the object. The API server rejects it if the
            // resource version differs.
            let parameters = PatchParams { field_manager: manager, ..PatchParams::default() };
            let patch = Patch::Merge(json!({"metadata": {"resourceVersion": seen}, "spec": spec(record)}));
            bounded::<_, ClusterError>(self.leases.patch(&self.name, &parameters, &patch)).await?
        } else {
            let parameters = PostParams { field_manager: manager, ..PostParams::default() };
            let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
            let lease = Lease { metadata, spec: serde_json::from_value(spec(record)).ok() };
            bounded::<_, ClusterError>(self.leases.create(&parameters, &lease)).await?
        };
        Ok(version(written.metadata))
    }
}

fn version(metadata: ObjectMeta) -> String {
    metadata.resource_version.unwrap_or_default()
}

fn record(spec: LeaseSpec) -> LeaderElectionRecord {
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    LeaderElectionRecord {
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        duration: Duration::from_secs(seconds.unwrap_or_default()),
        acquired: spec.acquire_time.map(|time| time.0),
        renewed: spec.renew_time.map(|time| time.0),
        transitions: spec.lease_transitions.unwrap_or_default(),
    }
}

/// Returns the Lease's spec. Absent values are null, so that the patch removes them.
fn spec(record: &LeaderElectionRecord) -> Value {
    json!({
        "holderIdentity": record.holder,
        "leaseDurationSeconds": record.duration.as_secs(),
        "acquireTime": record.acquired.map(MicroTime),
        "renewTime": record.renewed.map(MicroTime),
        "leaseTransitions": record.transitions,
    })
}
