//! The changed files of a pull request, and its commits.

use github_stand_in::control::types::NewPush;
use matinee::ports::ForgeError;

use crate::stand_in::{World, secret};
use crate::support::shop;

#[tokio::test]
async fn files_are_read_over_all_pages_with_their_previous_names() {
    let world = World::new().await;
    let control = &world.control;
    control.push_files("acme/shop", "main", &[("src/old name.rs", "fn x() {}\n")]).await.unwrap();
    let mut files: std::collections::BTreeMap<String, Option<String>> =
        (0..99).map(|number| (format!("deploy/{number:02}.yaml"), Some(format!("{number}\n")))).collect();
    files.insert("src/old name.rs".into(), None);
    files.insert("src/new.rs".into(), Some("fn x() {}\n".into()));
    let push = NewPush { branch: "feature".into(), files, ..NewPush::default() };
    control.push_commit("acme/shop", push).await.unwrap();
    let number = control.open_pull_request("acme/shop", "feature").await.unwrap().number.try_into().unwrap();
    let forge = world.forge().await.unwrap();
    let names = forge.changed_files(&shop(), number).await.unwrap();
    assert_eq!(names.len(), 101);
    assert!(
        ["deploy/00.yaml", "src/new.rs", "src/old name.rs"]
            .iter()
            .all(|name| names.iter().any(|n| n == name))
    );

    // The first page was full; a second one follows.
    control.push_files("acme/shop", "feature", &[("zzz.txt", "last\n")]).await.unwrap();
    let names = forge.changed_files(&shop(), number).await.unwrap();
    assert_eq!((names.len(), names.last().map(String::as_str)), (102, Some("zzz.txt")));
    world.forget().await;
    assert_eq!(forge.changed_files(&shop(), number).await.unwrap(), names);
    assert_eq!(world.answers().await, (vec![304, 304], 0));
}

#[tokio::test]
async fn a_pull_requests_commits_are_its_own_and_no_others() {
    let world = World::new().await;
    let control = &world.control;
    let main = control.head("acme/shop", "main").await.unwrap();
    let first = control.push("acme/shop", "feature").await.unwrap();
    let number = control.open_pull_request("acme/shop", "feature").await.unwrap().number.try_into().unwrap();
    let second = control.push("acme/shop", "feature").await.unwrap();
    let forge = world.forge().await.unwrap();
    let commits = forge.pull_request_commits(&shop(), number).await.unwrap();
    assert_eq!(commits, [first, second]);
    assert!(!commits.contains(&main));
    world.forget().await;
    assert_eq!(forge.pull_request_commits(&shop(), number).await.unwrap(), commits);
    assert_eq!(world.answers().await, (vec![304], 0));
}

#[tokio::test]
async fn without_a_pull_request_or_the_permission_there_is_an_error() {
    let world = World::new().await;
    let error = world.forge().await.unwrap().changed_files(&shop(), 99).await.unwrap_err();
    assert!(matches!(error, ForgeError::NotFound(_)), "{error:?}");
    let (world, forge) = World::lacking("pull_requests").await;
    world.control.push("acme/secret", "feature").await.unwrap();
    world.control.open_pull_request("acme/secret", "feature").await.unwrap();
    let error = forge.changed_files(&secret(), 1).await.unwrap_err();
    assert!(
        matches!(error, ForgeError::Forbidden(_)) && error.to_string().contains("Pull requests: read"),
        "{error}"
    );
}
