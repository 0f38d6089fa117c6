//! Limits on rendering one target.

/// Most steps of one expression. minijinja counts one per instruction, and one per 64 bytes that it
/// creates or reads.
pub(super) const FUEL: u64 = 5_000;
/// Most placeholders in all objects of a target. With [`FUEL`], this bounds the total steps.
pub(super) const PLACEHOLDERS: usize = 2_000;
/// Most bytes of one placeholder's expression.
pub(super) const EXPRESSION: usize = 4_096;
/// Most positions that are tried as the end of a placeholder.
pub(super) const ENDS: usize = 16;
/// Most bytes of a rendered string.
pub(super) const STRING: usize = 64 << 10;
/// Most bytes of all rendered strings and keys of a target's objects. Other values count as a few
/// bytes each.
pub(super) const TOTAL: usize = 1 << 20;
/// Most nested levels of lists and maps in the value of a placeholder.
pub(super) const DEPTH: usize = 32;
