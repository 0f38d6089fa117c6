//! Facts about the outside world for the gates. Each is fetched only if a gate needs it, by
//! conditional requests.

use std::collections::BTreeMap;

use super::RequestScope;
use crate::core::deployment::gates::image::{self, RegistryAnswer};
use crate::core::deployment::gates::{Facts, Needs};
use crate::core::environment::resolved::About;
use crate::core::forge::StatusState;
use crate::core::image::{ImageReference, credentials_for};
use crate::core::mistake::{Mistake, Reason};
use crate::core::naming;
use crate::ports::{ForgeError, RegistryError};
use crate::runtime::failure::Failure;

pub(super) async fn fetch(scope: &RequestScope<'_>, needs: Needs) -> Result<Facts, Failure> {
    let mut facts = Facts::default();
    if !needs.succeeded.is_empty() {
        let mut succeeded = Vec::new();
        for environment in needs.succeeded {
            let there = has_succeeded(scope, &environment).await?;
            succeeded.push((environment, there));
        }
        facts.succeeded = Some(succeeded);
    }
    if needs.checks {
        facts.checks = Some(scope.forge.checks(&scope.name, &scope.request.spec.sha).await?);
    }
    if needs.image {
        facts.image = Some(image(scope).await?);
    }
    Ok(facts)
}

/// Whether the commit was ever live in an environment of the PreviewRepository. For pull-request
/// environments, that of any pull request counts.
async fn has_succeeded(scope: &RequestScope<'_>, environment: &str) -> Result<bool, ForgeError> {
    let entries = &scope.admitted.repository.spec.environments;
    let Some(entry) = entries.iter().find(|entry| entry.name == environment) else { return Ok(false) };
    let sha = &scope.request.spec.sha;
    let deployments = if let Some(place) = naming::github_environment(entry, None) {
        scope.forge.deployments(&scope.name, &place, Some(sha)).await?
    } else {
        let recent = scope.forge.recent_deployments(&scope.name).await?;
        let belongs = |name: &str| naming::pull_request_of(entry, name).is_some();
        recent
            .items
            .iter()
            .filter(|deployment| deployment.sha == *sha && belongs(&deployment.environment))
            .cloned()
            .collect()
    };
    for deployment in deployments {
        let statuses = scope.forge.deployment_statuses(&scope.name, deployment.id).await?;
        if statuses.items.iter().any(|status| status.state == StatusState::Success) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the image's name, and whether its registry has it. Matinee doesn't contact a registry
/// that the class doesn't list.
async fn image(
    scope: &RequestScope<'_>,
) -> Result<Result<(String, Option<RegistryAnswer>), Mistake>, Failure> {
    let entry = scope.admitted.entry;
    let Some(template) = entry.gates.as_ref().and_then(|gates| gates.image.as_ref()) else {
        return Ok(Err(Mistake {
            reason: Reason::ImageInvalid,
            message: "gates.image isn't set".to_owned(),
        }));
    };
    let field = format!("spec.environments[{}].gates.image", entry.name);
    let spec = &scope.request.spec;
    let about = About {
        sha: spec.sha.clone(),
        repository: scope.name.to_string(),
        environment: entry.name.clone(),
        pull_request: spec.pull_request.as_ref().map(|reference| reference.number),
        parameters: parameters(scope),
    };
    let name = match scope.context.renderer.text(&field, template, &about) {
        Ok(name) => name,
        Err(mistake) => return Ok(Err(mistake)),
    };
    let Ok(registry) = image::registry(&name, &scope.admitted.class.spec.registries) else {
        // The gate reports this itself.
        return Ok(Ok((name, None)));
    };
    let reference = match name.parse::<ImageReference>() {
        Ok(reference) => reference,
        Err(error) => {
            let message = format!("{field}: {error}");
            return Ok(Err(Mistake { reason: Reason::ImageInvalid, message }));
        }
    };
    let mut credentials = None;
    if let Some(secret) = &registry.secret_name {
        let found = scope.context.secrets.secret(secret).await?;
        let own = &scope.context.common.settings.own_namespace;
        let read = found
            .ok_or_else(|| format!("there is no Secret {own}/{secret}"))
            .and_then(|data| credentials_for(secret, &data, &reference));
        match read {
            Ok(found) => credentials = found,
            Err(problem) => {
                let message = format!(
                    "the class's spec.registries[{}].secretName: {problem}: correct the Secret",
                    registry.host
                );
                return Ok(Err(Mistake { reason: Reason::RegistrySecretInvalid, message }));
            }
        }
    }
    let answer =
        match scope.context.registry.exists(&reference, credentials.as_ref(), registry.insecure).await {
            Ok(true) => RegistryAnswer::Found,
            Ok(false) => RegistryAnswer::Missing,
            Err(RegistryError::RateLimited { .. }) => {
                RegistryAnswer::Unreachable(format!("{} limits requests at present", registry.host))
            }
            Err(error) => RegistryAnswer::Unreachable(error.to_string()),
        };
    Ok(Ok((name, Some(answer))))
}

/// Returns the parameters: the PreviewRepository's values, overridden by the request's.
fn parameters(scope: &RequestScope<'_>) -> BTreeMap<String, String> {
    let given = scope.admitted.entry.deploy.as_ref().map(|deploy| deploy.parameters.as_slice());
    given
        .unwrap_or_default()
        .iter()
        .chain(&scope.request.spec.parameters)
        .map(|parameter| (parameter.name.clone(), parameter.value.clone()))
        .collect()
}
