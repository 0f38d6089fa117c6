//! Checks of `matinee doctor`: they turn observations of an installation into findings, each
//! problem with its remedy.

pub mod api_server;
pub mod class;
pub mod crds;
pub mod dns;
pub mod gateway;
pub mod ingress;
pub mod operator;
pub mod output;
pub mod rbac;
pub mod repositories;
pub mod secrets;

use serde::Serialize;
use url::Url;

/// Severity of a finding.
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

/// Result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Subject of the check.
    pub what: String,
    /// Severity.
    pub verdict: Verdict,
    /// Result in words, on one line; never a secret.
    pub message: String,
    /// Remedy; every warning and every problem has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// Subject of a check, from which its findings are created.
#[derive(Clone, Debug)]
pub struct Subject(pub String);

impl Subject {
    /// Creates the subject with this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    fn finding(&self, verdict: Verdict, message: impl Into<String>, remedy: Option<String>) -> Finding {
        Finding { what: self.0.clone(), verdict, message: message.into(), remedy }
    }

    /// Creates a finding about something that is in order.
    pub fn ok(&self, message: impl Into<String>) -> Finding {
        self.finding(Verdict::Ok, message, None)
    }

    /// Creates a finding about something that works, with restrictions.
    pub fn warning(&self, message: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.finding(Verdict::Warning, message, Some(remedy.into()))
    }

    /// Creates a finding about something that doesn't work.
    pub fn problem(&self, message: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.finding(Verdict::Problem, message, Some(remedy.into()))
    }

    /// Creates a finding about something that wasn't checked; `message` says why.
    pub fn skipped(&self, message: impl Into<String>) -> Finding {
        self.finding(Verdict::Skipped, message, None)
    }

    /// Creates a finding about an object that couldn't be read.
    pub fn unread(&self, why: &Unread) -> Finding {
        match why {
            Unread::Forbidden => {
                self.skipped("this account may not read it; run `matinee doctor` as a cluster administrator")
            }
            Unread::Failed(why) => self
                .problem(format!("can't be read: {why}"), "check the API server, then run the doctor again"),
        }
    }

    /// Returns the object, or the finding that it can't be read, or the problem that it doesn't
    /// exist.
    pub fn require<'a, T>(
        &self,
        object: &'a Looked<T>,
        missing: &str,
        remedy: impl Into<String>,
    ) -> Result<&'a T, Finding> {
        match object {
            Ok(Some(object)) => Ok(object),
            Ok(None) => Err(self.problem(missing, remedy)),
            Err(why) => Err(self.unread(why)),
        }
    }
}

/// Findings about one part of the installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Section {
    /// Name of the part.
    pub title: String,
    /// The findings, in the order in which they are shown.
    pub findings: Vec<Finding>,
}

impl Section {
    /// Creates a section.
    pub fn new(title: impl Into<String>, findings: Vec<Finding>) -> Self {
        Self { title: title.into(), findings }
    }
}

/// Why an object in the cluster could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// The user has no permission to read it (403).
    Forbidden,
    /// No response, or another error; the text says why.
    Failed(String),
}

/// Result of reading an object; `None` when it doesn't exist.
pub type Looked<T> = Result<Option<T>, Unread>;

/// Joins the first names, and adds the number of the others.
pub(crate) fn some_of<T: ToString>(names: impl IntoIterator<Item = T>, most: usize) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    let first = names.iter().take(most).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > most { format!("{first} and {} more", names.len() - most) } else { first }
}

/// Removes the parts of a URL that could be secret: user information, query and fragment.
pub fn shown_url(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else { return "(not a URL)".to_owned() };
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
        assert_eq!(shown_url("s3cret"), "(not a URL)");
    }

    #[test]
    fn forbidden_objects_are_skipped_and_errors_are_problems() {
        let gateway = Subject::new("Gateway");
        let forbidden = gateway.unread(&Unread::Forbidden);
        assert_eq!((forbidden.verdict, forbidden.remedy), (Verdict::Skipped, None));
        assert!(forbidden.message.contains("cluster administrator"), "{}", forbidden.message);
        let failed = gateway.unread(&Unread::Failed("no answer within 5 s".into()));
        assert_eq!(failed.verdict, Verdict::Problem);
        assert!(failed.message.contains("no answer within 5 s") && failed.remedy.is_some());
    }

    #[test]
    fn a_required_object_must_exist() {
        let gateway = Subject::new("Gateway");
        assert_eq!(gateway.require(&Ok(Some(1)), "not found", "create it"), Ok(&1));
        assert_eq!(
            gateway.require::<u8>(&Ok(None), "not found", "create it"),
            Err(gateway.problem("not found", "create it"))
        );
        let forbidden = gateway.require::<u8>(&Err(Unread::Forbidden), "", "").unwrap_err();
        assert_eq!(forbidden.verdict, Verdict::Skipped);
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(some_of(["a", "b"], 2), "a, b");
        assert_eq!(some_of(["a", "b", "c", "d"], 2), "a, b and 2 more");
    }
}
