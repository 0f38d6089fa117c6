//! Messages to Slack.

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;

use crate::core::slack::ChatMessage;

/// Why a message could not be sent to Slack. The text never contains a `response_url` or a token.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ChatError {
    /// A rate limit: nothing was shown, and the same message may be sent again at the given time.
    #[error("Slack's rate limit is reached: Matinee retries after its reset")]
    RateLimited {
        /// When the next message may be sent.
        until: Timestamp,
    },
    /// No response, or a server error. The message may have been shown, and a retry may succeed.
    #[error("Slack did not answer: {0}")]
    Unknown(String),
    /// Rejected. A retry fails as long as message, channel and rights stay the same.
    #[error("Slack refused: {word}{}", .remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default())]
    Refused {
        /// Slack's error code, such as `channel_not_found` or `expired_url`; `HTTP 403` and the
        /// like when there was none.
        word: String,
        /// Remedy, for known error codes.
        remedy: Option<&'static str>,
    },
    /// Not sent: the URL isn't one of Slack's, or the token has a wrong format.
    #[error("nothing was sent to Slack: {0}")]
    NotSent(String),
}

impl ChatError {
    /// Whether a retry may succeed.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Unknown(_))
    }
}

/// Sends messages to Slack.
#[async_trait]
pub trait Chat: Send + Sync {
    /// Answers a slash command through its `response_url`, which accepts five answers within 30
    /// minutes. A foreign URL is rejected, because the URL comes from the body of a request. The
    /// adapter never repeats this.
    async fn respond(&self, response_url: &str, message: &ChatMessage) -> Result<(), ChatError>;
    /// Posts into a channel, or updates the message whose `ts` is `update`. Returns the message's
    /// `ts`. The adapter never repeats this: after [`ChatError::Unknown`], a retry may post the
    /// message twice.
    async fn post(
        &self,
        token: &SecretString,
        channel: &str,
        message: &ChatMessage,
        update: Option<&str>,
    ) -> Result<String, ChatError>;
}
