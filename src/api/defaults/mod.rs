//! Defaults that depend on more than a field: what a kind fills in by itself.
