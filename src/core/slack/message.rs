//! Messages to Slack in its JSON format.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// Visibility of the answer to a command.
/// <https://docs.slack.dev/interactivity/implementing-slash-commands#message_visibility>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseType {
    /// Only the user who typed the command sees the answer.
    #[default]
    Ephemeral,
    /// Everybody in the channel sees the answer and the command.
    InChannel,
}

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatMessage {
    /// The text, in Slack's markup (see [`escape`]). If there are `blocks`, only notifications show
    /// it.
    pub text: String,
    /// Block Kit blocks, at most 50. <https://docs.slack.dev/reference/block-kit/blocks>
    pub blocks: Vec<Value>,
    /// Visibility of the answer to a command. Everybody in a channel sees a posted message.
    pub response_type: ResponseType,
    /// Whether the message replaces the earlier answer to the command. It has no effect on posted
    /// messages.
    pub replace_original: bool,
}

impl ChatMessage {
    /// Returns the body of a request to a `response_url`, and of the immediate answer to a command.
    pub fn response(&self) -> Value {
        let mut body = self.content();
        let response_type = match self.response_type {
            ResponseType::Ephemeral => "ephemeral",
            ResponseType::InChannel => "in_channel",
        };
        body.insert("response_type".into(), response_type.into());
        if self.replace_original {
            body.insert("replace_original".into(), true.into());
        }
        Value::Object(body)
    }

    /// Returns the body of `chat.postMessage`, or of `chat.update` for the message with the `ts` in
    /// `update`.
    pub fn post(&self, channel: &str, update: Option<&str>) -> Value {
        let mut body = self.content();
        body.insert("channel".into(), channel.into());
        if let Some(ts) = update {
            body.insert("ts".into(), ts.into());
            // Without this field, Slack would keep the message's blocks.
            body.entry("blocks").or_insert_with(|| Value::Array(Vec::new()));
        }
        Value::Object(body)
    }

    fn content(&self) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("text".into(), self.text.as_str().into());
        if !self.blocks.is_empty() {
            body.insert("blocks".into(), self.blocks.clone().into());
        }
        body
    }
}

/// Escapes text that somebody else wrote, so that Slack shows it unchanged: it mentions nobody and
/// is no link. <https://docs.slack.dev/messaging/formatting-message-text#escaping>
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answer_states_its_visibility() {
        let mut message = ChatMessage { text: "done".into(), ..ChatMessage::default() };
        assert_eq!(message.response(), json!({"text": "done", "response_type": "ephemeral"}));
        message.response_type = ResponseType::InChannel;
        message.replace_original = true;
        message.blocks = vec![json!({"type": "divider"})];
        assert_eq!(
            message.response(),
            json!({"text": "done", "response_type": "in_channel", "replace_original": true, "blocks": [{"type": "divider"}]})
        );
    }

    #[test]
    fn a_post_names_its_channel_and_a_change_leaves_no_old_blocks() {
        let message = ChatMessage { text: "done".into(), replace_original: true, ..ChatMessage::default() };
        assert_eq!(message.post("C1", None), json!({"text": "done", "channel": "C1"}));
        assert_eq!(
            message.post("C1", Some("1.2")),
            json!({"text": "done", "channel": "C1", "ts": "1.2", "blocks": []})
        );
    }

    #[test]
    fn somebody_elses_text_mentions_nobody() {
        assert_eq!(escape("<!channel> & <https://x|y>"), "&lt;!channel&gt; &amp; &lt;https://x|y&gt;");
        assert_eq!(escape("&lt;"), "&amp;lt;");
        assert!(matches!(escape("plain"), Cow::Borrowed("plain")));
    }
}
