//! Watches of the simulated API server. They lag, show nothing for a while, and sometimes list
//! everything again, which hides deletions and all changes in between.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use futures::{Stream, StreamExt as _};
use kube::Resource;
use kube::api::{DynamicObject, GroupVersionKind};
use kube::core::DeserializeGuard;
use kube::runtime::watcher;
use serde::de::DeserializeOwned;

use super::api_server::{ApiServer, Change, Place};
use super::cluster::Shared;
use super::process::Process;
use super::random::Random;
use super::schema;
use crate::adapters::kubernetes::{Events, Watches};
use crate::ports::ClusterError;

type Event = watcher::Event<DynamicObject>;
type Fits = dyn Fn(&Place, &DynamicObject) -> bool + Send + Sync;

/// The watches of one replica.
pub struct FakeWatches {
    shared: Arc<Shared>,
    process: Arc<Process>,
    seed: u64,
}

impl FakeWatches {
    /// Creates the watches of a replica.
    pub fn new(shared: Arc<Shared>, process: Arc<Process>, seed: u64) -> Self {
        Self { shared, process, seed }
    }

    /// Watches one of Matinee's own kinds.
    pub fn of<K>(&self) -> impl Stream<Item = watcher::Result<watcher::Event<DeserializeGuard<K>>>> + use<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let kind = K::kind(&()).into_owned();
        let fits = Box::new(move |place: &Place, _: &DynamicObject| place.kind == kind);
        self.open(&K::kind(&()), fits).map(|event| {
            Ok(match event {
                watcher::Event::Apply(object) => watcher::Event::Apply(typed(object)),
                watcher::Event::Delete(object) => watcher::Event::Delete(typed(object)),
                watcher::Event::InitApply(object) => watcher::Event::InitApply(typed(object)),
                watcher::Event::Init => watcher::Event::Init,
                watcher::Event::InitDone => watcher::Event::InitDone,
            })
        })
    }

    fn open(&self, name: &str, fits: Box<Fits>) -> impl Stream<Item = Event> + use<> {
        let (sender, receiver) = unbounded();
        let random = Random::new(self.seed, &format!("watch {} {name}", self.process.name));
        let watch = Watch {
            shared: Arc::clone(&self.shared),
            process: Arc::clone(&self.process),
            random,
            fits,
            seen: 0,
        };
        tokio::spawn(watch.run(sender));
        receiver
    }
}

fn typed<K: DeserializeOwned>(object: DynamicObject) -> DeserializeGuard<K> {
    let value = serde_json::to_value(object).unwrap();
    DeserializeGuard(Ok(serde_json::from_value(value).expect("the API server checks each object")))
}

#[async_trait]
impl Watches for FakeWatches {
    async fn watch(&self, kind: &GroupVersionKind, selector: &str) -> Result<Events, ClusterError> {
        schema::of(&Place::new(kind, Some("any"), "any"))?;
        let (name, selector) = (kind.kind.clone(), selector.to_owned());
        let fits = Box::new(move |place: &Place, object: &DynamicObject| {
            let labels = object.metadata.labels.as_ref();
            place.kind == name && labels.is_some_and(|labels| labels.contains_key(&selector))
        });
        Ok(self.open(&kind.kind, fits).map(Ok).boxed())
    }
}

struct Watch {
    shared: Arc<Shared>,
    process: Arc<Process>,
    random: Random,
    fits: Box<Fits>,
    /// Version of the newest change that it has shown.
    seen: u64,
}

impl Watch {
    fn server(&self) -> &ApiServer {
        &self.shared.server
    }

    /// Sends the events until nobody receives them any more.
    async fn run(mut self, to: UnboundedSender<Event>) {
        let mut changes = self.server().changes();
        self.list(&to).await;
        while !to.is_closed() {
            // The server lives longer than this task.
            changes.wait_for(|version| *version > self.seen).await.ok();
            let forecast = self.shared.weather.forecast();
            let mut lag = self.random.time(0..=30);
            if self.random.chance(forecast.watches_stale) {
                lag += self.random.time(1_000..=20_000);
            }
            tokio::time::sleep(lag).await;
            let mut was_down = false;
            while self.shared.weather.is_cluster_down() {
                was_down = true;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            self.process.survive().await;
            if was_down || self.random.chance(forecast.watches_relist) {
                self.list(&to).await;
            } else {
                self.show(&to);
            }
        }
    }

    /// Shows everything as a new list.
    async fn list(&mut self, to: &UnboundedSender<Event>) {
        self.seen = self.server().version();
        let objects = self.server().list(&self.fits);
        tokio::time::sleep(self.random.time(1..=40)).await;
        self.process.survive().await;
        send(to, Event::Init);
        for object in objects {
            send(to, Event::InitApply((*object).clone()));
        }
        send(to, Event::InitDone);
    }

    /// Shows some of the changes since.
    fn show(&mut self, to: &UnboundedSender<Event>) {
        let changes = self.server().since(self.seen);
        let Ok(most) = u64::try_from(changes.len()) else { return };
        let Ok(count) = usize::try_from(self.random.number(1..=most.max(1))) else { return };
        for Change { version, place, deleted, before, object } in changes.into_iter().take(count) {
            self.seen = version;
            let was = before.as_ref().is_some_and(|before| (self.fits)(&place, before));
            let fits = !deleted && (self.fits)(&place, &object);
            match (was, fits) {
                (_, true) => send(to, Event::Apply((*object).clone())),
                (true, false) => send(to, Event::Delete((*object).clone())),
                (false, false) => {}
            }
        }
    }
}

fn send(to: &UnboundedSender<Event>, event: Event) {
    // The replica has ended.
    to.unbounded_send(event).ok();
}
