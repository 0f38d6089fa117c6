//! A GitHub App for this operator: what it asks for, where it is made, and what is kept of it.
//!
//! <https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest>

pub mod kept;
pub mod manifest;
pub mod place;

pub use kept::{Kept, class_snippet};
pub use manifest::Manifest;
pub use place::Place;
