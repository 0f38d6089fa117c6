//! Reasons of a request's condition `Ready` once its gates are evaluated. Before that, the condition
//! has the reason of the gate that holds the request up.

use crate::api::{DeploymentRequest, find_condition};
use crate::core::conditions::READY;

/// How far a request is whose gates no longer hold it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestReason {
    /// Its deployment is being created, or may have been.
    Creating,
    /// GitHub has the deployment, and it has neither succeeded nor failed.
    Deploying,
    /// The deployment succeeded.
    Succeeded,
    /// The deployment failed. It may still succeed.
    DeploymentFailed,
    /// The deployment became inactive before it succeeded.
    Inactive,
    /// A newer request or commit supersedes it.
    Superseded,
    /// GitHub rejects its deployment, which is tried again from time to time.
    Refused,
    /// Too many deployments repeated commits, see [`repeats`](super::gates::repeats).
    DeploymentLoop,
    /// The gate `checks` wasn't satisfied in time.
    ChecksTimedOut,
    /// The gate `image` wasn't satisfied in time.
    ImageTimedOut,
}

impl RequestReason {
    const ALL: [Self; 10] = [
        Self::Creating,
        Self::Deploying,
        Self::Succeeded,
        Self::DeploymentFailed,
        Self::Inactive,
        Self::Superseded,
        Self::Refused,
        Self::DeploymentLoop,
        Self::ChecksTimedOut,
        Self::ImageTimedOut,
    ];

    /// The reason as the condition has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Deploying => "Deploying",
            Self::Succeeded => "Succeeded",
            Self::DeploymentFailed => "DeploymentFailed",
            Self::Inactive => "Inactive",
            Self::Superseded => "Superseded",
            Self::Refused => "Refused",
            Self::DeploymentLoop => "DeploymentLoop",
            Self::ChecksTimedOut => "ChecksTimedOut",
            Self::ImageTimedOut => "ImageTimedOut",
        }
    }

    /// The reason with that text; `None` for a gate's and for one of no request.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// The reason of a request. `None` while a gate holds it up, and before its first reconcile.
    pub fn of(request: &DeploymentRequest) -> Option<Self> {
        let ready = find_condition(&request.status.as_ref()?.conditions, READY)?;
        Self::parse(&ready.reason)
    }

    /// Returns whether the request has ended: only a change of its pull request or branch starts it
    /// again.
    pub const fn is_end(self) -> bool {
        match self {
            Self::Succeeded
            | Self::Inactive
            | Self::Superseded
            | Self::ChecksTimedOut
            | Self::ImageTimedOut => true,
            Self::Creating
            | Self::Deploying
            | Self::DeploymentFailed
            | Self::Refused
            | Self::DeploymentLoop => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::conditions;

    #[test]
    fn reasons_round_trip() {
        for reason in RequestReason::ALL {
            assert_eq!(RequestReason::parse(reason.as_str()), Some(reason));
            assert!(conditions::is_reason(reason.as_str()));
        }
        assert_eq!(RequestReason::parse("CheckPending"), None);
    }
}
