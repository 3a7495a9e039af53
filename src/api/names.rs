//! Names, DNS labels, qualified names.
