//! Reasons why an environment isn't ready although nobody made a mistake.

/// Why an environment waits or failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvironmentReason {
    /// The previous namespace of the same name is still being deleted.
    NamespaceTerminating,
    /// The Job of an earlier revision is still being deleted.
    ReplacingJob,
    /// A URL doesn't answer, or answers with an error.
    NotAnswering,
    /// The state of an object, in Kubernetes' or Matinee's words, in CamelCase.
    Health(String),
}

impl EnvironmentReason {
    /// The reasons that aren't Kubernetes' own.
    pub const OWN: &[Self] = &[Self::NamespaceTerminating, Self::ReplacingJob, Self::NotAnswering];

    /// The reason as a condition has it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::NamespaceTerminating => "NamespaceTerminating",
            Self::ReplacingJob => "ReplacingJob",
            Self::NotAnswering => "NotAnswering",
            Self::Health(reason) => reason,
        }
    }
}
