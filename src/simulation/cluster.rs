//! A replica's client for the simulated API server. Calls take time, fail, and lose their answers.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use kube::api::{DynamicObject, GroupVersionKind, ObjectMeta};
use serde_json::{Value, json};

use super::api_server::{ApiServer, Part, Place};
use super::process::Process;
use super::random::Random;
use super::weather::Weather;
use crate::core::election::LeaderElectionRecord;
use crate::core::environment::plan::DEPLOYER;
use crate::ports::{Actor, Cluster, ClusterError, Leases, Secrets};

/// A rejection by admission: which objects, and with which answer.
pub type Admission = dyn Fn(&Place, &Value) -> Option<ClusterError> + Send + Sync;

/// Parts of the world that all clients share.
pub struct Shared {
    pub server: Arc<ApiServer>,
    pub weather: Arc<Weather>,
    pub random: Random,
    /// Rejects writes, if a story sets it.
    pub admission: Mutex<Option<Arc<Admission>>>,
    /// Whether the registry has the images that are asked for.
    pub images_exist: AtomicBool,
    /// The Lease of the leader election, with its version.
    pub lease: Mutex<Option<(LeaderElectionRecord, u64)>>,
}

/// Client of one replica.
pub struct FakeCluster {
    shared: Arc<Shared>,
    process: Arc<Process>,
}

fn unavailable(why: &str) -> ClusterError {
    ClusterError::Unavailable(why.to_owned())
}

fn json_of(object: &DynamicObject) -> Result<Value, ClusterError> {
    serde_json::to_value(object)
        .map_err(|error| ClusterError::Refused { code: 400, message: error.to_string() })
}

impl FakeCluster {
    /// Creates the client of a replica.
    pub fn new(shared: Arc<Shared>, process: Arc<Process>) -> Self {
        Self { shared, process }
    }

    fn by(&self, manager: &str) -> String {
        format!("{} {manager}", self.process.name)
    }

    /// Sends a request, which `act` carries out.
    async fn send<T>(
        &self,
        writes: bool,
        act: impl FnOnce(&ApiServer) -> Result<T, ClusterError> + Send,
    ) -> Result<T, ClusterError> {
        let Shared { server, weather, random, .. } = &*self.shared;
        self.process.survive().await;
        tokio::time::sleep(random.time(1..=8)).await;
        if self.process.is_dead() {
            // A request that was on its way when the process crashed still arrives half of the
            // time, and some arrive when another replica leads already.
            if !writes || random.chance(0.5) {
                std::future::pending::<()>().await;
            }
            if random.chance(0.3) {
                tokio::time::sleep(random.time(1..=25_000)).await;
            }
        }
        let forecast = weather.forecast();
        if weather.is_cluster_down() || random.chance(forecast.cluster_fails) {
            tokio::time::sleep(random.time(1..=2_000)).await;
            self.process.survive().await;
            return Err(unavailable("the simulated API server doesn't answer"));
        }
        let answer = act(server);
        if writes && answer.is_ok() {
            self.process.wrote();
        }
        self.process.survive().await;
        tokio::time::sleep(random.time(1..=4)).await;
        self.process.survive().await;
        if random.chance(forecast.cluster_answers_lost) {
            tokio::time::sleep(random.time(1..=2_000)).await;
            self.process.survive().await;
            return Err(unavailable("the simulated API server's answer is lost"));
        }
        answer
    }

    fn admit(&self, object: &Value) -> Result<(), ClusterError> {
        let place = Place::of(object);
        let admission = self.shared.admission.lock().unwrap().clone();
        match admission.and_then(|admission| admission(&place, object)) {
            Some(rejection) => Err(rejection),
            None => Ok(()),
        }
    }

    /// Checks that the account may do this: the deployer account of a namespace only exists, and is
    /// only bound to its rights, in that namespace.
    fn authorize(server: &ApiServer, actor: &Actor, place: &Place) -> Result<(), ClusterError> {
        let Actor::Deployer { namespace } = actor else { return Ok(()) };
        let binding = GroupVersionKind::gvk("rbac.authorization.k8s.io", "v1", "RoleBinding");
        let is_bound = *namespace == place.namespace
            && server.get(&Place::new(&binding, Some(namespace), DEPLOYER)).is_some();
        if is_bound {
            return Ok(());
        }
        let message = format!(
            "{} is forbidden: User \"system:serviceaccount:{namespace}:{DEPLOYER}\" cannot patch resource in the namespace \"{}\"",
            place.kind.to_lowercase(),
            place.namespace
        );
        Err(ClusterError::Refused { code: 403, message })
    }
}

#[async_trait]
impl Cluster for FakeCluster {
    async fn create(&self, manager: &str, object: &DynamicObject) -> Result<DynamicObject, ClusterError> {
        let object = json_of(object)?;
        self.send(true, |server| {
            self.admit(&object)?;
            server.create(&self.by(manager), manager, &object)
        })
        .await
    }

    async fn apply(
        &self,
        actor: &Actor,
        manager: &str,
        object: &DynamicObject,
    ) -> Result<DynamicObject, ClusterError> {
        let object = json_of(object)?;
        self.send(true, |server| {
            Self::authorize(server, actor, &Place::of(&object))?;
            self.admit(&object)?;
            server.apply(&self.by(manager), manager, Part::Main, &object, false)
        })
        .await
    }

    async fn try_apply(
        &self,
        actor: &Actor,
        manager: &str,
        object: &DynamicObject,
    ) -> Result<(), ClusterError> {
        let object = json_of(object)?;
        self.send(false, |server| {
            Self::authorize(server, actor, &Place::of(&object))?;
            self.admit(&object)?;
            server.apply(&self.by(manager), manager, Part::Main, &object, true).map(drop)
        })
        .await
    }

    async fn apply_status(
        &self,
        manager: &str,
        object: &DynamicObject,
    ) -> Result<DynamicObject, ClusterError> {
        let object = json_of(object)?;
        self.send(true, |server| server.apply(&self.by(manager), manager, Part::Status, &object, false)).await
    }

    async fn delete(
        &self,
        actor: &Actor,
        kind: &GroupVersionKind,
        namespace: Option<&str>,
        name: &str,
        uid: &str,
    ) -> Result<(), ClusterError> {
        let place = Place::new(kind, namespace, name);
        let deleted = self
            .send(true, |server| {
                Self::authorize(server, actor, &place)?;
                server.delete(&self.by("delete"), &place, Some(uid))
            })
            .await;
        match deleted {
            Err(ClusterError::Refused { code: 404, .. } | ClusterError::Conflict(_)) => Ok(()),
            other => other,
        }
    }

    async fn remove_finalizer(
        &self,
        kind: &GroupVersionKind,
        object: &ObjectMeta,
        finalizer: &str,
    ) -> Result<(), ClusterError> {
        let place = Place::new(kind, object.namespace.as_deref(), object.name.as_deref().unwrap_or_default());
        let left: Vec<_> = object.finalizers.iter().flatten().filter(|known| *known != finalizer).collect();
        let removed = self
            .send(true, |server| {
                let known = server.get(&place).ok_or_else(|| ClusterError::Refused {
                    code: 404,
                    message: format!("{place} not found"),
                })?;
                if known.metadata.uid != object.uid {
                    return Err(ClusterError::Conflict("another object has that name".to_owned()));
                }
                server.update(&self.by("finalizer"), Part::Main, &place, |object| {
                    object["metadata"]["finalizers"] = json!(left);
                })
            })
            .await;
        match removed {
            Err(ClusterError::Refused { code: 404, .. } | ClusterError::Conflict(_)) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn get(
        &self,
        _: &Actor,
        kind: &GroupVersionKind,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<DynamicObject>, ClusterError> {
        let place = Place::new(kind, namespace, name);
        self.send(false, |server| Ok(server.get(&place).map(|object| (*object).clone()))).await
    }
}

#[async_trait]
impl Secrets for FakeCluster {
    async fn secret(&self, _: &str) -> Result<Option<BTreeMap<String, Vec<u8>>>, ClusterError> {
        // The simulated GitHub accepts any credentials.
        self.send(false, |_| Ok(Some(BTreeMap::from([("token".to_owned(), b"secret".to_vec())])))).await
    }
}

#[async_trait]
impl Leases for FakeCluster {
    async fn read(&self) -> Result<Option<(LeaderElectionRecord, String)>, ClusterError> {
        let lease = &self.shared.lease;
        self.send(false, |_| {
            Ok(lease.lock().unwrap().clone().map(|(record, version)| (record, version.to_string())))
        })
        .await
    }

    async fn write(&self, record: &LeaderElectionRecord, seen: Option<&str>) -> Result<String, ClusterError> {
        let lease = &self.shared.lease;
        // A renewal isn't counted as a write: it has no effect that a crash could leave half done.
        self.send(false, |_| {
            let mut lease = lease.lock().unwrap();
            let known = lease.as_ref().map(|(_, version)| *version);
            if known.map(|version| version.to_string()).as_deref() != seen {
                return Err(ClusterError::Conflict("the Lease has another version".to_owned()));
            }
            let version = known.unwrap_or_default() + 1;
            *lease = Some((record.clone(), version));
            Ok(version.to_string())
        })
        .await
    }
}
