//! What this process remembers of its sweeps.

use std::collections::HashMap;
use std::sync::Mutex;

/// Result of the last sweep of each PreviewRepository, by UID. An unchanged listing needs no work.
#[derive(Default)]
pub struct Sweeps(Mutex<SweptSoFar>);

#[derive(Default)]
struct SweptSoFar {
    known: HashMap<String, Swept>,
    /// Number of calls to [`Sweeps::forget`], so that a sweep that began before such a call isn't
    /// remembered after it.
    forgotten: u64,
}

impl Sweeps {
    /// Makes the next sweep of a PreviewRepository process everything, even if GitHub's listings
    /// are unchanged.
    pub(in crate::controllers) fn forget(&self, uid: &str) {
        if let Ok(mut swept) = self.0.lock() {
            swept.known.remove(uid);
            swept.forgotten += 1;
        }
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.0.lock().map_or(0, |swept| swept.forgotten)
    }

    pub(super) fn is_known(&self, uid: &str, listings: &Swept) -> bool {
        self.0.lock().is_ok_and(|swept| swept.known.get(uid) == Some(listings))
    }

    pub(super) fn remember(&self, uid: String, listings: Swept, forgotten: u64) {
        if let Ok(mut swept) = self.0.lock()
            && swept.forgotten == forgotten
        {
            swept.known.insert(uid, listings);
        }
    }
}

/// Versions of everything that a sweep reads. While they stay the same, there is nothing to do.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Swept {
    pub(super) generation: Option<i64>,
    /// The environments it owned. For one that it owns since then, the listings have to be
    /// processed again.
    pub(super) held: Vec<String>,
    /// Versions of the listings.
    pub(super) pull_requests: u64,
    pub(super) deployments: u64,
    pub(super) branches: u64,
    pub(super) comments: u64,
    /// Newest deployment of each environment that another one follows: its id, and the version of
    /// its statuses.
    pub(super) statuses: Vec<(i64, u64)>,
}
