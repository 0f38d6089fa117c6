//! Record of what this process applied. It isn't needed after a restart: then the existing objects
//! count as applied.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::core::environment::plan::Corrections;
use crate::core::environment::plan::drift::Application;
use crate::core::mistake::Mistake;

/// Time for which the result of a dry run is reused. Nothing reports changes of rights and quota.
const TRIAL_HOLDS: Duration = Duration::from_mins(1);

/// Objects that this process applied, by UID, so that a recreated object is applied again.
#[derive(Default)]
pub struct Applications {
    known: Mutex<HashMap<String, Application>>,
    /// By UID of the environment and key of the object.
    objects: Mutex<HashMap<String, HashMap<String, Object>>>,
}

/// Record of an object, which doesn't depend on its UID.
#[derive(Default)]
struct Object {
    corrections: Corrections,
    /// Time when the object was last read from the API server.
    read: Option<Instant>,
    trial: Option<Trial>,
}

/// Result of a dry run.
#[derive(Clone)]
pub(super) struct Trial {
    digest: String,
    at: Instant,
    pub(super) mistake: Option<Mistake>,
}

impl Applications {
    /// Returns the object's generation after it was last applied.
    pub(super) fn generation(&self, uid: &str) -> Option<i64> {
        self.known.lock().ok()?.get(uid)?.generation
    }

    pub(super) fn get(&self, uid: &str) -> Option<Application> {
        self.known.lock().ok()?.get(uid).cloned()
    }

    pub(super) fn remember(&self, uid: String, application: Application) {
        if let Ok(mut known) = self.known.lock() {
            known.insert(uid, application);
        }
    }

    /// Forgets an object that was deleted.
    pub(super) fn drop_object(&self, uid: &str) {
        if let Ok(mut known) = self.known.lock() {
            known.remove(uid);
        }
    }

    /// Forgets all objects of an environment whose keys aren't in `places`.
    pub(super) fn keep_only(&self, environment: &str, places: &HashSet<String>) {
        if let Ok(mut objects) = self.objects.lock()
            && let Some(of_environment) = objects.get_mut(environment)
        {
            of_environment.retain(|place, _| places.contains(place));
        }
    }

    /// Forgets the objects of an environment that has been deleted, which had these UIDs.
    pub(super) fn forget<'a>(&self, environment: &str, uids: impl IntoIterator<Item = &'a str>) {
        if let Ok(mut known) = self.known.lock() {
            for uid in uids {
                known.remove(uid);
            }
        }
        if let Ok(mut objects) = self.objects.lock() {
            objects.remove(environment);
        }
    }

    fn with<T>(&self, environment: &str, place: &str, change: impl FnOnce(&mut Object) -> T) -> Option<T> {
        let mut objects = self.objects.lock().ok()?;
        let of_environment = objects.entry(environment.to_owned()).or_default();
        Some(change(of_environment.entry(place.to_owned()).or_default()))
    }

    /// Whether the object was read within that time. If not, records that it is read now.
    pub(super) fn was_read(&self, environment: &str, place: &str, within: Duration) -> bool {
        self.with(environment, place, |object| {
            let lately = object.read.is_some_and(|at| at.elapsed() < within);
            if !lately {
                object.read = Some(Instant::now());
            }
            lately
        })
        .unwrap_or_default()
    }

    /// Whether content with this digest may be written, see [`Corrections`].
    pub(super) fn allows(&self, environment: &str, place: &str, digest: &str, now: Timestamp) -> bool {
        self.with(environment, place, |object| object.corrections.allows(digest, now)).unwrap_or(true)
    }

    /// Records a write of content with this digest.
    pub(super) fn wrote(&self, environment: &str, place: &str, digest: &str, now: Timestamp) {
        self.with(environment, place, |object| {
            object.corrections.wrote(digest, now);
            // The response to the write shows the object.
            object.read = Some(Instant::now());
            object.trial = None;
        });
    }

    /// Records that the object is left to another field manager. Returns whether this is the first
    /// time.
    pub(super) fn left(&self, environment: &str, place: &str) -> bool {
        self.with(environment, place, |object| object.corrections.left()).unwrap_or_default()
    }

    /// Returns the result of a dry run with the same content within [`TRIAL_HOLDS`].
    pub(super) fn tried(&self, environment: &str, place: &str, digest: &str) -> Option<Trial> {
        let trial = self.with(environment, place, |object| object.trial.clone())??;
        (trial.digest == digest && trial.at.elapsed() < TRIAL_HOLDS).then_some(trial)
    }

    /// Records the result of a dry run.
    pub(super) fn remember_trial(
        &self,
        environment: &str,
        place: &str,
        digest: String,
        mistake: Option<Mistake>,
    ) {
        self.with(environment, place, |object| {
            object.trial = Some(Trial { digest, at: Instant::now(), mistake });
        });
    }
}
