//! Webhooks: their payloads and their delivery.

pub(crate) mod deliver;
pub(crate) mod payload;
