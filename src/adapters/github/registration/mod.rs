//! Creates a GitHub App for this operator: its manifest, its GitHub instance, and the objects that
//! store its credentials.
//!
//! <https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest>

pub mod github_instance;
pub mod manifest;
pub mod stored_credentials;

pub use github_instance::GithubInstance;
pub use manifest::Manifest;
pub use stored_credentials::{StoredCredentials, class_snippet};
