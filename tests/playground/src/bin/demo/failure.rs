//! Failures of the demo, each with a remedy for the person who ran it.

use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

/// Phase of the demo in which it failed.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// Building the operator.
    Build,
    /// Starting the cluster, the stand-ins and the operator; the cluster's programs are built here.
    Start,
    /// Playing the acts; a claim didn't hold.
    Play {
        /// Folder with all logs, until the next start.
        logs: PathBuf,
    },
    /// Stopping everything after the last act.
    End,
    /// A signal ended the demo.
    Interrupted,
}

impl Phase {
    /// Returns a function that turns an error into a failure of this phase.
    pub(crate) fn failed<E: Into<Problem>>(&self) -> impl FnOnce(E) -> Failure + use<E> {
        let phase = self.clone();
        move |error| Failure { problem: error.into(), phase }
    }
}

/// The chain of errors, outermost first.
#[derive(Debug)]
pub(crate) struct Problem(anyhow::Error);

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        Self(error)
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        Self(error.into())
    }
}

impl From<&'static str> for Problem {
    fn from(text: &'static str) -> Self {
        Self(anyhow::Error::msg(text))
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

/// Failure of the demo.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The error.
    pub(crate) problem: Problem,
    phase: Phase,
}

impl Failure {
    /// Returns the remedy, in one sentence.
    pub(crate) fn remedy(&self) -> String {
        match &self.phase {
            Phase::Build => "Correct what the compiler names, then run `cargo demo` again.".to_owned(),
            Phase::Start => {
                "Provide what the line above names (the README lists under \"Try it\" what the demo \
                 needs), then run `cargo demo` again: it continues with what is built already."
                    .to_owned()
            }
            Phase::Play { logs } => format!(
                "Run `cargo demo` once more on a machine that does nothing else, and if the same claim fails again, \
                 report it with the lines above and the logs in {}.",
                logs.display()
            ),
            Phase::End => {
                "Everything was shown, but not everything has ended: the next `cargo demo` removes what is \
                 left."
                    .to_owned()
            }
            Phase::Interrupted => {
                "Nothing is left running: run `cargo demo` again whenever you like.".to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_ends_with_one_sentence_for_a_person() {
        let phases = [
            Phase::Build,
            Phase::Start,
            Phase::Play { logs: "/tmp/playground/logs".into() },
            Phase::End,
            Phase::Interrupted,
        ];
        for phase in phases {
            let remedy = phase.failed()("it broke").remedy();
            assert_eq!(remedy.matches(". ").count(), 0, "more than one sentence: {remedy}");
            assert!(remedy.ends_with('.') && remedy.contains("`cargo demo`"), "{remedy}");
        }
    }

    #[test]
    fn the_whole_chain_of_errors_is_shown() {
        let error = anyhow::anyhow!("connection refused").context("the API server does not answer");
        let failure = Phase::Start.failed()(error);
        assert_eq!(failure.problem.to_string(), "the API server does not answer: connection refused");
    }
}
