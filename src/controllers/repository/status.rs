//! Writes the result of a reconcile, in every case.

use super::checks::Checked;
use super::{ACCEPTED, CONDITIONS, PROMOTION_VALID, RepositoryContext, SYNCED};
use crate::api::{ConditionStatus, PreviewRepository, PreviewRepositoryStatus};
use crate::core::conditions::{self, Summary};
use crate::core::mistake::Mistake;
use crate::core::trouble::{self, Trouble};
use crate::ports::ClusterError;
use crate::runtime::{events, write};

/// Result of the sweep.
pub(super) enum Synced {
    /// There was none: the class doesn't admit the PreviewRepository, or the operator drains.
    Not,
    /// GitHub was read.
    Done,
    /// GitHub can't be read until somebody changes something.
    Rejected(Mistake),
    /// An outage interrupted it.
    Interrupted(Trouble),
}

/// Writes the status if it changed. Returns whether `Ready` shows the result. Otherwise `Ready` keeps
/// the previous result, because a short outage doesn't change that.
pub(super) async fn record(
    repository: &PreviewRepository,
    checked: &Checked,
    synced: &Synced,
    context: &RepositoryContext,
) -> Result<bool, ClusterError> {
    let now = context.common.clock.now();
    let generation = repository.metadata.generation.unwrap_or_default();
    let before = repository.status.as_ref();
    let known = before.map(|status| status.conditions.clone()).unwrap_or_default();
    let mut list = known.clone();
    conditions::initialize(&mut list, &CONDITIONS, generation, now);
    let mut set = |kind, verdict, reason: &str, message: &str| {
        conditions::set(&mut list, kind, verdict, reason, message, generation, now);
    };
    for (kind, result) in [(PROMOTION_VALID, &checked.promotion), (ACCEPTED, &checked.claims)] {
        match result {
            Ok(()) => set(kind, ConditionStatus::True, kind, ""),
            Err(mistake) => set(kind, ConditionStatus::False, mistake.reason.as_str(), &mistake.message),
        }
    }
    match synced {
        Synced::Rejected(mistake) => {
            set(SYNCED, ConditionStatus::False, mistake.reason.as_str(), &mistake.message);
        }
        Synced::Interrupted(trouble) => {
            set(SYNCED, ConditionStatus::Unknown, trouble.reason, &trouble.message);
        }
        Synced::Done if checked.mistake().is_none() => set(SYNCED, ConditionStatus::True, SYNCED, ""),
        Synced::Done | Synced::Not => {}
    }
    let rejected = match synced {
        Synced::Rejected(mistake) => Some(mistake),
        _ => None,
    };
    let summary = match (checked.mistake().or(rejected), synced) {
        (Some(Mistake { reason, message }), _) => {
            Some(Summary::Stalled { reason: reason.to_string(), message: message.clone() })
        }
        (None, Synced::Interrupted(_)) if trouble::is_settled(&list, generation) => None,
        (None, Synced::Interrupted(Trouble { reason, message, .. })) => {
            Some(Summary::Reconciling { reason: (*reason).to_owned(), message: message.clone() })
        }
        (None, _) => Some(Summary::Ready { reason: "Ready".to_owned(), message: String::new() }),
    };
    if let Some(summary) = &summary {
        conditions::summarize(&mut list, summary, generation, now);
    }
    let status = PreviewRepositoryStatus { observed_generation: generation, conditions: list };
    if before != Some(&status) {
        let cluster = &*context.common.cluster;
        let written = write::status(cluster, write::CONFIGURATION, repository, &status).await?;
        context.common.objects.repositories.wrote(written);
        let about = write::reference(repository);
        events::of_trouble(about, &known, &status.conditions, &context.common).await;
    }
    Ok(summary.is_some())
}
