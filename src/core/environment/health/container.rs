//! Health of one container of a pod: `None` when there is nothing to report.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, Probe,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::finding::{Health, State, remaining};
use super::kubelet_text::about_pod;
use super::pod::Look;
use super::{pull, start};
use crate::core::cause::Cause;

/// Grace time for something that is still being created, such as a ConfigMap applied after the
/// pod's owner, or for a registry that was briefly unreachable. It starts when the kubelet could
/// first create the container.
const START_GRACE: Duration = Duration::from_secs(10);
/// Grace time for pulls that may succeed in a retry: the kubelet retries after 10 and after another
/// 20 seconds.
const PULL_GRACE: Duration = Duration::from_secs(45);
/// Time that a container must run after a crash before it counts as ready. Without a readiness
/// probe, a container is ready as soon as it runs.
const SETTLED_READY: Duration = Duration::from_secs(10);
/// Time that a container must run after repeated crashes before it no longer counts as crashing,
/// while it isn't ready. Otherwise the verdict would change with every restart.
const SETTLED_UNREADY: Duration = Duration::from_mins(1);

/// Words in the message of a failed pull which mean that a retry fails too.
const FINAL_WORDS: [&str; 5] =
    ["not found", "manifest unknown", "no match for platform", "invalid reference", "signature"];
/// Words of a registry that denies access. The credentials may not be in a new namespace yet.
const ACCESS_WORDS: [&str; 7] = [
    "denied",
    "unauthorized",
    "authorization failed",
    "authentication required",
    "no basic auth credentials",
    "forbidden",
    "insufficient_scope",
];
/// Words of a registry, or of the network to it, that is overloaded at the moment.
const BUSY_WORDS: [&str; 10] = [
    "timeout",
    "deadline exceeded",
    "connection reset",
    "unexpected eof",
    "too many requests",
    "toomanyrequests",
    "server misbehaving",
    "500 internal server error",
    "502 bad gateway",
    "503 service unavailable",
];

/// A container, with its spec and status.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub spec: &'a Container,
    pub status: Option<&'a ContainerStatus>,
    /// Whether it is an init container, which runs to completion before the others start.
    pub init: bool,
}

impl Subject<'_> {
    /// Adds the container's name to the cause.
    fn at(&self, cause: impl Into<Cause>) -> Cause {
        let cause = cause.into();
        if self.init { cause.in_init_container(&self.spec.name) } else { cause.in_container(&self.spec.name) }
    }
    /// Adds the container's name and image to the cause.
    fn with_image(&self, cause: impl Into<Cause>) -> Cause {
        self.at(cause.into().detail(self.image()))
    }
    fn image(&self) -> &str {
        self.spec.image.as_deref().unwrap_or("(none)")
    }
    fn restarts(&self) -> i32 {
        self.status.map_or(0, |status| status.restart_count)
    }
    fn last(&self) -> Option<&ContainerStateTerminated> {
        self.status?.last_state.as_ref()?.terminated.as_ref()
    }
}

/// Returns the health of a container of the pod.
pub(super) fn examine(subject: &Subject<'_>, look: &Look<'_>) -> Option<Health> {
    let state = subject.status?.state.as_ref();
    match state {
        Some(ContainerState { running: Some(running), .. }) => self::running(subject, running, look),
        Some(ContainerState { terminated: Some(terminated), .. }) => {
            self::terminated(subject, terminated, look)
        }
        Some(ContainerState { waiting: Some(waiting), .. }) => Some(self::waiting(subject, waiting, look)),
        // The API says: "If none of them is specified, the default one is ContainerStateWaiting".
        _ => Some(creating(subject, look)),
    }
}

fn waiting(subject: &Subject<'_>, waiting: &ContainerStateWaiting, look: &Look<'_>) -> Health {
    let reason = waiting.reason.as_deref().unwrap_or_default();
    let said = about_pod(waiting.message.as_deref().unwrap_or_default(), look.pod, look.workload);
    let image = subject.image();
    let (began, now) = (began(subject, look), look.seen.now);
    let grace = remaining(began, START_GRACE, now);
    match reason {
        "" | "ContainerCreating" | "PodInitializing" => creating(subject, look),
        "CrashLoopBackOff" => match subject.last() {
            Some(last) => crash(subject, last, subject.restarts() >= 1, look),
            None => Health::troubled(reason, subject.with_image("crashes")),
        },
        "InvalidImageName" | "ErrImageNeverPull" => {
            Health::failed(reason, subject.at(pull::unusable(reason, &said, image)))
        }
        // These reasons alternate while the kubelet retries, so they have the same health.
        "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" | "SignatureValidationFailed" => {
            // Kubelets before 1.32 don't repeat the cause while they back off.
            let cause = if said.starts_with("Back-off pulling image") { "" } else { &said };
            not_pulled(reason, subject.at(pull::cause(cause, image)), cause, began, look)
        }
        "ImageInspectError" => {
            Health::failed_unless(grace, reason, subject.at(pull::unusable(reason, &said, image)))
        }
        "RunContainerError" | "StartError" | "ContainerCannotRun" => cannot_start(subject, &said),
        "PostStartHookError" => {
            Health::failed(reason, subject.with_image(Cause::new("postStart hook failed").said(said)))
        }
        "CreateContainerConfigError"
        | "CreateContainerError"
        | "PreCreateHookError"
        | "PreStartHookError" => {
            let message = subject.at(start::not_created(&said));
            match missing_input(waiting.message.as_deref().unwrap_or_default()) {
                // Only Matinee creates objects of the template, so there is no wait for others to
                // create them.
                Some((kind, input)) if !look.seen.has(kind, input) => {
                    late_input(reason, message, &format!("{kind}/{input}"), began, look)
                }
                _ => Health::failed_unless(grace, reason, message),
            }
        }
        _ => Health::troubled(reason, subject.with_image(Cause::new(format!("waits, {reason}")).said(said))),
    }
}

/// Health of a container whose image the kubelet couldn't pull and keeps pulling.
fn not_pulled(
    reason: &str,
    message: Cause,
    cause: &str,
    began: Option<Timestamp>,
    look: &Look<'_>,
) -> Health {
    let lower = cause.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if has(&ACCESS_WORDS) {
        let secrets = look.foreign_pull_secrets();
        if !secrets.is_empty() {
            let secrets: Vec<String> = secrets.iter().map(|name| format!("Secret/{name}")).collect();
            return late_input("ImagePullBackOff", message, &secrets.join(", "), began, look);
        }
    } else if has(&FINAL_WORDS) {
        return Health::failed("ImagePullBackOff", message);
    }
    let now = look.seen.now;
    let heals = has(&ACCESS_WORDS) || has(&BUSY_WORDS);
    let left = remaining(began, if heals { PULL_GRACE } else { START_GRACE }, now);
    // Without a cause, nothing indicates that a retry may succeed.
    if left.is_none() || (cause.is_empty() && reason != "ErrImagePull") {
        return Health::failed("ImagePullBackOff", message);
    }
    Health::troubled("ErrImagePull", message).again(left)
}

/// Health of a container that needs an object which another controller creates.
fn late_input(
    reason: &str,
    message: Cause,
    input: &str,
    began: Option<Timestamp>,
    look: &Look<'_>,
) -> Health {
    let (grace, now) = (look.seen.limits.missing_input_grace.as_std(), look.seen.now);
    match remaining(began, grace, now) {
        None => Health::failed(reason, message),
        left => Health::troubled(reason, message.remedy(format!("waiting for {input}")))
            .again(left)
            .lasts(began, now),
    }
}

/// Returns the Secret or ConfigMap that, according to the kubelet, doesn't exist or lacks a key.
fn missing_input(said: &str) -> Option<(&'static str, &str)> {
    let missing = [("secret \"", "Secret"), ("configmap \"", "ConfigMap")].into_iter();
    let missing = missing.filter_map(|(start, kind)| Some((kind, said.split_once(start)?.1)));
    let missing = missing.filter_map(|(kind, rest)| Some((kind, rest.split_once("\" not found")?.0)));
    let lacking = [(" in Secret ", "Secret"), (" in ConfigMap ", "ConfigMap")].into_iter();
    let lacking = lacking.filter(|_| said.contains("couldn't find key "));
    let lacking = lacking.filter_map(|(middle, kind)| Some((kind, said.rsplit_once(middle)?.1)));
    let lacking = lacking.filter_map(|(kind, rest)| {
        let place = rest.split_whitespace().next()?;
        Some((kind, place.rsplit_once('/').map_or(place, |(_, name)| name)))
    });
    missing.chain(lacking).next()
}

fn terminated(
    subject: &Subject<'_>,
    terminated: &ContainerStateTerminated,
    look: &Look<'_>,
) -> Option<Health> {
    let ends = subject.init || look.restart_policy() != "Always";
    if terminated.exit_code == 0 && ends {
        return None;
    }
    Some(crash(subject, terminated, subject.restarts() >= 1, look))
}

fn running(subject: &Subject<'_>, running: &ContainerStateRunning, look: &Look<'_>) -> Option<Health> {
    let since = running.started_at.as_ref().map(|time| time.0);
    let ready = subject.status.is_some_and(|status| status.ready);
    if let Some(last) = subject.last().filter(|_| subject.restarts() >= 1) {
        let settled = if ready { SETTLED_READY } else { SETTLED_UNREADY };
        let repeatedly = subject.restarts() >= 2;
        let left = remaining(since, settled, look.seen.now);
        if left.is_some() && (ready || repeatedly) {
            return Some(crash(subject, last, repeatedly, look).again(left));
        }
    }
    if ready {
        return None;
    }
    if subject.init {
        return Some(Health::waiting("Initializing", subject.with_image("still running")));
    }
    let starting = subject.status.and_then(|status| status.started) == Some(false);
    let cause = match (&subject.spec.startup_probe, &subject.spec.readiness_probe) {
        (Some(probe), _) if starting => Cause::new("startup probe hasn't succeeded").detail(describe(probe)),
        (_, Some(probe)) => Cause::new("readiness probe hasn't succeeded").detail(describe(probe)),
        _ => Cause::new("running but not ready"),
    };
    Some(Health::waiting("NotReady", subject.at(cause)))
}

/// Health of a container that isn't created yet. After the grace time it names the volumes and the
/// network that the pod may be waiting for. Only events would give the cause, and Matinee doesn't
/// read events.
fn creating(subject: &Subject<'_>, look: &Look<'_>) -> Health {
    let plain = Health::waiting("ContainerCreating", subject.with_image("being created"));
    let grace = remaining(began(subject, look), START_GRACE, look.seen.now);
    if grace.is_some() {
        return plain.again(grace);
    }
    match look.condition("PodReadyToStartContainers").map(|condition| condition.status.as_str()) {
        Some("False") => {
            let needs = look.mounts();
            let needs = if needs.is_empty() { needs } else { format!("it needs {needs}") };
            let cause = Cause::new("volumes or network of the pod not there yet").detail(needs);
            Health { message: subject.at(cause), ..plain }
        }
        Some("True") => Health { message: subject.with_image("being pulled or created"), ..plain },
        _ => plain,
    }
}

/// Health of a container that ended unexpectedly. `end` is its last termination.
fn crash(subject: &Subject<'_>, end: &ContainerStateTerminated, repeatedly: bool, look: &Look<'_>) -> Health {
    let reason = end.reason.as_deref().unwrap_or_default();
    if matches!(reason, "StartError" | "ContainerCannotRun") {
        return cannot_start(
            subject,
            &about_pod(end.message.as_deref().unwrap_or_default(), look.pod, look.workload),
        );
    }
    let out_of_memory = reason == "OOMKilled";
    // Don't repeat a program's termination message: it may be part of its log, and more people can
    // read a status than a log.
    let cause = if out_of_memory {
        subject.memory_limit().map_or_else(
            || "OOMKilled: out of memory".to_owned(),
            |limit| format!("OOMKilled: more memory used than its limit of {limit}"),
        )
    } else {
        exit(end.exit_code)
    };
    let restarts = times(subject.restarts());
    let reason = match (out_of_memory, repeatedly) {
        (true, _) => "OOMKilled",
        (false, true) => "CrashLoopBackOff",
        (false, false) => "Crashed",
    };
    let state = if repeatedly { State::Failed } else { State::Troubled };
    let health = Health::new(state, reason, subject.with_image(format!("{cause}{restarts}")));
    if look.owner_retries { health.at_most_troubled() } else { health }
}

fn cannot_start(subject: &Subject<'_>, said: &str) -> Health {
    let message = subject.at(start::not_started(said));
    // A restart has the same result, unless the node was too busy.
    if said.contains("context deadline exceeded") {
        Health::troubled("StartError", message)
    } else {
        Health::failed("StartError", message)
    }
}

impl Subject<'_> {
    fn memory_limit(&self) -> Option<&str> {
        let limits = self.spec.resources.as_ref()?.limits.as_ref()?;
        limits.get("memory").map(|quantity| quantity.0.as_str())
    }
}

/// Describes an exit code. Codes over 128 are signals, by the convention of shells and container
/// runtimes.
fn exit(code: i32) -> String {
    let signal = match code {
        0 => return "ended by itself with exit code 0".to_owned(),
        132 => "SIGILL",
        134 => "SIGABRT",
        135 => "SIGBUS",
        136 => "SIGFPE",
        137 => "SIGKILL",
        139 => "SIGSEGV",
        143 => "SIGTERM",
        _ => return format!("crashed with exit code {code}"),
    };
    format!("crashed with exit code {code} ({signal})")
}

/// Describes a number of restarts, rounded down for large numbers. Otherwise each restart of a
/// container that crashes overnight would change the status.
fn times(restarts: i32) -> String {
    match restarts {
        ..=0 => String::new(),
        1 => ", restarted once".to_owned(),
        2..5 => format!(", restarted {restarts} times"),
        5..10 => ", restarted 5 times or more".to_owned(),
        10..100 => format!(", restarted {} times or more", restarts / 10 * 10),
        _ => ", restarted 100 times or more".to_owned(),
    }
}

fn describe(probe: &Probe) -> String {
    let port = |port: &IntOrString| match port {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(name) => name.clone(),
    };
    if let Some(http) = &probe.http_get {
        format!("GET :{}{}", port(&http.port), http.path.as_deref().unwrap_or("/"))
    } else if let Some(tcp) = &probe.tcp_socket {
        format!("TCP port {}", port(&tcp.port))
    } else if let Some(grpc) = &probe.grpc {
        format!("gRPC port {}", grpc.port)
    } else {
        String::new()
    }
}

/// Returns when the kubelet could first create the container: the latest of when it accepted the
/// pod, when the init containers were done, and when the container last ended.
fn began(subject: &Subject<'_>, look: &Look<'_>) -> Option<Timestamp> {
    let started = look.pod.status.as_ref()?.start_time.as_ref()?.0;
    let initialized = look.condition("Initialized").filter(|done| done.status == "True" && !subject.init);
    let initialized = initialized.and_then(|done| done.last_transition_time.as_ref());
    let ended = subject.last().and_then(|end| end.finished_at.as_ref());
    [initialized, ended].into_iter().flatten().map(|time| time.0).chain([started]).max()
}
