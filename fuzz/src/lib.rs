//! What fuzz targets share: pieces of one input, and rows to try it on.

use std::sync::{Arc, OnceLock};

use serde_json::Value;
use windlass::api::{Resource, Scheme};

/// A row of the scheme: the first byte says which; and what is left.
pub fn row(data: &[u8]) -> Option<(&'static Arc<Resource>, &[u8])> {
    static ROWS: OnceLock<Vec<Arc<Resource>>> = OnceLock::new();
    let rows = ROWS.get_or_init(|| Scheme::builtin().iter().cloned().collect());
    let (first, rest) = data.split_first()?;
    Some((&rows[usize::from(*first) % rows.len()], rest))
}

/// The parts of an input, with zero bytes between them.
pub fn parts<const N: usize>(data: &[u8]) -> Option<[&[u8]; N]> {
    let mut parts = data.splitn(N, |byte| *byte == 0);
    let mut found = [&[][..]; N];
    for place in &mut found {
        *place = parts.next()?;
    }
    Some(found)
}

/// An object of JSON.
pub fn object(data: &[u8]) -> Option<Value> {
    serde_json::from_slice(data).ok().filter(Value::is_object)
}

/// Whether two trees are the same, but for how a whole number is written: `1.5e3` is `1500` to YAML.
pub fn alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || ((a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64())
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| alike(a, b)))
        }
        _ => one == other,
    }
}
