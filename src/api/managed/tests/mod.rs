//! Server-side apply, held to the published cases of structured-merge-diff and apimachinery, told anew.

mod entries;
mod manager;
mod migration;
mod properties;
mod sharing;
mod stories;
mod text;
mod trees;
mod types;
mod world;
