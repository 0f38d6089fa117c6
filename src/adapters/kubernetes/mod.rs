//! The Kubernetes API: requests, watched stores, and the live view of what was applied.

mod cluster;
mod events;
mod lease;
mod live;
mod own_secrets;
mod settings;
mod store;

pub use cluster::{KubeCluster, client};
pub use events::KubeEvents;
pub use lease::KubeLease;
pub use live::WatchedObjects;
pub use own_secrets::{Overwrite, OwnSecrets};
pub use settings::config_map;
pub use store::{caught_up, watched};
