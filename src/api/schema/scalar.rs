//! Scalars that are more than JSON's: times, quantities, bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use crate::api::quantity::Quantity;

/// Why a text is no such scalar, as Kubernetes' decoders word it.
pub(super) type Wrong = String;

/// How a time in seconds is written.
pub(super) const TIME: &str = "%Y-%m-%dT%H:%M:%SZ";
/// How a time in microseconds is written.
pub(super) const MICRO_TIME: &str = "%Y-%m-%dT%H:%M:%S.%6fZ";

/// A time in seconds, in UTC.
pub(super) fn time(text: &str) -> Result<String, Wrong> {
    parse_time(text, "2006-01-02T15:04:05Z07:00", TIME)
}

/// A time in microseconds, in UTC.
pub(super) fn micro_time(text: &str) -> Result<String, Wrong> {
    parse_time(text, "2006-01-02T15:04:05.000000Z07:00", MICRO_TIME)
}

fn parse_time(text: &str, layout: &str, format: &str) -> Result<String, Wrong> {
    // RFC 3339 and nothing else: what else jiff reads does not have its length or its `T`.
    let rfc3339 = text.len() >= 20 && text.as_bytes()[10] == b'T';
    let parsed = rfc3339.then(|| text.parse::<Timestamp>().ok()).flatten();
    let time = parsed
        .ok_or_else(|| format!("parsing time {text:?} as {layout:?}: cannot parse {text:?} as \"2006\""))?;
    Ok(time.strftime(format).to_string())
}

/// Base64, in which line breaks do not count.
pub(super) fn bytes(text: &str) -> Result<String, Wrong> {
    decode_base64(text).map(|bytes| STANDARD.encode(bytes))
}

/// The bytes that base64 stands for.
pub(crate) fn decode_base64(text: &str) -> Result<Vec<u8>, Wrong> {
    let joined;
    let plain = if text.contains(['\r', '\n']) {
        joined = text.replace(['\r', '\n'], "");
        &joined
    } else {
        text
    };
    STANDARD.decode(plain).map_err(|error| {
        let at = match error {
            base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
            _ => plain.len().saturating_sub(plain.len() % 4),
        };
        format!("illegal base64 data at input byte {at}")
    })
}

/// A quantity, in its canonical form.
pub(super) fn quantity(text: &str) -> Result<String, Wrong> {
    text.parse::<Quantity>().map(|quantity| quantity.to_string()).map_err(|error| error.to_string())
}
