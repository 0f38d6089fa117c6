//! Deployments on GitHub: what requests one, which gates must pass before it is created, and which
//! PreviewRepository owns its environment.

pub mod gates;
pub mod outcome;
pub mod ownership;
pub mod payload;
pub mod promotion;
pub mod reason;
pub mod triggers;
