//! A preview environment: whether it may exist, what it consists of, whether it is healthy, what its status says, and when it is deleted.

pub mod deletion;
pub mod eligibility;
pub mod health;
pub mod lead_time;
pub mod lifetime;
pub mod plan;
pub mod ready_when;
pub mod resolve;
pub mod resolved;
pub mod state;
pub mod status;
