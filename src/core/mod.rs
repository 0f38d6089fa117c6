//! Decisions of Matinee as pure functions: no client, no clock, no environment variable, no async,
//! and nothing of GitHub's wire format.

pub mod api_error;
pub mod cause;
pub mod chatops;
pub mod class_limits;
pub mod cloud_metadata;
pub mod conditions;
pub mod deployment;
pub mod dns_label;
pub mod doctor;
pub mod drain;
pub mod election;
pub mod environment;
pub mod event;
pub mod forge;
pub mod freshness;
pub mod glob;
pub mod identity;
pub mod image;
pub mod mistake;
pub mod naming;
pub mod publish;
pub mod signature;
pub mod slack;
pub mod trouble;
pub mod truncate;
