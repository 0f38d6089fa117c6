//! The operator in one process and in simulated time: the real controllers on a simulated cluster
//! and a simulated GitHub. A seed determines a whole run, except one thing: in which order kube's
//! scheduler takes objects of a kind that are enqueued in the same moment. It keeps them in a
//! `HashSet`, whose order differs each time.
//!
//! Stories are lives of pull requests and environments. While they are told, calls fail, answers
//! are lost, watches lag, webhooks come late, twice or never, and the process crashes. When all is
//! quiet again, the oracles check what is left.

mod api_server;
mod clock;
mod cluster;
mod fields;
mod forge;
mod github;
mod journal;
mod machinery;
mod oracles;
mod process;
mod random;
mod replica;
mod runs;
mod schema;
mod stories;
mod watches;
mod weather;
mod world;
