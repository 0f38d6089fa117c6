//! Measurements: writes to the cluster, requests to GitHub, and times in each part of a preview's
//! life.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use k8s_openapi::jiff::Timestamp;
use playground::stage::Stage;
use playground::stage::github::types::Request;
use playground::{Mark, Write};

use crate::play::BOUND;

/// A part is over after this time without a write or a request.
const QUIET: Duration = Duration::from_millis(1500);
/// Interval of polling.
const PAUSE: Duration = Duration::from_millis(100);

/// All measurements.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) parts: Vec<Part>,
    pub(crate) times: Vec<(String, Duration)>,
    /// The operator's resident memory in bytes, with one preview.
    pub(crate) memory: Option<u64>,
}

/// Beginning of a part.
#[derive(Clone, Copy)]
pub(crate) struct Measure {
    mark: Mark,
    /// Number of requests to GitHub so far.
    sequence: u64,
    at: Timestamp,
}

/// Measurements of one part of a preview's life.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    /// Its beginning.
    pub(crate) at: Timestamp,
    /// The operator's writes to the cluster, including those with impersonation and without
    /// rejected ones.
    pub(crate) writes: Vec<Write>,
    /// The operator's requests to GitHub.
    pub(crate) calls: Vec<Request>,
    /// Time until the part's goal was reached.
    pub(crate) took: Duration,
}

impl Measure {
    async fn look(&self, stage: &Stage) -> Result<(Vec<Write>, Vec<Request>)> {
        let mut writes = stage.writes(self.mark)?;
        // Renewing a lease is a sign of life and not work.
        writes.retain(|write| write.code < 400 && write.resource != "leases");
        let mut calls = stage.github().requests().await?;
        calls.retain(|call| call.sequence > self.sequence && is_operators(call));
        Ok((writes, calls))
    }
}

impl Figures {
    /// Begins a part.
    pub(crate) async fn begin(&self, stage: &Stage) -> Result<Measure> {
        let sequence = stage.github().requests().await?.last().map_or(0, |request| request.sequence);
        Ok(Measure { mark: stage.mark(), sequence, at: Timestamp::now() })
    }

    /// Waits until the operator neither writes nor sends requests any more.
    pub(crate) async fn settle(&self, stage: &Stage) -> Result<()> {
        let measure = self.begin(stage).await?;
        quiet(stage, measure).await?;
        Ok(())
    }

    /// Ends a part, once the operator neither writes nor sends requests any more.
    pub(crate) async fn end(
        &mut self,
        name: &'static str,
        measure: Measure,
        stage: &Stage,
        took: Duration,
    ) -> Result<()> {
        let (writes, calls) = quiet(stage, measure).await?;
        self.parts.push(Part { name, at: measure.at, writes, calls, took });
        Ok(())
    }

    /// Waits until the operator has swept the repository's pull requests and deployments since the
    /// part's beginning.
    pub(crate) async fn swept(&self, stage: &Stage, measure: &Measure) -> Result<()> {
        stage
            .wait_for("the operator sweeps", BOUND, async || {
                let (_, calls) = measure.look(stage).await?;
                let asked = |what: &str| {
                    calls
                        .iter()
                        .any(|call| call.method == "GET" && call.path.contains(what) && call.status != 0)
                };
                ensure!(asked("/pulls?"), "it has not asked for pull requests");
                ensure!(asked("/deployments?"), "it has not asked for deployments");
                Ok(())
            })
            .await
    }

    /// Measures the operator's memory.
    pub(crate) async fn memory(&mut self, stage: &Stage) -> Result<()> {
        self.memory = Some(stage.operator().resident_memory().await?);
        Ok(())
    }

    /// Records a time that is measured once.
    pub(crate) fn time(&mut self, what: &str, took: Duration) {
        self.times.push((what.to_owned(), took));
    }

    /// Returns the newest part of a name.
    pub(crate) fn newest(&self, name: &str) -> Option<&Part> {
        self.parts.iter().rfind(|part| part.name == name)
    }

    /// Returns all parts of a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Part> {
        self.parts.iter().filter(move |part| part.name == name)
    }
}

impl Part {
    /// Returns the time from the part's beginning to the first write that satisfies `fits`.
    pub(crate) fn first_write(&self, fits: impl Fn(&Write) -> bool) -> Option<Duration> {
        self.since(self.writes.iter().find(|write| fits(write))?.at)
    }

    /// Returns the time from the part's beginning to the last write of a template's object.
    pub(crate) fn applied(&self) -> Option<Duration> {
        self.since(self.writes.iter().rfind(|write| write.as_user.is_some())?.at)
    }

    fn since(&self, at: Timestamp) -> Option<Duration> {
        Duration::try_from(at.duration_since(self.at)).ok()
    }
}

/// Returns everything since a mark, once nothing has been added for a while.
async fn quiet(stage: &Stage, measure: Measure) -> Result<(Vec<Write>, Vec<Request>)> {
    let deadline = Instant::now() + BOUND;
    let mut found = measure.look(stage).await?;
    let mut since = Instant::now();
    while since.elapsed() < QUIET {
        if Instant::now() > deadline {
            bail!("the operator goes on and on: {:?}, {:?}", found.0.last(), found.1.last());
        }
        tokio::time::sleep(PAUSE).await;
        let now = measure.look(stage).await?;
        if (now.0.len(), now.1.len()) != (found.0.len(), found.1.len()) {
            since = Instant::now();
        }
        found = now;
    }
    Ok(found)
}

/// Returns whether the operator sent a request. The operator is the App; a person is a user.
fn is_operators(call: &Request) -> bool {
    call.who.starts_with("installation ") || call.who.starts_with("app ")
}
