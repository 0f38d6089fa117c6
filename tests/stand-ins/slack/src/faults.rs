//! Faults that tests request.

use crate::control::types::{FaultEffect, NewFault};
use crate::state::State;

/// A fault with the number of requests that it still has to hit.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    path: String,
    left: u32,
    effect: FaultEffect,
}

impl From<NewFault> for Fault {
    fn from(new: NewFault) -> Self {
        Self { path: new.path, left: new.times.unwrap_or(1), effect: new.effect }
    }
}

impl State {
    /// Returns the effect of the first fault that matches a request, and counts the hit.
    pub(crate) fn take_fault(&mut self, path: &str) -> Option<FaultEffect> {
        let hit = self.faults.iter_mut().find(|fault| fault.left > 0 && matches(&fault.path, path))?;
        hit.left -= 1;
        let effect = hit.effect.clone();
        self.faults.retain(|fault| fault.left > 0);
        Some(effect)
    }
}

/// Returns whether a path matches a pattern, in which `*` at the end matches any rest.
fn matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => pattern == path,
    }
}
