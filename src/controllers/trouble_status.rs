//! How trouble is written on each kind except `PreviewEnvironment`, which writes it with everything
//! that it found.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::Value;

use super::{class_and_template, command, repository, request};
use crate::api::{DeploymentCommand, DeploymentRequest, PreviewClass, PreviewRepository, PreviewTemplate};
use crate::core::deployment::reason::RequestReason;
use crate::runtime::common::Common;
use crate::runtime::trouble::{HasCommon, TroubleStatus, json_of};
use crate::runtime::write;

macro_rules! conditions {
    ($self:ident) => {
        $self.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
    };
}

impl TroubleStatus for PreviewClass {
    const MANAGER: &str = write::CONFIGURATION;
    const STAGES: &[&str] = &[];

    fn kinds() -> Vec<&'static str> {
        class_and_template::CONDITIONS.to_vec()
    }

    fn conditions(&self) -> &[Condition] {
        conditions!(self)
    }
}

impl TroubleStatus for PreviewTemplate {
    const MANAGER: &str = write::CONFIGURATION;
    const STAGES: &[&str] = &[];

    fn kinds() -> Vec<&'static str> {
        class_and_template::CONDITIONS.to_vec()
    }

    fn conditions(&self) -> &[Condition] {
        conditions!(self)
    }
}

impl TroubleStatus for PreviewRepository {
    const MANAGER: &str = write::CONFIGURATION;
    const STAGES: &[&str] = &[repository::SYNCED];

    fn kinds() -> Vec<&'static str> {
        repository::CONDITIONS.to_vec()
    }

    fn conditions(&self) -> &[Condition] {
        conditions!(self)
    }
}

impl TroubleStatus for DeploymentRequest {
    const MANAGER: &str = write::REQUEST;
    const STAGES: &[&str] = &request::STAGES;
    const KEPT: &[&str] = &[RequestReason::Creating.as_str(), RequestReason::Deploying.as_str()];

    fn kinds() -> Vec<&'static str> {
        request::kinds()
    }

    fn own_status(&self) -> Option<Value> {
        let mut status = json_of(self.status.as_ref())?;
        // Each approval has its own field manager.
        status.as_object_mut()?.remove("approvals");
        Some(status)
    }

    fn conditions(&self) -> &[Condition] {
        conditions!(self)
    }

    fn is_over(&self) -> bool {
        request::has_ended(self)
    }
}

impl TroubleStatus for DeploymentCommand {
    const MANAGER: &str = write::COMMAND;
    const STAGES: &[&str] = &command::STAGES;

    fn kinds() -> Vec<&'static str> {
        command::CONDITIONS.to_vec()
    }

    fn conditions(&self) -> &[Condition] {
        conditions!(self)
    }

    fn is_over(&self) -> bool {
        command::is_decided(self)
    }
}

macro_rules! has_common {
    ($($context:path),*) => {
        $(impl HasCommon for $context {
            fn common(&self) -> &Common {
                &self.common
            }
        })*
    };
}

has_common!(
    class_and_template::ClassAndTemplateContext,
    repository::RepositoryContext,
    request::RequestContext,
    command::CommandContext
);
