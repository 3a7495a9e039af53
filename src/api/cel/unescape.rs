//! The value of a string literal. Source: `parser/unescape.go` of `cel-go` v0.26.

/// The text of a string as written, quotes and prefix included, or what is wrong with it.
pub(super) fn string(written: &str) -> Result<String, &'static str> {
    let mut value = String::with_capacity(written.len());
    unescape(written, |piece| {
        value.push(match piece {
            Piece::Char(c) => c,
            // An octet is a code point in a string.
            Piece::Octet(octet) => char::from(octet),
            Piece::Point(point) => char::from_u32(point).ok_or("invalid unicode code point")?,
        });
        Ok(())
    })?;
    Ok(value)
}

/// The octets of bytes as written, quotes and prefix included, or what is wrong with them.
pub(super) fn bytes(written: &str) -> Result<Vec<u8>, &'static str> {
    let mut value = Vec::with_capacity(written.len());
    unescape(&written[1..], |piece| {
        match piece {
            Piece::Char(c) => value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Piece::Octet(octet) => value.push(octet),
            Piece::Point(_) => return Err(WRONG),
        }
        Ok(())
    })?;
    Ok(value)
}

const WRONG: &str = "unable to unescape string";

enum Piece {
    Char(char),
    /// From `\x41` or `\101`.
    Octet(u8),
    /// From `\u0041` or `\U00000041`.
    Point(u32),
}

fn unescape(
    written: &str,
    mut push: impl FnMut(Piece) -> Result<(), &'static str>,
) -> Result<(), &'static str> {
    // Ends of lines are alike whatever the file's are.
    let written = written.replace("\r\n", "\n").replace('\r', "\n");
    let raw = written.starts_with(['r', 'R']);
    let quoted = &written[usize::from(raw)..];
    let long = quoted.len() >= 6 && (quoted.starts_with("\"\"\"") || quoted.starts_with("'''"));
    let mark = if long { 3 } else { 1 };
    let mut rest = quoted[mark..quoted.len() - mark].chars();
    while let Some(c) = rest.next() {
        if raw || c != '\\' {
            push(Piece::Char(c))?;
            continue;
        }
        let letter = rest.next().ok_or(WRONG)?;
        let mut digits = |first: u32, count: usize, base: u32| {
            rest.by_ref()
                .take(count)
                .try_fold(first, |sum, c| Some(sum * base + c.to_digit(base)?))
                .ok_or(WRONG)
        };
        let octet = |number: u32| u8::try_from(number).map(Piece::Octet).map_err(|_| WRONG);
        push(match letter {
            'a' => Piece::Char('\u{7}'),
            'b' => Piece::Char('\u{8}'),
            'f' => Piece::Char('\u{c}'),
            'n' => Piece::Char('\n'),
            'r' => Piece::Char('\r'),
            't' => Piece::Char('\t'),
            'v' => Piece::Char('\u{b}'),
            '\\' | '\'' | '"' | '`' | '?' => Piece::Char(letter),
            'x' | 'X' => octet(digits(0, 2, 16)?)?,
            'u' => Piece::Point(digits(0, 4, 16)?),
            'U' => Piece::Point(digits(0, 8, 16)?),
            '0'..='3' => octet(digits(letter as u32 - '0' as u32, 2, 8)?)?,
            _ => return Err(WRONG),
        })?;
    }
    Ok(())
}
