//! Why a reconcile did not complete.

use std::time::Duration;

use crate::core::trouble::{self, Trouble};
use crate::ports::{ClusterError, ForgeError};

/// Why a reconcile did not complete, although no object contains a mistake. It is retried.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A request to the Kubernetes API failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A request to GitHub failed.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// The reconcile waits for a short time.
    #[error("{reason}")]
    Soon {
        /// Reason for the wait.
        reason: String,
        /// Time until the retry.
        after: Duration,
    },
    /// Another failure, which the object's status already reports.
    #[error(transparent)]
    Reported(Box<Failure>),
}

impl Failure {
    /// Marks the failure as reported in the object's status.
    #[must_use]
    pub fn reported(self) -> Self {
        match self {
            reported @ Self::Reported(_) => reported,
            other => Self::Reported(Box::new(other)),
        }
    }

    /// Whether the failure belongs to normal operation and needs no attention.
    pub fn is_expected(&self) -> bool {
        match self {
            Self::Reported(failure) => failure.is_expected(),
            Self::Soon { .. } | Self::Cluster(ClusterError::NotYet { .. }) => true,
            Self::Cluster(_) | Self::Forge(_) => false,
        }
    }

    /// Returns what to report on the object. The message contains nothing that changes from one
    /// attempt to the next.
    pub fn trouble(&self) -> Trouble {
        let (reason, is_brief) = match self {
            Self::Reported(failure) => return failure.trouble(),
            Self::Soon { .. } => (trouble::WAITING, true),
            Self::Cluster(ClusterError::Conflict(_)) => (trouble::CLUSTER_UNAVAILABLE, true),
            Self::Cluster(ClusterError::Unavailable(_)) => (trouble::CLUSTER_UNAVAILABLE, false),
            Self::Cluster(ClusterError::WebhookUnavailable { .. }) => (trouble::WEBHOOK_UNAVAILABLE, false),
            Self::Cluster(ClusterError::Refused { .. }) => (trouble::CLUSTER_REJECTED, false),
            Self::Cluster(ClusterError::NotYet { reason, .. }) => (*reason, false),
            Self::Forge(ForgeError::RateLimited { .. }) => (trouble::GITHUB_RATE_LIMITED, false),
            Self::Forge(ForgeError::Superseded) => (trouble::GITHUB_UNAVAILABLE, true),
            Self::Forge(ForgeError::Unknown(_) | ForgeError::NotSent(_)) => {
                (trouble::GITHUB_UNAVAILABLE, false)
            }
            Self::Forge(
                ForgeError::Credentials(_)
                | ForgeError::Forbidden(_)
                | ForgeError::NotFound(_)
                | ForgeError::Invalid(_)
                | ForgeError::Conflict(_),
            ) => (trouble::NOT_READABLE, false),
        };
        Trouble { reason, message: self.to_string(), is_brief }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn every_failure_has_a_reason_to_say() {
        let text = || "why".to_owned();
        let until = Timestamp::from_second(1_780_000_000).unwrap();
        for (failure, reason, brief) in [
            (Failure::from(ClusterError::Unavailable(text())), "ClusterUnavailable", false),
            (ClusterError::Conflict(text()).into(), "ClusterUnavailable", true),
            (ClusterError::Refused { code: 403, message: text() }.into(), "ClusterRejected", false),
            (ClusterError::NotYet { reason: "Draining", message: text() }.into(), "Draining", false),
            (
                ClusterError::WebhookUnavailable { webhook: "policy.example.com".into(), message: text() }
                    .into(),
                "AdmissionWebhookUnavailable",
                false,
            ),
            (ForgeError::Unknown(text()).into(), "GitHubUnavailable", false),
            (ForgeError::NotSent(text()).into(), "GitHubUnavailable", false),
            (ForgeError::RateLimited { until }.into(), "GitHubRateLimited", false),
            (ForgeError::Credentials(text()).into(), "NotReadable", false),
            (Failure::Soon { reason: text(), after: Duration::ZERO }, "Waiting", true),
        ] {
            for failure in [failure.trouble(), failure.reported().reported().trouble()] {
                assert_eq!((failure.reason, failure.is_brief), (reason, brief));
                assert!(!failure.message.is_empty());
            }
        }
    }
}
