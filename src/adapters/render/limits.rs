//! What rendering one target may take.

/// Steps of one expression, as minijinja counts them: one per instruction and one per 64 bytes it makes or reads.
pub(super) const FUEL: u64 = 5_000;
/// Holes in all objects of a target; with [`FUEL`] this bounds the steps in total.
pub(super) const HOLES: usize = 2_000;
/// Bytes of one hole's expression.
pub(super) const EXPRESSION: usize = 4_096;
/// Places at which the end of a hole is looked for.
pub(super) const ENDS: usize = 16;
/// Bytes of one string with holes, once they are filled.
pub(super) const STRING: usize = 64 << 10;
/// Bytes of all strings and keys of a target's objects, once holes are filled; other values count as a few bytes each.
pub(super) const TOTAL: usize = 1 << 20;
/// Levels of lists and maps in what fills a hole.
pub(super) const DEPTH: usize = 32;
