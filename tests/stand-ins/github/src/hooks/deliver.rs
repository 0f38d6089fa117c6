//! Sends webhooks: one delivery of a hook at a time, in order unless the hook's mode says
//! otherwise, with a timeout of ten seconds and without retries.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::control::types::ShuffleOrder;
use crate::state::hooks::{Attempt, Hook, Outgoing, Target};
use crate::state::ids::{Kind, hex};
use crate::state::{State, now};
use crate::world::World;

/// The time a receiver has to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The part of an answer that the log keeps, in bytes.
const KEPT: usize = 64 * 1024;

/// The next delivery of a hook, and its faults.
struct Job {
    hook: u64,
    url: String,
    headers: BTreeMap<String, String>,
    body: String,
    outgoing: Outgoing,
    delay: Duration,
    copies: u32,
    lost: bool,
}

/// Starts sending the queues of hooks that are idle.
pub(crate) fn pump(world: &Arc<World>, state: &mut State) {
    let idle: Vec<u64> = state.hooks.values().filter(|hook| !hook.busy).map(|hook| hook.id).collect();
    for id in idle {
        if let Some(job) = next(state, id) {
            let world = Arc::clone(world);
            tokio::spawn(async move { run(&world, job).await });
        }
    }
}

/// Sends one delivery after another until the hook's queue is empty.
async fn run(world: &Arc<World>, first: Job) {
    let mut job = Some(first);
    while let Some(current) = job {
        let hook = current.hook;
        tokio::time::sleep(current.delay).await;
        for _ in 0..current.copies {
            let attempt = send(world, &current).await;
            record(world, hook, &current, attempt);
        }
        let mut state = world.lock();
        if let Some(hook) = state.hooks.get_mut(&hook) {
            hook.busy = false;
        }
        job = next(&mut state, hook);
        drop(state);
        world.delivered.notify_waiters();
    }
}

/// Takes the next delivery off a hook's queue and marks the hook busy.
fn next(state: &mut State, id: u64) -> Option<Job> {
    let hook = state.hooks.get_mut(&id)?;
    if hook.busy {
        return None;
    }
    let outgoing = match &hook.mode.shuffle {
        // Held deliveries were ordered when they became due, so the last one is next.
        Some(shuffle) if hook.held.is_empty() && hook.queue.len() < shuffle.hold => return None,
        Some(_) if hook.held.is_empty() => {
            release(hook);
            hook.held.pop()?
        }
        _ => hook.held.pop().or_else(|| hook.queue.pop_front())?,
    };
    hook.busy = true;
    let lost = hook.mode.lose_all || hook.mode.lose_next > 0;
    hook.mode.lose_next = hook.mode.lose_next.saturating_sub(1);
    let body = if hook.content_type == "form" {
        form_urlencoded::Serializer::new(String::new()).append_pair("payload", &outgoing.body).finish()
    } else {
        outgoing.body.clone()
    };
    Some(Job {
        hook: id,
        url: hook.url.clone(),
        headers: headers(hook, &outgoing, &body),
        body,
        delay: Duration::from_millis(hook.mode.delay_ms),
        copies: if hook.mode.double && !lost { 2 } else { 1 },
        lost,
        outgoing,
    })
}

/// Moves all queued deliveries to the held ones, which are stored last first in the mode's order.
pub(crate) fn release(hook: &mut Hook) {
    let mut due: Vec<Outgoing> = hook.queue.drain(..).collect();
    match hook.mode.shuffle.as_ref().map(|shuffle| (shuffle.order, shuffle.seed)) {
        Some((ShuffleOrder::Reversed, _)) => {}
        Some((ShuffleOrder::Random, seed)) => fastrand::Rng::with_seed(seed).shuffle(&mut due),
        None => due.reverse(),
    }
    due.append(&mut hook.held);
    hook.held = due;
}

/// Returns the signature of a payload's exact bytes.
pub(crate) fn signature(secret: &str, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(body);
    Some(format!("sha256={}", hex(&mac.finalize().into_bytes())))
}

fn headers(hook: &Hook, outgoing: &Outgoing, body: &str) -> BTreeMap<String, String> {
    let (kind, target) = match hook.target {
        Target::Repository(id) => ("repository", id),
        Target::App(id) => ("integration", id),
    };
    let content =
        if hook.content_type == "form" { "application/x-www-form-urlencoded" } else { "application/json" };
    let mut headers: BTreeMap<String, String> = [
        ("Accept", "*/*".to_owned()),
        ("Content-Type", content.to_owned()),
        ("User-Agent", "GitHub-Hookshot/b8c71d8".to_owned()),
        ("X-GitHub-Delivery", outgoing.guid.clone()),
        ("X-GitHub-Event", outgoing.event.clone()),
        ("X-GitHub-Hook-ID", hook.id.to_string()),
        ("X-GitHub-Hook-Installation-Target-ID", target.to_string()),
        ("X-GitHub-Hook-Installation-Target-Type", kind.to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    if let Some(signature) = hook.secret.as_deref().and_then(|secret| signature(secret, body.as_bytes())) {
        headers.insert("X-Hub-Signature-256".to_owned(), signature);
    }
    headers
}

/// Outcome of one attempt.
struct Outcome {
    status: String,
    code: u16,
    headers: BTreeMap<String, String>,
    body: String,
    seconds: f64,
}

async fn send(world: &World, job: &Job) -> Outcome {
    let mut outcome = Outcome {
        status: String::new(),
        code: 0,
        headers: BTreeMap::new(),
        body: String::new(),
        seconds: 0.0,
    };
    if job.lost {
        "lost".clone_into(&mut outcome.status);
        return outcome;
    }
    let mut request = world.client.post(&job.url).body(job.body.clone()).timeout(TIMEOUT);
    for (name, value) in &job.headers {
        request = request.header(name, value);
    }
    let started = Instant::now();
    match request.send().await {
        Ok(response) => {
            let status = response.status();
            outcome.code = status.as_u16();
            let reason = status.canonical_reason().unwrap_or("");
            outcome.status = if status.is_success() {
                "OK".to_owned()
            } else {
                format!("Invalid HTTP Response: {reason}")
            };
            for (name, value) in response.headers() {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                outcome.headers.insert(name.as_str().to_owned(), value);
            }
            let body = response.bytes().await.unwrap_or_default();
            outcome.body = String::from_utf8_lossy(&body[..body.len().min(KEPT)]).into_owned();
        }
        Err(error) if error.is_timeout() => "timed out".clone_into(&mut outcome.status),
        Err(error) if error.is_connect() => "failed to connect to host".clone_into(&mut outcome.status),
        Err(error) => outcome.status = format!("failed: {error}"),
    }
    outcome.seconds = (started.elapsed().as_secs_f64() * 100.0).round() / 100.0;
    outcome
}

fn record(world: &World, hook: u64, job: &Job, outcome: Outcome) {
    let mut state = world.lock();
    let id = state.ids.next(Kind::Delivery);
    if let Some(hook) = state.hooks.get_mut(&hook) {
        hook.log.push(Attempt {
            id,
            sent: job.outgoing.clone(),
            at: now(),
            seconds: outcome.seconds,
            status: outcome.status,
            status_code: outcome.code,
            request_headers: job.headers.clone(),
            response_headers: outcome.headers,
            response: outcome.body,
        });
    }
}

/// Returns whether no delivery is under way or due, of one hook or of all. Deliveries that a
/// shuffle holds back are not due.
pub(crate) fn settled(state: &State, of: Option<u64>) -> bool {
    let mut hooks = state.hooks.values().filter(|hook| of.is_none_or(|id| hook.id == id));
    hooks.all(|hook| {
        let waiting = match &hook.mode.shuffle {
            Some(shuffle) => hook.queue.len() >= shuffle.hold,
            None => !hook.queue.is_empty(),
        };
        !hook.busy && hook.held.is_empty() && !waiting
    })
}
