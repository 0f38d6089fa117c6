//! Every rule of the stand-in, over HTTP, as its users see it.

mod apps;
mod deployments;
mod statuses;
mod support;
mod tokens;
mod webhooks;
