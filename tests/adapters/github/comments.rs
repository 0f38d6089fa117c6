//! Comments on pull requests, and reactions to them.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use github_stand_in::control::types::{FaultEffect, Limits};
use matinee::core::forge::Emoji;
use matinee::ports::{Forge, ForgeError};
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use crate::stand_in::World;
use crate::support::{bodies, forge, in_turn, json_answer, shop};

const COMMENTS: &str = "/repos/acme/shop/issues/1/comments";

async fn with_pull() -> (World, Arc<dyn Forge>) {
    let world = World::new().await;
    world.control.push("acme/shop", "feature").await.unwrap();
    world.control.open_pull_request("acme/shop", "feature").await.unwrap();
    let forge = world.forge().await.unwrap();
    (world, forge)
}

fn comment_json(id: i64) -> Value {
    json!({"id": id, "issue_url": "https://api.github.com/repos/acme/shop/issues/1", "body": "x",
        "html_url": format!("https://github.com/acme/shop/pull/1#issuecomment-{id}"),
        "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05Z"})
}

#[tokio::test]
async fn a_command_is_seen_reacted_to_and_answered() {
    let (world, forge) = with_pull().await;
    assert_eq!(forge.recent_comments(&shop()).await.unwrap().items.len(), 0);
    let id = world.control.comment("acme/shop", 1, "mona", "/deploy production").await.unwrap();
    let id = i64::try_from(id).unwrap();
    let seen = forge.recent_comments(&shop()).await.unwrap();
    let command = &seen.items[0];
    assert_eq!((command.id, command.number, command.author.as_str()), (id, 1, "mona"));
    assert!(command.on_pull_request && !command.bot && !command.edited);
    world.forget().await;
    assert_eq!(forge.recent_comments(&shop()).await.unwrap().version, seen.version);
    assert_eq!(world.answers().await, (vec![304], 0));

    // Adding a reaction twice is not an error.
    for emoji in [Emoji::Eyes, Emoji::Eyes, Emoji::PlusOne] {
        forge.react(&shop(), id, emoji).await.unwrap();
    }
    let shown = world.control.comments("acme/shop", 1).await.unwrap();
    assert_eq!(shown[0].reactions, ["eyes matinee[bot]", "+1 matinee[bot]"]);

    let made = forge.create_comment(&shop(), 1, "Deployed: ünïcode & `code`").await.unwrap();
    assert_eq!((made.author.as_str(), made.bot, made.on_pull_request), ("matinee[bot]", true, true));
    // An edit within the second of the comment's creation can't be recognized by the times.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    forge.edit_comment(&shop(), made.id, "Deployed again").await.unwrap();
    let all = forge.comments(&shop(), 1).await.unwrap();
    let told: Vec<_> = all.iter().map(|one| (one.id, one.body.as_str(), one.edited)).collect();
    assert_eq!(told, [(id, "/deploy production", false), (made.id, "Deployed again", true)]);
    let recent = forge.recent_comments(&shop()).await.unwrap();
    assert_eq!(recent.items.iter().map(|one| one.id).collect::<Vec<_>>(), [made.id, id]);
    assert!(recent.version > seen.version);
}

#[tokio::test]
async fn all_comments_of_one_pull_request_but_a_hundred_of_the_repository() {
    let (world, forge) = with_pull().await;
    for number in 0..100 {
        world.control.comment("acme/shop", 1, "mona", &format!("comment {number}")).await.unwrap();
    }
    assert_eq!(forge.comments(&shop(), 1).await.unwrap().len(), 100);
    // The first page is full, and doesn't change when a second page follows.
    world.control.comment("acme/shop", 1, "mona", "the last").await.unwrap();
    let all = forge.comments(&shop(), 1).await.unwrap();
    assert_eq!((all.len(), all[100].body.as_str()), (101, "the last"));
    world.forget().await;
    assert_eq!(forge.comments(&shop(), 1).await.unwrap(), all);
    assert_eq!(world.answers().await, (vec![304, 304], 0));
    world.forget().await;
    assert_eq!(forge.recent_comments(&shop()).await.unwrap().items.len(), 100);
    assert_eq!(world.answers().await.0, [200], "one page is enough");
    assert!(matches!(forge.comments(&shop(), 99).await, Err(ForgeError::NotFound(_))));
}

#[tokio::test]
async fn a_comment_whose_answer_is_lost_is_not_written_twice() {
    let (world, forge) = with_pull().await;
    for (effect, done) in [(FaultEffect::CloseBefore, 0), (FaultEffect::CloseAfter, 1)] {
        forge.comments(&shop(), 1).await.unwrap();
        world.forget().await;
        world.control.break_next("POST", COMMENTS, effect).await.unwrap();
        let error = forge.create_comment(&shop(), 1, "Hello").await.unwrap_err();
        assert!(matches!(error, ForgeError::Unknown(_)), "{error:?}");
        assert_eq!(world.requests("POST", COMMENTS).await.len(), 1, "sent once");
        assert_eq!(forge.comments(&shop(), 1).await.unwrap().len(), done);
    }
}

/// Checks an error's variant.
type Meaning = fn(&ForgeError) -> bool;

#[tokio::test]
async fn every_answer_to_a_comment_has_its_meaning() {
    let page = ResponseTemplate::new(502).set_body_string("<html>Unicorn!</html>");
    let unknown: Meaning = |error| matches!(error, ForgeError::Unknown(_));
    let say = |message: &str| json!({"message": message});
    let cases: Vec<(ResponseTemplate, Meaning)> = vec![
        (page, unknown),
        (json_answer(200, &comment_json(1)), unknown),
        (json_answer(201, &json!({"id": "what?"})), unknown),
        (json_answer(422, &say("Validation Failed")), |error| matches!(error, ForgeError::Invalid(_))),
        (json_answer(410, &say("Issues are disabled for this repo")), |error| {
            matches!(error, ForgeError::NotFound(_))
        }),
        (
            json_answer(403, &say("Resource not accessible by integration")),
            |error| matches!(error, ForgeError::Forbidden(text) if text.contains("Pull requests: write")),
        ),
    ];
    for (answer, meaning) in cases {
        let server = MockServer::start().await;
        in_turn(&server, "POST", COMMENTS, vec![answer]).await;
        let error = forge(&server).await.create_comment(&shop(), 1, "Hello").await.unwrap_err();
        assert!(meaning(&error), "{error:?}");
        assert_eq!(bodies(&server, "POST").await, [json!({"body": "Hello"})], "sent once");
    }
}

#[tokio::test]
async fn of_edits_waiting_for_one_comment_the_newest_is_sent() {
    let (world, forge) = with_pull().await;
    let one = forge.create_comment(&shop(), 1, "one").await.unwrap().id;
    let two = forge.create_comment(&shop(), 1, "two").await.unwrap().id;
    world.forget().await;
    let at = format!("/repos/acme/shop/issues/comments/{one}");
    world.control.break_next("PATCH", &at, FaultEffect::DelayMs(1_000)).await.unwrap();
    let edit = |id: i64, body: &'static str| {
        let forge = Arc::clone(&forge);
        tokio::spawn(async move { forge.edit_comment(&shop(), id, body).await })
    };
    let mut tasks = vec![edit(one, "one, being sent")];
    while world.requests("PATCH", &at).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for (id, body) in [(one, "one, old"), (two, "two, edited"), (one, "one, older"), (one, "one, newest")] {
        tasks.push(edit(id, body));
        tokio::task::yield_now().await;
    }
    let outcomes: Vec<_> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    let superseded = || Err(ForgeError::Superseded);
    assert_eq!(outcomes, [Ok(()), superseded(), Ok(()), superseded(), Ok(())]);
    assert_eq!(world.requests("PATCH", "/repos/acme/shop/issues/comments/*").await.len(), 3);
    let bodies: Vec<String> =
        forge.comments(&shop(), 1).await.unwrap().into_iter().map(|one| one.body).collect();
    assert_eq!(bodies, ["one, newest", "two, edited"]);
}

#[tokio::test]
async fn a_comment_that_somebody_changed_is_set_right_again() {
    let (world, forge) = with_pull().await;
    let id = forge.create_comment(&shop(), 1, "Ready").await.unwrap().id;
    world.forget().await;
    for _ in 0..2 {
        forge.edit_comment(&shop(), id, "Ready").await.unwrap();
    }
    assert_eq!(world.requests("PATCH", "*").await.len(), 2, "only GitHub knows what it shows");
    let gone = forge.edit_comment(&shop(), id + 1000, "Ready").await;
    assert!(matches!(gone, Err(ForgeError::NotFound(_))), "{gone:?}");
    let gone = forge.react(&shop(), id + 1000, Emoji::Confused).await;
    assert!(matches!(gone, Err(ForgeError::NotFound(_))), "{gone:?}");
}

#[tokio::test]
async fn a_limit_turns_a_comment_away_and_it_is_written_once() {
    let (world, forge) = with_pull().await;
    let limits = Limits { content_per_minute: 1, retry_after: Some(1), ..Limits::default() };
    world.control.set_limits(limits).await.unwrap();
    forge.create_comment(&shop(), 1, "first").await.unwrap();
    let waiting = async {
        while world.requests("POST", COMMENTS).await.iter().all(|request| request.status != 403) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        world.control.set_limits(Limits::default()).await.unwrap();
    };
    let (repository, second) = (shop(), "second");
    let (made, ()) = futures::join!(forge.create_comment(&repository, 1, second), waiting);
    assert_eq!(made.unwrap().body, "second");
    assert_eq!(world.control.comments("acme/shop", 1).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_may_not_be_written_names_the_permission() {
    let (world, forge) = World::lacking("issues").await;
    world.control.push("acme/shop", "feature").await.unwrap();
    world.control.open_pull_request("acme/shop", "feature").await.unwrap();
    let made = forge.create_comment(&shop(), 1, "Pull requests: write is enough").await.unwrap();
    forge.edit_comment(&shop(), made.id, "for this too").await.unwrap();
    let error = forge.react(&shop(), made.id, Emoji::Eyes).await.unwrap_err();
    assert!(
        matches!(error, ForgeError::Forbidden(_)) && error.to_string().contains("Issues: write"),
        "{error}"
    );
}
