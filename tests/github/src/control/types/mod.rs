//! What the control API takes and answers, shared by its server and its client.

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
