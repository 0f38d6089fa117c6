//! What is said in Slack, as the JSON it takes.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// Who sees the answer to a command: <https://docs.slack.dev/interactivity/implementing-slash-commands#message_visibility>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseType {
    /// Only who typed the command.
    #[default]
    Ephemeral,
    /// Everybody in the channel; what was typed is shown, too.
    InChannel,
}

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatMessage {
    /// The text, in Slack's own markup (see [`escape`]). With `blocks` it is what notifications show.
    pub text: String,
    /// Block Kit blocks; at most 50: <https://docs.slack.dev/reference/block-kit/blocks>.
    pub blocks: Vec<Value>,
    /// Who sees it. Only for the answer to a command: what is posted into a channel is seen by everybody in it.
    pub response_type: ResponseType,
    /// Whether it takes the place of what was answered to the command before. Only for the answer to a command.
    pub replace_original: bool,
}

impl ChatMessage {
    /// The body of a request to a `response_url`, and of the immediate answer to a command.
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

    /// The body of `chat.postMessage`, or of `chat.update` when it is the message with this `ts` that changes.
    pub fn post(&self, channel: &str, update: Option<&str>) -> Value {
        let mut body = self.content();
        body.insert("channel".into(), channel.into());
        if let Some(ts) = update {
            body.insert("ts".into(), ts.into());
            // Left out, the blocks that the message has would stay.
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

/// Text that somebody else wrote, so that it is shown as it is: it can't mention anybody, and is no link.
/// <https://docs.slack.dev/messaging/formatting-message-text#escaping>
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
    fn an_answer_says_who_sees_it() {
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
