//! Webhooks: what they say, and how they are sent.

pub(crate) mod deliver;
pub(crate) mod payload;
