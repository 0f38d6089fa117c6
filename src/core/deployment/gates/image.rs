//! The image that has to be in its registry, and which registries may be asked at all.

use jiff::{SignedDuration, Timestamp};

use super::{Asked, IMAGE_FOUND, Verdict};
use crate::api::{Gates, Registry};
use crate::core::deployment::gates::deadline::deadline;
use crate::core::environment::resolved::Mistake;

/// The registry of images whose names begin with none.
const DOCKER_HUB: &str = "docker.io";
/// How soon to ask a registry again: nothing tells of a push.
const AGAIN: SignedDuration = SignedDuration::from_secs(30);

/// What came of asking a registry for an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is there.
    Found,
    /// It isn't.
    Missing,
    /// It couldn't be asked; why, in words that are the same for the same trouble.
    Unreachable(String),
}

/// Host, and port if there is one, of the registry that an image's name leads to. What stands before the first `/` is a host if it has a dot or a
/// colon or is `localhost`; every other name is one on Docker Hub.
/// <https://github.com/distribution/reference/blob/main/normalize.go>
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

/// The class's registry that an image is in.
///
/// # Errors
/// `RegistryNotAllowed` when the class doesn't list it.
pub fn registry<'a>(image: &str, registries: &'a [Registry]) -> Result<&'a Registry, Mistake> {
    let host = host(image);
    registries.iter().find(|registry| registry.host.eq_ignore_ascii_case(host)).ok_or_else(|| {
        let listed: Vec<&str> = registries.iter().map(|registry| registry.host.as_str()).collect();
        let listed = if listed.is_empty() { "none".to_owned() } else { listed.join(", ") };
        Mistake {
            reason: "RegistryNotAllowed",
            message: format!(
                "image {image}: the class's spec.registries don't list {host}, but {listed}: ask the platform team to add it, or correct gates.image"
            ),
        }
    })
}

pub(super) fn judge(
    asked: &Asked<'_>,
    gates: &Gates,
    fact: Option<&Result<(String, Option<Answer>), Mistake>>,
) -> Verdict {
    if gates.image.is_none() {
        return Verdict::unset();
    }
    let (image, answer) = match fact {
        None => return Verdict::NotReached,
        Some(Err(mistake)) => return Verdict::mended_by_configuration(mistake.clone()),
        Some(Ok((image, answer))) => (image, answer),
    };
    if let Err(mistake) = registry(image, &asked.class.registries) {
        return Verdict::mended_by_configuration(mistake);
    }
    let (reason, message) = match answer {
        None => return Verdict::NotReached,
        Some(Answer::Found) => return Verdict::Passed { message: format!("image {image} is there") },
        Some(Answer::Missing) => ("ImageMissing", format!("image {image}")),
        Some(Answer::Unreachable(why)) => ("RegistryUnreachable", format!("image {image}, since {why}")),
    };
    let deadline = deadline(asked, gates, IMAGE_FOUND);
    if asked.now >= deadline {
        return Verdict::Refused {
            reason: "ImageTimedOut",
            message: format!("not there in time: {message}"),
            over: true,
        };
    }
    let soon = asked.now.checked_add(AGAIN).unwrap_or(Timestamp::MAX);
    Verdict::Waiting { reason, message, again: Some(soon.min(deadline)) }
}
