//! Durations (`30s`, `1h30m`) and sizes (`64KiB`) as people write them.
//!
//! Reading is strict, so that a file means the same everywhere; [`guess_duration`] and [`guess_size`]
//! read the usual slips (`30 sec`, `1 M`) only to propose the right spelling.

use std::time::Duration;

const DURATION_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZE_UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// Reads `500ms`, `30s`, `15m`, `1h30m`, `2d`, or plain seconds.
pub fn parse_duration(text: &str) -> Option<Duration> {
    if let Some(seconds) = plain_number(text) {
        return Some(Duration::from_secs(seconds));
    }
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    let mut total: u64 = 0;
    let mut smallest_so_far = u64::MAX;
    while !rest.is_empty() {
        let (number, unit, after) = next_part(rest)?;
        let factor = DURATION_UNITS.iter().find(|(name, _)| *name == unit)?.1;
        if factor >= smallest_so_far {
            return None; // `30s1h` or `1s1s` is a slip, not a duration
        }
        smallest_so_far = factor;
        total = total.checked_add(number.checked_mul(factor)?)?;
        rest = after;
    }
    Some(Duration::from_millis(total))
}

/// Writes a duration so that [`parse_duration`] reads the same value again; parts below 1 ms are dropped.
pub fn format_duration(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, factor) in DURATION_UNITS.iter().rev() {
        let count = left / factor;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
            left %= factor;
        }
    }
    text
}

/// Reads `512B`, `64KiB`, `1MiB`, `1GB`, or plain bytes.
pub fn parse_size(text: &str) -> Option<u64> {
    if let Some(bytes) = plain_number(text) {
        return Some(bytes);
    }
    let (number, unit, after) = next_part(text)?;
    let factor = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?.1;
    if after.is_empty() { number.checked_mul(factor) } else { None }
}

/// Writes a size in the largest unit of 1024 that divides it.
pub fn format_size(bytes: u64) -> String {
    for (unit, factor) in [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= factor && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    format!("{bytes}B")
}

/// What somebody probably meant who wrote `30 sec`, `5 min` or `1 Hour`.
pub fn guess_duration(text: &str) -> Option<Duration> {
    let (number, word) = number_and_word(text)?;
    let unit = match word.as_str() {
        "ms" | "msec" | "millis" | "milliseconds" => "ms",
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "h" | "hr" | "hrs" | "hour" | "hours" => "h",
        "d" | "day" | "days" => "d",
        "w" | "week" | "weeks" => return Some(Duration::from_secs(number.checked_mul(604_800)?)),
        _ => return None,
    };
    parse_duration(&format!("{number}{unit}"))
}

/// What somebody probably meant who wrote `1M`, `64 kb` or `2 mib`.
pub fn guess_size(text: &str) -> Option<u64> {
    let (number, word) = number_and_word(text)?;
    let unit = match word.as_str() {
        "b" | "byte" | "bytes" => "B",
        "k" | "kb" | "kib" => "KiB",
        "m" | "mb" | "mib" => "MiB",
        "g" | "gb" | "gib" => "GiB",
        _ => return None,
    };
    parse_size(&format!("{number}{unit}"))
}

fn plain_number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// Splits `1h30m` into (1, "h", "30m").
fn next_part(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (unit, after) = rest.split_at(letters);
    Some((number.parse().ok()?, unit, after))
}

fn number_and_word(text: &str) -> Option<(u64, String)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, word) = text.split_at(digits);
    Some((number.parse().ok()?, word.trim().to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_the_same() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("15m", 900_000),
            ("1h30m", 5_400_000),
            ("1d", 86_400_000),
            ("1d1h1m1s1ms", 90_061_001),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
            assert_eq!(format_duration(Duration::from_millis(millis)), text);
        }
        assert_eq!(parse_duration("900"), Some(Duration::from_secs(900)));
        assert_eq!(parse_duration("0"), Some(Duration::ZERO));
        assert_eq!(format_duration(Duration::from_secs(900)), "15m");
        assert_eq!(format_duration(Duration::ZERO), "0s");
    }

    #[test]
    fn malformed_durations_are_refused() {
        for text in [
            "",
            "s",
            "-1s",
            "1.5h",
            "30 s",
            "30S",
            "30s1h",
            "1s1s",
            "1x",
            "99999999999999999999s",
            "1h 30m",
            "1h30",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        assert_eq!(parse_duration("18446744073709551615d"), None);
    }

    #[test]
    fn sizes_are_read_and_written_the_same() {
        for (text, bytes) in
            [("512B", 512), ("64KiB", 65_536), ("1MiB", 1_048_576), ("3GiB", 3_221_225_472), ("1025B", 1_025)]
        {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
            assert_eq!(format_size(bytes), text);
        }
        assert_eq!(parse_size("2000000"), Some(2_000_000));
        assert_eq!(parse_size("1MB"), Some(1_000_000));
        assert_eq!(format_size(0), "0B");
    }

    #[test]
    fn malformed_sizes_are_refused() {
        for text in ["", "MiB", "1 MiB", "1M", "1mib", "-1B", "1.5MiB", "1KiB1B", "18446744073709551615KiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn usual_slips_are_guessed() {
        assert_eq!(guess_duration("30 sec"), Some(Duration::from_secs(30)));
        assert_eq!(guess_duration("5min"), Some(Duration::from_secs(300)));
        assert_eq!(guess_duration("soon"), None);
        assert_eq!(guess_size("1M"), Some(1 << 20));
        assert_eq!(guess_size("64 kb"), Some(64 << 10));
        assert_eq!(guess_size("big"), None);
    }
}
