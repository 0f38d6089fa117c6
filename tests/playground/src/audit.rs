//! Writes to the API server and their users, read from its audit log, for figures that count
//! writes.
//!
//! <https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/>

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use anyhow::{Context as _, Result};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::home::Home;

const LOG: &str = "audit.log";

/// A position in the record of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

/// One write request to the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// The resource and, after a slash, the subresource: `pods`, `repositories/status`.
    pub resource: String,
    /// The object's namespace; empty when it has none.
    pub namespace: String,
    /// The object's name; empty when the API server chose it.
    pub name: String,
    /// The impersonated user, if any.
    pub as_user: Option<String>,
    /// The answer's HTTP status.
    pub code: u16,
    /// When the answer was complete, to the microsecond.
    pub at: Timestamp,
}

/// Returns the API server's arguments that make it record the writes of these users.
pub(crate) fn arguments(home: &Home, users: &[String]) -> Result<Vec<String>> {
    let policy = json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [
            {"level": "Metadata", "users": users, "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
            {"level": "None"},
        ],
    });
    let file = home.make("audit")?.join("policy.yaml");
    std::fs::write(&file, policy.to_string())?;
    let log = home.logs().join(LOG);
    // The log has to exist before the first write.
    File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
    Ok(vec![
        format!("--audit-policy-file={}", file.display()),
        format!("--audit-log-path={}", log.display()),
        // The API server logs a write before it answers, so every visible effect is in the record.
        "--audit-log-mode=blocking-strict".to_owned(),
        // In MiB; at this size the API server would start a new log, and marks would be wrong.
        "--audit-log-maxsize=10000".to_owned(),
    ])
}

pub(crate) fn mark(logs: &Path) -> Mark {
    Mark(std::fs::metadata(logs.join(LOG)).map_or(0, |metadata| metadata.len()))
}

pub(crate) fn writes(logs: &Path, since: Mark) -> Result<Vec<Write>> {
    let log = logs.join(LOG);
    let read = || -> Result<String> {
        let mut file = File::open(&log)?;
        file.seek(SeekFrom::Start(since.0))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(text)
    };
    let text = read().with_context(|| {
        format!(
            "{} can't be read: are anybody's writes recorded (Settings::record_writes_of)?",
            log.display()
        )
    })?;
    // The API server is still writing an incomplete last line.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(parse).collect()
}

fn parse(line: &str) -> Result<Write> {
    let event: Value = serde_json::from_str(line).with_context(|| format!("not an audit event: {line}"))?;
    let object = &event["objectRef"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut resource = text(&object["resource"]);
    if let Some(subresource) = object["subresource"].as_str() {
        resource = format!("{resource}/{subresource}");
    }
    Ok(Write {
        verb: text(&event["verb"]),
        resource,
        namespace: text(&object["namespace"]),
        name: text(&object["name"]),
        as_user: event["impersonatedUser"]["username"].as_str().map(str::to_owned),
        code: event["responseStatus"]["code"]
            .as_u64()
            .and_then(|code| code.try_into().ok())
            .unwrap_or_default(),
        at: text(&event["stageTimestamp"]).parse().with_context(|| format!("no time in {line}"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","stage":"ResponseComplete","verb":"patch","user":{"username":"system:serviceaccount:a:b"},"impersonatedUser":{"username":"system:serviceaccount:p:d"},"objectRef":{"resource":"deployments","namespace":"p","name":"web","apiGroup":"apps","apiVersion":"v1","subresource":"scale"},"responseStatus":{"metadata":{},"code":201},"requestReceivedTimestamp":"2026-01-02T03:04:05.000001Z","stageTimestamp":"2026-01-02T03:04:05.678901Z"}"#;

    #[test]
    fn writes_are_read_from_a_mark_on_and_a_half_line_is_left() {
        let folder = std::env::temp_dir().join(format!("playground-audit-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert_eq!(mark(&folder), Mark(0));
        assert!(writes(&folder, Mark(0)).unwrap_err().to_string().contains("record_writes_of"));
        std::fs::write(folder.join(LOG), "ignored\n").unwrap();
        let since = mark(&folder);
        std::fs::write(folder.join(LOG), format!("ignored\n{EVENT}\n{{\"kind\":")).unwrap();
        let found = writes(&folder, since).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let expected = Write {
            verb: "patch".into(),
            resource: "deployments/scale".into(),
            namespace: "p".into(),
            name: "web".into(),
            as_user: Some("system:serviceaccount:p:d".into()),
            code: 201,
            at: "2026-01-02T03:04:05.678901Z".parse().unwrap(),
        };
        assert_eq!(found, [expected]);
    }
}
