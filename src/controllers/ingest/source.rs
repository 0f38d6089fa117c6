//! Where an event comes from, and what is recorded of it on the objects that it concerns.

use jiff::Timestamp;

use crate::core::freshness::{self, Delivery};

/// How an event was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Learned {
    /// GitHub reported it in a webhook delivery; `None` when the delivery has no id.
    Reported(Option<Delivery>),
    /// A sweep found it. Sweeps find the same event again and again.
    Found,
}

/// Origin of an event, from which the annotations on objects are made.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) learned: Learned,
    pub(super) now: Timestamp,
    /// Time of the push according to GitHub.
    pub(super) pushed_at: Option<Timestamp>,
}

impl Source {
    /// Returns a value that is different for each delivery; `None` for an event that a sweep found.
    pub(super) fn delivery(&self) -> Option<String> {
        match &self.learned {
            Learned::Reported(Some(delivery)) => Some(delivery.to_string()),
            // Without an id, every delivery counts as a new one.
            Learned::Reported(None) => Some(self.now.to_string()),
            Learned::Found => None,
        }
    }

    /// Returns the annotation for a version of the pull request on an object whose annotation is
    /// `known`; `None` when the object already has it.
    pub(super) fn record(&self, known: Option<&str>, version: &str) -> Option<String> {
        match self.delivery() {
            Some(delivery) => freshness::reported(known, version, &delivery),
            None => freshness::found(known, version),
        }
    }
}
