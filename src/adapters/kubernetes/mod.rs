//! The Kubernetes API: requests, watches, the Lease, events, and the watched objects of
//! environments.

mod cluster;
mod events;
mod lease;
mod operator_secrets;
mod settings;
mod store;
mod watched_objects;

pub use cluster::{KubeCluster, client};
pub use events::KubeEvents;
pub use lease::KubeLease;
pub use operator_secrets::{Overwrite, OwnSecrets};
pub use settings::config_map;
pub use store::{Change, caught_up, filled_by, watched};
pub use watched_objects::{Events, WatchedObjects, Watches};
