//! The Lease that replicas run for.

use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use super::cluster::bounded;
use crate::core::lease::Record;
use crate::ports::{ClusterError, Leases};

/// One Lease.
pub struct KubeLease {
    leases: Api<Lease>,
    name: String,
}

impl KubeLease {
    /// The Lease of that name, which need not be there yet.
    pub fn new(client: Client, namespace: &str, name: String) -> Self {
        Self { leases: Api::namespaced(client, namespace), name }
    }
}

#[async_trait]
impl Leases for KubeLease {
    async fn read(&self) -> Result<Option<(Record, String)>, ClusterError> {
        let found = bounded::<_, ClusterError>(self.leases.get_opt(&self.name)).await?;
        Ok(found.map(|lease| (record(lease.spec.unwrap_or_default()), version(lease.metadata))))
    }

    async fn write(&self, record: &Record, seen: Option<&str>) -> Result<String, ClusterError> {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                resource_version: seen.map(str::to_owned),
                ..ObjectMeta::default()
            },
            spec: Some(spec(record)),
        };
        let parameters =
            PostParams { field_manager: Some("matinee-lease".to_owned()), ..PostParams::default() };
        let written = if seen.is_some() {
            bounded::<_, ClusterError>(self.leases.replace(&self.name, &parameters, &lease)).await?
        } else {
            bounded::<_, ClusterError>(self.leases.create(&parameters, &lease)).await?
        };
        Ok(version(written.metadata))
    }
}

fn version(metadata: ObjectMeta) -> String {
    metadata.resource_version.unwrap_or_default()
}

fn record(spec: LeaseSpec) -> Record {
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    Record {
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        duration: Duration::from_secs(seconds.unwrap_or_default()),
        acquired: spec.acquire_time.map(|time| time.0),
        renewed: spec.renew_time.map(|time| time.0),
        transitions: spec.lease_transitions.unwrap_or_default(),
    }
}

fn spec(record: &Record) -> LeaseSpec {
    LeaseSpec {
        holder_identity: record.holder.clone(),
        lease_duration_seconds: i32::try_from(record.duration.as_secs()).ok(),
        acquire_time: record.acquired.map(MicroTime),
        renew_time: record.renewed.map(MicroTime),
        lease_transitions: Some(record.transitions),
        ..LeaseSpec::default()
    }
}
