//! `matinee doctor`: checks everything on which an installation depends, and reports problems with
//! their remedies. It changes nothing.

mod class_objects;
mod cluster;
mod connection;
mod reader;

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _, stdout};
use std::iter::zip;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use futures::future::join_all;
use kube::{Client, ResourceExt as _};

use self::reader::Reader;
use crate::adapters::kubernetes::client;
use crate::api::{GithubConnection, PreviewClass, PreviewRepository};
use crate::core::deployment::ownership;
use crate::core::doctor::rbac::Own;
use crate::core::doctor::{Section, Unread, Verdict, api_server, class, output, repositories};
use crate::settings::{self, SERVICE_ACCOUNT_NAMESPACE, own_namespace};

/// Timeout of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
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
    run(flags).unwrap_or_else(|error| {
        eprintln!("matinee doctor: {error:#}");
        ExitCode::from(NOT_RUN)
    })
}

fn run(flags: &Flags) -> anyhow::Result<ExitCode> {
    let namespace = own_namespace(flags.namespace.as_deref(), Path::new(SERVICE_ACCOUNT_NAMESPACE))
        .map_err(|why| anyhow!("--namespace (MATINEE_NAMESPACE): {why}"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let looked = runtime.block_on(async {
        let client = client().await.context("no Kubernetes cluster: set KUBECONFIG, or run in a pod")?;
        anyhow::Ok(look(client, flags, namespace).await)
    });
    // A name lookup can't be cancelled, and must not delay the end.
    runtime.shutdown_background();
    let (sections, reached) = looked?;
    let text = match flags.output {
        Output::Text => output::text(&sections, is_coloured()),
        Output::Json => format!("{:#}\n", output::json(&sections)),
    };
    stdout().write_all(text.as_bytes()).context("standard output can't be written")?;
    Ok(match (reached, output::count(&sections, Verdict::Problem)) {
        (false, _) => ExitCode::from(NOT_RUN),
        (true, 0) => ExitCode::SUCCESS,
        (true, _) => ExitCode::from(PROBLEMS),
    })
}

/// <https://no-color.org>
fn is_coloured() -> bool {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    stdout().is_terminal() && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

/// Returns the results, and whether the cluster could be reached.
async fn look(client: Client, flags: &Flags, namespace: String) -> (Vec<Section>, bool) {
    let reader = Reader { client, namespace };
    let (version, user) = tokio::join!(reader.version(), cluster::user(&reader));
    let first = vec![api_server::version(&version, user.as_deref())];
    let mut sections = vec![Section::new("Kubernetes", first)];
    if version.is_err() {
        return (sections, false);
    }
    let (listed, repositories) =
        tokio::join!(reader.list::<PreviewClass>(), reader.list::<PreviewRepository>());
    let no_class = class::found(&listed, flags.class.as_deref());
    let every_class = listed.unwrap_or_default();
    let is_wanted = |name: &str| flags.class.as_ref().is_none_or(|class| class == name);
    let classes: Vec<PreviewClass> =
        every_class.iter().filter(|class| is_wanted(&class.name_any())).cloned().collect();
    let is_concerned = |one: &PreviewRepository| {
        flags.class.is_none() || ownership::class_name_of(one, &every_class).is_some_and(is_wanted)
    };
    let concerned: Result<Vec<PreviewRepository>, Unread> =
        repositories.map(|all| all.into_iter().filter(is_concerned).collect());
    let lease = Some(flags.lease_name.trim()).filter(|name| !name.is_empty());
    let config_map = settings::set(flags.config_map.as_ref());
    let own = Own { namespace: &reader.namespace, secrets: class::secrets(&classes), lease, config_map };

    let (definitions, rights, operator, of_classes, of_connections) = tokio::join!(
        cluster::definitions(&reader),
        cluster::rights(&reader, &own, &flags.service_account, user.as_deref()),
        cluster::operator(&reader, flags),
        join_all(classes.iter().map(|class| class_objects::check(&reader, class))),
        join_all(connections(&classes).into_iter().map(async |(connection, classes)| {
            let is_served = |one: &&PreviewRepository| {
                let class = ownership::class_of(one, &every_class);
                class.is_some_and(|class| classes.contains(class))
            };
            let served: Vec<_> = concerned.iter().flatten().filter(is_served).cloned().collect();
            connection::section(&reader, connection, &classes, &served).await
        }))
    );
    sections.push(Section::new("Custom resource definitions", definitions));
    sections.push(Section::new("Rights of the operator", rights));
    sections.push(Section::new("Operator", operator));
    sections.extend(no_class.map(|finding| Section::new("PreviewClasses", vec![finding])));
    for (class, findings) in zip(&classes, of_classes) {
        sections.push(Section::new(format!("PreviewClass {}", class.name_any()), findings));
    }
    sections.extend(of_connections);
    sections.push(Section::new("PreviewRepositories", repositories::check(&concerned)));
    (sections, true)
}

/// Returns the connections to GitHub, each with the classes that use it.
fn connections(classes: &[PreviewClass]) -> BTreeMap<&GithubConnection, Vec<PreviewClass>> {
    let mut found: BTreeMap<_, Vec<PreviewClass>> = BTreeMap::new();
    for class in classes {
        found.entry(&class.spec.forge.github).or_default().push(class.clone());
    }
    found
}
