//! Unique name of this process among the replicas.

use std::hash::{BuildHasher as _, RandomState};

/// Maximum length of a name.
const LONGEST: usize = 253;

/// Returns the given name, or else the host's name with a random number, which is unique.
pub(super) fn of(given: Option<&str>) -> Result<String, String> {
    match given {
        Some(name) if name.len() > LONGEST || name.chars().any(char::is_control) => {
            Err(format!("write printable characters, {LONGEST} at most"))
        }
        Some(name) => Ok(name.to_owned()),
        None => {
            // Each `RandomState` has random keys.
            let random = RandomState::new().hash_one(std::process::id());
            Ok(format!("{}_{random:016x}", host()))
        }
    }
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
        assert_ne!(of(None).unwrap(), of(None).unwrap());
        assert_eq!(of(Some("matinee-0")).unwrap(), "matinee-0");
        assert!(of(Some(&"x".repeat(254))).is_err());
        assert!(of(Some("a\nb")).is_err());
    }
}
