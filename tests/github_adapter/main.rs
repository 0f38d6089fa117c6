//! The GitHub adapter against answers made byte by byte, and against the stand-in for GitHub.

mod authentication;
mod creating;
mod life;
mod limits;
mod reading;
mod statuses;
mod support;
mod world;
