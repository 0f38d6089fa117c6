//! Positions in an object, and the types that they accept.

use std::fmt;

/// A step of the path to a field.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// The path from an object's root to one of its fields.
pub(super) struct Position {
    resource: usize,
    steps: Vec<Step>,
}

impl Position {
    pub(super) const fn root(resource: usize) -> Self {
        Self { resource, steps: Vec::new() }
    }

    pub(super) fn enter(&mut self, step: Step) {
        self.steps.push(step);
    }

    pub(super) fn leave(&mut self) {
        self.steps.pop();
    }

    /// Returns whether this is a map of strings with free keys: labels, annotations, selectors, or
    /// the data of a `ConfigMap` or Secret.
    pub(super) fn is_map_of_texts(&self) -> bool {
        map_of_texts(&self.steps)
    }

    /// Returns whether the API server accepts only text here.
    pub(super) fn is_text(&self) -> bool {
        match self.steps.as_slice() {
            [map @ .., Step::Key(_)] if map_of_texts(map) => true,
            [.., Step::Key(list), Step::Index(_)] => matches!(list.as_str(), "args" | "command" | "values"),
            [.., Step::Key(list), Step::Index(_), Step::Key(field)]
                if matches!(list.as_str(), "env" | "httpHeaders") && field == "value" =>
            {
                true
            }
            [.., Step::Key(field)] => {
                matches!(field.as_str(), "apiVersion" | "kind" | "image" | "name" | "namespace")
                    || field.ends_with("Name")
            }
            _ => false,
        }
    }
}

fn map_of_texts(steps: &[Step]) -> bool {
    match steps {
        [Step::Key(top)] => matches!(top.as_str(), "data" | "stringData" | "binaryData"),
        [.., Step::Key(parent), Step::Key(name)] if parent == "metadata" => {
            matches!(name.as_str(), "labels" | "annotations")
        }
        [.., Step::Key(name)] => matches!(name.as_str(), "matchLabels" | "nodeSelector" | "selector"),
        _ => false,
    }
}

impl fmt::Display for Position {
    /// Writes the path like `resources[1].spec.containers[0].image`. Keys that aren't plain names
    /// are quoted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "resources[{}]", self.resource)?;
        for step in &self.steps {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key)
                    if !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') =>
                {
                    write!(f, ".{key}")?;
                }
                Step::Key(key) => write!(f, "[{:?}]", crate::core::truncate::cut(key, 100))?,
            }
        }
        Ok(())
    }
}
