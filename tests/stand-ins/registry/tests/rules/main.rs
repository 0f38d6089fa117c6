//! Every rule of the stand-in for a registry, checked over HTTP.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests are tests too

mod authentication;
mod control;
mod manifests;

use registry_stand_in::control::Client;
use registry_stand_in::control::types::{Authentication, NewImage};
use registry_stand_in::{Settings, StandIn};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

pub(crate) const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

/// A running stand-in with the public image `acme/shop:pr-7`.
pub(crate) struct World {
    pub(crate) stand_in: StandIn,
    pub(crate) control: Client,
    pub(crate) digest: String,
    http: reqwest::Client,
}

pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Said {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.json()["errors"][0]["code"], code, "{}", self.text);
    }
}

impl World {
    pub(crate) async fn start(authentication: Authentication) -> Self {
        let stand_in = StandIn::start(Settings { authentication, ..Settings::default() }).await.unwrap();
        let control = stand_in.control();
        let digest = control.put_image(NewImage::new("acme/shop", "pr-7")).await.unwrap().digest;
        Self { stand_in, control, digest, http: reqwest::Client::new() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.stand_in.host()))
    }

    pub(crate) async fn get(&self, path: &str) -> Said {
        send(self.request(Method::GET, path).header("accept", OCI)).await
    }

    pub(crate) async fn head(&self, path: &str) -> Said {
        send(self.request(Method::HEAD, path).header("accept", OCI)).await
    }
}

pub(crate) async fn send(request: RequestBuilder) -> Said {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Said { status, headers, text: response.text().await.unwrap() }
}
