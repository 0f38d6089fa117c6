//! Request and response types of the control API, shared by its server and its client.

mod accounts;
mod delivery;
mod pulls;
mod repositories;
mod watch;

pub use self::accounts::*;
pub use self::delivery::*;
pub use self::pulls::*;
pub use self::repositories::*;
pub use self::watch::*;
