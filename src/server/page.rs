//! Page of an environment, to which `log_url` in a deployment status links. It is plain HTML
//! without scripts. maud escapes all texts, because messages and names come from pull requests and
//! clusters.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Shared;
use crate::api::{PreviewEnvironment, PreviewEnvironmentStatus};
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
    let headers = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (status, headers, page).into_response()
}

fn gone(namespace: &str, name: &str) -> Markup {
    let name = format!("{namespace}/{name}");
    document(&name, &html! { p { "There is no such environment. It may have been deleted." } })
}

fn render(environment: &PreviewEnvironment) -> Markup {
    let spec = &environment.spec;
    let body = html! {
        p {
            "Commit " code { (spec.revision.sha) }
            @if let Some(reference) = &spec.pull_request { ", pull request " (reference.number) }
        }
        @match &environment.status {
            Some(status) => (details(status)),
            None => p { "It hasn't been looked at yet." },
        }
    };
    document(&spec.github_environment, &body)
}

fn details(status: &PreviewEnvironmentStatus) -> Markup {
    html! {
        @if let Some(url) = status.url.as_deref().filter(|url| url.starts_with("http")) {
            p { a rel="noreferrer" href=(url) { (url) } }
        }
        @if let Some(expires) = &status.expiration_time {
            p { "Deleted at " (expires) }
        }
        h2 { "State" }
        table {
            @for condition in &status.conditions {
                tr {
                    th { (condition.type_) }
                    td class=(class(condition)) { (condition.status) }
                    td { (condition.reason) }
                    td { (condition.message) }
                }
            }
        }
        @if !status.components.is_empty() {
            h2 { "Components" }
            table {
                @for component in &status.components {
                    tr {
                        th { (component.name) }
                        td class=(if component.ready { "ok" } else { "no" }) { (component.reason) }
                        td { (component.message) }
                    }
                }
            }
        }
        h2 { "Attempts" }
        table {
            tr { th { "Commit" } th { "Since" } th { "Outcome" } th {} }
            @for attempt in &status.history {
                tr {
                    td { code { (short_sha(&attempt.sha)) } }
                    td { (attempt.start_time.0) }
                    td { (format!("{:?}", attempt.outcome)) }
                    td { (attempt.message) }
                }
            }
        }
    }
}

/// Returns the CSS class of a condition's status.
fn class(condition: &Condition) -> &'static str {
    match (condition.type_.as_str(), condition.status.as_str()) {
        ("Stalled", "True") => "no",
        ("Reconciling", "True") | (_, "Unknown") => "wait",
        ("Stalled" | "Reconciling", _) | (_, "True") => "ok",
        _ => "no",
    }
}

fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width";
            meta http-equiv="refresh" content="5";
            title { (title) }
            style { (PreEscaped(STYLE)) }
            body { h1 { (title) } (body) }
        }
    }
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
        let page = render(&environment).into_string();
        assert!(
            !page.contains("<script>") && !page.contains("<img") && !page.contains("javascript:"),
            "{page}"
        );
        assert!(page.contains("&lt;script&gt;"));
    }
}
