//! Checks of a connection to GitHub for `matinee doctor`: credentials, permissions, events and
//! webhook deliveries.

pub mod app_permissions;
pub mod connection;
pub mod deliveries;
