//! Messages: <https://docs.slack.dev/reference/methods/chat.postMessage>,
//! <https://docs.slack.dev/reference/methods/chat.update>.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Arguments, Refusal, blocks};
use crate::control::types::{Channel, Message};
use crate::state::{State, now};

/// Slack cuts a longer text when it is posted.
const LONGEST_POSTED: usize = 40_000;
/// Slack rejects a longer text when a message is updated.
const LONGEST_UPDATED: usize = 4_000;
/// <https://docs.slack.dev/apis/web-api/rate-limits>: one message per second per channel.
const GAP: Duration = Duration::from_secs(1);

pub(super) fn post_message(state: &mut State, arguments: &Arguments) -> Result<Value, Refusal> {
    let wanted = word(arguments, "channel");
    let name = wanted.trim_start_matches('#');
    let channel = writable(state, |channel| channel.id == wanted || channel.name == name)?;
    let (text, blocks) = content(arguments)?;
    if text.is_empty() && blocks.as_ref().is_none_or(Vec::is_empty) && !arguments.contains_key("attachments")
    {
        return Err("no_text".into());
    }
    if state.limits.one_message_per_second {
        let last = state.posted.get(&channel.id);
        if last.is_some_and(|last| last.elapsed() < GAP) {
            return Err(Refusal::Limited(GAP.as_secs()));
        }
    }
    state.posted.insert(channel.id.clone(), Instant::now());
    let message = Message {
        ts: state.ts(),
        channel: channel.id,
        channel_name: channel.name,
        text: text.chars().take(LONGEST_POSTED).collect(),
        blocks: blocks.unwrap_or_default(),
        at: now(),
        updates: 0,
    };
    let body =
        json!({"ok": true, "channel": message.channel, "ts": message.ts, "message": show(state, &message)});
    state.messages.push(message);
    Ok(body)
}

pub(super) fn update(state: &mut State, arguments: &Arguments) -> Result<Value, Refusal> {
    let wanted = word(arguments, "channel");
    let channel = writable(state, |channel| channel.id == wanted)?;
    let ts = word(arguments, "ts");
    let at = state
        .messages
        .iter()
        .position(|message| message.channel == channel.id && message.ts == ts)
        .ok_or("message_not_found")?;
    let (text, blocks) = content(arguments)?;
    if text.is_empty() && blocks.as_ref().is_none_or(Vec::is_empty) && !arguments.contains_key("attachments")
    {
        return Err("no_text".into());
    }
    if text.chars().nth(LONGEST_UPDATED).is_some() {
        return Err("msg_too_long".into());
    }
    let message = &mut state.messages[at];
    if !text.is_empty() {
        message.text = text;
    }
    // Without this argument the existing blocks stay.
    if let Some(blocks) = blocks {
        message.blocks = blocks;
    }
    message.updates += 1;
    let message = message.clone();
    Ok(
        json!({"ok": true, "channel": message.channel, "ts": message.ts, "text": message.text, "message": show(state, &message)}),
    )
}

fn word<'a>(arguments: &'a Arguments, name: &str) -> &'a str {
    arguments.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Returns the channel, if the app can write into it. It can't see a private channel that it isn't
/// in.
fn writable(state: &State, fits: impl Fn(&Channel) -> bool) -> Result<Channel, Refusal> {
    let visible = |channel: &&Channel| fits(channel) && (channel.member || !channel.private);
    let channel = state.channels.iter().find(visible).ok_or("channel_not_found")?;
    if channel.archived {
        return Err("is_archived".into());
    }
    if !channel.member {
        return Err("not_in_channel".into());
    }
    Ok(channel.clone())
}

/// Parses text and blocks, if there are any.
fn content(arguments: &Arguments) -> Result<(String, Option<Vec<Value>>), Refusal> {
    let text = match arguments.get("text") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(_) => return Err("invalid_arguments".into()),
    };
    Ok((text, blocks::read(arguments.get("blocks"))?))
}

fn show(state: &State, message: &Message) -> Value {
    json!({"type": "message", "app_id": state.app.api_app_id, "team": state.app.team_id, "ts": message.ts, "text": message.text,
        "blocks": message.blocks})
}
