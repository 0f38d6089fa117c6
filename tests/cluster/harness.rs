//! Test harness: starts one stage for all tests and removes it after the last one, which Rust's own
//! harness can't do.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use playground::stage::{Settings, Stage};
use tokio::runtime::{Handle, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{OnceCell, RwLock, watch};

/// Longest time a test may take, so that a hanging test doesn't keep the cluster forever. Tests
/// with Helm wait for several roll-outs.
const LONGEST: Duration = Duration::from_mins(10);

type Outcome<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;
type Run = for<'a> fn(&'a Stage) -> Outcome<'a>;

/// A test: its name, its function, and what it needs besides the stage.
#[derive(Clone, Copy)]
pub struct Test {
    name: &'static str,
    run: Run,
    node: bool,
    alone: bool,
}

impl Test {
    pub const fn new(name: &'static str, run: Run) -> Self {
        Self { name, run, node: false, alone: false }
    }

    /// Marks a test that needs a real node: its containers have to run, or to fail.
    pub const fn node(self) -> Self {
        Self { node: true, ..self }
    }

    /// Marks a test that runs alone, because it kills the operator or breaks what all tests share.
    pub const fn alone(self) -> Self {
        Self { alone: true, ..self }
    }
}

/// Lists a module's tests: `tests![opens, fails(node), crashes(alone), dies(node, alone)]`.
macro_rules! tests {
    ($($name:ident $(($($need:ident),+))?),* $(,)?) => {
        pub(crate) const TESTS: &[$crate::harness::Test] = &[
            $($crate::harness::Test::new(stringify!($name), |stage| Box::pin($name(stage)))$($(.$need())+)?),*
        ];
    };
}
pub(crate) use tests;

/// The tests of a module and the prefix of their names.
pub struct Group {
    name: &'static str,
    tests: &'static [Test],
}

pub const fn group(name: &'static str, tests: &'static [Test]) -> Group {
    Group { name, tests }
}

/// Runs the tests that the command line selects on a stage with these settings, and removes the
/// stage. Runs `at_once` tests at the same time unless `--test-threads` says otherwise.
pub fn run(groups: &[Group], settings: fn() -> Settings, at_once: usize) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(at_once);
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime for the tests: {error}");
            return ExitCode::FAILURE;
        }
    };
    let shared = Arc::new(Shared::new(runtime.handle().clone(), settings));
    let trials = groups.iter().flat_map(|group| group.tests.iter().map(|test| trial(group, *test, &shared)));
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    if conclusion.has_failed() {
        shared.keep_log();
    }
    match runtime.block_on(shared.end()) {
        Ok(()) => conclusion.exit_code(),
        Err(error) => {
            eprintln!("error: the stage could not be cleared away: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

fn trial(group: &Group, test: Test, shared: &Arc<Shared>) -> Trial {
    let shared = Arc::clone(shared);
    Trial::ignorable_test(format!("{}::{}", group.name, test.name), move || {
        let result = shared.runtime.block_on(shared.run(&test));
        result.map_err(|error| Failed::from(told(&error)))
    })
}

/// Returns the error with its causes, without the backtrace that `RUST_BACKTRACE` would add: it
/// only leads to the harness.
fn told(error: &anyhow::Error) -> String {
    let causes: Vec<_> = error.chain().map(ToString::to_string).collect();
    causes.join("\n\nbecause: ")
}

/// The common state of all tests. The first test that runs starts the stage.
struct Shared {
    runtime: Handle,
    settings: fn() -> Settings,
    stage: OnceCell<Result<Stage, String>>,
    /// Tests that run alone hold it for writing, all others for reading.
    company: RwLock<()>,
    interrupted: watch::Receiver<bool>,
}

impl Shared {
    fn new(runtime: Handle, settings: fn() -> Settings) -> Self {
        let (interrupt, interrupted) = watch::channel(false);
        runtime.spawn(async move {
            let (Ok(mut asked), Ok(mut typed)) =
                (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
            else {
                return;
            };
            tokio::select! {
                _ = asked.recv() => {}
                _ = typed.recv() => {}
            }
            eprintln!("interrupted: cleaning up");
            // Sending fails only when all tests have ended.
            let _ = interrupt.send(true);
            std::future::pending::<()>().await;
        });
        Self { runtime, settings, stage: OnceCell::new(), company: RwLock::default(), interrupted }
    }

    async fn run(&self, test: &Test) -> Result<Completion> {
        let mut interrupted = self.interrupted.clone();
        tokio::select! {
            result = self.play(test) => result,
            _ = interrupted.wait_for(|yes| *yes) => anyhow::bail!("interrupted"),
        }
    }

    async fn play(&self, test: &Test) -> Result<Completion> {
        let (_alone, _in_company) = if test.alone {
            (Some(self.company.write().await), None)
        } else {
            (None, Some(self.company.read().await))
        };
        let stage = self.stage().await?;
        if test.node && !stage.serves() {
            return Ok(Completion::ignored_with("needs a real node, and this one is simulated"));
        }
        let result = match tokio::time::timeout(LONGEST, (test.run)(stage)).await {
            Ok(result) => result.map(|()| Completion::Completed),
            Err(_) => Err(anyhow::anyhow!("not done within {} s", LONGEST.as_secs())),
        };
        // A failed test may leave the operator dead; the following tests must not fail for it.
        if test.alone && stage.operator().pid().is_none() {
            stage.operator().restart().await?;
        }
        result
    }

    async fn stage(&self) -> Result<&Stage> {
        let started = self.stage.get_or_init(async || {
            let settings = (self.settings)();
            // A task of its own, so that the stage starts completely even when the test that
            // started it is interrupted.
            let task = tokio::spawn(async {
                let stage = Stage::start(settings, |line| eprintln!("{line}")).await?;
                stage.playground().sample_image().await?;
                anyhow::Ok(stage)
            });
            match task.await {
                Ok(started) => started.map_err(|error| told(&error)),
                Err(error) => Err(error.to_string()),
            }
        });
        started.await.as_ref().map_err(|error| anyhow::anyhow!("the stage could not be started: {error}"))
    }

    /// The next run of any tests empties the folder of logs.
    fn keep_log(&self) {
        let Some(Ok(stage)) = self.stage.get() else { return };
        let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("matinee.log");
        let log = stage.operator().log();
        // In the cluster the log is a folder with the logs of all pods, of which the ends are kept.
        let kept = if log.is_dir() {
            std::fs::write(&copy, stage.operator().last_words())
        } else {
            std::fs::copy(log, &copy).map(drop)
        };
        match kept {
            Ok(()) => eprintln!("the operator's log: {}", copy.display()),
            Err(error) => eprintln!("the operator's log can't be kept: {error}"),
        }
    }

    async fn end(self: Arc<Self>) -> Result<()> {
        // All trials have been dropped, so this is the last reference.
        let Some(shared) = Arc::into_inner(self) else { anyhow::bail!("a test has not ended") };
        match shared.stage.into_inner() {
            Some(Ok(stage)) => stage.stop().await,
            Some(Err(_)) | None => Ok(()),
        }
    }
}
