//! `matinee doctor`: checks everything on which an installation depends, and reports problems with
//! their remedies. It changes nothing.

mod class_objects;
mod cluster;
mod connection;
mod reader;

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use jiff::Timestamp;
use kube::{Api, Client, ResourceExt as _};
use tokio::time::{Instant, timeout_at};

use self::reader::Reader;
use crate::adapters::kubernetes::client;
use crate::api::{GithubConnection, PreviewClass, PreviewRepository};
use crate::core::deployment::ownership;
use crate::core::doctor::rbac::Own;
use crate::core::doctor::{Finding, Section, Subject, Verdict, api_server, class, output, repositories};
use crate::settings::{self, SERVICE_ACCOUNT_NAMESPACE, own_namespace};

/// Timeout of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of all checks.
const LONGEST: Duration = Duration::from_mins(1);
/// Exit code when there are problems.
const PROBLEMS: u8 = 1;
/// Exit code when nothing could be checked.
const NOT_RUN: u8 = 2;

/// Flags of `matinee doctor`.
#[derive(Args)]
#[command(
    after_help = "The exit code is 0 without problems (warnings are allowed), 1 with problems, and 2 if nothing could be checked."
)]
pub(super) struct Flags {
    /// The operator's own namespace. [default: the service account's, else matinee-system]
    #[arg(long, env = "MATINEE_NAMESPACE", value_name = "NAME")]
    namespace: Option<String>,
    /// Name of the operator's service account, whose rights are checked.
    #[arg(long, env = "MATINEE_SERVICE_ACCOUNT", value_name = "NAME", default_value = "matinee")]
    service_account: String,
    /// Name of the Lease that the operator holds; empty if leader election is off.
    #[arg(long, env = "MATINEE_LEASE_NAME", value_name = "NAME", default_value = "matinee")]
    lease_name: String,
    /// Name of the ConfigMap with the operator's settings. Without it, drain mode isn't checked.
    #[arg(long, env = "MATINEE_CONFIG_MAP", value_name = "NAME")]
    config_map: Option<String>,
    /// Checks only this PreviewClass, and the PreviewRepositories that use it.
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// Format of the output.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Output,
}

/// Format of the output.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Runs the checks and prints their results. The exit code is 0 without problems (warnings are
/// allowed), 1 with problems, and 2 when nothing could be checked.
pub(super) fn main(flags: &Flags) -> ExitCode {
    let printed = looked(flags).and_then(|(sections, reached)| {
        print(&sections, flags.output).map(|()| (output::count(&sections, Verdict::Problem), reached))
    });
    match printed {
        Ok((_, false)) => ExitCode::from(NOT_RUN),
        Ok((0, true)) => ExitCode::SUCCESS,
        Ok((_, true)) => ExitCode::from(PROBLEMS),
        Err(error) => {
            eprintln!("matinee doctor: {error:#}");
            ExitCode::from(NOT_RUN)
        }
    }
}

/// Returns the results, and whether the cluster could be reached.
fn looked(flags: &Flags) -> anyhow::Result<(Vec<Section>, bool)> {
    let namespace = own_namespace(flags.namespace.as_deref(), Path::new(SERVICE_ACCOUNT_NAMESPACE))
        .map_err(|why| anyhow!("--namespace (MATINEE_NAMESPACE): {why}"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let sections = runtime.block_on(async {
        let client = client().await.context("no Kubernetes cluster: set KUBECONFIG, or run in a pod")?;
        anyhow::Ok(look(client, flags, namespace).await)
    });
    // A name lookup can't be cancelled, and must not delay the end.
    runtime.shutdown_background();
    sections
}

fn print(sections: &[Section], output: Output) -> anyhow::Result<()> {
    let text = match output {
        Output::Text => output::text(sections, is_coloured()),
        Output::Json => format!("{:#}\n", output::json(sections)),
    };
    stdout().write_all(text.as_bytes()).context("standard output can't be written")
}

/// <https://no-color.org>
fn is_coloured() -> bool {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    stdout().is_terminal() && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

/// A section whose checks are running.
type Looking<'a> = (String, BoxFuture<'a, Vec<Finding>>);

async fn look(client: Client, flags: &Flags, namespace: String) -> (Vec<Section>, bool) {
    let deadline = Instant::now() + LONGEST;
    let reader = Arc::new(Reader { client, namespace });
    let server = cluster::server(&reader).await;
    let user = cluster::user(&reader).await;
    let mut first = vec![api_server::version(&server, user.as_deref())];
    let title = "Kubernetes".to_owned();
    let Ok(server) = server else { return (vec![Section { title, findings: first }], false) };

    let (classes, repositories) = tokio::join!(
        reader.list(Api::<PreviewClass>::all(reader.client.clone())),
        reader.list(Api::<PreviewRepository>::all(reader.client.clone()))
    );
    let unread = match &classes {
        Ok(classes) => class::found(classes, flags.class.as_deref()),
        Err(unread) => Some(Subject::new("PreviewClasses").unread(unread)),
    };
    let every_class = classes.unwrap_or_default();
    let is_wanted = |name: &str| flags.class.as_ref().is_none_or(|class| class == name);
    let is_of_wanted_class = |one: &PreviewRepository| {
        flags.class.is_none() || ownership::class_name_of(one, &every_class).is_some_and(is_wanted)
    };
    let classes: Vec<PreviewClass> =
        every_class.iter().filter(|class| is_wanted(&class.name_any())).cloned().collect();
    if classes.iter().any(|class| class.spec.routing.gateway.is_some()) {
        first.push(class_objects::gateway_api(&reader).await);
    }
    let lease = Some(flags.lease_name.trim()).filter(|name| !name.is_empty());
    let config_map = settings::set(flags.config_map.as_ref());
    let own = Own { namespace: &reader.namespace, secrets: class::secrets(&classes), lease, config_map };
    let mut all: Vec<Looking> = vec![
        ("Custom resource definitions".to_owned(), cluster::definitions(&reader).boxed()),
        (
            "Rights of the operator".to_owned(),
            cluster::rights(&reader, &own, &flags.service_account, user.as_deref()).boxed(),
        ),
        (
            "Operator".to_owned(),
            cluster::operator(&reader, flags, server.clock.unwrap_or_else(Timestamp::now)).boxed(),
        ),
    ];
    all.extend(unread.map(|finding| ("PreviewClasses".to_owned(), async { vec![finding] }.boxed())));
    for class in &classes {
        all.push((
            format!("PreviewClass {}", class.name_any()),
            class_objects::check(&reader, class).boxed(),
        ));
    }
    let (repositories, unlisted) = match repositories {
        Ok(all) => (all, None),
        Err(unread) => (Vec::new(), Some(Subject::new("PreviewRepositories").unread(&unread))),
    };
    let concerned: Vec<PreviewRepository> = repositories.into_iter().filter(is_of_wanted_class).collect();
    for (connection, classes) in connections(&classes) {
        let is_served = |one: &&PreviewRepository| {
            ownership::class_of(one, &every_class)
                .is_some_and(|class| classes.iter().any(|other| other.name_any() == class.name_any()))
        };
        let its_repositories = concerned.iter().filter(is_served).cloned().collect();
        all.push(connection::section(&reader, connection, classes, its_repositories));
    }
    let stalled = unlisted.map_or_else(|| repositories::check(&concerned), |finding| vec![finding]);
    all.push(("PreviewRepositories".to_owned(), async { stalled }.boxed()));

    let looked = join_all(all.into_iter().map(async |(title, looking)| {
        let findings = timeout_at(deadline, looking).await.unwrap_or_else(|_| {
            let message = format!("not finished within {} s", LONGEST.as_secs());
            vec![Subject::new(&title).problem(message, "check the network, then run the doctor again")]
        });
        Section { title, findings }
    }));
    let mut sections = vec![Section { title, findings: first }];
    sections.extend(looked.await);
    (sections, true)
}

/// Returns the connections to GitHub, each with the classes that use it.
fn connections(classes: &[PreviewClass]) -> Vec<(GithubConnection, Vec<PreviewClass>)> {
    let mut found: BTreeMap<(String, String), (GithubConnection, Vec<PreviewClass>)> = BTreeMap::new();
    for class in classes {
        let connection = &class.spec.forge.github;
        let key = (connection.secret_name.clone(), connection.url.clone());
        found.entry(key).or_insert_with(|| (connection.clone(), Vec::new())).1.push(class.clone());
    }
    found.into_values().collect()
}
