//! Causes as conditions and GitHub show them.

use super::*;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

fn image(reference: &str) -> Cause {
    Cause::new("image not found").detail(reference).in_container("web").of("Deployment", "web")
}

#[test]
fn the_whole_text_names_object_container_and_every_part() {
    let cause = image("registry.example.com/acme/shop:1").remedy("push it").said("manifest unknown");
    assert_eq!(
        cause.to_string(),
        "Deployment/web, container web: image not found (registry.example.com/acme/shop:1): push it; manifest unknown"
    );
    assert_eq!(Cause::new("no route").to_string(), "no route");
    assert_eq!(Cause::new("").of("Job", "seed").to_string(), "Job/seed");
    assert_eq!(Cause::from("as it is").as_str(), "as it is");
    assert_eq!(image("a").bounded(20).as_str(), "Deployment/web, con…");
}

#[test]
fn a_short_text_names_a_container_like_its_object_once() {
    assert_eq!(
        image("registry.example.com/acme/shop:1").short(140),
        "web: image not found (registry.example.com/acme/shop:1)"
    );
    let other = Cause::new("crashed").in_init_container("migrate").of("Deployment", "web");
    assert_eq!(other.short(140), "Deployment/web, init container migrate: crashed");
    assert_eq!(Cause::new("no address").of("Service", "web").short(140), "Service/web: no address");
}

#[test]
fn a_short_text_keeps_the_cause_and_leaves_out_the_least_important() {
    let reference = format!("registry.example.com/acme/shop:{SHA}");
    let cause = image(&reference).remedy("push it");
    assert_eq!(cause.short(140), format!("web: image not found ({reference}): push it"));
    let short = "web: image not found (registry.example.com/acme/shop:0123456)";
    assert_eq!(cause.short(80), format!("{short}: push it"));
    assert_eq!(cause.short(62), short);
    assert_eq!(cause.short(58), "web: image not found (registry.example.com/…/shop:0123456)");
    assert_eq!(cause.short(44), "web: image not found (…/shop:0123456)");
    assert_eq!(cause.short(30), "web: image not found");
    assert_eq!(cause.short(16), "image not found");
    assert_eq!(cause.short(10), "web: imag…");
}

#[test]
fn a_long_subject_gives_way_before_the_cause() {
    let (object, container) = ("o".repeat(63), "c".repeat(63));
    let cause = Cause::new("image not found").in_container(&container).of("StatefulSet", &object);
    assert_eq!(cause.short(140), format!("container {container}: image not found"));
    let cause = Cause::new("x".repeat(110)).in_container(&container).of("StatefulSet", &object);
    let short = cause.short(140);
    assert!(short.ends_with(&"x".repeat(110)) && short.contains('…'), "{short}");
    assert_eq!(length(&short), 140);
}

#[test]
fn words_are_cut_at_their_end_and_references_in_their_middle() {
    let words = Cause::new("exceeded quota").detail("requested: cpu=3, used: cpu=1, limited: cpu=2");
    assert_eq!(words.short(40), "exceeded quota (requested: cpu=3, used…)");
    let reference = Cause::new("image not found").detail("a-very-long-registry.example.com");
    assert_eq!(reference.short(40), "image not found (a-very-…ry.example.com)");
}

#[test]
fn short_cause_is_a_single_line() {
    assert_eq!(Cause::new("two\n lines").detail("and\ttabs").short(140), "two lines (and tabs)");
}

#[test]
fn only_commits_and_digests_are_shortened() {
    assert_eq!(short_hashes(&format!("a:{SHA}")), "a:0123456");
    assert_eq!(short_hashes(&format!("a@sha256:{}", "ab".repeat(32))), "a@sha256:abababa");
    assert_eq!(short_hashes("deadbeef cafe"), "deadbeef cafe");
    let digits = "1".repeat(41);
    assert_eq!(short_hashes(&digits), digits);
}
