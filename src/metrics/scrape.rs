//! Metrics that are collected at each scrape: environments, so that deleted ones leave no series,
//! and the process.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use kube::ResourceExt as _;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};

use super::catalog::{CPU, Metric, OPEN_FDS, PREVIEW_INFO, PREVIEWS, RESIDENT_MEMORY, START_TIME};
use super::labels::{Preview, State};
use crate::api::PreviewEnvironment;
use crate::core::environment::state::{PreviewState, preview_state};

/// Maximum number of environments with their own series. Users choose the names in the labels, and
/// a monitoring system pays for each series. Beyond some thousands the counts by state are more
/// useful than the list.
pub const MOST_PREVIEWS: usize = 5_000;

/// Lists the existing environments.
pub type Previews = Arc<dyn Fn() -> Vec<Arc<PreviewEnvironment>> + Send + Sync>;

/// Usage of this process according to the operating system.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProcessFacts {
    /// Bytes in memory.
    pub resident_memory: u64,
    /// Processor time, in seconds.
    pub cpu: f64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// Unix time, in seconds.
    pub start_time: f64,
}

/// Reads the usage of the process; `None` when the operating system doesn't provide it.
pub type Process = Arc<dyn Fn() -> Option<ProcessFacts> + Send + Sync>;

/// Source of values, once it is known.
pub(super) struct Source<T>(RwLock<Option<T>>);

impl<T> Default for Source<T> {
    fn default() -> Self {
        Self(RwLock::new(None))
    }
}

impl<T: Clone> Source<T> {
    pub fn set(&self, source: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(source);
    }

    fn get(&self) -> Option<T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn help(metric: &Metric) -> String {
    // The registry adds the full stop to its own help texts too.
    format!("{}.", metric.help)
}

/// Shows environments while this replica leads. All replicas see the same ones, and would count
/// them repeatedly.
pub(super) struct PreviewCollector {
    pub source: Arc<Source<Previews>>,
    /// 1 while this replica leads.
    pub leader: Gauge,
}

impl fmt::Debug for PreviewCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreviewCollector").finish_non_exhaustive()
    }
}

impl Collector for PreviewCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if self.leader.get() == 0 {
            return Ok(());
        }
        let Some(source) = self.source.get() else { return Ok(()) };
        let mut previews = source();
        let mut states =
            encoder.encode_descriptor(PREVIEWS.family(), &help(&PREVIEWS), None, MetricType::Gauge)?;
        for state in PreviewState::ALL {
            let count = previews.iter().filter(|preview| preview_state(preview) == state).count();
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            let labels = State { state: state.as_str() };
            ConstGauge::new(count).encode(states.encode_family(&labels)?)?;
        }
        if previews.is_empty() {
            return Ok(());
        }
        if previews.len() > MOST_PREVIEWS {
            // Use the same ones each time. Otherwise every scrape would create new series.
            previews.sort_unstable_by_key(|preview| (preview.namespace(), preview.name_any()));
            previews.truncate(MOST_PREVIEWS);
        }
        let mut infos =
            encoder.encode_descriptor(PREVIEW_INFO.family(), &help(&PREVIEW_INFO), None, MetricType::Info)?;
        for preview in previews {
            infos.encode_info(&labels(&preview))?;
        }
        Ok(())
    }
}

fn labels(preview: &PreviewEnvironment) -> Preview {
    let spec = &preview.spec;
    Preview {
        namespace: preview.namespace().unwrap_or_default(),
        name: preview.name_any(),
        repository: spec.repository_ref.name.clone(),
        environment: spec.environment.clone(),
        pull_request: spec.pull_request.as_ref().map_or_else(String::new, |it| it.number.to_string()),
    }
}

/// Shows the usage of the process.
pub(super) struct ProcessCollector(pub Arc<Source<Process>>);

impl fmt::Debug for ProcessCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProcessCollector").finish_non_exhaustive()
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(facts) = self.0.get().and_then(|ask| ask()) else { return Ok(()) };
        let mut gauge = |metric: &Metric, value: f64| {
            let descriptor =
                encoder.encode_descriptor(metric.family(), &help(metric), None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(descriptor)
        };
        #[allow(clippy::cast_precision_loss)] // exact up to 2^53
        let (memory, fds) = (facts.resident_memory as f64, facts.open_fds as f64);
        gauge(&RESIDENT_MEMORY, memory)?;
        gauge(&OPEN_FDS, fds)?;
        gauge(&START_TIME, facts.start_time)?;
        let cpu = encoder.encode_descriptor(CPU.family(), &help(&CPU), None, MetricType::Counter)?;
        ConstCounter::new(facts.cpu).encode(cpu)
    }
}
