//! Commands, from a comment's text to the answer.

mod answers;
mod found;
mod meaning;
mod understood;
