//! Logs to standard error. The filter can be changed at run time.

use std::io::{IsTerminal as _, stderr};
use std::iter;

use anyhow::anyhow;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::settings::{Log, LogFormat, log_filter};

/// Hides kube's own messages about failing watches, and its span around each reconcile. Matinee
/// logs the same once, with the kind.
const REPEATED: &str = "kube_runtime::watcher=error,kube_runtime::controller=warn";
/// Hides kube's messages with responses of the API server, because those contain values of objects.
/// Matinee logs their meaning. No filter of the user can override this.
const WITH_VALUES: &str = "kube_client::client=off";

/// The filter of the running process.
#[derive(Clone, Debug)]
pub struct Filter(reload::Handle<EnvFilter, Registry>);

impl Filter {
    /// Changes the filter: a level, or levels by module, as in `--log`.
    ///
    /// # Errors
    /// The filter is invalid. The error contains the remedy, and the previous filter stays in
    /// force.
    pub fn set_filter(&self, filter: &str) -> Result<(), String> {
        self.0.reload(parsed(filter)?).map_err(|error| format!("the log filter can't be changed: {error}"))
    }
}

/// Parses a filter. Later directives override earlier ones: the user's override [`REPEATED`], and
/// [`WITH_VALUES`] overrides the user's.
fn parsed(filter: &str) -> Result<EnvFilter, String> {
    let checked = log_filter(filter)?;
    EnvFilter::builder()
        .parse(format!("{REPEATED},{checked},{WITH_VALUES}"))
        .map_err(|error| error.to_string())
}

/// A layer with its own filter.
pub type AnyLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Writes logs from now on, and passes spans and events to `more` too.
///
/// # Errors
/// The filter is invalid, or logs are being written already.
pub fn install(log: &Log, more: Option<AnyLayer>) -> anyhow::Result<Filter> {
    let terminal = stderr().is_terminal();
    let (layer, filter) = layer(log, terminal, stderr).map_err(|error| anyhow!(error))?;
    tracing_subscriber::registry()
        .with(iter::once(layer).chain(more).collect::<Vec<_>>())
        .try_init()
        .map_err(|error| anyhow!("logs can't be set up: {error}"))?;
    Ok(filter)
}

/// Returns a layer that writes one event per line, if it passes the filter. JSON has `timestamp`,
/// `level`, `target`, `message` and the event's own fields side by side, and in `span` and `spans`
/// the spans that contain the event.
fn layer<W>(log: &Log, terminal: bool, writer: W) -> Result<(AnyLayer, Filter), String>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(parsed(&log.filter)?);
    let lines = fmt::layer().with_writer(writer);
    let text = match log.format {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let layer = if text {
        lines.with_ansi(terminal).with_filter(filter).boxed()
    } else {
        lines.json().flatten_event(true).with_current_span(true).with_filter(filter).boxed()
    };
    Ok((layer, Filter(handle)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        fn taken(&self) -> Vec<String> {
            let bytes = std::mem::take(&mut *self.0.lock().unwrap());
            String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
        }
    }

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Runs with logs written into lines.
    fn logged(format: LogFormat, terminal: bool, run: impl FnOnce(&Lines, &Filter)) {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = Log { format, filter: "info".into() };
        let (layer, filter) = layer(&log, terminal, move || writer.clone()).unwrap();
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || run(&lines, &filter));
    }

    #[test]
    fn log_format_is_json_unless_on_a_terminal() {
        for (format, terminal, json) in [
            (LogFormat::Auto, true, false),
            (LogFormat::Auto, false, true),
            (LogFormat::Text, false, false),
            (LogFormat::Json, true, true),
        ] {
            logged(format, terminal, |lines, _| {
                tracing::info!("hello");
                let [line] = &lines.taken()[..] else { panic!("not one line") };
                assert_eq!(serde_json::from_str::<Value>(line).is_ok(), json, "{format:?}: {line}");
                assert_eq!(line.contains('\u{1b}'), !json && terminal, "{line:?}");
            });
        }
    }

    #[test]
    fn the_fields_of_a_line_have_names_that_stay() {
        logged(LogFormat::Json, false, |lines, _| {
            let span = tracing::info_span!("webhook", delivery = "72d3162e", event = "push");
            span.in_scope(|| tracing::warn!(status = 403, "refused: {}", "the signature is wrong"));
            let line: Value = serde_json::from_str(&lines.taken()[0]).unwrap();
            let mut names: Vec<&String> = line.as_object().unwrap().keys().collect();
            names.sort_unstable();
            assert_eq!(names, ["level", "message", "span", "spans", "status", "target", "timestamp"]);
            assert_eq!(line["level"], "WARN");
            assert_eq!(line["message"], "refused: the signature is wrong");
            assert_eq!(line["status"], 403);
            assert_eq!(line["target"], "matinee::cli::log::tests");
            line["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
            assert_eq!(
                line["span"],
                serde_json::json!({"name": "webhook", "delivery": "72d3162e", "event": "push"})
            );
        });
    }

    #[test]
    fn no_filter_lets_answers_of_the_api_server_through() {
        logged(LogFormat::Json, false, |lines, filter| {
            for wanted in ["trace", "kube_client=trace", "kube_client::client=trace"] {
                filter.set_filter(wanted).unwrap();
                tracing::debug!(target: "kube_client::client", "Unsuccessful: hunter2");
                tracing::warn!(target: "kube_client::client", "hunter2");
                assert_eq!(lines.taken(), Vec::<String>::new(), "{wanted}");
            }
        });
    }

    #[test]
    fn log_filter_changes_at_run_time_unless_invalid() {
        logged(LogFormat::Json, false, |lines, filter| {
            let log = || {
                tracing::debug!("debug");
                tracing::error!("error");
                lines.taken().len()
            };
            assert_eq!(log(), 1);
            filter.set_filter("matinee=debug,warn").unwrap();
            assert_eq!(log(), 2);
            let error = filter.set_filter("matinee=loud").unwrap_err();
            assert!(error.contains("matinee=loud") && error.contains("write it like info"), "{error}");
            assert_eq!(log(), 2, "the one before holds");
            filter.set_filter("off").unwrap();
            assert_eq!(log(), 0);
            filter.set_filter("info").unwrap();
            assert_eq!(log(), 1);
        });
    }
}
