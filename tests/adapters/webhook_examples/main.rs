//! The parser accepts every example of real webhooks from `api.github.com` that GitHub's community
//! has collected.
//!
//! The examples are the npm package `@octokit/webhooks-examples`, which is downloaded with `npm
//! pack` on first use and kept below the target directory.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers outside of `#[test]` functions are test code too

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use matinee::adapters::github::webhook::{happened_at, parse};
use matinee::core::event::{Event, Parsed};
use matinee::core::forge::Deployment;
use serde_json::Value;
use sha2::{Digest as _, Sha512};

const PACKAGE: &str = "@octokit/webhooks-examples@7.6.1";
const ARCHIVE: &str = "octokit-webhooks-examples-7.6.1.tgz";
/// The registry's `integrity` of the archive, in hexadecimal.
const SHA512: &str = "0dee94dd707a3b70ed09aedb2a008ccd31dd7a8a6aa99e92362bcc6099caeb989eaca2f502734803\
                      4b644580914bb970193efdd9df8fb3559b7c796ca3a3329d";

/// Returns the archive if its hash is right.
fn archive(folder: &Path) -> Result<PathBuf, String> {
    let path = folder.join(ARCHIVE);
    let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    match hex::encode(Sha512::digest(&bytes)) {
        digest if digest == SHA512 => Ok(path),
        digest => Err(format!("{} has the SHA-512 {digest}, not {SHA512}", path.display())),
    }
}

fn succeed(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} (is it installed?): {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Returns the examples from `api.github.com`: a list of events, each with examples. The first test
/// that needs them downloads them.
fn examples() -> &'static [Value] {
    static EXAMPLES: OnceLock<Vec<Value>> = OnceLock::new();
    EXAMPLES.get_or_init(fetched)
}

fn fetched() -> Vec<Value> {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = archive(cache).unwrap_or_else(|_| {
        // The download is moved to its place when it is complete, so an interrupted run never looks
        // complete.
        let fetched = cache.join(format!("webhook-examples-{}", std::process::id()));
        std::fs::create_dir_all(&fetched).unwrap();
        succeed(Command::new("npm").args(["pack", "--silent", PACKAGE]).current_dir(&fetched));
        let complete = archive(&fetched).unwrap();
        std::fs::rename(complete, cache.join(ARCHIVE)).unwrap();
        std::fs::remove_dir_all(&fetched).unwrap();
        archive(cache).unwrap()
    });
    let json = succeed(Command::new("tar").arg("-xzOf").arg(path).arg("package/api.github.com/index.json"));
    serde_json::from_slice(&json).unwrap()
}

#[test]
fn each_of_the_329_examples_is_an_event_or_ignored_and_none_is_an_error() {
    let handled = |event: &str, action: &str, example: &Value| match event {
        "ping" | "status" => true,
        "deployment" | "deployment_status" => action == "created",
        "push" => example["ref"].as_str().unwrap().starts_with("refs/heads/") && example["deleted"] == false,
        "check_run" => matches!(action, "created" | "completed" | "rerequested"),
        "check_suite" => action == "completed",
        "issue_comment" => action == "created" && example["issue"]["pull_request"].is_object(),
        "pull_request" => matches!(
            action,
            "opened"
                | "reopened"
                | "synchronize"
                | "closed"
                | "labeled"
                | "unlabeled"
                | "ready_for_review"
                | "converted_to_draft"
        ),
        _ => false,
    };
    let mut seen = 0;
    let mut events: BTreeMap<&str, usize> = BTreeMap::new();
    for kind in examples() {
        let event = kind["name"].as_str().unwrap();
        for example in kind["examples"].as_array().unwrap() {
            seen += 1;
            let action = example["action"].as_str().unwrap_or_default();
            let parsed = parse(event, example.to_string().as_bytes())
                .unwrap_or_else(|error| panic!("example {seen}, {event} {action}: {error}"));
            match parsed {
                Parsed::Ignored(reason) => {
                    assert!(!handled(event, action, example), "{event} {action} was ignored: {reason}");
                    assert!(reason.contains(event), "{reason}");
                }
                Parsed::Event(what) => {
                    // No field says when a person requested a check to run again.
                    let timed = event != "ping" && action != "rerequested";
                    let at = happened_at(event, example.to_string().as_bytes());
                    assert_eq!(at.is_some(), timed, "when {event} {action} happened: {at:?}");
                    assert!(handled(event, action, example), "{event} {action} became {what:?}");
                    *events.entry(as_it_stands(&what, event, example)).or_default() += 1;
                }
            }
        }
    }
    assert_eq!(seen, 329);
    let expected = [
        ("checks", 8 + 4 + 4),
        ("deployment", 4),
        ("deployment status", 4),
        ("ping", 4),
        ("pull request", 19),
        ("push", 2),
    ];
    assert_eq!(events, expected.into());
}

/// Every example of a comment is on an issue. The test turns it into one on a pull request, which
/// becomes an event.
#[test]
fn a_comment_on_a_pull_request_is_an_event() {
    let mut seen = 0;
    for kind in examples().iter().filter(|kind| kind["name"] == "issue_comment") {
        for example in kind["examples"].as_array().unwrap().iter().filter(|one| one["action"] == "created") {
            let mut example = example.clone();
            example["issue"]["pull_request"] = serde_json::json!({"url": "https://api.github.com/x"});
            let parsed = parse("issue_comment", example.to_string().as_bytes()).unwrap();
            let Parsed::Event(what) = parsed else { panic!("{parsed:?}") };
            assert_eq!(as_it_stands(&what, "issue_comment", &example), "comment");
            seen += 1;
        }
    }
    assert_eq!(seen, 5);
}

/// Checks that an event matches the example. Returns its kind.
fn as_it_stands(what: &Event, event: &str, example: &Value) -> &'static str {
    if let Some(repository) = what.repository() {
        assert_eq!(repository.to_string(), example["repository"]["full_name"]);
    }
    match what {
        Event::PullRequest { pull_request, .. } => {
            let json = &example["pull_request"];
            assert_eq!(pull_request.number, json["number"]);
            assert_eq!(pull_request.open, json["state"] == "open");
            assert_eq!(pull_request.draft, json["draft"]);
            assert_eq!(pull_request.head_sha, json["head"]["sha"]);
            assert_eq!(pull_request.base_branch, json["base"]["ref"]);
            assert_eq!(pull_request.author, json["user"]["login"]);
            assert!(!pull_request.is_fork());
            "pull request"
        }
        Event::Deployment { deployment, .. } => {
            is_deployment(deployment, &example["deployment"]);
            "deployment"
        }
        Event::DeploymentStatus { deployment, status, .. } => {
            is_deployment(deployment, &example["deployment"]);
            let json = &example["deployment_status"];
            assert_eq!(status.id, json["id"]);
            assert_eq!(status.state.as_str(), json["state"]);
            assert_eq!(status.description, json["description"]);
            assert_eq!(status.created_at, json["created_at"]);
            "deployment status"
        }
        Event::Push { branch, sha, .. } => {
            assert_eq!(format!("refs/heads/{branch}"), example["ref"]);
            assert_eq!(*sha, example["head_commit"]["id"]);
            "push"
        }
        Event::Checks { sha, .. } => {
            let json = if event == "status" { &example["sha"] } else { &example[event]["head_sha"] };
            assert_eq!(sha, json);
            "checks"
        }
        Event::Comment { comment, .. } => {
            let json = &example["comment"];
            assert_eq!(comment.id, json["id"]);
            assert_eq!(comment.number, example["issue"]["number"]);
            assert_eq!(comment.author, json["user"]["login"]);
            assert_eq!(comment.body, json["body"]);
            assert_eq!(comment.created_at, json["created_at"]);
            assert!(comment.on_pull_request && !comment.bot && !comment.edited);
            "comment"
        }
        Event::Ping => "ping",
    }
}

fn is_deployment(deployment: &Deployment, json: &Value) {
    assert_eq!(deployment.id, json["id"]);
    assert_eq!(deployment.sha, json["sha"]);
    assert_eq!(deployment.environment, json["environment"]);
}
