//! The parts below the controllers: queues and the runner, the index of Matinee's objects, the writes to
//! GitHub and Slack, leadership, and the one way to write an object, an event or trouble. Nothing
//! here knows a kind's reconcile.

pub mod common;
pub mod election;
pub mod events;
pub mod failure;
pub mod leadership;
pub mod objects;
pub mod publisher;
pub mod queue;
pub mod runner;
pub mod trouble;
pub mod write;
