//! The Kubernetes API: requests, watched stores, and the live view of what was applied.

mod cluster;
mod events;
mod live;
mod store;

pub use cluster::{KubeCluster, client};
pub use events::KubeEvents;
pub use live::WatchedObjects;
pub use store::watched;
