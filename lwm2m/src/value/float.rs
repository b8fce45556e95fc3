//! Floating point values in the width they came in: a device's 4-byte 0.1 reads "0.1", not
//! "0.10000000149011612", and a decimal text keeps its digits.

use std::fmt;

use super::decimal::Decimal;

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
            Repr::Single(_) | Repr::Double(_) => Decimal::parse(&self.to_text()).ok(),
        }
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
