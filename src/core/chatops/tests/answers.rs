use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::super::escape::APART;
use super::super::*;
use crate::api::Lock;
use crate::core::forge::RepositoryRole;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";
const HOSTILE: &str = "@everyone #1 <!channel> <@U1> [x](https://evil.example) ![i](http://evil.example/i) | `x`\n\n# h\n<!-- -->";

fn markdown(text: &str) -> Vec<Event<'_>> {
    let options = Options::all() - Options::ENABLE_SMART_PUNCTUATION - Options::ENABLE_WIKILINKS;
    Parser::new_ext(text, options).collect()
}

fn shown(text: &str) -> String {
    markdown(text)
        .iter()
        .filter_map(|event| match event {
            Event::Text(text) | Event::Code(text) => Some(text.as_ref()),
            _ => None,
        })
        .collect()
}

/// Returns whether the rendered text contains a mention, a reference or an address.
fn leads_somewhere(text: &str) -> bool {
    let mut pairs = text.chars().zip(text.chars().skip(1));
    let lower = text.to_lowercase();
    pairs.any(|(one, next)| matches!(one, '@' | '#') && next != APART)
        || lower.contains("://")
        || lower.contains("www.")
        || lower.contains("gh-")
}

fn lock() -> Lock {
    Lock {
        environment: "staging".to_owned(),
        by: "@grace".to_owned(),
        reason: HOSTILE.to_owned(),
        lock_time: Some(
            "2026-01-05T10:00:00Z".parse().map(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time).unwrap(),
        ),
    }
}

#[test]
fn answers_read_like_this() {
    let unknown = parse("/deply x", Channel::Comment).unwrap_err();
    let lock = Lock { by: "grace".to_owned(), reason: "freeze".to_owned(), ..lock() };
    for (answer, comment, slack) in [
        (
            Reply::Accepted { environment: "staging", sha: SHA },
            "`0123456` is requested for `staging`.",
            "`0123456` is requested for `staging`.",
        ),
        (
            Reply::Waiting { environment: "staging", sha: SHA, what: "1 of 2 approvals" },
            "`0123456` is not in `staging` yet: 1 of 2 approvals",
            "`0123456` is not in `staging` yet: 1 of 2 approvals",
        ),
        (
            Reply::Deployed {
                environment: "staging",
                sha: SHA,
                url: Some("https://staging.example/?a=1&b=2"),
            },
            "`0123456` is live in `staging`: <https://staging.example/?a=1&b=2>",
            "`0123456` is live in `staging`: <https://staging.example/?a=1&amp;b=2>",
        ),
        (
            Reply::Failed { environment: "staging", sha: SHA, cause: "web, OOMKilled" },
            "`0123456` was not deployed to `staging`: web, OOMKilled",
            "`0123456` was not deployed to `staging`: web, OOMKilled",
        ),
        (
            Reply::NotPermitted { login: "eve", needed: RepositoryRole::Maintain },
            "eve may not give this command: it requires the role maintain or a higher one.",
            "eve may not give this command: it requires the role maintain or a higher one.",
        ),
        (
            Reply::NotUnderstood(&unknown),
            "there is no command \"deply\": did you mean deploy?\n\n`/deploy <environment> [name=value …] [--force]`",
            "there is no command \"deply\": did you mean deploy?\n\n`/deploy &lt;environment&gt; [name=value …] [--force]`",
        ),
        (
            Reply::Locked { environment: "staging", lock: &lock },
            "`staging` is locked by grace since 2026-01-05 10:00 UTC: freeze",
            "`staging` is locked by grace since 2026-01-05 10:00 UTC: freeze",
        ),
        (
            Reply::Unlocked { environment: "staging", by: "ada" },
            "`staging` was unlocked by ada.",
            "`staging` was unlocked by ada.",
        ),
        (
            Reply::Approved { environment: "staging", sha: SHA, by: "ada" },
            "ada approved `0123456` for `staging`.",
            "ada approved `0123456` for `staging`.",
        ),
        (
            Reply::NotApproved {
                environment: "staging",
                sha: SHA,
                cause: "its request timed out: check ci_test",
            },
            "`0123456` was not approved for `staging`: its request timed out: check ci_test",
            "`0123456` was not approved for `staging`: its request timed out: check ci\u{200b}_\u{200b}test",
        ),
        (
            Reply::NotApproved {
                environment: "staging",
                sha: "",
                cause: "no deployment of this commit is waiting",
            },
            "Nothing was approved for `staging`: no deployment of this commit is waiting",
            "Nothing was approved for `staging`: no deployment of this commit is waiting",
        ),
    ] {
        assert_eq!(
            reply(&answer, Channel::Comment, "u-1"),
            format!("{comment}\n\n<!-- matinee:command:u-1 -->\n")
        );
        assert_eq!(reply(&answer, Channel::Slack, "u-1"), slack);
    }
}

#[test]
fn where_lists_the_commit_of_each_environment() {
    let lock = Lock { by: "grace".to_owned(), reason: "freeze | all".to_owned(), ..lock() };
    let rows = [
        Row {
            environment: "staging",
            sha: Some(SHA),
            state: "live",
            url: Some("https://staging.example"),
            since: Some("2026-01-05T10:00:00Z".parse().unwrap()),
            lock: Some(&lock),
            waiting: Some("89abcde waits"),
        },
        Row {
            environment: "production",
            sha: None,
            state: "empty",
            url: None,
            since: None,
            lock: None,
            waiting: None,
        },
    ];
    assert_eq!(
        reply(&Reply::Where(&rows), Channel::Slack, ""),
        "`staging`: `0123456`, live <https://staging.example>, since 2026-01-05 10:00 UTC, locked by grace since 2026-01-05 10:00 UTC: \
         freeze | all; 89abcde waits\n`production`: empty"
    );
    let comment = reply(&Reply::Where(&rows), Channel::Comment, "u");
    let events = markdown(&comment);
    let count = |tag: &TagEnd| events.iter().filter(|event| **event == Event::End(*tag)).count();
    assert_eq!((count(&TagEnd::TableRow), count(&TagEnd::TableCell)), (2, 15), "{comment}");
    assert!(shown(&comment).contains("freeze | all; 89abcde waits"), "{comment}");
}

#[test]
fn help_tells_only_what_can_be_said_in_its_place() {
    let help = |channel| reply(&Reply::Help(&["staging", "production"]), channel, "u");
    assert!(help(Channel::Comment).contains("- `/promote <environment>` deploys"));
    assert!(help(Channel::Comment).contains("Environments: `staging`, `production`"));
    assert!(help(Channel::Slack).contains("• `where owner/repo` lists"));
    assert!(!help(Channel::Slack).contains("promote"));
}

#[test]
fn no_answer_is_longer_than_a_status_may_be() {
    let lock = Lock { reason: "*".repeat(500), ..lock() };
    let row = Row {
        environment: "an-environment-of-20",
        sha: Some(SHA),
        state: "failed",
        url: Some("https://an-environment-of-20.shop.preview.example.com"),
        since: Some("2026-01-05T10:00:00Z".parse().unwrap()),
        lock: Some(&lock),
        waiting: Some(&lock.reason),
    };
    let error = CommandError { reason: "CommandUnknown", message: "*".repeat(2_000), usage: DEPLOY.comment };
    let names = ["an-environment-of-20"; 20];
    for channel in [Channel::Comment, Channel::Slack] {
        for answer in [
            Reply::Where(&[row; 20]),
            Reply::NotUnderstood(&error),
            Reply::Locked { environment: "staging", lock: &lock },
            Reply::Help(&names),
        ] {
            let text = reply(&answer, channel, "1b4e28ba-2fa1-11d2-883f-0016d3cca427");
            assert!(text.chars().count() <= 4_096, "{answer:?}: {}", text.chars().count());
        }
        assert!(reply(&Reply::Where(&[row; 20]), channel, "u").contains(" more"));
    }
}

#[test]
fn a_url_that_is_none_is_only_text() {
    for url in
        ["javascript:alert(1)", "https://x.example/ <!channel>", "https://x.example|@ada", "http://x\u{202e}"]
    {
        let answer = Reply::Deployed { environment: "staging", sha: SHA, url: Some(url) };
        let comment = reply(&answer, Channel::Comment, "u");
        assert!(
            !markdown(&comment).iter().any(|event| matches!(event, Event::Start(Tag::Link { .. }))),
            "{comment}"
        );
        assert!(!reply(&answer, Channel::Slack, "u").contains('<'), "{url}");
    }
}

#[test]
fn only_what_would_have_a_meaning_is_escaped() {
    for plain in [
        "checks not finished in time: ci/build (failure), e2e_tests; see a-b.c + d = e!",
        "spec.environments[staging]: x -> y & z {1} (2) #",
    ] {
        let escaped = escape_markdown(plain).replace(APART, "");
        assert_eq!(escaped.replace("\\[", "["), plain);
    }
    for (text, escaped) in [
        ("- a - b", "\\- a - b"),
        ("1. a 1.", "1\\. a 1."),
        ("> a", "\\> a"),
        ("&lt;", "\\&lt;"),
        ("_a_b_", "\\_a_b\\_"),
    ] {
        assert_eq!(escape_markdown(text), escaped);
    }
}

#[test]
fn a_marker_ends_where_it_should() {
    assert_eq!(marker("a-1 --><b>"), "<!-- matinee:command:a-1--b -->");
}

fn hostile() -> impl Strategy<Value = String> {
    "([ -~]|\\PC|\n|\r|@ada|#1|GH-1|www\\.x\\.com|https://x\\.example|mailto:a@b\\.c|<!--|-->|\\*\\*|~~|``|<b>|\\|\\[x\\]\\(y\\)|&lt;|&#64;|\u{202e}){0,40}"
}

proptest! {
    #[test]
    fn escaped_markdown_is_plain_text(text in hostile()) {
        for whole in [escape_markdown(&text), format!("locked by {}", escape_markdown(&text))] {
            for event in markdown(&whole) {
                prop_assert!(
                    matches!(event, Event::Text(_) | Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph)),
                    "{whole:?}: {event:?}"
                );
            }
            prop_assert!(!leads_somewhere(&shown(&whole)), "{whole:?}");
        }
    }

    #[test]
    fn escaped_markdown_renders_unchanged(text in "[ -~é]{0,40}") {
        let said = shown(&escape_markdown(&text)).replace(APART, "");
        prop_assert_eq!(said, text.split_whitespace().collect::<Vec<_>>().join(" "));
    }

    #[test]
    fn escaped_mrkdwn_is_plain_text(text in hostile()) {
        let escaped = escape_mrkdwn(&text);
        prop_assert!(!escaped.contains(['<', '>', '\n', '\r']));
        let bare = escaped.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
        prop_assert!(!bare.contains('&'), "{escaped:?}");
        prop_assert!(!leads_somewhere(&escaped), "{escaped:?}");
        for c in ['*', '_', '~', '`'] {
            prop_assert_eq!(escaped.matches(c).count(), escaped.matches(&format!("{APART}{c}{APART}")).count());
        }
    }

    #[test]
    fn escaped_mrkdwn_renders_unchanged(text in "[ -~é]{0,40}") {
        let said = escape_mrkdwn(&text).replace(APART, "").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        prop_assert_eq!(said, text.split_whitespace().collect::<Vec<_>>().join(" "));
    }

    #[test]
    fn no_answer_lets_anything_out(text in hostile()) {
        let lock = Lock { environment: "staging".to_owned(), by: text.clone(), reason: text.clone(), lock_time: None };
        let error = CommandError { reason: "CommandUnknown", message: text.clone(), usage: None };
        let row = Row {
            environment: "staging", sha: Some(&text), state: &text, url: None, since: None, lock: Some(&lock), waiting: Some(&text),
        };
        for answer in [
            Reply::Waiting { environment: "staging", sha: SHA, what: &text },
            Reply::Failed { environment: &text, sha: SHA, cause: &text },
            Reply::NotPermitted { login: &text, needed: RepositoryRole::Write },
            Reply::NotUnderstood(&error),
            Reply::Locked { environment: "staging", lock: &lock },
            Reply::Where(&[row]),
        ] {
            let comment = reply(&answer, Channel::Comment, "u");
            for event in markdown(&comment) {
                let text_only = match &event {
                    Event::Html(html) => html.trim() == marker("u"),
                    Event::Start(tag) => matches!(tag, Tag::HtmlBlock | Tag::Paragraph | Tag::Table(_) | Tag::TableHead | Tag::TableRow | Tag::TableCell),
                    Event::End(_) | Event::Text(_) | Event::Code(_) => true,
                    _ => false,
                };
                prop_assert!(text_only, "{comment:?}: {event:?}");
            }
            prop_assert!(!reply(&answer, Channel::Slack, "u").contains(['<', '>']));
        }
    }
}
