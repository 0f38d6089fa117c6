//! Matinee: ephemeral pull-request environments, driven by the GitHub Deployments API.
