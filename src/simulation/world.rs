//! The world of a run: the cluster, GitHub, and the operator's replicas, which are started again
//! after a crash.

use std::ops::RangeInclusive;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::api::{DynamicObject, GroupVersionKind};
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::api_server::{ApiServer, Part, Place};
use super::clock::SimulatedClock;
use super::cluster::Shared;
use super::github::Github;
use super::journal::Journal;
use super::machinery::Machinery;
use super::random::Random;
use super::replica::{Replica, Start};
use super::runs::Plan;
use super::stories::Story;
use super::weather::{Forecast, Weather};
use crate::core::forge::RepositoryName;
use crate::ports::ClusterError;

/// Time without a write after which all is quiet. It is longer than the longest backoff.
const QUIET: Duration = Duration::from_mins(7);
/// Longest time until all is quiet.
const RESTLESS: Duration = Duration::from_hours(6);

/// Namespace of the team's objects.
pub const TEAM: &str = "team-shop";

/// When the operator's process crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crashes {
    /// Never.
    None,
    /// Once, after this number of writes.
    Once(u64),
    /// This often, each time after a random number of writes up to the second one.
    Often(u64, u64),
}

/// The world of a run.
pub struct World {
    pub seed: u64,
    pub clock: SimulatedClock,
    pub journal: Arc<Journal>,
    pub weather: Arc<Weather>,
    pub server: Arc<ApiServer>,
    pub github: Arc<Github>,
    pub shared: Arc<Shared>,
    pub repository: RepositoryName,
    random: Random,
    calm: bool,
    elects: bool,
    /// The first replica.
    replica: Mutex<Option<Replica>>,
    /// The replica that leads when the first one has ended.
    successor: Mutex<Option<Replica>>,
}

impl World {
    /// Creates a world with a class, a template, and a PreviewRepository with the story's
    /// environments, and starts the operator.
    pub async fn start(story: &Story, plan: &Plan) -> Arc<Self> {
        let seed = plan.seed;
        let clock = SimulatedClock::start();
        let journal = Arc::new(Journal::new(clock));
        let weather = Arc::new(Weather::default());
        let server = Arc::new(ApiServer::new(clock, Arc::clone(&journal)));
        let github = Github::new(clock, Arc::clone(&journal), Arc::clone(&weather), seed);
        let shared = Arc::new(Shared {
            server: Arc::clone(&server),
            weather: Arc::clone(&weather),
            random: Random::new(seed, "cluster"),
            admission: Mutex::default(),
            images_exist: AtomicBool::new(true),
            lease: Mutex::default(),
        });
        let repository: RepositoryName = "acme/shop".parse().unwrap();
        github.create_repository(&repository);
        Machinery::start(Arc::clone(&server), clock, seed);
        let world = Arc::new(Self {
            seed,
            clock,
            journal,
            weather,
            server,
            github,
            shared,
            repository,
            random: Random::new(seed, "story"),
            calm: plan.forecast == Forecast::calm() && plan.crashes == Crashes::None,
            elects: story.elects,
            replica: Mutex::default(),
            successor: Mutex::default(),
        });
        for name in [TEAM, "matinee-system", "gateway-system"] {
            world.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
        }
        world.apply(&class());
        world.apply(&template("registry.example.com/acme/shop:{{ sha }}"));
        world.apply(&repository_of("shop", "acme/shop", &(story.environments)()));
        world.weather.set(plan.forecast.clone());
        let (supervised, crashes) = (Arc::clone(&world), plan.crashes);
        tokio::spawn(async move { supervised.supervise(crashes).await });
        world.pass(2_000..=4_000).await;
        world
    }

    /// Starts the operator, and starts it again after each crash.
    async fn supervise(self: Arc<Self>, crashes: Crashes) {
        for number in 1.. {
            let crash_after = match crashes {
                Crashes::Once(writes) if number == 1 => Some(writes),
                Crashes::Often(times, writes) if number <= times => Some(self.random.number(1..=writes)),
                _ => None,
            };
            let successor = self.successor.lock().unwrap().take();
            let replica = match successor {
                Some(replica) => replica,
                None => self.start_replica(&format!("r{number}"), crash_after).await,
            };
            let process = Arc::clone(&replica.process);
            *self.replica.lock().unwrap() = Some(replica);
            process.died().await;
            self.journal.write(&process.name, format!("crashed after {} writes", process.writes()));
            if self.successor.lock().unwrap().is_none() {
                self.github.send_webhooks_to(Vec::new());
                tokio::time::sleep(self.random.time(200..=20_000)).await;
            }
        }
    }

    async fn start_replica(&self, name: &str, crash_after: Option<u64>) -> Replica {
        let start = Start { name: name.to_owned(), crash_after, elects: self.elects };
        let replica = Replica::start(self, start).await;
        self.github.send_webhooks_to(vec![Arc::downgrade(&replica.ingest)]);
        replica
    }

    /// Starts another replica, and ends the present leader some moments later: it crashes, or hands
    /// over as at SIGTERM.
    pub async fn change_leader(&self) {
        let name = format!("s{}", self.clock.elapsed().as_millis());
        let successor = self.start_replica(&name, None).await;
        *self.successor.lock().unwrap() = Some(successor);
        if self.chance(0.5)
            && let Some(replica) = &*self.replica.lock().unwrap()
        {
            replica.shut_down();
        }
        self.pass(0..=3_000).await;
        if let Some(replica) = &*self.replica.lock().unwrap() {
            replica.process.crash();
        }
    }

    /// Whether the run has no faults and crashes.
    pub fn is_calm(&self) -> bool {
        self.calm
    }

    /// Lets a random time pass, in milliseconds.
    pub async fn pass(&self, milliseconds: RangeInclusive<u64>) {
        tokio::time::sleep(self.random.time(milliseconds)).await;
    }

    /// Returns a random time.
    pub fn time(&self, milliseconds: RangeInclusive<u64>) -> Duration {
        self.random.time(milliseconds)
    }

    /// Whether something happens that has this probability.
    pub fn chance(&self, probability: f64) -> bool {
        self.random.chance(probability)
    }

    /// Calms the weather, and waits until nobody writes any more.
    pub async fn settle(&self) -> Result<(), String> {
        self.weather.set(Forecast::calm());
        let began = self.clock.elapsed();
        loop {
            let now = self.clock.elapsed();
            let quiet_since = self.journal.last().unwrap_or_default().max(began);
            if now >= quiet_since + QUIET {
                return Ok(());
            }
            if now > began + RESTLESS {
                return Err(format!("not quiet after {} min", RESTLESS.as_secs() / 60));
            }
            tokio::time::sleep((quiet_since + QUIET).saturating_sub(now)).await;
        }
    }

    /// Applies an object as the team does, with `kubectl`.
    pub fn apply(&self, object: &Value) {
        self.server.apply("team", "kubectl", Part::Main, object, false).unwrap();
    }

    /// Deletes an object of the team, with `kubectl`, if it exists.
    pub fn delete<K: Resource<DynamicType = ()>>(&self, name: &str) {
        let kind = GroupVersionKind::gvk(&K::group(&()), &K::version(&()), &K::kind(&()));
        self.server.delete("team", &Place::new(&kind, Some(TEAM), name), None).ok();
    }

    /// Deletes a class, as the platform team does.
    pub fn delete_class(&self, name: &str) {
        let kind = GroupVersionKind::gvk("matinee.dev", "v1alpha1", "PreviewClass");
        self.server.delete("team", &Place::new(&kind, None, name), None).ok();
    }

    /// Rejects the writes for which `admission` returns an error, from now on.
    pub fn reject(&self, admission: impl Fn(&Place, &Value) -> Option<ClusterError> + Send + Sync + 'static) {
        *self.shared.admission.lock().unwrap() = Some(Arc::new(admission));
    }

    /// Returns all objects of a kind.
    pub fn all<K: Resource<DynamicType = ()> + DeserializeOwned>(&self) -> Vec<K> {
        let kind = K::kind(&());
        let found = self.server.list(|place, _| place.kind == kind);
        found.into_iter().map(|object| typed(&object)).collect()
    }

    /// Returns all namespaces of previews.
    pub fn preview_namespaces(&self) -> Vec<String> {
        let found =
            self.server.list(|place, _| place.kind == "Namespace" && place.name.starts_with("preview-"));
        found.iter().map(|object| object.name_any()).collect()
    }
}

fn typed<K: DeserializeOwned>(object: &DynamicObject) -> K {
    serde_json::from_value(serde_json::to_value(object).unwrap()).unwrap()
}

/// Returns the class.
pub fn class() -> Value {
    json!({
        "apiVersion": "matinee.dev/v1alpha1", "kind": "PreviewClass", "metadata": {"name": "standard"},
        "spec": {
            "grants": [{"repositories": ["acme/*"], "namespaces": ["team-*"]}],
            "forge": {"github": {"secretName": "github"}},
            "registries": [{"host": "registry.example.com"}],
            "routing": {"domain": "preview.example.com", "gateway": {"name": "previews", "namespace": "gateway-system"}},
        },
    })
}

/// Returns the template, with a web server of this image.
pub fn template(image: &str) -> Value {
    template_of(&[web(image)])
}

/// Returns the template with these objects and a Service of the web server.
pub fn template_of(objects: &[Value]) -> Value {
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    });
    let resources: Vec<&Value> = objects.iter().chain([&service]).collect();
    json!({
        "apiVersion": "matinee.dev/v1alpha1", "kind": "PreviewTemplate",
        "metadata": {"name": "shop", "namespace": TEAM},
        "spec": {
            "resources": resources,
            "endpoints": [{"name": "web", "service": "web", "port": 80}],
        },
    })
}

/// Returns a web server with this image.
pub fn web(image: &str) -> Value {
    let labels = json!({"app": "web"});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": image}]},
            },
        },
    })
}

/// Returns a PreviewRepository.
pub fn repository_of(name: &str, repository: &str, environments: &Value) -> Value {
    json!({
        "apiVersion": "matinee.dev/v1alpha1", "kind": "PreviewRepository",
        "metadata": {"name": name, "namespace": TEAM},
        "spec": {"repository": repository, "className": "standard", "environments": environments},
    })
}
