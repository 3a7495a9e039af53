//! The schema table, and what interprets it.
