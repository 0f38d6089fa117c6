//! Validation of Block Kit: <https://docs.slack.dev/reference/block-kit/blocks>.

use serde_json::Value;

/// Most blocks of a message.
const MOST: usize = 50;

/// Parses the blocks of a message: an array, or a string that contains one. `None` when left out.
pub(crate) fn read(value: Option<&Value>) -> Result<Option<Vec<Value>>, &'static str> {
    let parsed;
    let value = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => {
            parsed = serde_json::from_str(text).map_err(|_| "invalid_blocks_format")?;
            &parsed
        }
        Some(value) => value,
    };
    let Value::Array(blocks) = value else { return Err("invalid_blocks_format") };
    if blocks.len() > MOST || blocks.iter().any(|block| !block["type"].is_string()) {
        return Err("invalid_blocks");
    }
    Ok(Some(blocks.clone()))
}
