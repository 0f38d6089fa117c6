//! Page of an environment, to which `log_url` in a deployment status links. It is plain HTML
//! without scripts. All texts are escaped, because messages and names come from pull requests and
//! clusters.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use kube::ResourceExt as _;

use super::Shared;
use crate::api::PreviewEnvironment;
use crate::core::truncate::short_sha;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1f2328}\
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}td,th{border-bottom:1px solid #d1d9e0;padding:.4rem .6rem;\
text-align:left;vertical-align:top}th{color:#59636e;font-weight:500}.ok{color:#1a7f37}.no{color:#d1242f}.wait{color:#9a6700}\
code{background:#f6f8fa;padding:.1rem .3rem;border-radius:4px}";

/// Shows the page of an environment.
pub(super) async fn environment(
    State(shared): State<Arc<Shared>>,
    Path((namespace, name)): Path<(String, String)>,
) -> Response {
    let (status, page) = match (shared.context.environments)(&namespace, &name) {
        Some(environment) => (StatusCode::OK, render(&environment)),
        None => (StatusCode::NOT_FOUND, gone(&namespace, &name)),
    };
    let mut response = (status, Html(page)).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn gone(namespace: &str, name: &str) -> String {
    let name = format!("{namespace}/{name}");
    document(
        &name,
        &format!("<h1>{}</h1><p>There is no such environment. It may have been deleted.</p>", escape(&name)),
    )
}

fn render(environment: &PreviewEnvironment) -> String {
    let spec = &environment.spec;
    let mut body = format!("<h1>{}</h1>", escape(&spec.github_environment));
    let number = spec.pull_request.as_ref().map(|reference| format!(", pull request {}", reference.number));
    let _ = write!(
        body,
        "<p>Commit <code>{}</code>{}</p>",
        escape(&spec.revision.sha),
        escape(&number.unwrap_or_default())
    );
    let Some(status) = &environment.status else {
        body.push_str("<p>It hasn't been looked at yet.</p>");
        return document(&environment.name_any(), &body);
    };
    if let Some(url) = status.url.as_deref().filter(|url| url.starts_with("http")) {
        let url = escape(url);
        let _ = write!(body, "<p><a rel=\"noreferrer\" href=\"{url}\">{url}</a></p>");
    }
    if let Some(expires) = &status.expiration_time {
        let _ = write!(body, "<p>Deleted at {}</p>", escape(expires));
    }
    body.push_str("<h2>State</h2><table>");
    for condition in &status.conditions {
        let class = match (condition.type_.as_str(), condition.status.as_str()) {
            ("Stalled", "True") => "no",
            ("Reconciling", "True") | (_, "Unknown") => "wait",
            ("Stalled" | "Reconciling", _) | (_, "True") => "ok",
            _ => "no",
        };
        let cells = [&condition.type_, &condition.status, &condition.reason, &condition.message]
            .map(|text| escape(text));
        let _ = write!(
            body,
            "<tr><th>{}</th><td class=\"{class}\">{}</td><td>{}</td><td>{}</td></tr>",
            cells[0], cells[1], cells[2], cells[3]
        );
    }
    body.push_str("</table>");
    if !status.components.is_empty() {
        body.push_str("<h2>Components</h2><table>");
        for component in &status.components {
            let class = if component.ready { "ok" } else { "no" };
            let _ = write!(
                body,
                "<tr><th>{}</th><td class=\"{class}\">{}</td><td>{}</td></tr>",
                escape(&component.name),
                escape(&component.reason),
                escape(&component.message)
            );
        }
        body.push_str("</table>");
    }
    body.push_str("<h2>Attempts</h2><table><tr><th>Commit</th><th>Since</th><th>Outcome</th><th></th></tr>");
    for attempt in &status.history {
        let sha = short_sha(&attempt.sha);
        let _ = write!(
            body,
            "<tr><td><code>{}</code></td><td>{}</td><td>{:?}</td><td>{}</td></tr>",
            escape(&sha),
            attempt.start_time.0,
            attempt.outcome,
            escape(&attempt.message)
        );
    }
    body.push_str("</table>");
    document(&spec.github_environment, &body)
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta http-equiv=\"refresh\" content=\"5\"><title>{}</title><style>{STYLE}</style><body>{body}</body></html>",
        escape(title)
    )
}

/// Escapes a text for HTML, also inside of attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_pull_request_becomes_markup() {
        let environment: PreviewEnvironment = serde_json::from_value(serde_json::json!({
            "apiVersion": "matinee.dev/v1alpha1", "kind": "PreviewEnvironment", "metadata": {"name": "a"},
            "spec": {"repositoryRef": {"name": "shop"}, "environment": "preview", "githubEnvironment": "<script>alert(1)</script>",
                "revision": {"sha": "1111111111111111111111111111111111111111"}},
            "status": {"observedGeneration": 1, "conditions": [], "url": "javascript:alert(1)",
                "components": [{"name": "Deployment/web", "ready": false, "reason": "X", "message": "\"><img src=x>"}]}
        }))
        .unwrap();
        let page = render(&environment);
        assert!(
            !page.contains("<script>") && !page.contains("<img") && !page.contains("javascript:"),
            "{page}"
        );
        assert!(page.contains("&lt;script&gt;"));
    }
}
