//! The digits of a number, apart from its text: what integers, sums and times are made of. Nothing here allocates, and
//! no step takes longer than the text is.
#![deny(clippy::indexing_slicing)]

use std::cmp::Ordering;

use super::decimal::{Decimal, NotWhole};
use super::{Value, ValueFault};
use crate::limits::NUMBER_TEXT_MAX;

/// Sign and digits without the point, and the power of ten behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    mantissa: i128,
    exponent: i32,
}

/// The first digits of 2^1024 - 2^970, the least number that a double rounds to infinity; it has 309. A text of
/// [`NUMBER_TEXT_MAX`] characters has fewer digits than are here.
const BEYOND_DOUBLE: &[u8; NUMBER_TEXT_MAX] = b"17976931348623158079372897140530341507993413271003782693617377898044496829276475094664901797758720709633028641669288791094655554";

/// Digits of [`BEYOND_DOUBLE`] in front of the point.
const BEYOND_DOUBLE_PLACES: i64 = 309;

/// Digits of a mantissa that a double is made of without looking at more.
const QUICK_DIGITS: usize = 19;

/// Ten to the power of its place.
const POWERS: [i128; 39] = {
    let mut powers = [1; 39];
    let mut rest: &mut [i128] = &mut powers;
    let mut power = 1i128;
    while let [first, others @ ..] = rest {
        *first = power;
        if !others.is_empty() {
            power *= 10;
        }
        rest = others;
    }
    powers
};

fn power_of_ten(exponent: u32) -> Option<i128> {
    POWERS.get(exponent as usize).copied()
}

/// A text of a number, taken apart: sign, digits before and behind the point, exponent.
#[derive(Clone, Copy)]
struct Split<'t> {
    negative: bool,
    whole: &'t [u8],
    fraction: &'t [u8],
    exponent: Option<&'t [u8]>,
}

/// RFC 8259 §6: `-? (0 | [1-9] digits) (. digits)? ([eE] [+-]? digits)?`; `None` for anything else.
fn split(text: &[u8]) -> Option<Split<'_>> {
    let (negative, rest) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, rest) = split_digits(rest);
    if whole.is_empty() || (whole.len() > 1 && whole.first() == Some(&b'0')) {
        return None;
    }
    let (fraction, rest) = match rest.strip_prefix(b".") {
        Some(behind) => {
            let (fraction, rest) = split_digits(behind);
            if fraction.is_empty() {
                return None;
            }
            (fraction, rest)
        }
        None => (&[][..], rest),
    };
    let exponent = match rest.split_first() {
        None => None,
        Some((b'e' | b'E', exponent)) => {
            let digits =
                exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
            let (digits, rest) = split_digits(digits);
            if digits.is_empty() || !rest.is_empty() {
                return None;
            }
            Some(exponent)
        }
        Some(_) => return None,
    };
    Some(Split { negative, whole, fraction, exponent })
}

fn split_digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|b| !b.is_ascii_digit()).unwrap_or(bytes.len());
    bytes.split_at_checked(end).unwrap_or((bytes, &[]))
}

/// Whether a number's text shows at once that it is not whole: a fraction without exponent, of digits that surely fit.
pub(super) fn is_plain_fraction(text: &[u8]) -> bool {
    match text.iter().position(|octet| *octet == b'.').and_then(|at| text.split_at_checked(at + 1)) {
        Some((_, fraction)) => {
            let digits =
                fraction.iter().all(u8::is_ascii_digit) && fraction.iter().any(|digit| *digit != b'0');
            digits && text.len() < POWERS.len()
        }
        None => false,
    }
}

/// Whether `text` is a number that is taken: JSON's grammar, not too long, within a double's range.
pub(super) fn check(text: &[u8]) -> Result<(), ValueFault> {
    if text.len() > NUMBER_TEXT_MAX {
        return Err(ValueFault::TooLong);
    }
    let split = split(text).ok_or(ValueFault::NotA)?;
    if split.is_beyond_double() { Err(ValueFault::Range) } else { Ok(()) }
}

impl Split<'_> {
    /// An exponent's value, held within ±100 000: beyond, the number is 0 or out of range.
    fn exponent(&self) -> i32 {
        let Some(text) = self.exponent else { return 0 };
        let (negative, digits) = match text.split_first() {
            Some((b'-', digits)) => (true, digits),
            Some((b'+', digits)) => (false, digits),
            Some(_) | None => (false, text),
        };
        let size = digits.iter().fold(0i32, |n, d| (n * 10 + i32::from(d - b'0')).min(100_000));
        if negative { -size } else { size }
    }

    fn digits(&self) -> impl Iterator<Item = u8> + Clone {
        self.whole.iter().chain(self.fraction).copied()
    }

    /// Where the point is, counted from the first digit that is not 0; `None` for zero.
    fn places(&self) -> Option<i64> {
        let zeros = self.digits().position(|digit| digit != b'0')?;
        Some(self.whole.len() as i64 - zeros as i64 + i64::from(self.exponent()))
    }

    /// Compares digits, as the correct rounding of a hard text into a double takes thousands of steps.
    fn is_beyond_double(&self) -> bool {
        if self.exponent.is_none() {
            return false; // the text is far too short for 309 digits
        }
        let Some(places) = self.places() else { return false };
        match places.cmp(&BEYOND_DOUBLE_PLACES) {
            Ordering::Less => false,
            Ordering::Greater => true,
            Ordering::Equal => {
                self.digits().skip_while(|digit| *digit == b'0').cmp(BEYOND_DOUBLE.iter().copied()).is_ge()
            }
        }
    }
}

impl Parts {
    /// The parts of a number's text; `None` beyond 128 bits, and for what is no number.
    pub(crate) fn of(text: &[u8]) -> Option<Parts> {
        split(text)?.parts()
    }

    /// The parts of the shortest text that reads back as this finite double (or single).
    pub(crate) fn of_float(float: impl zmij::Float) -> Option<Parts> {
        Parts::of(zmij::Buffer::new().format_finite(float).as_bytes())
    }

    /// The parts of a number's text, which is checked on the way.
    pub(crate) fn checked(text: &[u8]) -> Result<Option<Parts>, ValueFault> {
        if text.len() > NUMBER_TEXT_MAX {
            return Err(ValueFault::TooLong);
        }
        let split = split(text).ok_or(ValueFault::NotA)?;
        if split.is_beyond_double() { Err(ValueFault::Range) } else { Ok(split.parts()) }
    }
}

impl Split<'_> {
    fn parts(self) -> Option<Parts> {
        let split = self;
        // Zeros at the end of a fraction carry no value and would only use up the 38 digits.
        let kept = split.fraction.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
        let split = Split { fraction: split.fraction.get(..kept)?, ..split };
        let size = split.size()?;
        let mantissa = match split.negative {
            true => 0i128.checked_sub_unsigned(size)?,
            false => i128::try_from(size).ok()?,
        };
        let places = i32::try_from(kept).ok()?;
        Some(Parts { mantissa, exponent: split.exponent().saturating_sub(places) })
    }
}

impl Split<'_> {
    /// All digits as one number; `None` beyond 128 bits. They are taken in chunks that a word holds.
    fn size(&self) -> Option<u128> {
        const CHUNK: u32 = 18;
        let (mut size, mut chunk, mut count) = (0u128, 0u64, 0);
        let flush = |size: u128, chunk: u64, count| {
            if size == 0 {
                return Some(chunk.into());
            }
            size.checked_mul(power_of_ten(count)?.unsigned_abs())?.checked_add(chunk.into())
        };
        for digit in self.digits() {
            chunk = chunk * 10 + u64::from(digit - b'0');
            count += 1;
            if count == CHUNK {
                size = flush(size, chunk, count)?;
                (chunk, count) = (0, 0);
            }
        }
        flush(size, chunk, count)
    }
}

impl Parts {
    /// The exact integer: `None` inside `Ok` when it has more than 38 digits, an error when it is not whole.
    pub(crate) fn to_integer(self) -> Result<Option<i128>, NotWhole> {
        let Parts { mantissa, exponent } = self;
        if mantissa == 0 || exponent == 0 {
            return Ok(Some(mantissa));
        }
        let power = power_of_ten(exponent.unsigned_abs());
        if exponent > 0 {
            return Ok(power.and_then(|power| times(mantissa, power)));
        }
        match power {
            Some(power) => match divided(mantissa, power) {
                (quotient, 0) => Ok(Some(quotient)),
                (_, _) => Err(NotWhole),
            },
            None => Err(NotWhole),
        }
    }

    /// The number times 10^`digits`, rounded half away from zero; `None` when it has more than 38 digits.
    pub(crate) fn scaled(self, digits: i32) -> Option<i128> {
        let exponent = self.exponent.saturating_add(digits);
        match (Parts { exponent, ..self }).to_integer() {
            Ok(whole) => whole,
            Err(NotWhole) => {
                let Some(divisor) = power_of_ten(exponent.unsigned_abs()) else { return Some(0) };
                let (quotient, rest) = divided(self.mantissa, divisor);
                let up = rest.unsigned_abs() >= divisor.unsigned_abs().div_ceil(2);
                Some(if up { quotient + self.mantissa.signum() } else { quotient })
            }
        }
    }

    /// The exact sum; `None` beyond 128 bits.
    pub(crate) fn sum(self, other: Parts) -> Option<Parts> {
        let exponent = self.exponent.min(other.exponent);
        let lifted = |parts: Parts| times(parts.mantissa, power_of_ten(parts.exponent.abs_diff(exponent))?);
        Some(Parts { mantissa: lifted(self)?.checked_add(lifted(other)?)?, exponent })
    }

    /// `mantissa` × 10^`exponent` as text: plain digits where that is short, else with an exponent; `None` beyond a
    /// double's range.
    pub(crate) fn to_decimal(self) -> Option<Decimal> {
        let Parts { mantissa, exponent } = self;
        if exponent == 0
            && let Ok(integer) = i64::try_from(mantissa)
        {
            return Some(Decimal::of_integer(integer));
        }
        let digits = Line::of(mantissa.unsigned_abs());
        let size = exponent.unsigned_abs() as usize;
        let mut line = Line::default();
        if mantissa < 0 {
            line.push(b'-');
        }
        if exponent == 0 {
            line.append(digits.bytes());
        } else if exponent > 0 && size <= 18 && mantissa != 0 {
            line.append(digits.bytes());
            line.fill(b'0', size);
        } else if exponent < 0 && size <= 40 {
            line.with_point(digits.bytes(), digits.bytes().len() as i64 - size as i64);
        } else if mantissa == 0 {
            line.push(b'0');
        } else {
            line.append(digits.bytes());
            line.push(b'e');
            line.append_signed(exponent);
            if check(line.bytes()).is_err() {
                return None;
            }
        }
        Some(Decimal::known(line.bytes()))
    }
}

impl Parts {
    /// The value in a format without types: an integer where the digits are one, else a number; `None` beyond a double's
    /// range.
    pub(crate) fn to_value(self) -> Option<Value> {
        match self.exponent {
            0 => Some(Value::from_i128(self.mantissa)),
            ..0 => self.to_decimal().map(Value::from_number), // a point or an exponent is in its text
            1.. => self.to_decimal().map(Value::from_decimal),
        }
    }
}

impl From<i64> for Parts {
    fn from(value: i64) -> Self {
        Parts { mantissa: value.into(), exponent: 0 }
    }
}

impl From<u64> for Parts {
    fn from(value: u64) -> Self {
        Parts { mantissa: value.into(), exponent: 0 }
    }
}

/// `mantissa` × 10^`exponent`.
pub(super) fn of_parts(mantissa: i128, exponent: i32) -> Option<Decimal> {
    Parts { mantissa, exponent }.to_decimal()
}

/// The product; 64 bits by 64 bits, as nearly all are, need no check.
fn times(a: i128, b: i128) -> Option<i128> {
    match (i64::try_from(a), i64::try_from(b)) {
        (Ok(a), Ok(b)) => Some(i128::from(a) * i128::from(b)),
        (Ok(_) | Err(_), Ok(_) | Err(_)) => a.checked_mul(b),
    }
}

/// Quotient and rest, towards zero; `power` is positive.
fn divided(mantissa: i128, power: i128) -> (i128, i128) {
    match (i64::try_from(mantissa), i64::try_from(power)) {
        (Ok(mantissa), Ok(power)) => ((mantissa / power).into(), (mantissa % power).into()),
        (Ok(_) | Err(_), Ok(_) | Err(_)) => (mantissa / power, mantissa % power),
    }
}

/// The double of a number's text from its first nineteen digits. The correct rounding of longer ones can take
/// microseconds each; this is for sums that have lost digits anyway.
pub(super) fn quick_double(text: &[u8]) -> f64 {
    if text.len() <= QUICK_DIGITS {
        return std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
    }
    let Some(split) = split(text) else { return f64::NAN };
    let Some(places) = split.places() else { return 0.0 };
    let significant = split.digits().skip_while(|digit| *digit == b'0').take(QUICK_DIGITS);
    let mut line = Line::default();
    if split.negative {
        line.push(b'-');
    }
    let mut count = 0;
    for digit in significant {
        line.push(digit);
        count += 1;
    }
    line.push(b'e');
    line.append_signed(i32::try_from(places - count).unwrap_or(0));
    line.text().parse().unwrap_or(f64::NAN)
}

/// The shortest text that reads back as this finite double (or single), as `{:?}` writes it: "21.5", "1e-7", "1.0". That
/// one falls back to an exact method for some numbers, which costs twenty times as much; this one never does. (Where two
/// texts are equally short and near, the two may differ in the last digit.)
pub(super) fn shortest(float: impl zmij::Float + Into<f64> + Copy) -> Decimal {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(float).as_bytes();
    // Where both write all places, or both an exponent of two digits, the texts are the same but for a "+".
    let size = float.into().abs();
    match text.iter().position(|octet| *octet == b'e').and_then(|at| text.split_at_checked(at)) {
        None if (1e-4..1e16).contains(&size) => return Decimal::known(text),
        Some((digits, exponent)) if !(9e-11..2e16).contains(&size) => {
            let exponent = exponent.strip_prefix(b"e").unwrap_or_default();
            let mut line = Line::default();
            for part in [digits, b"e", exponent.strip_prefix(b"+").unwrap_or(exponent)] {
                line.append(part);
            }
            return Decimal::known(line.bytes());
        }
        None | Some(_) => {}
    }
    let Some(split) = split(text) else { return Decimal::known(b"0.0") };
    let mut line = Line::default();
    if split.negative {
        line.push(b'-');
    }
    let Some(places) = split.places() else {
        line.append(b"0.0");
        return Decimal::known(line.bytes());
    };
    let mut digits = Line::default();
    split.digits().skip_while(|digit| *digit == b'0').for_each(|digit| digits.push(digit));
    let kept = digits.bytes().iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
    let digits = digits.bytes().get(..kept).unwrap_or_default();
    if (-3..17).contains(&places) {
        line.with_point(digits, places);
        if places >= digits.len() as i64 {
            line.append(b".0");
        }
    } else {
        let (first, others) = digits.split_at_checked(1).unwrap_or_default();
        line.append(first);
        if !others.is_empty() {
            line.push(b'.');
            line.append(others);
        }
        line.push(b'e');
        line.append_signed(i32::try_from(places - 1).unwrap_or(0));
    }
    Decimal::known(line.bytes())
}

/// Longest text that is written here: 39 digits, a point or an exponent, and up to 40 zeros.
const LINE_MAX: usize = 64;

/// A short text in the making, without allocation. What does not fit would be left out, and all that is written fits.
struct Line {
    bytes: [u8; LINE_MAX],
    length: usize,
}

impl Default for Line {
    fn default() -> Self {
        Line { bytes: [0; LINE_MAX], length: 0 }
    }
}

impl Line {
    /// The digits of a number.
    fn of(number: u128) -> Line {
        const CHUNK: u128 = 10_000_000_000_000_000_000;
        let mut line = Line::default();
        match u64::try_from(number) {
            Ok(small) => line.append_number(small, 1),
            Err(_) => {
                let (high, low) = (number / CHUNK, (number % CHUNK) as u64);
                match u64::try_from(high) {
                    Ok(high) => line.append_number(high, 1),
                    Err(_) => {
                        line.append_number((high / CHUNK) as u64, 1);
                        line.append_number((high % CHUNK) as u64, 19);
                    }
                }
                line.append_number(low, 19);
            }
        }
        line
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        if let Some(places) = self.bytes.get_mut(self.length..self.length + bytes.len()) {
            places.copy_from_slice(bytes);
            self.length += bytes.len();
        }
    }

    fn fill(&mut self, byte: u8, count: usize) {
        if let Some(places) = self.bytes.get_mut(self.length..self.length + count) {
            places.fill(byte);
            self.length += count;
        }
    }

    /// A number in `width` digits at least.
    fn append_number(&mut self, mut number: u64, width: usize) {
        let mut digits = [b'0'; 20];
        let mut count = 0;
        for place in digits.iter_mut().rev() {
            if number == 0 && count >= width {
                break;
            }
            *place = b'0' + (number % 10) as u8;
            number /= 10;
            count += 1;
        }
        self.append(digits.get(20 - count..).unwrap_or_default());
    }

    fn append_signed(&mut self, number: i32) {
        if number < 0 {
            self.push(b'-');
        }
        self.append_number(number.unsigned_abs().into(), 1);
    }

    /// Digits with the point behind so many of them, zeros where they do not reach. Without digits behind it, the point
    /// is left out.
    fn with_point(&mut self, digits: &[u8], places: i64) {
        let before = usize::try_from(places).unwrap_or(0);
        match digits.split_at_checked(before) {
            Some(([], behind)) => {
                self.append(b"0.");
                self.fill(b'0', usize::try_from(-places).unwrap_or(0));
                self.append(behind);
            }
            Some((whole, [])) => self.append(whole),
            Some((whole, behind)) => {
                self.append(whole);
                self.push(b'.');
                self.append(behind);
            }
            None => {
                self.append(digits);
                self.fill(b'0', before - digits.len());
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn text(&self) -> &str {
        std::str::from_utf8(self.bytes()).unwrap_or_default() // only digits and signs are ever written
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_border_of_a_doubles_range_is_exact() {
        for text in [
            "1.7976931348623157e308",
            "1.7976931348623158e308",
            "1.7976931348623159e308",
            "1.797693134862315807e308",
            "1.797693134862315808e308",
            "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207e210",
            "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587208e210",
            "0.00017976931348623158e312",
            "0.00017976931348623159e312",
            "1e309",
            "1e308",
            "10e308",
            "0e999",
            "0.0e999999999999",
            "9e999999999999",
            "9e-999999999999",
            "0.1e309",
            "0.1e310",
            "-1e309",
        ] {
            let double: f64 = text.parse().unwrap();
            assert_eq!(check(text.as_bytes()).is_ok(), double.is_finite(), "{text}");
        }
    }

    #[test]
    fn the_hardest_texts_are_near_the_right_double() {
        for text in
            ["9007199254740993.00000000000000000001", "0.1", "-1e300", "0", "-0.0", "1e-400", "123e-5"]
        {
            let (quick, exact) = (quick_double(text.as_bytes()), text.parse::<f64>().unwrap());
            assert!((quick - exact).abs() <= exact.abs() * f64::EPSILON, "{text} {quick}");
        }
    }

    proptest! {
        #[test]
        fn the_shortest_text_is_as_debug_writes_it(bits: u64, single: u32, plain in -1e17f64..1e17) {
            // Of two texts equally short and equally near, the two take different ones, so the last digit is not compared.
            let same = |written: &str, expected: &str| {
                let split = |text: &str| text.rfind(|c: char| c.is_ascii_digit()).map(|last| text[..last].to_owned());
                written.len() == expected.len() && (written == expected || split(written) == split(expected))
            };
            for double in [f64::from_bits(bits), plain, plain / 1e20, plain.round()] {
                if double.is_finite() {
                    let (written, expected) = (shortest(double), format!("{double:?}"));
                    prop_assert!(same(written.as_str(), &expected), "{written} {expected}");
                    prop_assert_eq!(written.to_f64(), double);
                }
            }
            let single = f32::from_bits(single);
            if single.is_finite() {
                let (written, expected) = (shortest(single), format!("{single:?}"));
                prop_assert!(same(written.as_str(), &expected), "{written} {expected}");
                prop_assert_eq!(written.as_str().parse::<f32>().unwrap(), single);
            }
        }

        #[test]
        fn digits_are_read_as_std_reads_them(whole in "[1-9][0-9]{0,44}|0", fraction in "[0-9]{0,44}", negative: bool) {
            let sign = if negative { "-" } else { "" };
            let point = if fraction.is_empty() { "" } else { "." };
            let parts = Parts::of(format!("{sign}{whole}{point}{fraction}").as_bytes());
            let kept = fraction.trim_end_matches('0');
            let mantissa = format!("{sign}{whole}{kept}").parse::<i128>().ok();
            prop_assert_eq!(parts.map(|parts| parts.mantissa), mantissa);
            prop_assert_eq!(parts.map_or(0, |parts| parts.exponent), mantissa.map_or(0, |_| -(kept.len() as i32)));
        }

        #[test]
        fn digits_are_written_as_std_writes_them(number: u128, small: u64) {
            for number in [number, small.into(), number >> 60, number >> 1] {
                let expected = number.to_string();
                let line = Line::of(number);
                prop_assert_eq!(line.text(), expected);
            }
        }

        #[test]
        fn the_range_is_that_of_the_parsed_double(mantissa in "[0-9]{1,30}", places in 0i32..40, exponent in 260i32..330) {
            let text = format!("{}.{mantissa}e{}", &mantissa[..1], exponent - places);
            if split(text.as_bytes()).is_some() {
                prop_assert_eq!(check(text.as_bytes()).is_ok(), text.parse::<f64>().unwrap().is_finite());
            }
        }
    }
}
