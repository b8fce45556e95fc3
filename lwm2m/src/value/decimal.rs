//! Decimal numbers kept as text, so that no digit is lost on the way from a device to JSON and back.
//!
//! A double holds 15 to 17 digits; a counter in SenML JSON may have 19. So a number that came as text stays
//! text, and integers are taken from its digits directly.
#![deny(clippy::indexing_slicing)]

use std::fmt;

use super::digits::{self, Parts};
use super::{DataType, ValueError, ValueFault};

/// A finite number in the grammar of JSON (RFC 8259 §6), of at most [`crate::limits::NUMBER_TEXT_MAX`] characters, whose
/// magnitude a double can hold.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Decimal(Text);

/// Characters of a number that need no memory of their own: nearly all have fewer.
const SHORT_MAX: usize = 22;

/// The text of a number. One of up to [`SHORT_MAX`] characters is always `Short`, and zeros fill its rest, so that equal
/// texts are equal here.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Text {
    Short { length: u8, bytes: [u8; SHORT_MAX] },
    Long(Box<str>),
}

impl Decimal {
    /// Checks and keeps `text`. Errors: no JSON number, too long, or beyond a double's range (1e999).
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        Decimal::read(text).map_err(|fault| ValueError::new(DataType::Float, text, fault))
    }

    pub(crate) fn parse_bytes(text: &[u8]) -> Result<Self, ValueError> {
        Decimal::read_bytes(text).map_err(|fault| super::number_fault(text, fault))
    }

    /// The same with the bare fault, for those who go on without it.
    pub(crate) fn read(text: &str) -> Result<Self, ValueFault> {
        Decimal::read_bytes(text.as_bytes())
    }

    pub(super) fn read_bytes(text: &[u8]) -> Result<Self, ValueFault> {
        digits::check(text).map(|()| Decimal::known(text))
    }

    /// Keeps a text that is known to be a number within the bounds.
    pub(super) fn known(text: &[u8]) -> Decimal {
        let mut bytes = [0; SHORT_MAX];
        match bytes.get_mut(..text.len()) {
            Some(places) => {
                places.copy_from_slice(text);
                Decimal(Text::Short { length: text.len() as u8, bytes })
            }
            None => Decimal(Text::Long(std::str::from_utf8(text).unwrap_or_default().into())),
        }
    }

    /// The digits of an integer.
    pub(super) fn of_integer(integer: i64) -> Decimal {
        let mut bytes = [0; SHORT_MAX];
        let mut rest = integer.unsigned_abs();
        let digits = rest.checked_ilog10().unwrap_or(0) as usize + 1;
        let sign = usize::from(integer < 0);
        for place in bytes.iter_mut().take(sign + digits).rev() {
            *place = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        if let (Some(first), true) = (bytes.first_mut(), integer < 0) {
            *first = b'-';
        }
        Decimal(Text::Short { length: (sign + digits) as u8, bytes })
    }

    /// The digits as they came.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Short { .. } => std::str::from_utf8(self.as_bytes()).unwrap_or_default(), // it was a text when it was kept
            Text::Long(text) => text,
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Text::Short { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Text::Long(text) => text.as_bytes(),
        }
    }

    /// The nearest double.
    pub fn to_f64(&self) -> f64 {
        self.as_str().parse().unwrap_or(f64::NAN)
    }

    /// True when the text has neither fraction nor exponent.
    pub fn is_integer_text(&self) -> bool {
        self.as_bytes().iter().all(|byte| *byte == b'-' || byte.is_ascii_digit())
    }

    /// The exact integer: `None` inside `Ok` when it has more than 38 digits, an error when it is not whole.
    pub fn to_integer(&self) -> Result<Option<i128>, NotWhole> {
        if digits::is_plain_fraction(self.as_bytes()) {
            return Err(NotWhole);
        }
        self.parts().map_or(Ok(None), Parts::to_integer)
    }

    /// The number times 10^`digits`, rounded half away from zero; `None` when it has more than 38 digits.
    pub fn scaled(&self, digits: i32) -> Option<i128> {
        self.parts()?.scaled(digits)
    }

    /// The exact sum, or the sum of the two doubles when it does not fit 38 digits; `None` when that is not
    /// finite.
    pub fn sum(&self, other: &Decimal) -> Option<Decimal> {
        if let (Some(a), Some(b)) = (self.parts(), other.parts())
            && let Some(sum) = a.sum(b).and_then(Parts::to_decimal)
        {
            return Some(sum);
        }
        Decimal::from_f64(self.quick_double() + other.quick_double())
    }

    /// The double of its first digits: the nearest one, but for numbers of twenty digits and more.
    pub(crate) fn quick_double(&self) -> f64 {
        digits::quick_double(self.as_bytes())
    }

    /// `mantissa` × 10^`exponent` as text: plain digits where that is short, else with an exponent.
    pub fn from_parts(mantissa: i128, exponent: i32) -> Option<Decimal> {
        digits::of_parts(mantissa, exponent)
    }

    /// The shortest text that reads back as this double; `None` when it is not finite.
    pub fn from_f64(double: f64) -> Option<Decimal> {
        double.is_finite().then(|| digits::shortest(double))
    }

    /// The same of a single.
    pub(super) fn from_f32(single: f32) -> Option<Decimal> {
        single.is_finite().then(|| digits::shortest(single))
    }

    /// Its digits; `None` beyond 128 bits.
    pub(crate) fn parts(&self) -> Option<Parts> {
        Parts::of(self.as_bytes())
    }
}

/// A number with a fraction where a whole one is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotWhole;

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Self {
        Decimal::of_integer(value)
    }
}

impl From<u64> for Decimal {
    fn from(value: u64) -> Self {
        Decimal::from_parts(value.into(), 0).expect("an integer of 64 bits is in range")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::NUMBER_TEXT_MAX;

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
        assert_eq!(decimal("-0.10").to_integer(), Err(NotWhole));
        assert_eq!(decimal("5.00").to_integer(), Ok(Some(5)));
        assert_eq!(decimal("1.5e1").to_integer(), Ok(Some(15)));
        assert_eq!(decimal(&format!("{}.5", "9".repeat(60))).to_integer(), Ok(None));
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
