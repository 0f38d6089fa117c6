//! Every rule of the stand-in, over HTTP, as its users see it.

mod deployments;
mod support;
