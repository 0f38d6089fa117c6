//! `values.yaml` describes the values: the reference and the schema copy its comments.

use std::fmt::Write as _;

use serde_json::Value;

use crate::golden::check;
use crate::helm::{read, text, yaml};
use crate::programs::folder;

const VALUES: &str = "charts/matinee/values.yaml";
const SCHEMA: &str = "charts/matinee/values.schema.json";
/// Beginning of the reference.
const HEAD: &str = "# Values of the chart\n\nGenerated from [values.yaml](../charts/matinee/values.yaml) by `UPDATE=1 cargo test --test chart`.\n";

/// A value that has a comment, or should have one.
struct Entry {
    /// Keys from the root to the value.
    path: Vec<String>,
    /// The comment above it; empty if there is none.
    comment: String,
}

/// Returns every key of the file in its order, with the comment right above it.
fn entries(text: &str) -> Vec<Entry> {
    let (mut entries, mut path, mut comment) = (Vec::<Entry>::new(), Vec::new(), Vec::new());
    for line in text.lines() {
        let content = line.trim_start();
        let depth = (line.len() - content.len()) / 2;
        if let Some(words) = content.strip_prefix('#') {
            comment.push(words.trim());
            continue;
        }
        let key =
            content.split_once(':').map(|(key, _)| key).filter(|key| key.chars().all(char::is_alphanumeric));
        if let Some(key) = key {
            path.truncate(depth);
            // Keys inside of a list are not values of their own.
            if path.len() == depth {
                path.push(key.to_owned());
                entries.push(Entry { path: path.clone(), comment: comment.join(" ") });
            }
        }
        comment.clear();
    }
    entries
}

/// Returns the values with a comment. If the parts of a value have none, such as those of a probe,
/// they belong to the value.
fn described() -> Vec<Entry> {
    entries(&read(VALUES)).into_iter().filter(|entry| !entry.comment.is_empty()).collect()
}

fn at<'a>(value: &'a Value, path: &[String]) -> &'a Value {
    path.iter().fold(value, |value, name| &value[name])
}

#[test]
fn every_value_has_its_comment() {
    let all = entries(&read(VALUES));
    assert!(all.len() > 150, "{}", all.len());
    for entry in all.iter().filter(|entry| entry.comment.is_empty()) {
        let parent = &entry.path[..entry.path.len() - 1];
        assert!(!parent.is_empty(), "{} has no comment", entry.path.join("."));
        let sibling = all.iter().find(|other| {
            other.path.len() == entry.path.len()
                && other.path.starts_with(parent)
                && !other.comment.is_empty()
        });
        if let Some(sibling) = sibling {
            panic!("{} has no comment, but {} has", entry.path.join("."), sibling.path.join("."));
        }
    }
}

#[test]
fn the_reference_says_what_the_comments_say() {
    let defaults = yaml(VALUES);
    let described = described();
    let mut page = format!("{HEAD}\n| value | default | |\n|---|---|---|\n");
    for entry in &described {
        let name = entry.path.join(".");
        let has_parts = described
            .iter()
            .any(|other| other.path.len() > entry.path.len() && other.path.starts_with(&entry.path));
        let default = at(&defaults, &entry.path).to_string();
        let default = match default.as_str() {
            _ if has_parts => String::new(),
            "\"\"" => "empty".to_owned(),
            long if long.len() > 120 => "see the file".to_owned(),
            short => format!("`{short}`"),
        };
        let name = if has_parts { format!("**`{name}`**") } else { format!("`{name}`") };
        let cell = |text: &str| text.replace('|', "\\|");
        let _ = writeln!(page, "| {name} | {} | {} |", cell(&default), cell(&entry.comment));
    }
    check("docs/values.md", &page);
}

/// Returns the blocks of YAML in a page, without their indentation.
fn blocks(page: &str) -> Vec<String> {
    let parts = page.split("```yaml\n").skip(1);
    parts.map(|part| part.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_values_that_guides_show_are_values() {
    let defaults = yaml(VALUES);
    let folder = folder("shown");
    let mut shown = 0;
    for page in ["docs/install.md", "docs/monitoring.md", "docs/proxy.md"] {
        for block in blocks(&read(page)) {
            let values: Value =
                serde_saphyr::from_str(&block).unwrap_or_else(|error| panic!("{page}: {error}"));
            // A block with keys that the chart lacks is for another tool, and begins with `spec:`.
            if values.as_object().unwrap().keys().any(|name| defaults.get(name).is_none()) {
                assert!(block.starts_with("spec:"), "{page} shows what is no value: {block}");
                continue;
            }
            shown += 1;
            let file = folder.join("values.yaml");
            std::fs::write(&file, &block).unwrap();
            text(&["-f", file.to_str().unwrap()]);
        }
    }
    assert_eq!(shown, 6);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_schema_says_what_the_comments_say() {
    let mut schema: Value = serde_json::from_str(&read(SCHEMA)).unwrap();
    for entry in described() {
        let mut place = &mut schema;
        for name in &entry.path {
            place = &mut place["properties"][name];
            assert!(place.is_object(), "the schema has no {}", entry.path.join("."));
        }
        place["description"] = entry.comment.into();
    }
    check(SCHEMA, &format!("{}\n", serde_json::to_string_pretty(&schema).unwrap()));
}

#[test]
fn the_schema_knows_no_value_that_there_is_not() {
    fn walk(path: &mut Vec<String>, schema: &Value, defaults: &Value, missing: &mut Vec<String>) {
        for (name, part) in schema["properties"].as_object().into_iter().flatten() {
            path.push(name.clone());
            // Only a parent chart sets this value, for itself.
            if path.join(".") != "enabled" {
                if defaults.get(name).is_none() {
                    missing.push(path.join("."));
                }
                walk(path, part, &defaults[name], missing);
            }
            path.pop();
        }
    }
    let schema: Value = serde_json::from_str(&read(SCHEMA)).unwrap();
    let mut missing = Vec::new();
    walk(&mut Vec::new(), &schema, &yaml(VALUES), &mut missing);
    assert!(missing.is_empty(), "values.yaml doesn't have {missing:?}");
}

#[test]
fn the_schema_is_closed_everywhere_but_for_other_charts() {
    fn walk(path: &str, schema: &Value) {
        match schema {
            Value::Object(fields) => {
                if fields.contains_key("properties") && schema["type"] == "object" {
                    let expected = path == "/properties/global";
                    assert_eq!(schema["additionalProperties"], expected, "{path}");
                }
                for (name, field) in fields {
                    walk(&format!("{path}/{name}"), field);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(path, item)),
            _ => {}
        }
    }
    let schema: Value = serde_json::from_str(&read(SCHEMA)).unwrap();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    walk("", &schema);
}
