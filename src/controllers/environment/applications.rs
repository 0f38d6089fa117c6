//! What this process remembers of what it applied. Nothing of it is needed after a restart: then
//! what is found is taken as it is.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::core::environment::plan::Corrections;
use crate::core::environment::plan::drift::Application;
use crate::core::environment::resolved::Mistake;
use crate::core::environment::status::Findings;

/// For how long after the deployer account was bound a refusal may just mean that the API server
/// hasn't noticed.
const BINDING_SETTLES: Duration = Duration::from_secs(10);
/// For how long the answer to a trial is used again. Rights and quota change without Matinee
/// hearing of it.
const TRIAL_HOLDS: Duration = Duration::from_mins(1);

/// What this process applied: by UID, so that an object that was created again is applied again.
#[derive(Default)]
pub struct Applications {
    known: Mutex<HashMap<String, Application>>,
    /// When the deployer account of a namespace was bound, if that was a moment ago.
    bound: Mutex<HashMap<String, Instant>>,
    /// When the status of an environment was last written, by UID.
    told: Mutex<HashMap<String, Instant>>,
    /// By UID of the environment and place of the object.
    objects: Mutex<HashMap<String, HashMap<String, Memory>>>,
    /// What a visit found that didn't come to its end, by UID of the environment, until that is told.
    left: Mutex<HashMap<String, Findings>>,
}

/// What is remembered of an object whatever its UID.
#[derive(Default)]
struct Memory {
    corrections: Corrections,
    /// When the API server was last asked for it.
    read: Option<Instant>,
    trial: Option<Trial>,
}

/// What applying an object without effect came to.
#[derive(Clone)]
pub(super) struct Trial {
    digest: String,
    at: Instant,
    pub(super) mistake: Option<Mistake>,
}

impl Applications {
    /// Generation that the API server answered when the object was last applied.
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

    /// Forgets one object that was deleted.
    pub(super) fn drop_object(&self, uid: &str) {
        if let Ok(mut known) = self.known.lock() {
            known.remove(uid);
        }
    }

    /// Forgets every object of an environment that isn't in one of these places.
    pub(super) fn keep_only(&self, environment: &str, places: &HashSet<String>) {
        if let Ok(mut objects) = self.objects.lock()
            && let Some(of_environment) = objects.get_mut(environment)
        {
            of_environment.retain(|place, _| places.contains(place));
        }
    }

    /// Forgets the objects of an environment that is gone.
    pub(super) fn forget<'a>(
        &self,
        environment: &str,
        uids: impl IntoIterator<Item = &'a str>,
        namespace: &str,
    ) {
        if let Ok(mut known) = self.known.lock() {
            for uid in uids {
                known.remove(uid);
            }
        }
        if let Ok(mut bound) = self.bound.lock() {
            bound.remove(namespace);
        }
        if let Ok(mut told) = self.told.lock() {
            told.remove(environment);
        }
        if let Ok(mut objects) = self.objects.lock() {
            objects.remove(environment);
        }
        self.take(environment);
    }

    /// Keeps what a visit found that didn't come to its end.
    pub(super) fn leave(&self, environment: String, findings: Findings) {
        if let Ok(mut left) = self.left.lock() {
            left.insert(environment, findings);
        }
    }

    /// What the last visit found, if it didn't come to its end.
    pub(super) fn take(&self, environment: &str) -> Option<Findings> {
        self.left.lock().ok()?.remove(environment)
    }

    /// What is left of `pause` since the environment's status was last written; `None` when it is
    /// over.
    pub(super) fn told_lately(&self, uid: &str, pause: Duration) -> Option<Duration> {
        let told = self.told.lock().ok()?;
        pause.checked_sub(told.get(uid)?.elapsed()).filter(|left| !left.is_zero())
    }

    /// The status of the environment is being written.
    pub(super) fn tells(&self, uid: String) {
        if let Ok(mut told) = self.told.lock() {
            told.insert(uid, Instant::now());
        }
    }

    pub(super) fn was_bound(&self, namespace: &str) {
        if let Ok(mut bound) = self.bound.lock() {
            bound.retain(|_, at| at.elapsed() < BINDING_SETTLES);
            bound.insert(namespace.to_owned(), Instant::now());
        }
    }

    pub(super) fn is_settling(&self, namespace: &str) -> bool {
        self.bound
            .lock()
            .is_ok_and(|bound| bound.get(namespace).is_some_and(|at| at.elapsed() < BINDING_SETTLES))
    }

    fn with<T>(&self, environment: &str, place: &str, change: impl FnOnce(&mut Memory) -> T) -> Option<T> {
        let mut objects = self.objects.lock().ok()?;
        let of_environment = objects.entry(environment.to_owned()).or_default();
        Some(change(of_environment.entry(place.to_owned()).or_default()))
    }

    /// Whether the API server was asked for the object `within` that time; if not, it is being
    /// asked now.
    pub(super) fn was_read(&self, environment: &str, place: &str, within: Duration) -> bool {
        self.with(environment, place, |memory| {
            let lately = memory.read.is_some_and(|at| at.elapsed() < within);
            if !lately {
                memory.read = Some(Instant::now());
            }
            lately
        })
        .unwrap_or_default()
    }

    /// Whether content with this digest may be written, see [`Corrections`].
    pub(super) fn allows(&self, environment: &str, place: &str, digest: &str, now: Timestamp) -> bool {
        self.with(environment, place, |memory| memory.corrections.allows(digest, now)).unwrap_or(true)
    }

    /// Content with this digest was written.
    pub(super) fn wrote(&self, environment: &str, place: &str, digest: &str, now: Timestamp) {
        self.with(environment, place, |memory| {
            memory.corrections.wrote(digest, now);
            // The answer to the write shows the object.
            memory.read = Some(Instant::now());
            memory.trial = None;
        });
    }

    /// The object is left to somebody else. Says whether that is so for the first time.
    pub(super) fn left(&self, environment: &str, place: &str) -> bool {
        self.with(environment, place, |memory| memory.corrections.left()).unwrap_or_default()
    }

    /// What a trial of the same content came to a moment ago.
    pub(super) fn tried(&self, environment: &str, place: &str, digest: &str) -> Option<Trial> {
        let trial = self.with(environment, place, |memory| memory.trial.clone())??;
        (trial.digest == digest && trial.at.elapsed() < TRIAL_HOLDS).then_some(trial)
    }

    /// What a trial came to.
    pub(super) fn remember_trial(
        &self,
        environment: &str,
        place: &str,
        digest: String,
        mistake: Option<Mistake>,
    ) {
        self.with(environment, place, |memory| {
            memory.trial = Some(Trial { digest, at: Instant::now(), mistake });
        });
    }
}
