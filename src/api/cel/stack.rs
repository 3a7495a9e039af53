//! Room for recursion.
//!
//! How deep a tree may be is bounded when it is parsed; how much stack a level takes depends on the build, and
//! on whose thread this runs. So whoever goes down a tree asks for room at every level.

/// What the code between two levels may take.
const LEVEL: usize = 256 * 1024;
/// What is added at a time.
const SEGMENT: usize = 2 * 1024 * 1024;

/// Goes one level down.
pub(super) fn deep<T>(level: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(LEVEL, SEGMENT, level)
}
