//! Memory of the operator's watches with many previews: `cargo bench --bench memory`.
//!
//! The first table shows the live heap of each kind, in bytes per preview, as an allocator that
//! counts sees it. The second one shows the memory of a process that lists all kinds at once, as a
//! replica does when it starts. That is what a pod needs; it depends on the build and on the C
//! library's allocator. `MATINEE_BENCH_PREVIEWS` sets the number of previews (1,000 by default).
//!
//! The API server is a function in this process. It renders each page from a text, so it keeps
//! nothing itself.

mod api_server;

use std::alloc::System;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use kube::api::GroupVersionKind;
use kube::runtime::watcher;
use kube::{Api, Client};
use matinee::adapters::kubernetes::{Change, KubeCluster, WatchedObjects, watched};
use matinee::api::{DeploymentRequest, PreviewEnvironment};
use matinee::ports::LiveObjects as _;
use matinee::runtime::objects::{Indexed, Objects};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use self::api_server::{ApiServer, environment_uid};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const STARTED_AGAIN: &str = "list-everything";

fn main() -> anyhow::Result<()> {
    let previews = std::env::var("MATINEE_BENCH_PREVIEWS").map_or(Ok(1_000), |text| text.parse())?;
    // Two threads, as on a node that gives the pod two cores.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    if std::env::args().any(|argument| argument == STARTED_AGAIN) {
        return runtime.block_on(list_everything(previews));
    }
    runtime.block_on(measure_kinds(previews))?;
    let again = std::process::Command::new(std::env::current_exe()?).arg(STARTED_AGAIN).status()?;
    anyhow::ensure!(again.success(), "the second process failed");
    Ok(())
}

/// Lists one kind after the other, and prints how the live heap grows.
async fn measure_kinds(previews: usize) -> anyhow::Result<()> {
    let server = Arc::new(ApiServer::new(previews)?);
    let watches = Watches::new(&server);
    println!("{:<24}{:>16}", "kind", "bytes/preview");
    let mut total = 0;
    for kind in server.kinds() {
        // The first list of a kind also creates its tables and its connection.
        let before = live_bytes();
        watches.list(&kind).await?;
        settle().await;
        let grown = live_bytes().saturating_sub(before) / previews;
        total += grown;
        println!("{:<24}{grown:>16}", kind.kind);
    }
    println!("{:<24}{total:>16}", "all");
    let began = Instant::now();
    let read: usize =
        (0..previews).map(|number| watches.live.of_environment(&environment_uid(number)).len()).sum();
    let each = began.elapsed().as_micros() / u128::try_from(previews)?;
    println!("read back: {read} objects, {each} µs per preview");
    Ok(())
}

/// Lists all kinds at the same time, and prints the memory of this process.
async fn list_everything(previews: usize) -> anyhow::Result<()> {
    let server = Arc::new(ApiServer::new(previews)?);
    let watches = Watches::new(&server);
    let kinds = server.kinds();
    futures::future::try_join_all(kinds.iter().map(|kind| watches.list(kind))).await?;
    settle().await;
    println!(
        "all kinds at once: live heap {} MiB, resident {} MiB, at most {} MiB",
        live_bytes() >> 20,
        memory("VmRSS")? >> 10,
        memory("VmHWM")? >> 10
    );
    Ok(())
}

/// Lets the watches free their last page.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(200)).await;
}

fn live_bytes() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// Returns a figure of the process in KiB.
fn memory(field: &str) -> anyhow::Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(field)).context("no such figure")?;
    Ok(line.split_whitespace().nth(1).context("no such figure")?.parse()?)
}

/// The watches of a replica.
struct Watches {
    client: Client,
    live: Arc<WatchedObjects>,
    objects: Arc<Objects>,
}

impl Watches {
    fn new(server: &Arc<ApiServer>) -> Self {
        let client = server.client();
        let cluster = Arc::new(KubeCluster::new(client.clone(), "matinee-system".to_owned()));
        let live = WatchedObjects::new(client.clone(), cluster, Box::new(|_| {}));
        Self { client, live, objects: Arc::default() }
    }

    /// Watches a kind, and waits until it has been listed.
    async fn list(&self, kind: &GroupVersionKind) -> anyhow::Result<()> {
        match kind.kind.as_str() {
            "PreviewEnvironment" => self.list_own::<PreviewEnvironment>().await,
            "DeploymentRequest" => self.list_own::<DeploymentRequest>().await,
            _ => {
                self.live.follow(kind);
                self.live.listed(std::slice::from_ref(kind)).await;
                Ok(())
            }
        }
    }

    async fn list_own<K>(&self) -> anyhow::Result<()>
    where
        K: Indexed + serde::de::DeserializeOwned + std::fmt::Debug,
    {
        let objects = Arc::clone(&self.objects);
        let index = move |change| match change {
            Change::Applied(object) => K::table(&objects).applied(object),
            Change::Deleted(object) => K::table(&objects).deleted(&object),
            Change::Listed(list) => drop(K::table(&objects).listed(list)),
        };
        let (store, follow) = watched(Api::<_>::all(self.client.clone()), watcher::Config::default(), index);
        tokio::spawn(follow);
        store.wait_until_ready().await?;
        Ok(())
    }
}
