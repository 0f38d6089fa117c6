//! Faults that tests request.

use crate::control::types::{FaultEffect, NewFault};
use crate::state::State;

/// A fault with the number of requests that it still has to hit.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    method: Option<String>,
    path: String,
    left: u32,
    effect: FaultEffect,
}

impl From<NewFault> for Fault {
    fn from(new: NewFault) -> Self {
        let method = new.method.map(|method| method.to_uppercase());
        Self { method, path: new.path, left: new.times.unwrap_or(1), effect: new.effect }
    }
}

impl State {
    /// Returns the effect of the first fault that matches a request, and counts the hit.
    pub(crate) fn take_fault(&mut self, method: &str, path: &str) -> Option<FaultEffect> {
        let hit = self.faults.iter_mut().find(|fault| {
            fault.left > 0
                && fault.method.as_deref().is_none_or(|wanted| wanted == method)
                && matches(&fault.path, path)
        })?;
        hit.left -= 1;
        let effect = hit.effect.clone();
        self.faults.retain(|fault| fault.left > 0);
        Some(effect)
    }
}

/// Returns whether a path matches a pattern, in which `*` matches any text.
fn matches(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((start, rest)) => path.strip_prefix(start).is_some_and(|tail| {
            tail.char_indices().map(|(at, _)| at).chain([tail.len()]).any(|at| matches(rest, &tail[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(matches("/repos/*/deployments", "/repos/acme/shop/deployments"));
        assert!(!matches("/repos/*/deployments", "/repos/acme/shop/deployments/1"));
        assert!(matches("/repos/*/deployments/*", "/repos/acme/shop/deployments/1/statuses"));
        assert!(matches("*", ""));
        assert!(!matches("/a", "/b"));
    }
}
