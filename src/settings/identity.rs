//! Unique name of this process among the replicas.

use std::hash::{BuildHasher as _, RandomState};

/// Maximum length of a name.
const LONGEST: usize = 253;

/// Checks a name.
pub(super) fn check(name: &str) -> Result<String, String> {
    if name.len() > LONGEST || name.chars().any(char::is_control) {
        return Err(format!("write printable characters, {LONGEST} at most"));
    }
    Ok(name.to_owned())
}

/// Returns the host's name with a random number, which is unique.
pub(super) fn generated() -> String {
    // Each `RandomState` has random keys.
    let random = RandomState::new().hash_one(std::process::id());
    format!("{}_{random:016x}", host())
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "matinee".to_owned(),
        name => name.chars().take(100).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_given_is_no_other_s() {
        assert_ne!(generated(), generated());
        assert_eq!(check("matinee-0").unwrap(), "matinee-0");
        assert!(check(&"x".repeat(254)).is_err());
        assert!(check("a\nb").is_err());
    }
}
