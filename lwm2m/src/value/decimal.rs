//! Decimal numbers kept as text, so that no digit is lost on the way from a device to JSON and back.
//!
//! A double holds 15 to 17 digits; a counter in SenML JSON may have 19. So a number that came as text stays
//! text, and integers are taken from its digits directly.
#![deny(clippy::indexing_slicing)]

use std::fmt;

use super::{DataType, ValueError, ValueFault};
use crate::limits::NUMBER_TEXT_MAX;

/// A finite number in the grammar of JSON (RFC 8259 §6), of at most [`NUMBER_TEXT_MAX`] characters, whose
/// magnitude a double can hold.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Decimal(Box<str>);

impl Decimal {
    /// Checks and keeps `text`. Errors: no JSON number, too long, or beyond a double's range (1e999).
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let fault = |fault| ValueError::new(DataType::Float, text, fault);
        if text.len() > NUMBER_TEXT_MAX {
            return Err(fault(ValueFault::TooLong));
        }
        if !is_json_number(text.as_bytes()) {
            return Err(fault(ValueFault::NotA));
        }
        let double: f64 = text.parse().map_err(|_| fault(ValueFault::NotA))?;
        if !double.is_finite() {
            return Err(fault(ValueFault::Range));
        }
        Ok(Decimal(text.into()))
    }

    /// The digits as they came.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest double.
    pub fn to_f64(&self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }

    /// True when the text has neither fraction nor exponent.
    pub fn is_integer_text(&self) -> bool {
        !self.0.contains(['.', 'e', 'E'])
    }

    /// The exact integer: `None` inside `Ok` when it has more than 38 digits, an error when it is not whole.
    pub fn to_integer(&self) -> Result<Option<i128>, NotWhole> {
        match self.parts() {
            Some((mantissa, exponent)) => scale(mantissa, exponent),
            None => Ok(None),
        }
    }

    /// The number times 10^`digits`, rounded half away from zero; `None` when it has more than 38 digits.
    pub fn scaled(&self, digits: i32) -> Option<i128> {
        let (mantissa, exponent) = self.parts()?;
        let exponent = exponent.saturating_add(digits);
        match scale(mantissa, exponent) {
            Ok(whole) => whole,
            Err(NotWhole) => {
                let Some(divisor) = power_of_ten(exponent.unsigned_abs()) else { return Some(0) };
                let (quotient, rest) = (mantissa / divisor, mantissa % divisor);
                let up = rest.unsigned_abs() >= divisor.unsigned_abs().div_ceil(2);
                Some(if up { quotient + mantissa.signum() } else { quotient })
            }
        }
    }

    /// The exact sum, or the sum of the two doubles when it does not fit 38 digits; `None` when that is not
    /// finite.
    pub fn sum(&self, other: &Decimal) -> Option<Decimal> {
        if let Some(sum) = self.exact_sum(other) {
            return Some(sum);
        }
        Decimal::from_f64(self.to_f64() + other.to_f64())
    }

    fn exact_sum(&self, other: &Decimal) -> Option<Decimal> {
        let ((a, ea), (b, eb)) = (self.parts()?, other.parts()?);
        let exponent = ea.min(eb);
        let lift = |m: i128, e: i32| m.checked_mul(power_of_ten(e.abs_diff(exponent))?);
        Decimal::from_parts(lift(a, ea)?.checked_add(lift(b, eb)?)?, exponent)
    }

    /// `mantissa` × 10^`exponent` as text: plain digits where that is short, else with an exponent.
    pub fn from_parts(mantissa: i128, exponent: i32) -> Option<Decimal> {
        let sign = if mantissa < 0 { "-" } else { "" };
        let digits = mantissa.unsigned_abs().to_string();
        let text = match usize::try_from(exponent.unsigned_abs()) {
            Ok(0) => format!("{sign}{digits}"),
            Ok(n) if exponent > 0 && n <= 18 && mantissa != 0 => format!("{sign}{digits}{}", "0".repeat(n)),
            Ok(n) if exponent < 0 && n <= 40 => {
                let padded = format!("{digits:0>width$}", width = n + 1);
                let (whole, fraction) = padded.split_at(padded.len() - n);
                format!("{sign}{whole}.{fraction}")
            }
            _ if mantissa == 0 => "0".to_owned(),
            _ => format!("{sign}{digits}e{exponent}"),
        };
        Decimal::parse(&text).ok()
    }

    /// The shortest text that reads back as this double; `None` when it is not finite.
    pub fn from_f64(double: f64) -> Option<Decimal> {
        // `{:?}` writes JSON's grammar for finite values: "21.5", "1e-7", "1e300".
        double.is_finite().then(|| format!("{double:?}")).and_then(|text| Decimal::parse(&text).ok())
    }

    /// Digits without point, and the power of ten behind them; `None` beyond 38 digits.
    fn parts(&self) -> Option<(i128, i32)> {
        let (number, exponent) = match self.0.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, parse_exponent(exponent)),
            None => (&*self.0, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        // Zeros at the end of a fraction carry no value and would only use up the 38 digits.
        let fraction = fraction.trim_end_matches('0');
        let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
        let places = i32::try_from(fraction.len()).ok()?;
        Some((mantissa, exponent.saturating_sub(places)))
    }
}

/// An exponent's value, held within ±1 000 000: beyond, the number is 0 (a huge one was refused before).
fn parse_exponent(text: &str) -> i32 {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let size = digits.bytes().fold(0i32, |n, d| (n * 10 + i32::from(d - b'0')).min(100_000));
    if negative { -size } else { size }
}

/// A number with a fraction where a whole one is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotWhole;

fn power_of_ten(exponent: u32) -> Option<i128> {
    10i128.checked_pow(exponent)
}

/// `mantissa` × 10^`exponent` exactly.
fn scale(mantissa: i128, exponent: i32) -> Result<Option<i128>, NotWhole> {
    if mantissa == 0 {
        return Ok(Some(0));
    }
    let power = power_of_ten(exponent.unsigned_abs());
    if exponent >= 0 {
        return Ok(power.and_then(|p| mantissa.checked_mul(p)));
    }
    match power {
        Some(p) if mantissa % p == 0 => Ok(Some(mantissa / p)),
        Some(_) | None => Err(NotWhole),
    }
}

/// RFC 8259 §6: `-? (0 | [1-9] digits) (. digits)? ([eE] [+-]? digits)?`.
fn is_json_number(text: &[u8]) -> bool {
    let rest = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, rest) = split_digits(rest);
    if whole.is_empty() || (whole.len() > 1 && whole.first() == Some(&b'0')) {
        return false;
    }
    let rest = match rest.strip_prefix(b".") {
        Some(after_point) => {
            let (fraction, rest) = split_digits(after_point);
            if fraction.is_empty() {
                return false;
            }
            rest
        }
        None => rest,
    };
    match rest.split_first() {
        None => true,
        Some((b'e' | b'E', exponent)) => {
            let digits =
                exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
            let (digits, rest) = split_digits(digits);
            !digits.is_empty() && rest.is_empty()
        }
        Some(_) => false,
    }
}

fn split_digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|b| !b.is_ascii_digit()).unwrap_or(bytes.len());
    bytes.split_at(end)
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Self {
        Decimal(value.to_string().into())
    }
}

impl From<u64> for Decimal {
    fn from(value: u64) -> Self {
        Decimal(value.to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn keeps_the_digits_of_json_numbers_only() {
        for text in ["0", "-0", "12", "1.50", "9007199254740993", "1e5", "1E+5", "-1.25e-7"] {
            assert_eq!(decimal(text).as_str(), text);
        }
        for text in ["", "-", "01", "+1", ".5", "1.", "1e", "1e+", "NaN", "0x1", "1 ", "１"] {
            assert!(Decimal::parse(text).is_err(), "{text}");
        }
        assert_eq!(Decimal::parse("1e999").unwrap_err().to_string(), "1e999 is outside the range of Float");
        assert!(Decimal::parse(&"1".repeat(NUMBER_TEXT_MAX + 1)).is_err());
    }

    #[test]
    fn integers_come_from_the_digits_without_a_double() {
        for (text, integer) in [
            ("9007199254740993", Some(9_007_199_254_740_993)),
            ("9223372036854775807.000", Some(i128::from(i64::MAX))),
            ("1.5e1", Some(15)),
            ("120e-1", Some(12)),
            ("0e-999999999999", Some(0)),
            ("-7", Some(-7)),
            ("1e300", None),
        ] {
            assert_eq!(decimal(text).to_integer(), Ok(integer), "{text}");
        }
        assert_eq!(decimal("1.5").to_integer(), Err(NotWhole));
        assert_eq!(decimal("1e-400").to_integer(), Err(NotWhole));
    }

    #[test]
    fn scales_with_rounding_for_milliseconds() {
        for (text, milliseconds) in [
            ("1700000000", 1_700_000_000_000),
            ("1700000000.1234", 1_700_000_000_123),
            ("0.0005", 1),
            ("-0.0005", -1),
            ("0.0004", 0),
            ("1e-400", 0),
        ] {
            assert_eq!(decimal(text).scaled(3), Some(milliseconds), "{text}");
        }
        assert_eq!(decimal("1e300").scaled(3), None);
    }

    #[test]
    fn sums_exactly() {
        for (a, b, sum) in [
            ("0.1", "0.2", "0.3"),
            ("9007199254740993", "1", "9007199254740994"),
            ("1.5", "-1.5", "0.0"),
            ("20", "0.125", "20.125"),
            ("1e20", "1", "100000000000000000001"),
            ("1e300", "1", "1e300"),
        ] {
            assert_eq!(decimal(a).sum(&decimal(b)).unwrap().as_str(), sum, "{a}+{b}");
        }
        assert_eq!(decimal("1.7e308").sum(&decimal("1.7e308")), None);
    }

    proptest! {
        #[test]
        fn any_text_is_a_number_or_an_error(text in "[-+0-9.eE]{0,24}") {
            if let Ok(number) = Decimal::parse(&text) {
                let _ = (number.to_integer(), number.scaled(3), number.sum(&number), number.to_f64());
                prop_assert!(serde_json::from_str::<serde_json::Number>(&text).is_ok());
            }
        }

        #[test]
        fn doubles_and_integers_survive(double: f64, integer: i64) {
            if let Some(number) = Decimal::from_f64(double) {
                prop_assert_eq!(number.to_f64(), double);
            }
            prop_assert_eq!(Decimal::from(integer).to_integer(), Ok(Some(i128::from(integer))));
        }
    }
}
