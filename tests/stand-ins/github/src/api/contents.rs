//! <https://docs.github.com/rest/repos/contents>, reading only.

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::api::Cx;
use crate::api::auth::Need;
use crate::api::call::{Answer, Body, Problem, Reply};
use crate::show;
use crate::state::git::Files;
use crate::state::repos::Repo;

const READ: Need = Need::read(&["contents"]);

/// Largest file that the API returns as JSON, in bytes; larger files come only raw.
const MAX_JSON: usize = 1024 * 1024;

pub(crate) fn route(
    cx: &mut Cx<'_>,
    method: &Method,
    repo: (&str, &str),
    path: &[&str],
) -> (&'static str, Answer) {
    let page = "repos/contents#get-repository-content";
    if *method == Method::GET { (page, get(cx, repo, path)) } else { ("", Err(Problem::not_found())) }
}

fn get(cx: &mut Cx<'_>, (owner, name): (&str, &str), path: &[&str]) -> Answer {
    let repo = cx.repo(owner, name, READ)?;
    let repo = cx.found(repo)?;
    let reference = cx.call.query("ref").unwrap_or(&repo.default_branch);
    let Some(sha) = cx.state.resolve(repo, reference) else {
        let message = format!("No commit found for the ref {reference}");
        return Err(Problem::new(StatusCode::NOT_FOUND, message));
    };
    let files = &cx.state.commits[&sha].files;
    let path = path.join("/");
    let path = path.trim_matches('/');
    let accept = cx.call.header("accept").unwrap_or_default();
    let raw = ["application/vnd.github.raw", "application/vnd.github.v3.raw"]
        .iter()
        .any(|kind| accept.contains(kind));
    if let Some(text) = files.get(path) {
        return Ok(file(cx, repo, (path, reference), text, raw));
    }
    let entries = directory(files, path);
    if entries.is_empty() {
        return Err(Problem::not_found());
    }
    let shown: Vec<Value> = entries
        .iter()
        .map(|(path, text)| {
            let kind = if text.is_some() { "file" } else { "dir" };
            show::repos::content(cx.state, repo, (path, reference), kind, *text)
        })
        .collect();
    Ok(Reply::ok(Value::Array(shown)))
}

fn file(cx: &Cx<'_>, repo: &Repo, place: (&str, &str), text: &str, raw: bool) -> Reply {
    if raw {
        let mut reply = Reply::no_content();
        reply.status = StatusCode::OK;
        reply.body = Body::Text("application/vnd.github.raw+json; charset=utf-8", text.to_owned());
        return reply;
    }
    let mut shown = show::repos::content(cx.state, repo, place, "file", Some(text));
    let (encoding, content) =
        if text.len() > MAX_JSON { ("none", String::new()) } else { ("base64", wrapped(text)) };
    show::users::extend(&mut shown, json!({"encoding": encoding, "content": content}));
    Reply::ok(shown)
}

/// Encodes as Base64 in lines of sixty characters, as GitHub does.
fn wrapped(text: &str) -> String {
    let encoded = STANDARD.encode(text);
    let mut lines = String::with_capacity(encoded.len() + encoded.len() / 60 + 1);
    for chunk in encoded.as_bytes().chunks(60) {
        lines.extend(chunk.iter().map(|byte| char::from(*byte)));
        lines.push('\n');
    }
    lines
}

/// Returns the direct entries of a directory by path; files with their text.
fn directory<'a>(files: &'a Files, path: &str) -> BTreeMap<String, Option<&'a str>> {
    let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
    files
        .iter()
        .filter_map(|(file, text)| {
            let rest = file.strip_prefix(&prefix)?;
            Some(match rest.split_once('/') {
                Some((dir, _)) => (format!("{prefix}{dir}"), None),
                None => (file.clone(), Some(text.as_str())),
            })
        })
        .collect()
}
