//! Preview environments: eligibility, objects, health, status and deletion.

pub mod deletion_status;
pub mod eligibility;
pub mod health;
pub mod lead_time;
pub mod lifetime;
pub mod plan;
pub mod pruning;
pub mod ready_when;
pub mod reason;
pub mod resolve;
pub mod resolved;
pub mod revocation;
pub mod state;
pub mod status;
