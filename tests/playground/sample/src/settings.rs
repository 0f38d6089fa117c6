//! Parses and checks the environment variables.

use std::time::Duration;

/// Behaviour of this run of the sample.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `REVISION`: shown in the answer.
    pub(crate) revision: String,
    /// `PULL_REQUEST`: shown in the answer; may be empty.
    pub(crate) pull_request: String,
    /// `MESSAGE`: shown in the answer; may be empty.
    pub(crate) message: String,
    /// `PORT`: the port to listen on, on all addresses; 8080 unless set. 0 picks a free one.
    pub(crate) port: u16,
    /// `START_DELAY`: seconds before it listens, at most a day.
    pub(crate) start_delay: Duration,
    /// `CRASH_AFTER`: seconds until it ends with code 1, at most a day; 0 means at once.
    pub(crate) crash_after: Option<Duration>,
    /// `COMPLETE_AFTER`: seconds until it ends with code 0, as a Job does, at most a day; 0 means
    /// at once.
    pub(crate) complete_after: Option<Duration>,
    /// `MEMORY`: mebibytes to fill before it listens, at most 1,024, besides its own few.
    pub(crate) memory: usize,
    /// `NEVER_READY`: `/healthz` answers 503.
    pub(crate) never_ready: bool,
    /// `UPSTREAM`: `host:port` of another sample, whose answer `/upstream` returns.
    pub(crate) upstream: Option<String>,
    /// `CONNECT_AT_START`: `host:port` to which it tries to connect for some seconds before it
    /// listens.
    pub(crate) connect_at_start: Option<String>,
    /// The result of that attempt, shown in the answer; empty without one.
    pub(crate) first_connection: String,
}

const MOST_MEMORY: usize = 1_024;
const LONGEST_SECONDS: u64 = 24 * 60 * 60;

impl Settings {
    /// Parses the settings; `variable` looks one up. An empty variable counts as not set.
    ///
    /// # Errors
    /// A text with the variable, its value and the allowed values.
    pub(crate) fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let text = |name: &str| variable(name).filter(|value| !value.is_empty());
        let seconds = |name: &str| -> Result<Option<Duration>, String> {
            let Some(value) = text(name) else { return Ok(None) };
            match value.parse() {
                Ok(seconds) if seconds <= LONGEST_SECONDS => Ok(Some(Duration::from_secs(seconds))),
                _ => Err(format!("{name}={value}: give whole seconds, at most {LONGEST_SECONDS}")),
            }
        };
        let port = match text("PORT") {
            None => 8080,
            Some(value) => value.parse().map_err(|_| format!("PORT={value}: give a port number"))?,
        };
        let memory = match text("MEMORY") {
            None => 0,
            Some(value) => match value.parse() {
                Ok(memory) if memory <= MOST_MEMORY => memory,
                _ => return Err(format!("MEMORY={value}: give whole mebibytes, at most {MOST_MEMORY}")),
            },
        };
        let never_ready = match text("NEVER_READY").as_deref() {
            None | Some("false" | "0") => false,
            Some("true" | "1") => true,
            Some(other) => return Err(format!("NEVER_READY={other}: give true or false")),
        };
        Ok(Self {
            revision: text("REVISION").unwrap_or_else(|| "unknown".to_owned()),
            pull_request: text("PULL_REQUEST").unwrap_or_default(),
            message: text("MESSAGE").unwrap_or_default(),
            port,
            start_delay: seconds("START_DELAY")?.unwrap_or_default(),
            crash_after: seconds("CRASH_AFTER")?,
            complete_after: seconds("COMPLETE_AFTER")?,
            memory,
            never_ready,
            upstream: text("UPSTREAM"),
            connect_at_start: text("CONNECT_AT_START"),
            first_connection: String::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::from_variables(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_set_serves_on_8080_at_once_and_for_good() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.port, 8080);
        assert_eq!(settings.start_delay, Duration::ZERO);
        assert_eq!((settings.crash_after, settings.complete_after), (None, None));
        assert!(!settings.never_ready);
    }

    #[test]
    fn an_empty_variable_is_as_good_as_none() {
        let settings =
            read(&[("CRASH_AFTER", ""), ("PORT", ""), ("NEVER_READY", ""), ("UPSTREAM", "")]).unwrap();
        assert_eq!(settings, read(&[]).unwrap());
    }

    #[test]
    fn zero_seconds_to_the_crash_is_not_never() {
        assert_eq!(read(&[("CRASH_AFTER", "0")]).unwrap().crash_after, Some(Duration::ZERO));
    }

    #[test]
    fn a_bad_value_is_refused_by_name() {
        for (name, value) in [
            ("PORT", "65536"),
            ("PORT", "http"),
            ("START_DELAY", "-1"),
            ("START_DELAY", "86401"),
            ("CRASH_AFTER", "1.5"),
            ("COMPLETE_AFTER", "soon"),
            ("MEMORY", "1025"),
            ("NEVER_READY", "maybe"),
        ] {
            let problem = read(&[(name, value)]).unwrap_err();
            assert!(problem.starts_with(&format!("{name}={value}: give ")), "{problem}");
        }
    }
}
