//! Mistakes in objects, in the repository or in the platform, which wait until somebody changes
//! something.

use std::fmt;

use crate::core::cause::Cause;
use crate::core::truncate::cut;

/// Defines an enum of reasons whose names are the words in conditions.
macro_rules! reasons {
    ($(#[$about:meta])* pub enum $name:ident { $($(#[$doc:meta])* $reason:ident,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$doc])* $reason,)*
        }

        impl $name {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$reason,)*];

            /// The reason as a condition has it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$reason => stringify!($reason),)*
                }
            }

            /// Returns the reason with that text.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.as_str() == text)
            }
        }
    };
}

reasons! {
    /// Reason of a [`Mistake`].
    pub enum Reason {
        // References and names.
        /// The PreviewRepository doesn't exist.
        RepositoryMissing,
        /// The PreviewRepository has no such environment.
        EnvironmentUnknown,
        /// The class doesn't exist, or none is the default.
        ClassMissing,
        /// The class doesn't admit the GitHub repository.
        RepositoryNotAllowed,
        /// The class doesn't admit the GitHub repository in this namespace.
        NamespaceNotAllowed,
        /// An older PreviewRepository has the same environment on GitHub.
        EnvironmentClaimed,
        /// Another environment has the names of the objects.
        NameTaken,
        /// Another environment has the namespace.
        NamespaceTaken,
        /// Another environment has the host name.
        HostTaken,
        /// A pull request's environment without a pull request, or the reverse.
        WrongPlace,
        // Configuration.
        /// The Secret with the credentials doesn't exist.
        SecretMissing,
        /// The API server rejects the class's limits, or they contradict each other.
        ClassInvalid,
        /// A filter pattern can't be read or selects nothing.
        PatternInvalid,
        /// Environments follow each other in a circle.
        ChainLoop,
        /// A trigger or gate names an environment that doesn't exist.
        ChainBroken,
        /// The hours of a gate can't be read.
        HoursInvalid,
        /// The image of a gate has no valid name.
        ImageInvalid,
        /// The class doesn't list the image's registry.
        RegistryNotAllowed,
        /// The Secret with the registry's credentials can't be used.
        RegistrySecretInvalid,
        /// GitHub doesn't show the repository with these credentials.
        NotReadable,
        // Pull requests and deployments.
        /// The pull request comes from a fork.
        ForkNotAllowed,
        /// The pull request is a draft.
        DraftNotAllowed,
        /// The pull request's author is a bot.
        BotNotAllowed,
        /// The commit never was the pull request's head.
        NotTheHead,
        /// GitHub has no such pull request.
        PullRequestNotFound,
        /// The pull request changes no file that the trigger selects.
        PathsNotChanged,
        /// The deployment that triggered the request is no longer in the required state.
        SourceNotLive,
        // Template and plan.
        /// The environment has nothing to deploy.
        NothingToDeploy,
        /// The template doesn't exist.
        TemplateMissing,
        /// The template can't be rendered.
        TemplateInvalid,
        /// The deployment's payload lacks what the template needs.
        PayloadInvalid,
        /// The template doesn't declare the parameter.
        ParameterUnknown,
        /// A parameter has no value.
        ParameterMissing,
        /// The template has no Service of an endpoint, or not its port.
        EndpointUnknown,
        /// A template can't have objects of this kind.
        KindForbidden,
        /// A template's object names another namespace.
        NamespaceForbidden,
        /// A template's object is a hook of Helm or Argo CD.
        HookUnsupported,
        // Apply.
        /// The API server rejects an object.
        ApplyRejected,
        /// Rights, quota or a policy forbid an object.
        ApplyForbidden,
        /// The cluster doesn't serve the kind of an object.
        KindMissing,
        /// An earlier version of Matinee recorded a reason that this one doesn't have.
        Refused,
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl PartialEq<str> for Reason {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Reason {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

/// Mistake of the user. Matinee waits for a change and deletes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Mistake {
    /// As a condition's reason.
    pub reason: Reason,
    /// The cause, then object and field, then the remedy.
    pub message: String,
}

impl Mistake {
    /// Creates a mistake from a reason and a cause.
    pub fn new(reason: Reason, cause: Cause) -> Self {
        Self { reason, message: cause.into() }
    }
}

/// Longest first cause of several, in characters. Together with the count behind it, it fits into
/// GitHub's limit.
const FIRST: usize = 115;
/// Longest cause when there are several, in characters.
const EACH: usize = 300;
/// Longest message about several mistakes in a condition, in characters.
const ALL: usize = 1_000;

/// Combines mistakes into one: the reason and the cause of the first, the count of the others, then
/// each of the others as long as there is room. `None` without mistakes.
pub fn all_in_one(mistakes: &[Mistake]) -> Option<Mistake> {
    let (first, others) = mistakes.split_first()?;
    if others.is_empty() {
        return Some(first.clone());
    }
    let head = cut(&first.message, FIRST);
    let mut message = format!("{head} (and {} more)", others.len());
    let whole = (head != first.message).then_some(first);
    for mistake in whole.into_iter().chain(others) {
        let cause = cut(&mistake.message, EACH);
        if message.chars().count() + cause.chars().count() > ALL {
            message.push_str("; …");
            break;
        }
        message.push_str("; ");
        message.push_str(&cause);
    }
    Some(Mistake { reason: first.reason, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(reason: Reason, message: &str) -> Mistake {
        Mistake { reason, message: message.to_owned() }
    }

    #[test]
    fn several_mistakes_are_one_message_that_begins_with_the_first() {
        assert_eq!(all_in_one(&[]), None);
        let one = mistake(Reason::KindMissing, "a");
        assert_eq!(all_in_one(std::slice::from_ref(&one)), Some(one.clone()));
        let all =
            all_in_one(&[one, mistake(Reason::ApplyRejected, "b"), mistake(Reason::ApplyRejected, "c")]);
        assert_eq!(all, Some(mistake(Reason::KindMissing, "a (and 2 more); b; c")));
    }

    #[test]
    fn a_long_first_cause_leaves_room_for_the_count_on_github() {
        let long = "x".repeat(200);
        let all = all_in_one(&[mistake(Reason::ApplyRejected, &long), mistake(Reason::ApplyRejected, "b")])
            .unwrap();
        let shown = crate::core::publish::deployment_status::description(&all.message);
        assert!(shown.contains("… (and 1 more)"), "{shown}");
        assert!(all.message.contains(&long) && all.message.ends_with("; b"), "{}", all.message);
    }

    #[test]
    fn many_mistakes_fit_into_a_condition() {
        let many: Vec<_> = (0..50).map(|_| mistake(Reason::ApplyRejected, &"y".repeat(400))).collect();
        let all = all_in_one(&many).unwrap();
        assert!(all.message.chars().count() <= crate::core::conditions::MAX_MESSAGE, "{}", all.message);
        assert!(all.message.contains("(and 49 more)") && all.message.ends_with("; …"), "{}", all.message);
    }
}
