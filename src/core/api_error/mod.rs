//! What an error of the Kubernetes API means, and its message without the values of the object that it is about.
//!
//! The API server repeats what it was sent: a rejected Secret is answered with the value of its key. So no message
//! leaves the adapter as it came: [`message`] keeps field paths and causes, and removes values.

mod redact;
mod scan;
mod sent;
#[cfg(test)]
mod tests;
mod typing;

use kube::core::Status;

pub use redact::{message, text, text_about};
pub use sent::SentValues;

/// Marks of a server error (500) that is about the object that was sent: server-side apply can't give it the types of
/// its schema. The API server answers this as an internal error
/// (<https://github.com/kubernetes/kubernetes/issues/139253>).
const UNTYPED: [&str; 9] = [
    "failed to create typed patch object",
    "failed to create typed live object",
    "failed to convert new object",
    "failed to convert new typed object",
    "failed to convert to unversioned",
    "field not declared in schema",
    "duplicate entries for key [",
    "associative list with keys ",
    "associative list without keys ",
];
/// Beginning of what the API server says when an admission webhook doesn't answer it.
const CALLING: &str = "failed calling webhook \"";
/// The same for a webhook that converts between versions of a kind.
const CONVERTING: &str = "conversion webhook for ";

/// What an error of the Kubernetes API means for the request that it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The object, or the rights of the account, are wrong: the same request is rejected again.
    Rejected,
    /// The API server can't reach a webhook that it has to ask. The platform team has to repair it; the request is
    /// tried again.
    WebhookUnavailable {
        /// The webhook's name, or the kind that it converts.
        webhook: String,
        /// Why it can't be reached, without values.
        why: String,
    },
    /// Another change stands against it.
    Conflict,
    /// The API server can't answer now: the same request may succeed later.
    Outage,
}

/// What an error means: from its HTTP code, its message, and nothing else.
pub fn meaning(status: &Status) -> Meaning {
    let message = status.message.as_str();
    match status.code {
        409 => Meaning::Conflict,
        500.. => match webhook(message) {
            Some((webhook, why)) => Meaning::WebhookUnavailable { webhook, why: text(why) },
            None if is_about_the_object(message) => Meaning::Rejected,
            None => Meaning::Outage,
        },
        // 0: the answer names no code, which the API server never does.
        0 | 408 | 429 => Meaning::Outage,
        _ => Meaning::Rejected,
    }
}

/// Whether a server error is about the object, so that waiting doesn't help.
fn is_about_the_object(message: &str) -> bool {
    let message = redact::without_wrappers(message);
    // A webhook may answer whatever code it likes.
    let denied = message.starts_with("admission webhook \"") && message.contains("\" denied the request");
    denied || UNTYPED.iter().any(|mark| message.contains(mark)) || typing::is_typing(message)
}

/// The webhook that the API server couldn't reach, and why.
fn webhook(message: &str) -> Option<(String, &str)> {
    let inner = message.strip_prefix("Internal error occurred: ").unwrap_or(message);
    if let Some(rest) = inner.strip_prefix(CALLING) {
        let (name, why) = rest.split_once('"')?;
        let why = why.trim_start_matches(": ");
        return Some((
            redact::name(name),
            reason(why.strip_prefix("failed to call webhook: ").unwrap_or(why)),
        ));
    }
    let rest = &message[message.find(CONVERTING)? + CONVERTING.len()..];
    let (kind, why) = rest.split_once(" failed: ").or_else(|| rest.split_once(" returned "))?;
    let (version, kind) = kind.split_once(", Kind=")?;
    Some((format!("for the conversion of {} {}", redact::name(version), redact::name(kind)), reason(why)))
}

/// The cause behind the URL of a webhook, which its name says well enough.
fn reason(why: &str) -> &str {
    why.strip_prefix("Post \"").and_then(|rest| rest.split_once("\": ")).map_or(why, |(_, reason)| reason)
}
