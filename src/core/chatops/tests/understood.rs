use proptest::prelude::*;

use super::super::*;

fn comment(text: &str) -> Result<Command, CommandError> {
    parse(text, Channel::Comment).map(|said| said.command)
}

fn environment(name: &str) -> String {
    name.to_owned()
}

fn parameter(name: &str, value: &str) -> Parameter {
    Parameter { name: name.to_owned(), value: value.to_owned() }
}

#[test]
fn each_command_of_a_comment_is_understood() {
    for (text, command) in [
        (
            "/deploy staging",
            Command::Deploy { environment: environment("staging"), parameters: vec![], force: false },
        ),
        (
            "/DEPLOY  staging  tag=a=b empty= --force ",
            Command::Deploy {
                environment: environment("staging"),
                parameters: vec![parameter("tag", "a=b"), parameter("empty", "")],
                force: true,
            },
        ),
        ("/promote production", Command::Promote { environment: environment("production") }),
        ("/preview", Command::Preview { action: PreviewAction::Start }),
        (
            "/lock staging release   freeze",
            Command::Lock { environment: environment("staging"), reason: "release freeze".to_owned() },
        ),
        ("/unlock staging", Command::Unlock { environment: environment("staging") }),
        ("/approve production", Command::Approve { environment: environment("production") }),
        ("/where", Command::Where),
        ("/help me please", Command::Help),
    ] {
        let said = parse(text, Channel::Comment).expect(text);
        assert_eq!(said, Said { command, repository: None, reference: None }, "{text}");
    }
}

#[test]
fn what_keyboards_make_of_dashes_and_quotes_is_understood() {
    let deploy = Command::Deploy {
        environment: environment("staging"),
        parameters: vec![parameter("message", "hello world")],
        force: true,
    };
    for text in [
        "/deploy staging message=\"hello world\" --force",
        "/deploy staging \u{2014}force message=\u{201c}hello world\u{201d}",
        "/deploy staging \u{2013}force message=\u{2018}hello world\u{2019}",
    ] {
        assert_eq!(comment(text).as_ref(), Ok(&deploy), "{text}");
        let slack = text.replace("/deploy staging", "acme/shop to staging");
        assert_eq!(parse(&slack, Channel::Slack).unwrap().command, deploy, "{slack}");
    }
    let locked =
        Command::Lock { environment: environment("staging"), reason: "we\u{2019}re moving".to_owned() };
    assert_eq!(comment("/lock staging \u{201c}we\u{2019}re  moving\u{201d}"), Ok(locked));
    let error = comment("/deploy staging message=\u{201c}hello world").unwrap_err();
    assert_eq!(error.reason, "CommandInvalid");
    assert!(error.message.contains("message=\u{201c}hello is not closed"), "{}", error.message);
    assert!(
        comment("/deploy staging \u{2014}farce")
            .unwrap_err()
            .message
            .contains("neither name=value nor --force")
    );
}

#[test]
fn each_command_from_slack_is_understood() {
    let deploy = |force| Command::Deploy { environment: environment("staging"), parameters: vec![], force };
    for (text, command, repository, reference) in [
        ("acme/shop to staging", deploy(false), Some("acme/shop"), None),
        ("acme/shop@fix/login to staging --force", deploy(true), Some("acme/shop"), Some("fix/login")),
        ("deploy acme/shop@v1.2 TO staging", deploy(false), Some("acme/shop"), Some("v1.2")),
        ("where acme/shop", Command::Where, Some("acme/shop"), None),
        (
            "lock acme/shop staging we &lt;3 it &amp;amp; more",
            Command::Lock { environment: environment("staging"), reason: "we <3 it &amp; more".to_owned() },
            Some("acme/shop"),
            None,
        ),
        (
            "unlock acme/shop staging",
            Command::Unlock { environment: environment("staging") },
            Some("acme/shop"),
            None,
        ),
        (
            "approve acme/shop@main production",
            Command::Approve { environment: environment("production") },
            Some("acme/shop"),
            Some("main"),
        ),
        ("Help", Command::Help, None, None),
        ("  ", Command::Help, None, None),
    ] {
        let wanted = Said {
            command,
            repository: repository.map(|name| name.parse().unwrap()),
            reference: reference.map(str::to_owned),
        };
        assert_eq!(parse(text, Channel::Slack), Ok(wanted), "{text}");
    }
}

#[test]
fn invalid_command_is_answered_with_its_usage() {
    for (text, reason, message, usage) in [
        ("/deply staging", "CommandUnknown", "did you mean deploy?", DEPLOY.comment),
        ("/aprove x", "CommandUnknown", "did you mean approve?", APPROVE.comment),
        ("/frobnicate", "CommandUnknown", "there are deploy, promote, preview, lock", HELP.comment),
        ("hello", "CommandUnknown", "there is no command \"hello\"", HELP.comment),
        ("/deploy", "CommandInvalid", "an environment is missing", DEPLOY.comment),
        (
            "/deploy staging now",
            "CommandInvalid",
            "\"now\" is neither name=value nor --force",
            DEPLOY.comment,
        ),
        ("/deploy staging --Force", "CommandInvalid", "\"--Force\" is neither", DEPLOY.comment),
        ("/deploy staging 1a=b", "CommandInvalid", "not a parameter name", DEPLOY.comment),
        ("/deploy staging =b", "CommandInvalid", "not a parameter name", DEPLOY.comment),
        ("/deploy staging a=1 a=2", "CommandInvalid", "a is given twice", DEPLOY.comment),
        ("/lock staging", "CommandInvalid", "a reason is missing", LOCK.comment),
        ("/unlock staging please", "CommandInvalid", "unexpected argument \"please\"", UNLOCK.comment),
        ("/preview stop", "CommandInvalid", "unexpected argument \"stop\"", PREVIEW.comment),
    ] {
        let error = comment(text).expect_err(text);
        assert_eq!((error.reason, error.usage), (reason, usage), "{text}");
        assert!(error.message.contains(message), "{text}: {}", error.message);
    }
    for (text, message, usage) in [
        ("acme/shop staging", "\"to\" and an environment are missing", DEPLOY.slack),
        ("acme/shop to", "an environment is missing", DEPLOY.slack),
        ("acme/shop/x to staging", "is not a repository", DEPLOY.slack),
        ("acme/sh?op to staging", "is not a repository", DEPLOY.slack),
        ("acme/shop@ to staging", "after @", DEPLOY.slack),
        ("acme/shop@a..b to staging", "after @", DEPLOY.slack),
        ("acme/shop@-x to staging", "after @", DEPLOY.slack),
        ("lock acme/shop@main staging x", "takes no @ref", LOCK.slack),
        ("where", "is not a repository", WHERE.slack),
        ("promote acme/shop production", "there is no command \"promote\"", HELP.slack),
        ("lok acme/shop staging x", "did you mean lock?", LOCK.slack),
    ] {
        let error = parse(text, Channel::Slack).expect_err(text);
        assert!(error.message.contains(message), "{text}: {}", error.message);
        assert_eq!(error.usage, usage, "{text}");
    }
    let cut = comment(&format!("/lock staging {}…", "x".repeat(985))).expect_err("too long");
    assert!(cut.message.contains("too long"), "{}", cut.message);
    let many = (0..51).map(|i| format!("p{i}=x")).collect::<Vec<_>>().join(" ");
    assert!(
        comment(&format!("/deploy staging {many}")).expect_err("too many").message.contains("50 parameters")
    );
}

proptest! {
    #[test]
    fn any_text_is_a_command_or_an_error(text in "\\PC{0,80}|/?(deploy|lock|where|preview) [ -~]{0,40}") {
        for channel in [Channel::Comment, Channel::Slack] {
            if let Err(error) = parse(&text, channel) {
                prop_assert!(!error.message.is_empty());
            }
        }
    }
}
