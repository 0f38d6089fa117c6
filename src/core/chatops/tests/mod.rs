//! Tests of commands, from the text of a comment to the answer.

mod answers;
mod approvals;
mod found;
mod meaning;
mod understood;
