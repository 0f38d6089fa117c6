//! What `matinee doctor` finds out about a connection to GitHub: credentials, permissions, events and deliveries.

pub mod app_permissions;
pub mod connection;
pub mod deliveries;
