//! Everything outside of the cluster: stand-ins for GitHub, Slack and a registry.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use github_stand_in::control::types::Limits;

use super::web;

/// The stand-in's REST API has a base path like Enterprise Server's, so that code which forgets it
/// fails.
const API_PATH: &str = "/api/v3";

/// The stand-ins.
pub(super) struct Outside {
    pub(super) github: github_stand_in::StandIn,
    pub(super) slack: slack_stand_in::StandIn,
    pub(super) registry: registry_stand_in::StandIn,
}

impl Outside {
    /// Starts the stand-ins on an address of this machine. `unlimited` removes GitHub's limits on
    /// content.
    pub(super) async fn start(host: Ipv4Addr, unlimited: bool) -> Result<Self> {
        let listen = SocketAddr::from((host, 0));
        // In the cluster the operator has a host name that only the gateway knows.
        let client = Some(web::client()?);
        let github = github_stand_in::Settings {
            listen,
            base_path: API_PATH.to_owned(),
            client: client.clone(),
            ..Default::default()
        };
        let slack = slack_stand_in::Settings { listen, client, ..Default::default() };
        let registry = registry_stand_in::Settings { listen, ..Default::default() };
        let outside = Self {
            github: github_stand_in::StandIn::start(github).await?,
            slack: slack_stand_in::StandIn::start(slack).await?,
            registry: registry_stand_in::StandIn::start(registry).await?,
        };
        if unlimited {
            let none = Limits {
                content_per_minute: u64::MAX,
                content_per_hour: u64::MAX,
                points_per_minute: u64::MAX,
                primary: 1_000_000,
                ..Limits::default()
            };
            outside.github.control().set_limits(none).await?;
        }
        Ok(outside)
    }
}
