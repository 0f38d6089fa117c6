//! Parses the text of a command.

use super::lines::MAX_LINE;
use super::{
    APPROVE, Channel, Command, CommandError, DEPLOY, HELP, LOCK, PREVIEW, PROMOTE, PreviewAction, Said,
    UNLOCK, WHERE, WORDS, Word, quotes,
};
use crate::api::Parameter;
use crate::core::forge::RepositoryName;
use crate::core::truncate::cut;

/// Most characters of a lock's reason, as in the schema.
const MAX_REASON: usize = 500;
/// Most parameters, and most bytes of a parameter's name, as in the schema.
const MAX_PARAMETERS: usize = 50;
const MAX_NAME: usize = 63;

/// Parses a command. The case of the command word is ignored. In Slack, `text` is what follows the
/// slash command.
///
/// # Errors
/// `CommandUnknown`, with the most similar command; `CommandInvalid`, with the command's syntax.
pub fn parse(text: &str, channel: Channel) -> Result<Said, CommandError> {
    if text.chars().count() >= MAX_LINE {
        let message = format!("the command is too long: it may have {} characters", MAX_LINE - 1);
        return Err(CommandError { reason: "CommandInvalid", message, usage: None });
    }
    match channel {
        Channel::Comment => {
            let Some((word, mut rest)) = text.trim().strip_prefix('/').map(first) else {
                return Err(unknown(text, channel));
            };
            let command = command(word, &mut rest, channel)?;
            Ok(Said { command, repository: None, reference: None })
        }
        Channel::Slack => slack(&unescape(text)),
    }
}

/// Replaces the three entities that Slack writes by their characters.
/// <https://docs.slack.dev/messaging/formatting-message-text#escaping>
fn unescape(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

fn slack(text: &str) -> Result<Said, CommandError> {
    let (word, mut rest) = first(text.trim());
    let channel = Channel::Slack;
    if word.is_empty() || is(HELP.name, word) {
        let command = command(HELP.name, &mut rest, channel)?;
        return Ok(Said { command, repository: None, reference: None });
    }
    // `owner/repo to staging` begins with the repository. `deploy owner/repo to staging` is
    // accepted too.
    let verbless = word.contains('/');
    if !verbless && !WORDS.iter().any(|known| is(known.name, word) && known.slack.is_some()) {
        return Err(unknown(word, channel));
    }
    let (verb, target) = if verbless {
        (DEPLOY.name, word)
    } else {
        let (target, after) = first(rest);
        rest = after;
        (word, target)
    };
    let usage =
        WORDS.iter().find(|known| is(known.name, verb)).and_then(|known| known.slack).unwrap_or_default();
    let (repository, reference) = match target.split_once('@') {
        Some((repository, reference)) => (repository, Some(reference)),
        None => (target, None),
    };
    let name =
        |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'));
    let repository: RepositoryName =
        repository.parse().ok().filter(|_| name(repository)).ok_or_else(|| {
            CommandError::invalid(
                usage,
                format!("\"{repository}\" is not a repository: write it as owner/name"),
            )
        })?;
    if reference.is_some_and(|reference| !is_reference(reference)) {
        return Err(CommandError::invalid(usage, "write a branch, a tag or a commit after @".to_owned()));
    }
    if reference.is_some() && !usage.contains("@ref") {
        return Err(CommandError::invalid(usage, "this command takes no @ref".to_owned()));
    }
    if is(DEPLOY.name, verb) {
        let (to, after) = first(rest);
        if !is("to", to) {
            return Err(CommandError::invalid(usage, "\"to\" and an environment are missing".to_owned()));
        }
        rest = after;
    }
    let command = command(verb, &mut rest, channel)?;
    Ok(Said { command, repository: Some(repository), reference: reference.map(str::to_owned) })
}

/// Returns whether a text could be the name of a ref on GitHub, by the characters that a ref must
/// not contain. <https://git-scm.com/docs/git-check-ref-format>
fn is_reference(text: &str) -> bool {
    let bad = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    !text.is_empty()
        && text.len() <= 255
        && !text.contains(bad)
        && !text.contains("..")
        && !text.starts_with(['-', '/'])
}

/// Returns the command of a word, and takes its arguments from the rest of the text.
fn command(word: &str, rest: &mut &str, channel: Channel) -> Result<Command, CommandError> {
    let known = WORDS
        .iter()
        .find(|known| is(known.name, word))
        .and_then(|known| Some((known.name, known.usage(channel)?)));
    let Some((name, usage)) = known else { return Err(unknown(word, channel)) };
    let mut environment = || {
        let (environment, after) = first(rest);
        *rest = after;
        if environment.is_empty() {
            return Err(CommandError::invalid(usage, "an environment is missing".to_owned()));
        }
        Ok(environment.to_owned())
    };
    let command = if name == DEPLOY.name {
        let environment = environment()?;
        let (parameters, force) = parameters(rest, usage)?;
        *rest = "";
        Command::Deploy { environment, parameters, force }
    } else if name == LOCK.name {
        let environment = environment()?;
        let reason = rest.split_whitespace().collect::<Vec<_>>().join(" ");
        *rest = "";
        if reason.is_empty() {
            return Err(CommandError::invalid(
                usage,
                "a reason is missing: Matinee shows it to others".to_owned(),
            ));
        }
        Command::Lock { environment, reason: cut(quotes::unquoted(&reason), MAX_REASON) }
    } else if name == PROMOTE.name {
        Command::Promote { environment: environment()? }
    } else if name == UNLOCK.name {
        Command::Unlock { environment: environment()? }
    } else if name == APPROVE.name {
        Command::Approve { environment: environment()? }
    } else if name == PREVIEW.name {
        Command::Preview { action: PreviewAction::Start }
    } else if name == WHERE.name {
        Command::Where
    } else {
        Command::Help
    };
    // `help` ignores everything that follows it.
    match rest.split_whitespace().next() {
        Some(surplus) if command != Command::Help => {
            Err(CommandError::invalid(usage, format!("unexpected argument \"{surplus}\"")))
        }
        _ => Ok(command),
    }
}

fn parameters(rest: &str, usage: &'static str) -> Result<(Vec<Parameter>, bool), CommandError> {
    let (mut parameters, mut force) = (Vec::<Parameter>::new(), false);
    let invalid = |message: String| CommandError::invalid(usage, message);
    let words = quotes::words(rest).map_err(|word| {
        invalid(format!("the quote of {word} is not closed: a value in quotes ends with one"))
    })?;
    for word in &words {
        if quotes::flag(word) == Some("force") {
            force = true;
            continue;
        }
        let (name, value) = word
            .split_once('=')
            .ok_or_else(|| invalid(format!("\"{word}\" is neither name=value nor --force")))?;
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts || name.len() > MAX_NAME || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(invalid(format!(
                "\"{name}\" is not a parameter name: use letters, digits and _, and no digit at the beginning"
            )));
        }
        if parameters.iter().any(|given| given.name == name) {
            return Err(invalid(format!("{name} is given twice")));
        }
        parameters.push(Parameter { name: name.to_owned(), value: value.to_owned() });
    }
    if parameters.len() > MAX_PARAMETERS {
        return Err(CommandError::invalid(usage, format!("more than {MAX_PARAMETERS} parameters")));
    }
    Ok((parameters, force))
}

fn unknown(word: &str, channel: Channel) -> CommandError {
    let word = word.split_whitespace().next().unwrap_or_default().trim_start_matches('/').to_lowercase();
    let there = || WORDS.iter().filter(|known| known.usage(channel).is_some());
    // A word is similar when at most half of its letters differ.
    let nearest: Option<&Word> = there()
        .map(|known| (strsim::damerau_levenshtein(known.name, &word), known))
        .filter(|(distance, known)| distance * 2 <= known.name.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known);
    let message = match nearest {
        Some(known) => format!("there is no command \"{word}\": did you mean {}?", known.name),
        None => format!(
            "there is no command \"{word}\"; there are {}",
            there().map(|known| known.name).collect::<Vec<_>>().join(", ")
        ),
    };
    CommandError { reason: "CommandUnknown", message, usage: nearest.unwrap_or(&HELP).usage(channel) }
}

fn first(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_once(char::is_whitespace).unwrap_or((text, ""))
}

fn is(word: &str, written: &str) -> bool {
    word.eq_ignore_ascii_case(written)
}
