//! PEM: named blocks of base64, with any text between them.
//!
//! Source: `Decode` of Go's `encoding/pem`: what starts like a block and is none is text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A block.
pub(super) struct Block {
    /// What stands behind `BEGIN`.
    pub(super) label: String,
    /// Whether lines of `key: value` stand before the base64.
    pub(super) has_headers: bool,
    pub(super) bytes: Vec<u8>,
}

/// The blocks of a text, in their order.
pub(super) fn blocks(text: &str) -> impl Iterator<Item = Block> + '_ {
    let mut lines = text.lines().map(str::trim_end);
    std::iter::from_fn(move || {
        loop {
            let label = label(lines.find(|line| label(line, "BEGIN").is_some())?, "BEGIN")?;
            // What follows is looked at without being taken, since it may hold the start of a true block.
            let mut inside = lines.clone();
            let end = format!("-----END {label}-----");
            let mut body: Vec<&str> = Vec::new();
            let closed = inside.by_ref().any(|line| {
                body.push(line);
                line == end
            });
            if !closed {
                continue;
            }
            body.pop();
            let headers = body.iter().take_while(|line| line.contains(':')).count();
            let base64: String = body[headers..].iter().map(|line| line.trim()).collect();
            if let Ok(bytes) = STANDARD.decode(base64) {
                lines = inside;
                return Some(Block { label: label.to_owned(), has_headers: headers > 0, bytes });
            }
        }
    })
}

fn label<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    line.strip_prefix("-----")?.strip_prefix(word)?.strip_prefix(' ')?.strip_suffix("-----")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_stand_between_any_text() {
        let text = "hello\n-----BEGIN A-----\nAA==\n-----END A-----\nbetween\n-----BEGIN B-----\nx: y\n\nAQID\nBA==\n\
                    -----END B-----\n-----BEGIN C-----\nAA==\n";
        let found: Vec<_> = blocks(text).map(|block| (block.label, block.has_headers, block.bytes)).collect();
        assert_eq!(found, [("A".into(), false, vec![0]), ("B".into(), true, vec![1, 2, 3, 4])]);
    }

    #[test]
    fn what_only_starts_like_a_block_is_text() {
        let text = "-----BEGIN A-----\n-----BEGIN A-----\nAA==\n-----END A-----";
        assert_eq!(blocks(text).count(), 1);
        assert_eq!(blocks("-----BEGIN A-----\n***\n-----END A-----").count(), 0);
        assert_eq!(blocks("").count(), 0);
    }
}
