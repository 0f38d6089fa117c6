//! A registry with an image, and a client.

use std::time::Duration;

use matinee::adapters::registry::{RegistryClient, RegistrySettings};
use matinee::core::image::{Credentials, TokenHosts};
use matinee::ports::{Registry, RegistryError};
use registry_stand_in::control::Client;
use registry_stand_in::control::types::{Authentication, FaultEffect, NewImage, Request, Visibility};
use registry_stand_in::{Settings, StandIn};

/// The password of every user. No error may contain it.
pub const PASSWORD: &str = "s3cret-Passw0rd";

/// The path of the existing image's manifest.
pub const PR_7: &str = "/v2/acme/shop/manifests/pr-7";

pub struct World {
    pub stand_in: StandIn,
    pub control: Client,
    pub client: RegistryClient,
}

pub fn settings() -> RegistrySettings {
    RegistrySettings { timeout: Duration::from_secs(5), ..RegistrySettings::default() }
}

pub fn credentials(username: &str, password: &str) -> Credentials {
    Credentials { username: username.into(), password: password.into() }
}

/// Returns the credentials of mona, who may pull everything.
pub fn mona() -> Credentials {
    credentials("mona", PASSWORD)
}

impl World {
    /// Starts a registry with the public image `acme/shop:pr-7`.
    pub async fn start(authentication: Authentication) -> Self {
        Self::start_with(Settings { authentication, ..Settings::default() }, settings()).await
    }

    pub async fn start_with(stand_in: Settings, client: RegistrySettings) -> Self {
        let stand_in = StandIn::start(stand_in).await.unwrap();
        let control = stand_in.control();
        control.put_image(NewImage::new("acme/shop", "pr-7")).await.unwrap();
        control.put_user("mona", PASSWORD).await.unwrap();
        Self { stand_in, control, client: RegistryClient::new(client).unwrap() }
    }

    pub async fn make_private(&self) {
        self.control.set_visibility("acme/shop", Visibility::Private).await.unwrap();
    }

    /// Looks up an image of this registry, over plain HTTP.
    pub async fn ask(&self, image: &str, credentials: Option<&Credentials>) -> Result<bool, RegistryError> {
        let image = format!("{}/{image}", self.stand_in.host());
        ask(&self.client, &image, credentials, true).await
    }

    /// Looks up `acme/shop:pr-7`.
    pub async fn pr_7(&self, credentials: Option<&Credentials>) -> Result<bool, RegistryError> {
        self.ask("acme/shop:pr-7", credentials).await
    }

    /// Returns the requests so far, as `HEAD /path none 401`, and deletes the record.
    pub async fn requests(&self) -> Vec<String> {
        let all = self.control.requests().await.unwrap();
        self.control.reset_requests().await.unwrap();
        let line = |request: &Request| {
            let path = request.path.split('?').next().unwrap_or_default();
            format!("{} {path} {} {}", request.method, request.authorization, request.status)
        };
        all.iter().map(line).collect()
    }

    /// Sets the answer to the next request for a manifest.
    pub async fn answer_next(&self, status: u16, headers: &[(&str, &str)]) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let effect = FaultEffect::Answer { status, headers, body: String::new() };
        self.control.break_next("/v2/", effect).await.unwrap();
    }
}

pub async fn ask(
    client: &RegistryClient,
    image: &str,
    credentials: Option<&Credentials>,
    insecure: bool,
) -> Result<bool, RegistryError> {
    let result = client.exists(&image.parse().unwrap(), credentials, insecure).await;
    let shown = format!("{result:?} {}", result.as_ref().err().map(ToString::to_string).unwrap_or_default());
    assert!(!shown.contains(PASSWORD), "{shown}");
    result
}

/// Returns the hosts that may have the registry's token endpoint.
pub fn token_hosts(registry: &str, host: &str) -> TokenHosts {
    [(registry.to_owned(), [host.to_owned()].into())].into()
}

pub fn refused(result: &Result<bool, RegistryError>) -> &str {
    match result {
        Err(RegistryError::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

pub fn invalid(result: &Result<bool, RegistryError>) -> &str {
    match result {
        Err(RegistryError::Invalid(why)) => why,
        other => panic!("{other:?}"),
    }
}

pub fn not_answered(result: &Result<bool, RegistryError>) -> &str {
    match result {
        Err(RegistryError::NotAnswered(why)) => why,
        other => panic!("{other:?}"),
    }
}
