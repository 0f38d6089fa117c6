//! Turns arbitrary names into names of Kubernetes objects and hosts.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// Longest DNS label, in characters (RFC 1123). Kubernetes applies it to names of namespaces.
pub const MAX_LABEL: usize = 63;
/// Length of a hyphen and eight hexadecimal digits.
const HASH: usize = 9;

/// Returns a DNS label (RFC 1123) made from the parts, joined with hyphens: lower-case letters,
/// digits and hyphens, at most `max` characters (`max` is clamped to 16–63).
///
/// Inputs that differ in more than case get different labels. An input that isn't a valid label has
/// its invalid characters replaced by hyphens, is cut, and gets a suffix of eight hexadecimal
/// digits of the input's SHA-256. An input that already ends in such a suffix gets one too, because
/// it could otherwise equal the label of another input. Case makes no difference, as on GitHub. The
/// boundary between parts makes no difference either, so use unambiguous parts, such as
/// `pr-<number>-<repository>`.
pub fn dns_label(parts: &[&str], max: usize) -> String {
    let max = max.clamp(16, MAX_LABEL);
    let whole = parts.join("-").to_lowercase();
    let mapped: String =
        whole.chars().map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' }).collect();
    let label = mapped.trim_matches('-');
    if label == whole && !label.is_empty() && label.len() <= max && !ends_like_a_hash(label) {
        return whole;
    }
    let mut name = label[..label.len().min(max - HASH)].trim_end_matches('-').to_owned();
    if !name.is_empty() {
        name.push('-');
    }
    for byte in Sha256::digest(whole.as_bytes()).iter().take((HASH - 1) / 2) {
        // Writing to a string can't fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

fn ends_like_a_hash(label: &str) -> bool {
    let tail = label.rsplit('-').next().unwrap_or(label);
    tail.len() == HASH - 1 && tail.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn is_label(name: &str) -> bool {
        (1..=MAX_LABEL).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !name.starts_with('-')
            && !name.ends_with('-')
    }

    #[test]
    fn usual_names_stay_as_people_expect_them() {
        assert_eq!(dns_label(&["pr", "12", "shop"], 63), "pr-12-shop");
        assert_eq!(dns_label(&["preview", "Shop", "pr-12"], 63), "preview-shop-pr-12");
        assert_eq!(dns_label(&["a--b"], 63), "a--b");
    }

    #[test]
    fn unusable_label_ends_in_a_hash() {
        let dotted = dns_label(&["pr", "12", "shop.example"], 63);
        assert!(dotted.starts_with("pr-12-shop-example-"), "{dotted}");
        assert_ne!(dotted, dns_label(&["pr", "12", "shop_example"], 63));
        let long = dns_label(&["pr", "12", &"x".repeat(100)], 63);
        assert_eq!(long.len(), 63);
        assert!(long.starts_with("pr-12-xxx"));
        for nothing in ["", "---", "日本"] {
            let name = dns_label(&[nothing], 63);
            assert!(is_label(&name) && name.len() == 8, "{nothing:?} became {name}");
        }
        // An input that equals the label of another input gets a suffix too.
        assert_ne!(dns_label(&[&dotted], 63), dotted);
    }

    #[test]
    fn the_same_name_in_every_version() {
        assert_eq!(dns_label(&["pr", "12", "shop_example"], 63), "pr-12-shop-example-e89dcd0e");
    }

    proptest! {
        #[test]
        fn always_a_label_within_bounds(parts in prop::collection::vec(".{0,80}", 0..5), max in 0_usize..100) {
            let texts: Vec<&str> = parts.iter().map(String::as_str).collect();
            let name = dns_label(&texts, max);
            prop_assert!(is_label(&name), "{name}");
            prop_assert!(name.len() <= max.clamp(16, MAX_LABEL));
            prop_assert_eq!(name, dns_label(&texts, max));
        }

        #[test]
        fn distinct_inputs_have_distinct_labels(inputs in prop::collection::hash_set("[a-c._ -]{0,6}[a-f0-9]{0,9}", 0..200)) {
            let mut seen = HashMap::new();
            for input in inputs {
                if let Some(other) = seen.insert(dns_label(&[&input], 20), input.clone()) {
                    prop_assert!(false, "{other:?} and {input:?} share a label");
                }
            }
        }
    }
}
