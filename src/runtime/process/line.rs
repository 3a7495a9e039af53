//! One line of a log file, as CRI has them: `2026-01-02T03:04:05.000000006Z stdout F text`.
//!
//! `F` is a full line; its line feed is the file's own. `P` is a part: the line goes on in the
//! next entry of the same stream, or ends the output without a line feed. Source:
//! `kubernetes/kubernetes` `pkg/kubelet/kuberuntime/logs` (v1.36).

use bytes::Bytes;
use jiff::Timestamp;

use crate::runtime::{LogLine, LogStreamKind};

/// The longest piece of a line that one entry holds, as containerd has it.
pub(super) const MAX_ENTRY: usize = 16 * 1024;

/// Appends the entry of a line (or a part of one) to `file`.
pub(super) fn write(file: &mut Vec<u8>, time: Timestamp, stream: LogStreamKind, line: &[u8]) {
    let stream = match stream {
        LogStreamKind::Stdout => "stdout",
        LogStreamKind::Stderr => "stderr",
    };
    let (text, tag) = line.strip_suffix(b"\n").map_or((line, 'P'), |text| (text, 'F'));
    file.extend_from_slice(format!("{time} {stream} {tag} ").as_bytes());
    file.extend_from_slice(text);
    file.push(b'\n');
}

/// Reads an entry, without its line feed; `None` where it is none.
pub(super) fn read(entry: &[u8]) -> Option<LogLine> {
    let mut parts = entry.splitn(4, |byte| *byte == b' ');
    let time = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
    let stream = match parts.next()? {
        b"stdout" => LogStreamKind::Stdout,
        b"stderr" => LogStreamKind::Stderr,
        _ => return None,
    };
    let full = match parts.next()? {
        b"F" => true,
        b"P" => false,
        _ => return None,
    };
    let mut line = parts.next()?.to_vec();
    if full {
        line.push(b'\n');
    }
    Some(LogLine { time, stream, line: Bytes::from(line) })
}

/// Cuts what a stream printed into lines and parts of at most [`MAX_ENTRY`]; what follows the last
/// line feed stays in `pending` until `end`.
pub(super) fn cut(pending: &mut Vec<u8>, end: bool, mut emit: impl FnMut(&[u8])) {
    let mut start = 0;
    while start < pending.len() {
        let rest = &pending[start..];
        let limit = rest.len().min(MAX_ENTRY);
        let length = match rest[..limit].iter().position(|byte| *byte == b'\n') {
            Some(at) => at + 1,
            None if limit == MAX_ENTRY || end => limit,
            None => break,
        };
        emit(&rest[..length]);
        start += length;
    }
    pending.drain(..start);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let time: Timestamp = "2026-01-02T03:04:05.06Z".parse().unwrap();
        for (line, entry) in [
            (&b"hello world\n"[..], "2026-01-02T03:04:05.06Z stderr F hello world\n"),
            (b"no end", "2026-01-02T03:04:05.06Z stderr P no end\n"),
            (b"\n", "2026-01-02T03:04:05.06Z stderr F \n"),
        ] {
            let mut file = Vec::new();
            write(&mut file, time, LogStreamKind::Stderr, line);
            assert_eq!(String::from_utf8_lossy(&file), entry);
            let back = read(&file[..file.len() - 1]).unwrap();
            assert_eq!((back.time, back.stream, &back.line[..]), (time, LogStreamKind::Stderr, line));
        }
        for broken in ["", "x stdout F a", "2026-01-02T03:04:05Z stdin F a", "2026-01-02T03:04:05Z stdout"] {
            assert_eq!(read(broken.as_bytes()), None, "{broken}");
        }
    }

    #[test]
    fn lines_are_cut_at_line_feeds_and_at_the_limit() {
        let cuts = |pending: &mut Vec<u8>, end| {
            let mut lengths = Vec::new();
            cut(pending, end, |line| lengths.push(line.len()));
            lengths
        };
        let mut pending = b"ab\n\ncd".to_vec();
        assert_eq!(cuts(&mut pending, false), [3, 1]);
        assert_eq!(pending, b"cd");
        assert_eq!(cuts(&mut pending, true), [2]);
        let mut pending = vec![b'x'; 2 * MAX_ENTRY + 5];
        assert_eq!(cuts(&mut pending, false), [MAX_ENTRY, MAX_ENTRY]);
        assert_eq!(pending.len(), 5);
    }
}
