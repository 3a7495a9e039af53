//! Conditions of a status.
