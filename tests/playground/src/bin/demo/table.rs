//! The figures as a table, for people or as Markdown.

use std::collections::BTreeMap;
use std::time::Duration;

use playground::Write;
use playground::stage::Stage;
use playground::stage::github::types::Request;

use crate::figures::{Figures, Part};
use crate::screen::{Screen, took};

/// Prints all measurements.
pub(crate) async fn print(figures: &Figures, stage: &Stage, screen: &Screen, markdown: bool) {
    let rows = rows(figures, stage).await;
    if markdown {
        screen.line("");
        screen.line("| figure | measured |");
        screen.line("|---|---|");
        for (what, value) in rows {
            screen.line(&format!("| {what} | {value} |"));
        }
        return;
    }
    screen.act("Figures");
    let width = rows.iter().map(|(what, _)| what.chars().count()).max().unwrap_or_default();
    for (what, value) in rows {
        screen.line(&format!("   {what:<width$}  {value}"));
    }
}

async fn rows(figures: &Figures, stage: &Stage) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let mut row = |what: &str, value: String| rows.push((what.to_owned(), value));
    let over = |pick: &dyn Fn(&Part) -> Option<Duration>, name: &str| {
        spread(figures.all(name).filter_map(pick).collect())
    };
    row(
        "webhook → request recorded",
        over(&|part| part.first_write(|write| write.resource == "deploymentrequests"), "create"),
    );
    row(
        "webhook → namespace applied",
        over(&|part| part.first_write(|write| write.resource == "namespaces"), "create"),
    );
    row("webhook → all objects applied", over(&Part::applied, "create"));
    row("webhook → success on GitHub", over(&|part| Some(part.took), "create"));
    row("push → success on GitHub", over(&|part| Some(part.took), "update"));
    if figures.newest("delete").is_some() {
        row("close → namespace gone", over(&|part| Some(part.took), "delete"));
    }
    for (what, time) in &figures.times {
        row(what, took(*time));
    }
    for name in ["create", "update", "no-op", "delete"] {
        if let Some(part) = figures.newest(name) {
            row(&format!("API writes: {name}"), writes(&part.writes));
        }
    }
    if let Some(life) = figures.newest("life") {
        row("GitHub calls of a preview's life", calls(&life.calls));
    }
    for name in ["create", "update", "delete"] {
        if let Some(part) = figures.newest(name) {
            row(&format!("GitHub calls: {name}"), calls(&part.calls));
        }
    }
    if let Some(bytes) = figures.memory {
        row("operator's resident memory, one preview", mebibytes(bytes));
    }
    if let Ok(bytes) = stage.operator().resident_memory().await {
        row("operator's resident memory, at the end", mebibytes(bytes));
    }
    for (part, time) in stage.playground().timings() {
        row(&format!("playground: {part}"), took(time));
    }
    rows
}

/// Returns the median, with minimum and maximum if there are several times.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    match (times.first(), times.get(times.len() / 2), times.last()) {
        (Some(least), Some(middle), Some(most)) if times.len() > 1 => {
            format!("{} (of {}: {} to {})", took(*middle), times.len(), took(*least), took(*most))
        }
        (Some(only), ..) => took(*only),
        _ => "not measured".to_owned(),
    }
}

/// Returns number and kinds of writes. Events are for people and are counted separately.
fn writes(all: &[Write]) -> String {
    let (events, others): (Vec<&Write>, Vec<&Write>) =
        all.iter().partition(|write| write.resource == "events");
    let kinds = count(others.iter().map(|write| write.resource.clone()));
    let kinds = if others.is_empty() { String::new() } else { format!(": {kinds}") };
    let events = if events.is_empty() { String::new() } else { format!("; and {} events", events.len()) };
    format!("{}{kinds}{events}", others.len())
}

fn calls(all: &[Request]) -> String {
    let free = all.iter().filter(|call| !call.counted).count();
    let kinds = count(all.iter().map(|call| format!("{} {}", call.method, pattern(&call.path))));
    let free = if free == 0 { String::new() } else { format!(", {free} of them free") };
    let text = if all.is_empty() { String::new() } else { format!(": {kinds}") };
    format!("{}{free}{text}", all.len())
}

fn count(names: impl Iterator<Item = String>) -> String {
    let mut counts = BTreeMap::<String, usize>::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let parts: Vec<_> = counts
        .into_iter()
        .map(|(name, times)| if times == 1 { name } else { format!("{times} × {name}") })
        .collect();
    parts.join(", ")
}

/// Returns a path without the repository, numbers and values, which identifies the kind of request.
fn pattern(path: &str) -> String {
    let (path, query) = path.split_once('?').map_or((path, ""), |(path, query)| (path, query));
    let mut parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    if parts.first() == Some(&"repos") {
        parts.drain(..parts.len().min(3));
    }
    for part in &mut parts {
        if part.bytes().all(|byte| byte.is_ascii_digit()) || part.len() == 40 {
            *part = "*";
        }
    }
    let names: Vec<_> = query.split('&').filter_map(|pair| pair.split('=').next()).collect();
    let path = parts.join("/");
    if query.is_empty() { path } else { format!("{path}?{}", names.join("&")) }
}

#[allow(clippy::cast_precision_loss)] // shown with one digit
fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
