//! Quantities: amounts of resources, exact, with Kubernetes' suffixes.
//!
//! A quantity is a decimal number (mantissa and power of ten, never finer than a billionth) and the
//! family of suffixes it was written with. Parsing, canonical form and rounding follow
//! `k8s.io/apimachinery/pkg/api/resource` (1.36), with two differences: there is one canonical form
//! and the text that was read is not kept beside it (`1.500` becomes `1500m`), and a number too
//! large for its suffixes gets an exponent (`1e21`) where Kubernetes loses it.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use serde::{Deserialize, Serialize};

/// An amount: `500m`, `1.5Gi`, `12e6`.
///
/// Equality and order are those of the number: `1000m` equals `1`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Quantity {
    /// Without trailing decimal zeros.
    mantissa: i128,
    /// At least [`NANO`], but for a mantissa of 0, whose scale is 0.
    scale: i32,
    format: Format,
}

/// A family of suffixes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `n u m k M G T P E`: powers of 1000.
    #[default]
    DecimalSi,
    /// `Ki Mi Gi Ti Pi Ei`: powers of 1024.
    BinarySi,
    /// `e3`: powers of ten.
    DecimalExponent,
}

/// What is wrong with a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantityError {
    /// It is none.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// The number is too long.
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    /// There is no such suffix.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// Nothing finer than a billionth is kept.
const NANO: i32 = -9;
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self { mantissa: 0, scale: 0, format: Format::DecimalSi };

    /// A whole number.
    #[must_use]
    pub fn new(value: i64, format: Format) -> Self {
        Self::scaled(value.into(), 0, format)
    }

    /// A number of thousandths, written with decimal suffixes.
    #[must_use]
    pub fn milli(value: i64) -> Self {
        Self::scaled(value.into(), -3, Format::DecimalSi)
    }

    /// A number of bytes, written with binary suffixes.
    #[must_use]
    pub fn bytes(value: i64) -> Self {
        Self::new(value, Format::BinarySi)
    }

    /// `mantissa` times ten to the power of `scale`, rounded away from zero to a billionth.
    fn scaled(mut mantissa: i128, mut scale: i32, format: Format) -> Self {
        if scale < NANO {
            mantissa = shrink(mantissa, NANO.abs_diff(scale));
            scale = NANO;
        }
        while mantissa != 0 && mantissa % 10 == 0 {
            (mantissa, scale) = (mantissa / 10, scale + 1);
        }
        Self { mantissa, scale: if mantissa == 0 { 0 } else { scale }, format }
    }

    /// How it is written.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether it is nothing.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.mantissa == 0
    }

    /// Whether it is below nothing.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.mantissa < 0
    }

    /// The number, rounded away from zero to a whole one; the nearest `i64` where it is larger.
    #[must_use]
    pub fn value(&self) -> i64 {
        self.in_units_of(0)
    }

    /// Thousandths, rounded away from zero; the nearest `i64` where there are more.
    #[must_use]
    pub fn milli_value(&self) -> i64 {
        self.in_units_of(-3)
    }

    /// The same, rounded away from zero to thousandths: nothing finer is stored of resources.
    #[must_use]
    pub fn rounded_to_milli(self) -> Self {
        if self.scale >= -3 {
            return self;
        }
        Self::scaled(shrink(self.mantissa, self.scale.abs_diff(-3)), -3, self.format)
    }

    fn in_units_of(&self, scale: i32) -> i64 {
        let amount = match self.scale - scale {
            shift @ 0.. => grow(self.mantissa, shift as u32).unwrap_or(self.bound()),
            shift => shrink(self.mantissa, shift.unsigned_abs()),
        };
        amount.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// Whether rounding to whole numbers would change it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.scale >= 0
    }

    /// The nearest number of 64 bits with a floating point, or one beside it.
    #[must_use]
    pub fn approximate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "an approximation is asked for")]
        let mantissa = self.mantissa as f64;
        match self.scale {
            0 => mantissa,
            scale => mantissa * 10_f64.powi(scale),
        }
    }

    /// This and the other. Keeps the way this one is written, or takes the other's where this one
    /// is nothing.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let format = if self.is_zero() { other.format } else { self.format };
        let scale = match (self.is_zero(), other.is_zero()) {
            (true, _) => other.scale,
            (_, true) => self.scale,
            _ => self.scale.min(other.scale),
        };
        match (self.at_scale(scale), other.at_scale(scale)) {
            (Some(a), Some(b)) => Self::scaled(a.saturating_add(b), scale, format),
            // One is so large that the other vanishes beside it: 38 digits are told apart.
            (None, _) => self,
            (_, None) => Self { format, ..other },
        }
    }

    /// This without the other, written as [`plus`](Self::plus) says.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.plus(other.negated())
    }

    /// This many times over.
    #[must_use]
    pub fn times(self, factor: i64) -> Self {
        Self::scaled(self.mantissa.saturating_mul(factor.into()), self.scale, self.format)
    }

    /// The same below nothing.
    #[must_use]
    pub fn negated(self) -> Self {
        Self { mantissa: -self.mantissa, ..self }
    }

    /// The mantissa at a scale that is no larger, if it fits.
    fn at_scale(&self, scale: i32) -> Option<i128> {
        grow(self.mantissa, self.scale.abs_diff(scale))
    }

    fn bound(&self) -> i128 {
        // One short of the ends, so that it can be negated.
        if self.mantissa < 0 { -i128::MAX } else { i128::MAX }
    }

    /// The family that it is written with in the end: binary suffixes only for whole numbers of at
    /// least 1024.
    fn shown_format(&self) -> Format {
        let small = self.value().unsigned_abs() < 1024;
        if self.format == Format::BinarySi && (small || !self.is_whole()) {
            Format::DecimalSi
        } else {
            self.format
        }
    }
}

/// Ten to the power of `places` times over.
fn grow(amount: i128, places: u32) -> Option<i128> {
    if amount == 0 { Some(0) } else { amount.checked_mul(10i128.checked_pow(places)?) }
}

/// Without its last `places` decimal digits, away from zero.
fn shrink(amount: i128, places: u32) -> i128 {
    let Some(unit) = 10i128.checked_pow(places) else { return amount.signum() };
    amount / unit + if amount % unit == 0 { 0 } else { amount.signum() }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let Parts { negative, whole, fraction, suffix } = split(text)?;
        let quantity = if let Some(power) = BINARY.iter().skip(1).position(|&known| known == suffix) {
            binary(whole, fraction, 10 * (power as u32 + 1))?
        } else {
            let (exponent, format) = decimal_suffix(suffix)?;
            decimal(whole, fraction, exponent, format)?
        };
        Ok(if negative { quantity.negated() } else { quantity })
    }
}

struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    suffix: &'a str,
}

/// Takes a quantity apart as far as Kubernetes' own scanner looks: it accepts a bare sign or dot.
fn split(text: &str) -> Result<Parts<'_>, QuantityError> {
    if text.is_empty() {
        return Err(QuantityError::Format);
    }
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let negative = text.starts_with('-');
    let rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, rest) = rest.split_at(digits(rest));
    let (fraction, suffix) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    let tail = suffix.trim_start_matches(|letter| "eEinumkKMGTP".contains(letter));
    let tail = tail.strip_prefix(['+', '-']).unwrap_or(tail);
    if digits(tail) != tail.len() {
        return Err(QuantityError::Format);
    }
    Ok(Parts { negative, whole, fraction, suffix })
}

fn decimal_suffix(suffix: &str) -> Result<(i32, Format), QuantityError> {
    if let Some((_, exponent)) = DECIMAL.iter().find(|(known, _)| *known == suffix) {
        return Ok((*exponent, Format::DecimalSi));
    }
    let digits = suffix.strip_prefix(['e', 'E']).ok_or(QuantityError::Suffix)?;
    // Far beyond any amount, and far from overflowing when digits are counted.
    let exponent = digits.parse::<i32>().ok().filter(|exponent| exponent.abs() <= 1_000_000);
    Ok((exponent.ok_or(QuantityError::Suffix)?, Format::DecimalExponent))
}

fn decimal(whole: &str, fraction: &str, exponent: i32, format: Format) -> Result<Quantity, QuantityError> {
    let mut digits = format!("{whole}{fraction}");
    let mut scale = exponent - i32::try_from(fraction.len()).map_err(|_| QuantityError::Numeric)?;
    let mut up = false;
    if scale < NANO {
        // Digits beyond a billionth only say whether to round up.
        let extra = usize::try_from(NANO.abs_diff(scale)).unwrap_or(usize::MAX);
        let dropped = digits.split_off(digits.len().saturating_sub(extra));
        up = dropped.bytes().any(|digit| digit != b'0');
        scale = NANO;
    }
    let trimmed = digits.trim_end_matches('0');
    scale += i32::try_from(digits.len() - trimmed.len()).map_err(|_| QuantityError::Numeric)?;
    let quantity = Quantity::scaled(number(trimmed)?, scale, format);
    let least = Quantity { mantissa: 1, scale: NANO, format };
    Ok(if up { Quantity { format, ..quantity.plus(least) } } else { quantity })
}

fn binary(whole: &str, fraction: &str, power: u32) -> Result<Quantity, QuantityError> {
    // Kubernetes caps binary amounts at the largest 64-bit number.
    let cap = i128::from(i64::MAX);
    let (fraction, rest) = fraction.split_at(fraction.len().min(19));
    let unit = 10i128.pow(fraction.len() as u32);
    let part = number(fraction)? << power;
    let nano = part % unit * 1_000_000_000;
    let exact = nano % unit == 0 && rest.bytes().all(|digit| digit == b'0');
    let nano = nano / unit + i128::from(!exact);
    let whole = match number(whole) {
        Ok(whole) if whole <= cap => (whole << power) + part / unit,
        _ => cap,
    };
    if whole >= cap {
        return Ok(Quantity::scaled(cap, 0, Format::BinarySi));
    }
    let format = if whole == 0 { Format::DecimalSi } else { Format::BinarySi };
    Ok(Quantity::scaled(whole * 1_000_000_000 + nano, NANO, format))
}

fn number(digits: &str) -> Result<i128, QuantityError> {
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() { Ok(0) } else { digits.parse().map_err(|_| QuantityError::Numeric) }
}

/// Canonical form: no fraction, and the largest suffix that loses nothing.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0");
        }
        let format = self.shown_format();
        if format == Format::BinarySi
            && let Some(mut amount) = grow(self.mantissa, self.scale.unsigned_abs())
        {
            let mut suffix = 0;
            while suffix + 1 < BINARY.len() && amount % 1024 == 0 {
                (amount, suffix) = (amount / 1024, suffix + 1);
            }
            return write!(f, "{amount}{}", BINARY[suffix]);
        }
        let exponent = self.scale.div_euclid(3) * 3;
        let amount = self.mantissa;
        let zeros = "0".repeat(self.scale.rem_euclid(3) as usize);
        let suffix = DECIMAL.iter().find(|(_, power)| *power == exponent);
        match (format, suffix) {
            (Format::DecimalExponent, _) if exponent == 0 => write!(f, "{amount}{zeros}"),
            (Format::DecimalExponent, _) | (_, None) => write!(f, "{amount}{zeros}e{exponent}"),
            (_, Some((suffix, _))) => write!(f, "{amount}{zeros}{suffix}"),
        }
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        let signs = self.mantissa.signum().cmp(&other.mantissa.signum());
        if signs != Ordering::Equal || self.is_zero() {
            return signs;
        }
        let scale = self.scale.min(other.scale);
        match (self.at_scale(scale), other.at_scale(scale)) {
            (Some(a), Some(b)) => a.cmp(&b),
            // At most one has grown: the one that did not fit is the larger in size.
            (None, _) => self.mantissa.signum().cmp(&0),
            (_, None) => 0.cmp(&other.mantissa.signum()),
        }
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Quantity {}

impl From<Quantity> for String {
    fn from(quantity: Quantity) -> Self {
        quantity.to_string()
    }
}

impl TryFrom<String> for Quantity {
    type Error = QuantityError;

    fn try_from(text: String) -> Result<Self, QuantityError> {
        text.parse()
    }
}

impl From<Quantity> for Text {
    fn from(quantity: Quantity) -> Self {
        Self(quantity.to_string())
    }
}

impl TryFrom<&Text> for Quantity {
    type Error = QuantityError;

    fn try_from(text: &Text) -> Result<Self, QuantityError> {
        text.0.trim().parse()
    }
}

#[cfg(test)]
#[path = "quantity_tests.rs"]
mod tests;
