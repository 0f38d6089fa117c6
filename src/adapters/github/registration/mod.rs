//! Creates a GitHub App for this operator: its manifest, its place on GitHub, and the objects that
//! store its credentials.
//!
//! <https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest>

pub mod kept;
pub mod manifest;
pub mod place;

pub use kept::{Kept, class_snippet};
pub use manifest::Manifest;
pub use place::Place;
