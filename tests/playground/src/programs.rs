//! The programs of the cluster, and where they are found.
//!
//! The search order is: the folder in `KUBEBUILDER_ASSETS` (etcd and kube-apiserver only), `PATH`
//! if the program there reports the pinned version, the cache, and else a build into the cache (see
//! [`crate::building`]). Helm is found the same way on first use.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::building;
use crate::machine;
use crate::processes::run;
use crate::progress::Progress;

/// A Go module under `programs/`, and how its pinned programs are built.
pub(crate) struct Family {
    /// The folder under `programs/`.
    pub(crate) name: &'static str,
    /// The module whose version all its programs have.
    module: &'static str,
    /// Build tags, comma-separated.
    pub(crate) tags: &'static str,
    /// Packages with version variables to set, as Kubernetes' own build does.
    pub(crate) stamped: &'static [&'static str],
    /// The one variable elsewhere to set to the version; empty when none is needed.
    pub(crate) version_variable: &'static str,
    /// Arguments that make its programs print their version; empty when the output is unreliable.
    version_arguments: &'static [&'static str],
    /// Its programs: file name and Go package.
    programs: &'static [(&'static str, &'static str)],
}

const KUBERNETES: Family = Family {
    name: "kubernetes",
    module: "k8s.io/kubernetes",
    tags: "",
    stamped: &["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"],
    version_variable: "",
    version_arguments: &["--version"],
    programs: &[
        ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
        ("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
        ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
        ("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
        ("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
    ],
};

const ETCD: Family = Family {
    name: "etcd",
    module: "go.etcd.io/etcd/server/v3",
    tags: "",
    stamped: &[],
    version_variable: "",
    version_arguments: &["--version"],
    programs: &[("etcd", "go.etcd.io/etcd/server/v3")],
};

const CONTAINERD: Family = Family {
    name: "containerd",
    module: "github.com/containerd/containerd/v2",
    // These snapshotters need system headers, and nothing here uses them.
    tags: "no_btrfs,no_zfs,no_devmapper",
    stamped: &[],
    version_variable: "",
    version_arguments: &["--version"],
    programs: &[
        ("containerd", "github.com/containerd/containerd/v2/cmd/containerd"),
        ("containerd-shim-runc-v2", "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2"),
        ("ctr", "github.com/containerd/containerd/v2/cmd/ctr"),
    ],
};

const CNI: Family = Family {
    name: "cni",
    module: "github.com/containernetworking/plugins",
    tags: "",
    stamped: &[],
    version_variable: "",
    version_arguments: &[],
    programs: &[
        ("loopback", "github.com/containernetworking/plugins/plugins/main/loopback"),
        ("ptp", "github.com/containernetworking/plugins/plugins/main/ptp"),
        ("host-local", "github.com/containernetworking/plugins/plugins/ipam/host-local"),
        ("portmap", "github.com/containernetworking/plugins/plugins/meta/portmap"),
    ],
};

const KUBE_ROUTER: Family = Family {
    name: "kube-router",
    module: "github.com/cloudnativelabs/kube-router/v2",
    tags: "",
    stamped: &[],
    version_variable: "",
    version_arguments: &[],
    programs: &[("kube-router", "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router")],
};

const COREDNS: Family = Family {
    name: "coredns",
    module: "github.com/coredns/coredns",
    tags: "",
    stamped: &[],
    version_variable: "",
    version_arguments: &["--version"],
    programs: &[("coredns", "github.com/coredns/coredns")],
};

const TRAEFIK: Family = Family {
    name: "traefik",
    module: "github.com/traefik/traefik/v3",
    tags: "",
    stamped: &[],
    version_variable: "",
    version_arguments: &["version"],
    programs: &[("traefik", "github.com/traefik/traefik/v3/cmd/traefik")],
};

const KWOK: Family = Family {
    name: "kwok",
    module: "sigs.k8s.io/kwok",
    tags: "",
    stamped: &[],
    version_variable: "",
    version_arguments: &["--version"],
    programs: &[("kwok", "sigs.k8s.io/kwok/cmd/kwok")],
};

const HELM: Family = Family {
    name: "helm",
    module: "helm.sh/helm/v4",
    tags: "",
    stamped: &[],
    version_variable: "helm.sh/helm/v4/internal/version.version",
    version_arguments: &["version", "--template", "{{.Version}}"],
    programs: &[("helm", "helm.sh/helm/v4/cmd/helm")],
};

/// Programs of a cluster with a real node, and of one with a simulated node.
const NODE: &[&Family] = &[&KUBERNETES, &ETCD, &CONTAINERD, &CNI, &KUBE_ROUTER, &COREDNS, &TRAEFIK];
const SIMULATED: &[&Family] = &[&KUBERNETES, &ETCD, &TRAEFIK, &KWOK];
/// Programs of Kubernetes that only a real node needs.
const NODE_ONLY: &[&str] = &["kubelet", "kube-proxy"];

/// kwok's stages for nodes and pods, in its module.
const STAGES: &[&str] =
    &["kustomize/stage/node/fast", "kustomize/stage/node/heartbeat-with-lease", "kustomize/stage/pod/fast"];

/// Paths of all programs, and of the data that some need.
pub(crate) struct Programs {
    found: BTreeMap<&'static str, PathBuf>,
    gateway_api: PathBuf,
    stages: Option<PathBuf>,
}

impl Programs {
    /// Finds every program, and builds missing ones.
    ///
    /// # Errors
    /// When a program is neither found nor can be built; the message has the end of the build's
    /// output.
    pub(crate) async fn find(real_node: bool, progress: &Progress) -> Result<Self> {
        let mut found = BTreeMap::new();
        for family in if real_node { NODE } else { SIMULATED } {
            for &(program, package) in family.programs {
                if !real_node && NODE_ONLY.contains(&program) {
                    continue;
                }
                found.insert(program, find(family, program, package, progress).await?);
            }
        }
        let definitions = ["config/crd/standard"];
        let module = "sigs.k8s.io/gateway-api";
        let gateway_api =
            building::data(&TRAEFIK, &cache(&TRAEFIK)?, "gateway-api", module, &definitions).await?;
        let stages = if real_node {
            None
        } else {
            Some(building::data(&KWOK, &cache(&KWOK)?, "stages", KWOK.module, STAGES).await?)
        };
        Ok(Self { found, gateway_api, stages })
    }

    /// Returns the path of a program.
    pub(crate) fn path(&self, program: &str) -> Result<&Path> {
        self.found
            .get(program)
            .map(PathBuf::as_path)
            .with_context(|| format!("{program} is not part of this cluster"))
    }

    /// Returns the folder of a program.
    pub(crate) fn folder(&self, program: &str) -> Result<&Path> {
        self.path(program)?.parent().with_context(|| format!("{program} is in no folder"))
    }

    /// Returns the folder with the Gateway API's definitions, as YAML.
    pub(crate) fn gateway_api(&self) -> &Path {
        &self.gateway_api
    }

    /// Returns the files that configure kwok, if it is part of this cluster.
    pub(crate) fn stages(&self) -> Result<Vec<PathBuf>> {
        let folder = self.stages.as_deref().context("kwok is not part of this cluster")?;
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            // This file only lists the others, for another tool.
            if path.file_name().is_some_and(|name| name != "kustomization.yaml") {
                files.push(path);
            }
        }
        Ok(files)
    }
}

/// Returns Helm of the pinned version.
pub(crate) async fn helm(progress: &Progress) -> Result<PathBuf> {
    let (program, package) = HELM.programs[0];
    find(&HELM, program, package, progress).await
}

/// Finds one program, or builds it.
async fn find(family: &Family, program: &str, package: &str, progress: &Progress) -> Result<PathBuf> {
    match elsewhere(family, program)? {
        Some(path) => Ok(path),
        None => building::program(family, program, package, &cache(family)?, progress).await,
    }
}

impl Family {
    /// Returns the folder of its Go module in this repository.
    pub(crate) fn folder(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("programs").join(self.name)
    }

    /// Returns the pinned version of its programs, such as `v1.37.2`.
    pub(crate) fn version(&self) -> Result<String> {
        let file = self.folder().join("go.mod");
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        version_in(&text, self.module)
            .with_context(|| format!("{} does not require {}", file.display(), self.module))
            .map(str::to_owned)
    }
}

/// Returns the version that a `go.mod` requires of a module, in a `require` line of its own or in a
/// block.
fn version_in<'a>(go_mod: &'a str, module: &str) -> Option<&'a str> {
    go_mod.lines().find_map(|line| {
        let mut words = line.trim().trim_start_matches("require ").split_whitespace();
        let version = (words.next() == Some(module)).then(|| words.next()).flatten();
        version.filter(|version| version.starts_with('v'))
    })
}

/// Returns the folder for a family's programs: `<cache>/<family>-<hash of its go.mod and go.sum>`.
fn cache(family: &Family) -> Result<PathBuf> {
    let mut hash = Sha256::new();
    for name in ["go.mod", "go.sum"] {
        let file = family.folder().join(name);
        hash.update(std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    let hash = hex::encode(hash.finalize());
    Ok(cache_root()?.join(format!("{}-{}", family.name, &hash[..16])))
}

/// Returns the folder for everything that is built or downloaded once.
pub(crate) fn cache_root() -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(cache) = set("MATINEE_PLAYGROUND_CACHE") {
        return Ok(cache);
    }
    let caches = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    match caches {
        Some(caches) => Ok(caches.join("matinee/playground")),
        None => bail!("no HOME: set MATINEE_PLAYGROUND_CACHE to a folder for the cluster's programs"),
    }
}

/// Returns a program that needs no build, if there is one.
fn elsewhere(family: &Family, program: &str) -> Result<Option<PathBuf>> {
    if let (true, Some(assets)) =
        (matches!(program, "etcd" | "kube-apiserver"), env::var_os("KUBEBUILDER_ASSETS"))
    {
        let path = Path::new(&assets).join(program);
        if path.is_file() {
            return Ok(Some(path));
        }
    }
    let Some(path) = machine::on_path(program).filter(|_| !family.version_arguments.is_empty()) else {
        return Ok(None);
    };
    // Another version would mostly work, and then fail in ways that are hard to trace.
    let wanted = family.version()?;
    let says = run(Command::new(&path).args(family.version_arguments)).unwrap_or_default();
    Ok(says_version(&says, &wanted).then_some(path))
}

/// Returns whether one of the words is the version, with or without its `v` and a suffix after `+`.
fn says_version(says: &str, wanted: &str) -> bool {
    let wanted = wanted.trim_start_matches('v');
    says.split(|c: char| c.is_whitespace() || c == ',')
        .map(|word| word.split('+').next().unwrap_or_default())
        .any(|word| word.trim_start_matches('v') == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_pins_its_version_and_names_its_tools() {
        for family in NODE.iter().chain(SIMULATED).chain(&[&HELM]) {
            let version = family.version().unwrap();
            assert!(version.split('.').count() == 3, "{}: {version}", family.name);
            let go_mod = std::fs::read_to_string(family.folder().join("go.mod")).unwrap();
            let tools = building::tools_in(&go_mod);
            for (program, package) in family.programs {
                assert!(tools.contains(package), "programs/{}/go.mod has no tool {package}", family.name);
                let end = package.rsplit('/').find(|part| !part.starts_with("v3")).unwrap();
                assert!(*program == end || *program == "etcd", "{program} from {package}");
            }
            assert_eq!(tools.len(), family.programs.len(), "programs/{}/go.mod has more tools", family.name);
        }
    }

    #[test]
    fn a_required_version_is_read_from_a_line_and_from_a_block() {
        let text = "module a\nrequire b.c/d v1.2.3\nrequire (\n\te.f/g v0.1.0 // indirect\n)\nreplace b.c/d => ../d\n";
        assert_eq!(version_in(text, "b.c/d"), Some("v1.2.3"));
        assert_eq!(version_in(text, "e.f/g"), Some("v0.1.0"));
        assert_eq!(version_in(text, "b.c"), None);
    }

    #[test]
    fn a_version_is_recognised_in_what_programs_print() {
        assert!(says_version("Kubernetes v1.37.2\n", "v1.37.2"));
        assert!(says_version("etcd Version: 3.6.16\nGit SHA: Not provided\n", "v3.6.16"));
        assert!(says_version("containerd github.com/containerd/containerd/v2 2.2.9+unknown\n", "v2.2.9"));
        assert!(says_version("v4.3.1", "v4.3.1"));
        assert!(!says_version("Kubernetes v1.37.21\n", "v1.37.2"));
        assert!(!says_version("", "v1.37.2"));
    }
}
