//! The gate `image`: the image must be in its registry. The class lists the registries that Matinee
//! may ask.

use jiff::{SignedDuration, Timestamp};

use super::{GateInput, GateVerdict, IMAGE_FOUND};
use crate::api::{Gates, Registry};
use crate::core::deployment::gates::deadline::deadline;
use crate::core::deployment::reason::RequestReason;
use crate::core::mistake::{Mistake, Reason};

/// The registry of images whose names begin with no host.
const DOCKER_HUB: &str = "docker.io";
/// Interval between two requests to a registry for the same image, since registries don't notify
/// Matinee of a push.
const AGAIN: SignedDuration = SignedDuration::from_secs(30);

/// The result of asking a registry for an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryAnswer {
    /// The image exists.
    Found,
    /// The image doesn't exist.
    Missing,
    /// The registry couldn't be asked. The text says why; the same cause always has the same text.
    Unreachable(String),
}

/// Returns the host, and the port if there is one, of the registry that an image's name refers to.
/// The part before the first `/` is a host if it contains a dot or a colon or is `localhost`; every
/// other name is on Docker Hub. <https://github.com/distribution/reference/blob/main/normalize.go>
pub fn host(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => {
            if host == "index.docker.io" {
                DOCKER_HUB
            } else {
                host
            }
        }
        _ => DOCKER_HUB,
    }
}

/// Returns the registry of the class that an image is in.
///
/// # Errors
/// `RegistryNotAllowed` when the class doesn't list it.
pub fn registry<'a>(image: &str, registries: &'a [Registry]) -> Result<&'a Registry, Mistake> {
    let host = host(image);
    registries.iter().find(|registry| registry.host.eq_ignore_ascii_case(host)).ok_or_else(|| {
        let listed: Vec<&str> = registries.iter().map(|registry| registry.host.as_str()).collect();
        let listed = if listed.is_empty() { "none".to_owned() } else { listed.join(", ") };
        Mistake {
            reason: Reason::RegistryNotAllowed,
            message: format!(
                "image {image}: the class's spec.registries don't list {host}, but {listed}: ask the platform team to add it, or correct gates.image"
            ),
        }
    })
}

pub(super) fn judge(
    asked: &GateInput<'_>,
    gates: &Gates,
    fact: Option<&Result<(String, Option<RegistryAnswer>), Mistake>>,
) -> GateVerdict {
    if gates.image.is_none() {
        return GateVerdict::unset();
    }
    let (image, answer) = match fact {
        None => return GateVerdict::NotReached,
        Some(Err(mistake)) => return GateVerdict::mended_by_configuration(mistake.clone()),
        Some(Ok((image, answer))) => (image, answer),
    };
    if let Err(mistake) = registry(image, &asked.class.registries) {
        return GateVerdict::mended_by_configuration(mistake);
    }
    let deadline = deadline(asked, gates, IMAGE_FOUND);
    let is_late = asked.now >= deadline;
    let late = if is_late { " in time" } else { "" };
    let (reason, message) = match answer {
        None => return GateVerdict::NotReached,
        Some(RegistryAnswer::Found) => {
            return GateVerdict::Passed { message: format!("image {image} found") };
        }
        Some(RegistryAnswer::Missing) => ("ImageMissing", format!("image {image} not found{late}")),
        Some(RegistryAnswer::Unreachable(why)) => {
            ("RegistryUnreachable", format!("image {image} not checked{late}: {why}"))
        }
    };
    if is_late {
        return GateVerdict::Refused { reason: RequestReason::ImageTimedOut.as_str(), message, over: true };
    }
    let soon = asked.now.checked_add(AGAIN).unwrap_or(Timestamp::MAX);
    GateVerdict::Waiting { reason, message, again: Some(soon.min(deadline)) }
}
