//! The Kubernetes API: requests, watched stores, and the live view of what was applied.

mod cluster;
mod events;
mod live;
mod own_secrets;
mod store;

pub use cluster::{KubeCluster, client};
pub use events::KubeEvents;
pub use live::WatchedObjects;
pub use own_secrets::OwnSecrets;
pub use store::watched;
