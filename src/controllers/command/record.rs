//! Records the result of a reconcile in the command's status, and reads it from there.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{CommandContext, CommandOutcome, CommandScope, CommandState, answer};
use crate::api::{self, ConditionStatus, DeploymentCommandStatus, LocalReference, find_condition};
use crate::core::chatops::CommandError;
use crate::core::conditions::{self, Summary};
use crate::core::forge::Emoji;
use crate::core::mistake::Mistake;
use crate::runtime::failure::Failure;
use crate::runtime::publisher::WriteProgress;
use crate::runtime::write;

/// Condition: the text is a command, and its arguments exist.
pub(super) const UNDERSTOOD: &str = "Understood";
/// Condition: the commander is permitted to give it.
const AUTHORIZED: &str = "Authorized";
/// Condition: the command was executed.
const EXECUTED: &str = "Executed";
/// Condition: the command is answered where it was given.
const ANSWERED: &str = "Answered";
/// Conditions of the steps, in their order.
pub(in crate::controllers) const STAGES: [&str; 3] = [UNDERSTOOD, AUTHORIZED, EXECUTED];
/// All conditions, in their order.
pub(in crate::controllers) const CONDITIONS: [&str; 7] = [
    conditions::READY,
    conditions::RECONCILING,
    conditions::STALLED,
    UNDERSTOOD,
    AUTHORIZED,
    EXECUTED,
    ANSWERED,
];

/// Reports on the command itself what prevents it.
pub(super) async fn stall(
    command: &api::DeploymentCommand,
    mistake: &Mistake,
    context: &CommandContext,
) -> Result<(), Failure> {
    let now = context.common.clock.now();
    let generation = command.metadata.generation.unwrap_or_default();
    let before = command.status.as_ref();
    let mut list = before.map(|status| status.conditions.clone()).unwrap_or_default();
    conditions::initialize(&mut list, &CONDITIONS, generation, now);
    let summary = Summary::Stalled { reason: mistake.reason.to_string(), message: mistake.message.clone() };
    conditions::summarize(&mut list, &summary, generation, now);
    let status = DeploymentCommandStatus {
        observed_generation: generation,
        conditions: list,
        request_ref: before.and_then(|status| status.request_ref.clone()),
        reply: before.and_then(|status| status.reply.clone()),
        answer: before.and_then(|status| status.answer.clone()),
    };
    write_status(command, before, &status, context).await
}

/// Whether the command has ended and was answered.
pub(super) fn is_over(status: &DeploymentCommandStatus) -> bool {
    decided(status).is_some() && unanswered(status).is_none()
}

/// Whether the command has ended. The answer may still be missing.
pub(in crate::controllers) fn is_decided(command: &api::DeploymentCommand) -> bool {
    command.status.as_ref().is_some_and(|status| decided(status).is_some())
}

/// Returns the reaction to a command that has ended, whether or not it was answered.
pub(super) fn decided(status: &DeploymentCommandStatus) -> Option<Emoji> {
    let verdict =
        |kind: &str| find_condition(&status.conditions, kind).map_or("Unknown", |found| &found.status);
    match (verdict(UNDERSTOOD), verdict(AUTHORIZED), verdict(EXECUTED)) {
        ("False", ..) => Some(Emoji::Confused),
        (_, "False", _) | (_, _, "False") => Some(Emoji::MinusOne),
        (_, _, "True") => Some(Emoji::PlusOne),
        _ => None,
    }
}

/// Returns the answer that hasn't been sent yet.
pub(super) fn unanswered(status: &DeploymentCommandStatus) -> Option<&str> {
    let answered = find_condition(&status.conditions, ANSWERED).is_some_and(|found| found.status == "True");
    status.answer.as_deref().filter(|_| !answered)
}

/// Writes the result of a reconcile into the status, with the text of the answer.
pub(super) async fn outcome(
    scope: &CommandScope<'_>,
    outcome: &CommandOutcome,
) -> Result<DeploymentCommandStatus, Failure> {
    use ConditionStatus::{False, True, Unknown};

    let (command, context) = (scope.command, scope.context);
    let now = context.common.clock.now();
    let generation = command.metadata.generation.unwrap_or_default();
    let before = command.status.as_ref();
    let mut list: Vec<Condition> = before.map(|status| status.conditions.clone()).unwrap_or_default();
    conditions::initialize(&mut list, &CONDITIONS, generation, now);
    let mut set = |kind, verdict, reason: &str, message: &str| {
        conditions::set(&mut list, kind, verdict, reason, message, generation, now);
    };
    if let CommandState::NotUnderstood(CommandError { reason, message, .. }) = &outcome.state {
        set(UNDERSTOOD, False, reason, message);
    } else {
        set(UNDERSTOOD, True, "Understood", "");
        let login = &scope.command.spec.login;
        match &outcome.state {
            CommandState::NotPermitted => {
                set(
                    AUTHORIZED,
                    False,
                    "NotPermitted",
                    &format!("{login} lacks the role that the command requires"),
                );
            }
            _ => set(AUTHORIZED, True, "Permitted", ""),
        }
    }
    let summary = match &outcome.state {
        CommandState::NotUnderstood(CommandError { reason, message, .. }) => {
            Summary::Stalled { reason: (*reason).to_owned(), message: message.clone() }
        }
        CommandState::NotPermitted => {
            Summary::Stalled { reason: "NotPermitted".to_owned(), message: String::new() }
        }
        CommandState::UnderWay => {
            set(EXECUTED, Unknown, "UnderWay", "");
            Summary::Reconciling { reason: "UnderWay".to_owned(), message: String::new() }
        }
        CommandState::Done => {
            set(EXECUTED, True, "Done", "");
            Summary::Ready { reason: "Done".to_owned(), message: String::new() }
        }
        CommandState::Failing(reason, message) => {
            set(EXECUTED, Unknown, reason, message);
            Summary::Reconciling { reason: reason.clone(), message: message.clone() }
        }
        CommandState::Failed(reason, message) => {
            set(EXECUTED, False, reason, message);
            Summary::Stalled { reason: reason.clone(), message: message.clone() }
        }
    };
    let mut answer = before.and_then(|status| status.answer.clone());
    if outcome.answer.is_some() && answer != outcome.answer {
        answer.clone_from(&outcome.answer);
        set(ANSWERED, Unknown, "Answering", "");
    }
    conditions::summarize(&mut list, &summary, generation, now);
    let request_ref = outcome
        .request
        .clone()
        .map(|name| LocalReference { name })
        .or_else(|| before.and_then(|status| status.request_ref.clone()));
    let reply = before.and_then(|status| status.reply.clone());
    let status = DeploymentCommandStatus {
        observed_generation: generation,
        conditions: list,
        request_ref,
        reply,
        answer,
    };
    write_status(command, before, &status, context).await?;
    Ok(status)
}

/// Records the result of an answer that has ended, if there is one. Returns the new status. `emoji`
/// is the reaction that the answer should have now.
pub(super) async fn answer_result(
    scope: &CommandScope<'_>,
    before: DeploymentCommandStatus,
    emoji: Option<Emoji>,
) -> Result<DeploymentCommandStatus, Failure> {
    let answers = &scope.context.publisher.answers;
    let WriteProgress::Finished { about, result } = answers.progress(scope.command) else {
        return Ok(before);
    };
    let mut after = before.clone();
    let generation = scope.command.metadata.generation.unwrap_or_default();
    let now = scope.context.common.clock.now();
    let mut set = |verdict, reason: &str, message: &str| {
        conditions::set(&mut after.conditions, ANSWERED, verdict, reason, message, generation, now);
    };
    match result {
        Ok(id) => {
            answers.forget(scope.command);
            // The wanted answer may have changed in the meantime.
            if before.answer.as_deref().is_some_and(|text| answer::about(text, emoji) == about) {
                set(ConditionStatus::True, "Answered", "");
            }
            after.reply = id.or(after.reply);
        }
        Err(error) => {
            answers.pause(scope.command, &error, now);
            set(ConditionStatus::False, "NotAnswered", &error.to_string());
        }
    }
    write_status(scope.command, Some(&before), &after, scope.context).await?;
    Ok(after)
}

async fn write_status(
    command: &api::DeploymentCommand,
    before: Option<&DeploymentCommandStatus>,
    status: &DeploymentCommandStatus,
    context: &CommandContext,
) -> Result<(), Failure> {
    if before != Some(status) {
        let written: api::DeploymentCommand =
            write::status(&*context.common.cluster, write::COMMAND, command, status).await?;
        context.common.objects.commands.wrote(written);
    }
    Ok(())
}
