//! Floating point values in the width they came in: a device's 4-byte 0.1 reads "0.1", not
//! "0.10000000149011612", and a decimal text keeps its digits.

use std::fmt;

use super::decimal::Decimal;
use super::digits::Parts;

/// A Float value: single, double, or decimal text.
#[derive(Clone)]
pub struct Float(Repr);

#[derive(Clone)]
enum Repr {
    Single(f32),
    Double(f64),
    Decimal(Decimal),
}

impl Float {
    /// The nearest double; exact for the two binary widths.
    pub fn to_f64(&self) -> f64 {
        match &self.0 {
            Repr::Single(value) => f64::from(*value),
            Repr::Double(value) => *value,
            Repr::Decimal(value) => value.to_f64(),
        }
    }

    /// The value in 32 bits when that loses nothing: for the shorter wire form.
    pub fn to_f32_exact(&self) -> Option<f32> {
        let double = self.to_f64();
        let single = double as f32;
        (f64::from(single) == double || double.is_nan()).then_some(single)
    }

    /// The shortest digits that mean this value, or the digits that it came with; "NaN", "Infinity",
    /// "-Infinity" for what JSON has no number for.
    pub fn to_text(&self) -> String {
        match &self.0 {
            // `{:?}` keeps extremes short: 1e300, not 301 digits.
            Repr::Single(value) if value.is_finite() => format!("{value:?}"),
            Repr::Double(value) if value.is_finite() => format!("{value:?}"),
            Repr::Decimal(value) => value.as_str().to_owned(),
            Repr::Single(_) | Repr::Double(_) => self.special_name().to_owned(),
        }
    }

    /// The digits as a decimal; `None` for NaN and the infinities.
    pub fn to_decimal(&self) -> Option<Decimal> {
        match &self.0 {
            Repr::Decimal(value) => Some(value.clone()),
            Repr::Single(value) => Decimal::from_f32(*value),
            Repr::Double(value) => Decimal::from_f64(*value),
        }
    }

    /// The parts of those digits, without their text; `None` for NaN and the infinities, and beyond 128 bits.
    pub(crate) fn parts(&self) -> Option<Parts> {
        match &self.0 {
            Repr::Single(value) if value.is_finite() => Parts::of_float(*value),
            Repr::Double(value) if value.is_finite() => Parts::of_float(*value),
            Repr::Single(_) | Repr::Double(_) => None,
            Repr::Decimal(value) => value.parts(),
        }
    }

    /// Milliseconds of so many seconds, rounded as their digits are; `None` beyond 64 bits.
    pub(crate) fn milliseconds(&self) -> Option<i64> {
        /// Where the digits of a double are far finer than a millisecond, and where those of a single are.
        const FINE: (f64, f64) = (4e9, 64.0);
        /// Near a half, digits decide what the binary value cannot.
        const NEAR_HALF: f64 = 0.01;
        let (value, fine) = match &self.0 {
            Repr::Single(value) => (f64::from(*value), FINE.1),
            Repr::Double(value) => (*value, FINE.0),
            Repr::Decimal(_) => (0.0, -1.0),
        };
        let milliseconds = value * 1000.0;
        let rounded = milliseconds.round();
        if value.abs() < fine && ((milliseconds - rounded).abs() - 0.5).abs() > NEAR_HALF {
            return Some(rounded as i64);
        }
        self.parts()?.scaled(3).and_then(|milliseconds| i64::try_from(milliseconds).ok())
    }

    fn special_name(&self) -> &'static str {
        let value = self.to_f64();
        if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
    }

    /// The value behind "NaN", "Infinity" or "-Infinity".
    pub fn from_special_name(name: &str) -> Option<Float> {
        match name {
            "NaN" => Some(Float::from(f64::NAN)),
            "Infinity" => Some(Float::from(f64::INFINITY)),
            "-Infinity" => Some(Float::from(f64::NEG_INFINITY)),
            _ => None, // any other text
        }
    }
}

impl From<f32> for Float {
    fn from(value: f32) -> Self {
        Float(Repr::Single(value))
    }
}

impl From<f64> for Float {
    fn from(value: f64) -> Self {
        Float(Repr::Double(value))
    }
}

impl From<Decimal> for Float {
    fn from(value: Decimal) -> Self {
        Float(Repr::Decimal(value))
    }
}

/// Equal when the doubles are, or both are NaN; two decimal texts by their exact digits.
impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        if let (Repr::Decimal(a), Repr::Decimal(b)) = (&self.0, &other.0)
            && let (Some(a), Some(b)) = (a.scaled(18), b.scaled(18))
            && a != b
        {
            return false;
        }
        let (a, b) = (self.to_f64(), other.to_f64());
        a == b || (a.is_nan() && b.is_nan())
    }
}

impl fmt::Debug for Float {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_width_shows_its_own_shortest_digits() {
        assert_eq!(Float::from(0.1f32).to_text(), "0.1");
        assert_eq!(Float::from(0.1f64).to_text(), "0.1");
        assert_eq!(Float::from(f64::from(0.1f32)).to_text(), "0.10000000149011612");
        assert_eq!(Float::from(Decimal::parse("21.50").unwrap()).to_text(), "21.50");
        assert_eq!(Float::from(20.0f64).to_text(), "20.0");
        assert_eq!(Float::from(1e300).to_text(), "1e300");
        for special in ["NaN", "Infinity", "-Infinity"] {
            assert_eq!(Float::from_special_name(special).unwrap().to_text(), special);
        }
        assert!(Float::from(f64::NAN).to_decimal().is_none());
    }

    proptest::proptest! {
        #[test]
        fn milliseconds_are_those_of_the_digits(double: f64, single: f32, near in -5e9f64..5e9, low in -100f32..100.0) {
            let tie = (near * 1000.0).round() / 1000.0 + 0.0005;
            let floats = [double, near, near / 1e6, tie, near.round()].map(Float::from);
            for float in floats.into_iter().chain([single, low, low / 1e3].map(Float::from)) {
                let digits = float.to_decimal().and_then(|number| number.scaled(3));
                let exact = digits.and_then(|milliseconds| i64::try_from(milliseconds).ok());
                proptest::prop_assert_eq!(float.milliseconds(), exact, "{:?}", float);
            }
        }
    }

    #[test]
    fn four_bytes_are_used_only_when_exact() {
        assert_eq!(Float::from(20.5).to_f32_exact(), Some(20.5));
        assert_eq!(Float::from(0.1).to_f32_exact(), None);
        assert_eq!(Float::from(0.1f32).to_f32_exact(), Some(0.1));
        assert_eq!(Float::from(1e300).to_f32_exact(), None);
        assert_eq!(Float::from(f64::INFINITY).to_f32_exact(), Some(f32::INFINITY));
        assert!(Float::from(f64::NAN).to_f32_exact().unwrap().is_nan());
    }

    #[test]
    fn equality_is_by_number_and_by_all_digits() {
        let text = |t: &str| Float::from(Decimal::parse(t).unwrap());
        assert_eq!(text("1.50"), Float::from(1.5));
        assert_ne!(text("9007199254740993"), text("9007199254740992"));
        assert_eq!(Float::from(f64::NAN), Float::from(f32::NAN));
    }
}
