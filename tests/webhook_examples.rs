//! Every example that GitHub's community has collected of what `api.github.com` really sends goes through the parser.
//!
//! The examples are the npm package `@octokit/webhooks-examples`, fetched with `npm pack` on first use and kept below the target directory.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers outside of `#[test]` functions are test code too

use std::path::{Path, PathBuf};
use std::process::Command;

use matinee::core::event::{Event, Parsed};
use matinee::core::webhook::parse;
use serde_json::Value;
use sha2::{Digest as _, Sha512};

const PACKAGE: &str = "@octokit/webhooks-examples@7.6.1";
const ARCHIVE: &str = "octokit-webhooks-examples-7.6.1.tgz";
/// The `integrity` that the registry gives for the archive, in hexadecimal.
const SHA512: &str = "0dee94dd707a3b70ed09aedb2a008ccd31dd7a8a6aa99e92362bcc6099caeb989eaca2f502734803\
                      4b644580914bb970193efdd9df8fb3559b7c796ca3a3329d";

/// The archive's bytes if they are the right ones.
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

/// What `api.github.com` sends: a list of events, each with examples.
fn examples() -> Vec<Value> {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = archive(cache).unwrap_or_else(|_| {
        // Fetched beside its place and moved into it, so that an interrupted run leaves nothing that looks complete.
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
    let handled = |event: &str, action: &str| match event {
        "ping" => true,
        "deployment" => action == "created",
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
    let (mut seen, mut pull_requests, mut deployments, mut pings) = (0, 0, 0, 0);
    for kind in examples() {
        let event = kind["name"].as_str().unwrap();
        for example in kind["examples"].as_array().unwrap() {
            seen += 1;
            let action = example["action"].as_str().unwrap_or_default();
            let parsed = parse(event, example.to_string().as_bytes())
                .unwrap_or_else(|error| panic!("example {seen}, {event} {action}: {error}"));
            match parsed {
                Parsed::Ignored(reason) => {
                    assert!(!handled(event, action), "{event} {action} was ignored: {reason}");
                    assert!(reason.contains(event), "{reason}");
                }
                Parsed::Event(what) => {
                    assert!(handled(event, action), "{event} {action} became {what:?}");
                    match what {
                        Event::PullRequest { repository, pull_request } => {
                            pull_requests += 1;
                            let json = &example["pull_request"];
                            assert_eq!(repository.to_string(), example["repository"]["full_name"]);
                            assert_eq!(pull_request.number, json["number"]);
                            assert_eq!(pull_request.open, json["state"] == "open");
                            assert_eq!(pull_request.draft, json["draft"]);
                            assert_eq!(pull_request.head_sha, json["head"]["sha"]);
                            assert_eq!(pull_request.base_branch, json["base"]["ref"]);
                            assert_eq!(pull_request.author, json["user"]["login"]);
                            assert!(!pull_request.is_fork());
                        }
                        Event::Deployment { repository, deployment } => {
                            deployments += 1;
                            let json = &example["deployment"];
                            assert_eq!(repository.to_string(), example["repository"]["full_name"]);
                            assert_eq!(deployment.id, json["id"]);
                            assert_eq!(deployment.sha, json["sha"]);
                            assert_eq!(deployment.environment, json["environment"]);
                        }
                        Event::Ping => pings += 1,
                    }
                }
            }
        }
    }
    assert_eq!(seen, 329);
    assert_eq!((pull_requests, deployments, pings), (19, 4, 4));
}
