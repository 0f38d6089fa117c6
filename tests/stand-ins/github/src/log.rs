//! The log of REST requests, so that tests can count calls.

use chrono::{SecondsFormat, Utc};

use crate::control::types::Request;

/// The number of requests kept; older ones are dropped.
const KEPT: usize = 100_000;

/// The log.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    entries: std::collections::VecDeque<Request>,
    sequence: u64,
}

impl RequestLog {
    /// Records a request's arrival. Returns its sequence number, for [`Self::ended`].
    pub(crate) fn arrived(&mut self, method: &str, path: &str, user_agent: &str) -> u64 {
        self.sequence += 1;
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(Request {
            sequence: self.sequence,
            at: Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
            method: method.to_owned(),
            path: path.to_owned(),
            status: 0,
            counted: false,
            who: "anonymous".to_owned(),
            user_agent: user_agent.to_owned(),
        });
        self.sequence
    }

    /// Records a request's outcome.
    pub(crate) fn ended(&mut self, sequence: u64, status: u16, who: &str, counted: bool) {
        if let Some(entry) = self.entries.iter_mut().rev().find(|entry| entry.sequence == sequence) {
            entry.status = status;
            who.clone_into(&mut entry.who);
            entry.counted = counted;
        }
    }

    /// Returns all requests, oldest first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Request> {
        self.entries.iter()
    }

    /// Deletes all requests.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}
