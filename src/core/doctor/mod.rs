//! Checks of `matinee doctor`: they turn observations of an installation into findings, each
//! trouble with its remedy.

pub mod class;
pub mod definitions;
pub mod gateway;
pub mod ingress;
pub mod kubernetes;
pub mod name;
pub mod operator;
pub mod repositories;
pub mod rights;
pub mod secrets;
pub mod show;

use serde::Serialize;
use url::Url;

/// Result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything is in order.
    Ok,
    /// It works, but not as well as it could, or not for everybody.
    Warning,
    /// It doesn't work.
    Problem,
    /// Not checked, or not needed.
    Skipped,
}

/// Finding of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Subject of the check.
    pub what: String,
    /// Result of the check.
    pub verdict: Verdict,
    /// Result in words, on one line; never a secret.
    pub message: String,
    /// Remedy; every warning and every problem has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    /// Creates a finding about something that is in order.
    pub fn ok(what: impl Into<String>, message: impl Into<String>) -> Self {
        Self { what: what.into(), verdict: Verdict::Ok, message: message.into(), remedy: None }
    }

    /// Creates a finding about something that works, with restrictions.
    pub fn warning(what: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into());
        Self { what: what.into(), verdict: Verdict::Warning, message: message.into(), remedy }
    }

    /// Creates a finding about something that doesn't work.
    pub fn problem(what: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into());
        Self { what: what.into(), verdict: Verdict::Problem, message: message.into(), remedy }
    }

    /// Creates a finding about something that wasn't checked; `message` says why.
    pub fn skipped(what: impl Into<String>, message: impl Into<String>) -> Self {
        Self { what: what.into(), verdict: Verdict::Skipped, message: message.into(), remedy: None }
    }
}

/// Findings about one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Section {
    /// Their subject.
    pub title: String,
    /// The findings, in the order in which they are shown.
    pub findings: Vec<Finding>,
}

/// Why an object in the cluster could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// The user has no permission to read it (403).
    Forbidden,
    /// The API server doesn't serve the kind (404 for a list).
    NotServed,
    /// No response, or another error; the text says why.
    Failed(String),
}

/// Result of reading an object; `None` when it doesn't exist.
pub type Looked<T> = Result<Option<T>, Unread>;

impl Unread {
    /// Creates the finding about an object that could not be read.
    pub fn finding(&self, what: impl Into<String>) -> Finding {
        match self {
            Self::Forbidden => Finding::skipped(
                what,
                "this account may not read it; run `matinee doctor` with an administrator's kubeconfig to have it checked",
            ),
            Self::NotServed => Finding::skipped(what, "the cluster doesn't serve the kind"),
            Self::Failed(why) => Finding::problem(
                what,
                format!("could not be read: {why}"),
                "see whether the API server is well, and run it again",
            ),
        }
    }
}

/// Number of findings by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Findings that are in order.
    pub ok: usize,
    /// Findings with restrictions.
    pub warnings: usize,
    /// Findings about something that doesn't work.
    pub problems: usize,
    /// Findings that weren't checked.
    pub skipped: usize,
}

impl Summary {
    /// Counts the findings.
    pub fn of(sections: &[Section]) -> Self {
        let mut summary = Self::default();
        for finding in sections.iter().flat_map(|section| &section.findings) {
            *match finding.verdict {
                Verdict::Ok => &mut summary.ok,
                Verdict::Warning => &mut summary.warnings,
                Verdict::Problem => &mut summary.problems,
                Verdict::Skipped => &mut summary.skipped,
            } += 1;
        }
        summary
    }
}

/// Returns the first names, and the number of the others.
pub(crate) fn some_of<T: AsRef<str>>(names: &[T], most: usize) -> String {
    let mut text = names.iter().take(most).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    if names.len() > most {
        text = format!("{text} and {} more", names.len() - most);
    }
    text
}

/// Removes the parts of a URL that could be secret: user information, query and fragment.
pub fn shown_url(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else { return "a URL that can't be read".to_owned() };
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url.set_query(None);
    url.set_fragment(None);
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_secrets() {
        assert_eq!(shown_url("https://ghe.example.com/api/v3"), "https://ghe.example.com/api/v3");
        assert_eq!(shown_url("https://u:s3cret@h/p?token=s3cret#s3cret"), "https://h/p");
        assert_eq!(shown_url("s3cret"), "a URL that can't be read");
    }

    #[test]
    fn what_may_not_be_read_is_skipped_and_what_fails_is_a_problem() {
        let finding = Unread::Forbidden.finding("Gateway");
        assert_eq!((finding.verdict, finding.remedy), (Verdict::Skipped, None));
        assert!(finding.message.contains("administrator's kubeconfig"), "{}", finding.message);
        let finding = Unread::Failed("no answer within 5 s".into()).finding("Gateway");
        assert_eq!(finding.verdict, Verdict::Problem);
        assert!(finding.message.contains("no answer within 5 s") && finding.remedy.is_some());
        assert_eq!(Unread::NotServed.finding("Gateway").verdict, Verdict::Skipped);
    }

    #[test]
    fn the_summary_counts_every_finding() {
        let section = |findings| Section { title: String::new(), findings };
        let sections = [
            section(vec![Finding::ok("a", ""), Finding::skipped("b", "")]),
            section(vec![
                Finding::problem("c", "", "x"),
                Finding::warning("d", "", "x"),
                Finding::ok("e", ""),
            ]),
        ];
        assert_eq!(Summary::of(&sections), Summary { ok: 2, warnings: 1, problems: 1, skipped: 1 });
    }

    #[test]
    fn many_are_cut() {
        assert_eq!(some_of(&["a", "b"], 2), "a, b");
        assert_eq!(some_of(&["a", "b", "c", "d"], 2), "a, b and 2 more");
    }
}
