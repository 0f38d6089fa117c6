//! What one container of a pod shows: `None` when nothing is to be said of it.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, Pod, Probe,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::finding::{Health, State, remaining};
use super::kubelet_text::about_pod;
use super::pod::Look;
use super::{pull, start};
use crate::core::cause::Cause;

/// What may be missing only because it is being made: a ConfigMap applied after the pod's owner, a registry that was out of reach once.
/// Counted from the pod's start on its node.
const START_GRACE: Duration = Duration::from_secs(10);
/// A container without a readiness probe is ready as soon as it runs, so one that crashed is believed only after it ran this long.
const SETTLED_READY: Duration = Duration::from_secs(10);
/// One that crashed again and again and isn't ready is taken for crashing until it ran this long, so that the verdict doesn't change with
/// every restart.
const SETTLED_UNREADY: Duration = Duration::from_mins(1);

/// Words in a pull's failure that say that the next try will fail too.
const FINAL_WORDS: [&str; 9] = [
    "not found",
    "denied",
    "unauthorized",
    "authorization failed",
    "forbidden",
    "manifest unknown",
    "no match for platform",
    "invalid reference",
    "signature",
];

/// A container, and how it is.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub spec: &'a Container,
    pub status: Option<&'a ContainerStatus>,
    /// Runs to its end before the others start.
    pub init: bool,
}

impl Subject<'_> {
    /// The cause, named as this container's.
    fn at(&self, cause: impl Into<Cause>) -> Cause {
        let cause = cause.into();
        if self.init { cause.in_init_container(&self.spec.name) } else { cause.in_container(&self.spec.name) }
    }
    /// The same with its image.
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

/// Looks at a container of the pod.
pub(super) fn examine(subject: &Subject<'_>, look: &Look<'_>) -> Option<Health> {
    let state = subject.status?.state.as_ref();
    match state {
        Some(ContainerState { running: Some(running), .. }) => self::running(subject, running, look),
        Some(ContainerState { terminated: Some(terminated), .. }) => {
            self::terminated(subject, terminated, look)
        }
        Some(ContainerState { waiting: Some(waiting), .. }) => Some(self::waiting(subject, waiting, look)),
        // "If none of them is specified, the default one is ContainerStateWaiting", says the API.
        _ => Some(creating(subject, look)),
    }
}

fn waiting(subject: &Subject<'_>, waiting: &ContainerStateWaiting, look: &Look<'_>) -> Health {
    let reason = waiting.reason.as_deref().unwrap_or_default();
    let said = about_pod(waiting.message.as_deref().unwrap_or_default(), look.pod, look.workload);
    let image = subject.image();
    let started = start_of(look.pod);
    let grace = remaining(started, START_GRACE, look.now);
    match reason {
        "" | "ContainerCreating" | "PodInitializing" => creating(subject, look),
        "CrashLoopBackOff" => match subject.last() {
            Some(last) => crash(subject, last, subject.restarts() >= 1, look),
            None => Health::troubled(reason, subject.with_image("crashes")),
        },
        "InvalidImageName" | "ErrImageNeverPull" => {
            Health::failed(reason, subject.at(pull::unusable(reason, &said, image)))
        }
        // The two come by turns while the kubelet tries on, so both are reported alike.
        "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" | "SignatureValidationFailed" => {
            // Kubelets before 1.32 don't repeat the cause while they back off.
            let cause = if said.starts_with("Back-off pulling image") { "" } else { &said };
            let message = subject.at(pull::cause(cause, image));
            let lower = said.to_ascii_lowercase();
            if reason != "ErrImagePull"
                || grace.is_none()
                || FINAL_WORDS.iter().any(|word| lower.contains(word))
            {
                Health::failed("ImagePullBackOff", message)
            } else {
                Health::troubled("ErrImagePull", message).again(grace)
            }
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
        | "PreStartHookError" => Health::failed_unless(grace, reason, subject.at(start::not_created(&said))),
        _ => Health::troubled(reason, subject.with_image(Cause::new(format!("waits, {reason}")).said(said))),
    }
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
        let left = remaining(since, settled, look.now);
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

/// Not made yet. After a while, what it may be waiting for: only events tell it, and they are not read.
fn creating(subject: &Subject<'_>, look: &Look<'_>) -> Health {
    let plain = Health::waiting("ContainerCreating", subject.with_image("being created"));
    let grace = remaining(start_of(look.pod), START_GRACE, look.now);
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

/// It ended when it shouldn't have, the last time for the cause given.
fn crash(subject: &Subject<'_>, end: &ContainerStateTerminated, repeatedly: bool, look: &Look<'_>) -> Health {
    let reason = end.reason.as_deref().unwrap_or_default();
    if matches!(reason, "StartError" | "ContainerCannotRun") {
        return cannot_start(
            subject,
            &about_pod(end.message.as_deref().unwrap_or_default(), look.pod, look.workload),
        );
    }
    let out_of_memory = reason == "OOMKilled";
    // What a program says when it ends is not repeated: it may be its log, and a status is read by more people than a log is.
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
    // Starting it again does the same, except when the node was too busy.
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

/// Exit codes over 128 are signals, as shells and container runtimes have it.
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

/// Coarse where it is many, so that an environment left crashing overnight isn't written for each restart.
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

/// When the kubelet took the pod up.
fn start_of(pod: &Pod) -> Option<Timestamp> {
    pod.status.as_ref()?.start_time.as_ref().map(|time| time.0)
}
