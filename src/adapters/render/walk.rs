//! Walks through an object, renders its placeholders and counts the used resources.

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, Value as Filling};
use serde_json::{Map, Value};

use super::context::Names;
use super::limits::{DEPTH, PLACEHOLDERS, STRING, TOTAL};
use super::placeholder::{Piece, Placeholder, has_placeholder, pieces};
use super::position::{Position, Step};

/// The rendering of one target. Errors begin with the field.
pub(super) struct Walk<'a> {
    environment: &'a Environment<'static>,
    names: &'a Names,
    placeholders: usize,
    bytes: usize,
}

impl<'a> Walk<'a> {
    pub(super) const fn new(environment: &'a Environment<'static>, names: &'a Names) -> Self {
        Self { environment, names, placeholders: PLACEHOLDERS, bytes: TOTAL }
    }

    /// Renders the object at that index of the template.
    pub(super) fn resource(&mut self, index: usize, object: &Value) -> Result<Value, String> {
        let mut position = Position::root(index);
        self.value(&mut position, object)
    }

    fn value(&mut self, position: &mut Position, value: &Value) -> Result<Value, String> {
        match value {
            Value::String(text) => self.string(position, text).map_err(|problem| at(position, &problem)),
            Value::Array(items) => {
                let mut rendered = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    position.enter(Step::Index(index));
                    rendered.push(self.value(position, item)?);
                    position.leave();
                }
                Ok(Value::Array(rendered))
            }
            Value::Object(fields) => self.object(position, fields),
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                self.charge(8).map_err(|problem| at(position, &problem))?;
                Ok(value.clone())
            }
        }
    }

    fn object(&mut self, position: &mut Position, fields: &Map<String, Value>) -> Result<Value, String> {
        let keys_may_have_placeholders = position.is_map_of_texts();
        let mut rendered = Map::new();
        for (key, value) in fields {
            position.enter(Step::Key(key.clone()));
            let name = self.key(key, keys_may_have_placeholders).map_err(|problem| at(position, &problem))?;
            let value = self.value(position, value)?;
            if rendered.insert(name, value).is_some() {
                return Err(at(position, "another key becomes the same when its placeholders are rendered"));
            }
            position.leave();
        }
        Ok(Value::Object(rendered))
    }

    fn key(&mut self, key: &str, may_have_placeholders: bool) -> Result<String, String> {
        if has_placeholder(key) && !may_have_placeholders {
            return Err(
                "a key can have placeholders only in labels, annotations, selectors and data".to_owned()
            );
        }
        self.text(key)
    }

    fn string(&mut self, position: &Position, text: &str) -> Result<Value, String> {
        if !has_placeholder(text) || position.is_text() {
            return self.text(text).map(Value::String);
        }
        let environment = self.environment;
        match pieces(environment, text)?.as_slice() {
            [Piece::Placeholder(placeholder)] => {
                let filling = self.fill(placeholder)?;
                let mut room = STRING;
                self.json(&filling, &mut room, 0)
                    .map_err(|problem| format!("{}: {problem}", placeholder.shown()))
            }
            pieces => self.joined(pieces).map(Value::String),
        }
    }

    /// Renders a string to text.
    fn text(&mut self, text: &str) -> Result<String, String> {
        if has_placeholder(text) {
            let environment = self.environment;
            return self.joined(&pieces(environment, text)?);
        }
        self.charge(text.len())?;
        Ok(text.to_owned())
    }

    fn joined(&mut self, pieces: &[Piece<'_>]) -> Result<String, String> {
        let mut joined = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => joined.push_str(text),
                Piece::Placeholder(placeholder) => {
                    let filling = self.fill(placeholder)?;
                    let wrong = |what: &str| {
                        Err(format!("{}: is {what} where text is required", placeholder.shown()))
                    };
                    match filling.kind() {
                        ValueKind::String => joined.push_str(filling.as_str().unwrap_or_default()),
                        // minijinja itself would write `True`, as Python does.
                        ValueKind::Bool => joined.push_str(if filling.is_true() { "true" } else { "false" }),
                        ValueKind::Number => joined.push_str(&filling.to_string()),
                        ValueKind::None => {
                            return wrong("null, which the filter default can replace,");
                        }
                        ValueKind::Seq | ValueKind::Iterable => {
                            return wrong("a list, which the filter join can turn into text,");
                        }
                        _ => return wrong("a map"),
                    }
                }
            }
            if joined.len() > STRING {
                return Err(format!("is longer than {STRING} bytes when its placeholders are rendered"));
            }
        }
        self.charge(joined.len())?;
        Ok(joined)
    }

    /// Evaluates the expression of a placeholder. The result is never undefined.
    fn fill(&mut self, placeholder: &Placeholder<'_>) -> Result<Filling, String> {
        self.placeholders = self.placeholders.checked_sub(1).ok_or_else(|| {
            format!("there are more than {PLACEHOLDERS} placeholders in the template's objects")
        })?;
        let mut reads: Vec<String> = placeholder.expression.undeclared_variables(true).into_iter().collect();
        reads.sort();
        for read in &reads {
            self.names.check(read).map_err(|problem| format!("{}: {problem}", placeholder.shown()))?;
        }
        let undefined = || format!("{}: is undefined; {}", placeholder.shown(), self.names.remedy(&reads));
        match placeholder.expression.eval(self.names.context.clone()) {
            Ok(filling) if filling.is_undefined() => Err(undefined()),
            Ok(filling) => Ok(filling),
            Err(error) if error.kind() == ErrorKind::UndefinedError => Err(undefined()),
            Err(error) => Err(format!("{}: {}", placeholder.shown(), cause(&error))),
        }
    }

    /// Converts the value to JSON with its type. `room` is what one placeholder may still use.
    fn json(&mut self, filling: &Filling, room: &mut usize, depth: usize) -> Result<Value, String> {
        let size = filling.as_str().map_or(8, str::len);
        *room = room
            .checked_sub(size)
            .ok_or_else(|| format!("is longer than {STRING} bytes when it is rendered"))?;
        self.charge(size)?;
        if depth > DEPTH {
            return Err(format!("has more than {DEPTH} levels of lists and maps"));
        }
        match filling.kind() {
            ValueKind::None => Ok(Value::Null),
            ValueKind::Bool => Ok(Value::Bool(filling.is_true())),
            ValueKind::String => Ok(Value::from(filling.as_str().unwrap_or_default())),
            ValueKind::Number => match serde_json::to_value(filling) {
                Ok(number) if number.is_number() => Ok(number),
                _ => Err("is a number that JSON can't represent".to_owned()),
            },
            ValueKind::Seq | ValueKind::Iterable => {
                let mut items = Vec::new();
                for item in filling.try_iter().map_err(|error| cause(&error))? {
                    items.push(self.json(&item, room, depth + 1)?);
                }
                Ok(Value::Array(items))
            }
            ValueKind::Map => {
                let mut fields = Map::new();
                for key in filling.try_iter().map_err(|error| cause(&error))? {
                    let name = key.as_str().ok_or("is a map with a key that is not text")?.to_owned();
                    let value = filling.get_item(&key).map_err(|error| cause(&error))?;
                    *room = room.saturating_sub(name.len());
                    self.charge(name.len())?;
                    fields.insert(name, self.json(&value, room, depth + 1)?);
                }
                Ok(Value::Object(fields))
            }
            ValueKind::Undefined => Err("contains an undefined value".to_owned()),
            _ => Err("has no equivalent in JSON".to_owned()),
        }
    }

    fn charge(&mut self, bytes: usize) -> Result<(), String> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(|| {
            format!(
                "the template's objects are larger than {TOTAL} bytes when their placeholders are rendered"
            )
        })?;
        Ok(())
    }
}

fn at(position: &Position, problem: &str) -> String {
    format!("{position}: {problem}")
}

/// Returns minijinja's message. It may contain types and names from the expression, never values.
fn cause(error: &Error) -> String {
    match error.kind() {
        ErrorKind::OutOfFuel => "takes too many steps".to_owned(),
        kind => error.detail().map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}")),
    }
}
