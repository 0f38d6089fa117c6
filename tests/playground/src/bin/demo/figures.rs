//! The figures: what was written to the cluster and asked of GitHub in each part of a preview's life, and how long it took.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use k8s_openapi::jiff::Timestamp;
use playground::stage::Stage;
use playground::stage::github::types::Request;
use playground::{Mark, Write};

use crate::play::BOUND;

/// For so long nothing is written and nothing asked before a part counts as over.
const QUIET: Duration = Duration::from_millis(1500);
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Everything measured.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) parts: Vec<Part>,
    pub(crate) times: Vec<(String, Duration)>,
    /// The operator's resident memory in bytes, with one preview.
    pub(crate) memory: Option<u64>,
}

/// Where a part began.
#[derive(Clone, Copy)]
pub(crate) struct Measure {
    mark: Mark,
    /// Requests to GitHub so far.
    sequence: u64,
    at: Timestamp,
}

/// What happened in a part of a preview's life.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    /// When it began.
    pub(crate) at: Timestamp,
    /// What the operator wrote to the cluster, in its own name and others'. What was refused is not in it.
    pub(crate) writes: Vec<Write>,
    /// What the operator asked of GitHub.
    pub(crate) calls: Vec<Request>,
    /// Until what it was for was there.
    pub(crate) took: Duration,
}

impl Measure {
    async fn look(&self, stage: &Stage) -> Result<(Vec<Write>, Vec<Request>)> {
        let mut writes = stage.writes(self.mark)?;
        // A lease is held by renewing it: a sign of life, and no work.
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

    /// Waits until the operator has nothing more to write or to ask.
    pub(crate) async fn settle(&self, stage: &Stage) -> Result<()> {
        let measure = self.begin(stage).await?;
        quiet(stage, measure).await?;
        Ok(())
    }

    /// Ends a part, once the operator has nothing more to write or to ask.
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

    /// Waits until the operator has looked through the repository's pull requests and deployments since.
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

    /// Records the operator's memory.
    pub(crate) async fn memory(&mut self, stage: &Stage) -> Result<()> {
        self.memory = Some(stage.operator().resident_memory().await?);
        Ok(())
    }

    /// Records a time of which there is one.
    pub(crate) fn time(&mut self, what: &str, took: Duration) {
        self.times.push((what.to_owned(), took));
    }

    /// The newest part of a name.
    pub(crate) fn newest(&self, name: &str) -> Option<&Part> {
        self.parts.iter().rfind(|part| part.name == name)
    }

    /// All parts of a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Part> {
        self.parts.iter().filter(move |part| part.name == name)
    }
}

impl Part {
    /// Time from its beginning to the first write that fits.
    pub(crate) fn first_write(&self, fits: impl Fn(&Write) -> bool) -> Option<Duration> {
        self.since(self.writes.iter().find(|write| fits(write))?.at)
    }

    /// Time from its beginning to the last write of a template's object.
    pub(crate) fn applied(&self) -> Option<Duration> {
        self.since(self.writes.iter().rfind(|write| write.as_user.is_some())?.at)
    }

    fn since(&self, at: Timestamp) -> Option<Duration> {
        Duration::try_from(at.duration_since(self.at)).ok()
    }
}

/// Everything since a mark, once nothing more came for a while.
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

/// The operator is the App; somebody by hand is a user.
fn is_operators(call: &Request) -> bool {
    call.who.starts_with("installation ") || call.who.starts_with("app ")
}
