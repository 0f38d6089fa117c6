//! Interfaces to the outside world that the controllers use: one file for each outside system. One
//! adapter implements each trait.

mod chat;
mod clock;
mod cluster;
mod events;
mod forge;
mod ingest;
mod leases;
mod live_objects;
mod prober;
mod registry;
mod renderer;
mod secrets;

pub use chat::{Chat, ChatError};
pub use clock::Clock;
pub use cluster::{Actor, Cluster, ClusterError};
pub use events::{EventType, Events};
pub use forge::{Forge, ForgeError, Forges, Listing};
pub use ingest::{Body, GithubAnswer, GithubDelivery, Ingest, IngestError, Receiver};
pub use leases::Leases;
pub use live_objects::LiveObjects;
pub use prober::Prober;
pub use registry::{Registry, RegistryError};
pub use renderer::Renderer;
pub use secrets::Secrets;
