//! Published cases and properties.
