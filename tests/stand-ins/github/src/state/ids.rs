//! Identifiers like GitHub's: numbers larger than 32 bits, opaque node ids, hexadecimal SHAs.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// Kinds of numbered objects. Each has a counter of its own, which starts near GitHub's present
/// numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    User,
    App,
    Installation,
    Repository,
    Pull,
    Label,
    Comment,
    Reaction,
    Deployment,
    DeploymentStatus,
    Environment,
    CommitStatus,
    CheckRun,
    CheckSuite,
    Hook,
    Delivery,
}

const KINDS: usize = 16;

/// The next number of every kind.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    given: [u64; KINDS],
    commits: u64,
}

impl Kind {
    fn start(self) -> u64 {
        match self {
            Self::User => 183_000_000,
            Self::App => 1_200_000,
            Self::Installation => 87_000_000,
            Self::Repository => 1_050_000_000,
            Self::Pull => 2_890_000_000,
            Self::Label => 9_120_000_000,
            Self::Comment => 3_310_000_000,
            Self::Reaction => 301_000_000,
            Self::Deployment => 4_442_000_000,
            Self::DeploymentStatus => 12_690_000_000,
            Self::Environment => 9_870_000_000,
            Self::CommitStatus => 38_900_000_000,
            Self::CheckRun => 51_300_000_000,
            Self::CheckSuite => 46_700_000_000,
            Self::Hook => 571_000_000,
            Self::Delivery => 193_000_000_000_000_000,
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::User => "U",
            Self::App => "A",
            Self::Installation => "I",
            Self::Repository => "R",
            Self::Pull => "PR",
            Self::Label => "LA",
            Self::Comment => "IC",
            Self::Reaction => "REA",
            Self::Deployment => "DE",
            Self::DeploymentStatus => "DES",
            Self::Environment => "EN",
            Self::CommitStatus => "SC",
            Self::CheckRun => "CR",
            Self::CheckSuite => "CS",
            Self::Hook => "H",
            Self::Delivery => "HD",
        }
    }
}

impl Ids {
    /// Returns a new number for an object of this kind.
    pub(crate) fn next(&mut self, kind: Kind) -> u64 {
        let given = &mut self.given[kind as usize];
        *given += 1;
        // Steps of seven, so that no test relies on consecutive ids.
        kind.start() + *given * 7
    }

    /// Returns a SHA that no other commit has.
    pub(crate) fn commit(&mut self, content: &str) -> String {
        self.commits += 1;
        sha(&format!("{}\n{}\n{content}", self.commits, uuid::Uuid::new_v4()))
    }
}

/// Returns the opaque node id of an object.
pub(crate) fn node_id(kind: Kind, id: u64) -> String {
    named_node_id(kind.prefix(), &id.to_string())
}

/// Returns the opaque node id of an object that is identified by a name, such as a reference.
pub(crate) fn named_node_id(prefix: &str, name: &str) -> String {
    format!("{prefix}_{}", URL_SAFE_NO_PAD.encode(format!("kwDO{name}")))
}

/// Returns forty hexadecimal digits that depend on `content` alone.
pub(crate) fn sha(content: &str) -> String {
    let mut digits = hex(&Sha256::digest(content.as_bytes()));
    digits.truncate(40);
    digits
}

/// Formats bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

/// Returns `length` random letters and digits from the operating system's random source.
pub(crate) fn random_text(length: usize) -> String {
    let mut text = String::with_capacity(length + 32);
    while text.len() < length {
        text.push_str(&uuid::Uuid::new_v4().simple().to_string());
    }
    text.truncate(length);
    text
}
