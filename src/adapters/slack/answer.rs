//! Reads Slack's answers.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::adapters::http::retry_at;
use crate::ports::ChatError;

/// Duration of a rate limit when Slack doesn't say it.
const DEFAULT_WAIT: SignedDuration = SignedDuration::from_secs(30);
/// Most characters of Slack's error codes. A longer text isn't one.
const LONGEST_WORD: usize = 64;

/// An answer with its body. It must not be logged, since the body may repeat the request.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// The JSON body. <https://docs.slack.dev/apis/web-api/#slack-web-api__evaluating-responses>
#[derive(Deserialize)]
struct Body {
    ok: bool,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    ts: Option<String>,
}

impl Answer {
    /// Checks the answer to a request to a `response_url`: `ok`, as text or in JSON.
    pub fn response(&self, name: &str, now: Timestamp) -> Result<(), ChatError> {
        let fine = match self.json() {
            Some(body) => body.ok,
            None => self.text().is_empty() || self.text() == "ok",
        };
        if self.status.is_success() && fine { Ok(()) } else { Err(self.error(name, now)) }
    }

    /// Returns the `ts` of a posted message.
    pub fn posted(&self, name: &str, now: Timestamp) -> Result<String, ChatError> {
        match self.json() {
            Some(Body { ok: true, ts: Some(ts), .. }) if self.status.is_success() => Ok(ts),
            Some(Body { ok: true, .. }) | None if self.status.is_success() => Err(ChatError::Unknown(
                format!("{name}: answered {} with a body not understood", self.status.as_u16()),
            )),
            _ => Err(self.error(name, now)),
        }
    }

    fn json(&self) -> Option<Body> {
        serde_json::from_slice(&self.body).ok()
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_default().trim()
    }

    /// Returns Slack's error code. The Web API has it in JSON, a `response_url` in JSON or as the
    /// whole text.
    fn word(&self) -> Option<String> {
        let word = match self.json() {
            Some(body) => body.error?,
            None => self.text().to_owned(),
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        (!word.is_empty() && word.len() <= LONGEST_WORD && word.chars().all(fits)).then_some(word)
    }

    fn error(&self, name: &str, now: Timestamp) -> ChatError {
        let word = self.word();
        let status = self.status.as_u16();
        let shown = word.clone().unwrap_or_else(|| format!("HTTP {status}"));
        match (status, word.as_deref().unwrap_or_default()) {
            (429, _) | (_, "ratelimited" | "rate_limited") => {
                // https://docs.slack.dev/apis/web-api/rate-limits#responding
                let until = retry_at(&self.headers, now, DEFAULT_WAIT);
                tracing::warn!(request = name, %until, "Slack rate limit reached");
                ChatError::RateLimited { until }
            }
            (408 | 500.., _)
            | (_, "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout") => {
                ChatError::Unknown(format!("{name}: {shown}"))
            }
            (_, word) => ChatError::Refused { word: shown, remedy: remedy(word) },
        }
    }
}

/// Returns the remedy for an error code.
/// <https://docs.slack.dev/reference/methods/chat.postMessage#errors>
fn remedy(word: &str) -> Option<&'static str> {
    Some(match word {
        "not_authed" | "invalid_auth" | "account_inactive" | "token_revoked" | "token_expired" => {
            "put the bot token (xoxb-…) of the installed app into the Secret"
        }
        "not_allowed_token_type" => "put a bot token (xoxb-…) into the Secret, no other kind",
        "missing_scope" => "give the app the scope chat:write and install it again",
        "channel_not_found" => {
            "name a channel of this workspace by its id, and invite the app if it is private"
        }
        "not_in_channel" => "invite the app into the channel",
        "is_archived" => "unarchive the channel, or name another",
        "message_not_found" => "the message is gone; post a new one",
        "cant_update_message" => "only the app that posted a message can change it",
        "expired_url" => "a command can be answered for 30 minutes only",
        "used_url" => "a command can be answered five times only",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    fn answer(status: u16, retry_after: Option<&str>, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(header::RETRY_AFTER, value.parse().unwrap());
        }
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_000_000).unwrap()
    }

    fn refused(result: Result<impl std::fmt::Debug, ChatError>) -> String {
        match result {
            Err(ChatError::Refused { word, .. }) => word,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn ok_is_ok_in_both_forms() {
        for body in ["ok", "ok\n", "", "{\"ok\":true}"] {
            assert_eq!(answer(200, None, body).response("r", now()), Ok(()), "{body}");
        }
        let posted = answer(200, None, "{\"ok\":true,\"channel\":\"C1\",\"ts\":\"1.2\",\"warning\":\"w\"}");
        assert_eq!(posted.posted("p", now()), Ok("1.2".to_owned()));
    }

    #[test]
    fn a_refusal_is_slacks_word_whatever_the_status() {
        for (status, body, word) in [
            (404, "{\"ok\":false,\"error\":\"expired_url\"}", "expired_url"),
            (200, "{\"ok\":false,\"error\":\"used_url\"}", "used_url"),
            (404, "no_service\n", "no_service"),
            (200, "invalid_payload", "invalid_payload"),
            (403, "<html>https://hooks.slack.com/SECRET</html>", "HTTP 403"),
            (403, &"a".repeat(65), "HTTP 403"),
            (302, "", "HTTP 302"),
        ] {
            assert_eq!(refused(answer(status, None, body).response("r", now())), word);
        }
        let error = answer(200, None, "{\"ok\":false,\"error\":\"not_in_channel\"}").posted("p", now());
        assert_eq!(
            error.unwrap_err().to_string(),
            "Slack refused: not_in_channel; invite the app into the channel"
        );
        assert_eq!(refused(answer(200, None, "{\"ok\":false}").posted("p", now())), "HTTP 200");
    }

    #[test]
    fn a_limit_says_until_when() {
        for (retry_after, body, seconds) in [
            (Some("7"), "{\"ok\":false,\"error\":\"ratelimited\"}", 7),
            (Some(" 1 "), "", 1),
            (None, "", 30),
            (Some("soon"), "", 30),
            (Some("999999"), "", 3600),
        ] {
            let until = now() + SignedDuration::from_secs(seconds);
            for result in [
                answer(429, retry_after, body).response("r", now()),
                answer(429, retry_after, body).posted("p", now()).map(drop),
            ] {
                assert_eq!(result, Err(ChatError::RateLimited { until }));
            }
        }
        let worded = answer(200, None, "{\"ok\":false,\"error\":\"ratelimited\"}").posted("p", now());
        assert!(matches!(worded, Err(ChatError::RateLimited { .. })), "{worded:?}");
    }

    #[test]
    fn what_slack_failed_at_may_pass_and_a_refusal_does_not() {
        for (status, body, may_pass) in [
            (500, "", true),
            (503, "{\"ok\":false,\"error\":\"service_unavailable\"}", true),
            (200, "{\"ok\":false,\"error\":\"internal_error\"}", true),
            (200, "<html>maintenance</html>", true),
            (200, "{\"ok\":true}", true),
            (429, "", true),
            (200, "{\"ok\":false,\"error\":\"invalid_auth\"}", false),
            (404, "", false),
        ] {
            let error = answer(status, None, body).posted("p", now()).unwrap_err();
            assert_eq!(error.may_pass(), may_pass, "{status} {body}: {error}");
        }
    }
}
