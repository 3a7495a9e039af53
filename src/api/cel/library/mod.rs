//! The libraries of functions: one table a file.

mod address;
mod authorizer;
mod devices;
mod format;
mod formats;
mod json_patch;
mod lists;
mod net;
mod operators;
mod optional;
mod quantity;
mod regex;
mod regexp;
mod semver;
mod sets;
mod strings;
mod time;
mod types;
mod url;

pub use formats::NamedFormat;
pub use semver::Semver;
pub use url::Url;

pub(super) use devices::{FUNCTIONS as DEVICES, MOST_INCLUDED};
pub(super) use format::{Clause, check_format};
pub(super) use json_patch::FUNCTIONS as PATCHES;
pub(super) use regex::{Regex, Regexes};
pub(super) use time::parse_format_duration;

use super::functions::Function;

/// All tables. Where two give a function overloads, their order is that of the tables.
pub(super) const ALL: &[&[Function]] = &[
    operators::FUNCTIONS,
    types::FUNCTIONS,
    time::FUNCTIONS,
    strings::FUNCTIONS,
    regex::FUNCTIONS,
    optional::FUNCTIONS,
    sets::FUNCTIONS,
    lists::FUNCTIONS,
    url::FUNCTIONS,
    net::FUNCTIONS,
    quantity::FUNCTIONS,
    formats::FUNCTIONS,
    semver::FUNCTIONS,
    authorizer::FUNCTIONS,
];

/// The newest version with a function of its own: later ones have the same.
pub(super) const NEWEST: u32 = 36;

/// Functions of two that look at no second argument where the first is an error.
pub(super) const TAKES_ALL: [&str; 1] = ["format"];
