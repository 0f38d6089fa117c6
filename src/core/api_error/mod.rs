//! Classifies errors of the Kubernetes API and redacts their messages.
//!
//! The API server repeats the objects that it receives: its rejection of a Secret contains the
//! value of the key. So no message leaves the adapter unredacted: [`message`] keeps field paths and
//! causes and removes values.

mod redact;
mod scan;
mod sent;
#[cfg(test)]
mod tests;
mod typing;

use kube::core::Status;

pub use redact::{message, text, text_about};
pub use sent::SentValues;

/// Signs of a server error (500) that is about the sent object: server-side apply can't convert it
/// to the types of its schema. The API server reports this as an internal error
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
/// Beginning of the API server's message about an admission webhook that doesn't respond.
const CALLING: &str = "failed calling webhook \"";
/// Beginning of its message about a webhook that converts between versions of a kind.
const CONVERTING: &str = "conversion webhook for ";

/// Meaning of a Kubernetes API error for its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The object or the account's rights are wrong: the same request would be rejected again.
    Rejected,
    /// The API server can't reach a webhook that it must call. The platform team has to fix it;
    /// Matinee retries the request.
    WebhookUnavailable {
        /// The webhook's name, or the kind that it converts.
        webhook: String,
        /// Why it can't be reached, without values.
        why: String,
    },
    /// Another change conflicts with it.
    Conflict,
    /// The API server can't respond now: the same request may succeed later.
    Outage,
}

/// Classifies an error by its HTTP code and its message.
pub fn meaning(status: &Status) -> Meaning {
    let message = status.message.as_str();
    match status.code {
        409 => Meaning::Conflict,
        500.. => match webhook(message) {
            Some((webhook, why)) => Meaning::WebhookUnavailable { webhook, why: text(why) },
            None if is_about_the_object(message) => Meaning::Rejected,
            None => Meaning::Outage,
        },
        // Code 0: the response has no code. The API server never sends such a response.
        0 | 408 | 429 => Meaning::Outage,
        _ => Meaning::Rejected,
    }
}

/// Whether a server error is about the object, so that a retry doesn't help.
fn is_about_the_object(message: &str) -> bool {
    let message = redact::without_wrappers(message);
    // A webhook may respond with any code.
    let denied = message.starts_with("admission webhook \"") && message.contains("\" denied the request");
    denied || UNTYPED.iter().any(|mark| message.contains(mark)) || typing::is_typing(message)
}

/// Returns the webhook that the API server couldn't reach, and why.
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

/// Returns the cause without the webhook's URL; its name is enough.
fn reason(why: &str) -> &str {
    why.strip_prefix("Post \"").and_then(|rest| rest.split_once("\": ")).map_or(why, |(_, reason)| reason)
}
