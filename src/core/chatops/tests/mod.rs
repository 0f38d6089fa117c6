//! Commands, from a comment's text to the answer.

mod answers;
mod approvals;
mod found;
mod meaning;
mod understood;
