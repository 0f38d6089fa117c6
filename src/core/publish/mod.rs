//! What GitHub shows: deployment statuses and commit statuses.

pub mod commit_status;
pub mod deployment_status;
