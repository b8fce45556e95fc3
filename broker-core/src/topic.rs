//! Topic names and topic filters, validated once: whoever holds one of these types need not check again.
//!
//! The types carry what MQTT 3.1.1 *demands* (§1.5.3, §4.7). What an operator merely *limits*, levels and bytes, is
//! [`TopicLimits`], checked at the same door when the caller names them. Matching here is the plain, iterative
//! comparison of one filter with one topic; it is the oracle for the trie in [`crate::routes`], and good enough for
//! a handful of filters (ACL rules, say).
//!
//! Control characters U+0001..U+001F, U+007F..U+009F and non-characters such as U+FFFF are accepted: a server MAY
//! refuse them, need not, and clients use some of them. U+FEFF stays where it is ([MQTT-1.5.3-3]).
use std::fmt;
use std::sync::Arc;

/// Longest topic on the wire, bytes: its length field has 16 bits ([MQTT-4.7.3-3]).
pub const TOPIC_BYTES_WIRE_MAX: usize = 65_535;
/// Default bound of levels. Mosquitto stops at 200; real trees have fewer than 20, and each level costs a step in
/// every walk of a tree.
pub const TOPIC_LEVELS_DEFAULT: usize = 128;
/// Default bound of bytes: long enough for every topic scheme met, short enough that a million topics stay affordable.
pub const TOPIC_BYTES_DEFAULT: usize = 1024;
/// What a shared subscription begins with.
const SHARE_PREFIX: &str = "$share/";

/// An operator's bounds on topics, names and filters alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TopicLimits {
    /// Levels, counted as slashes plus one.
    pub levels_max: usize,
    /// Bytes of UTF-8.
    pub bytes_max: usize,
}

impl TopicLimits {
    /// No bound but the wire's own.
    pub const WIRE: TopicLimits =
        TopicLimits { levels_max: TOPIC_BYTES_WIRE_MAX + 1, bytes_max: TOPIC_BYTES_WIRE_MAX };

    fn check(&self, text: &str) -> Result<(), TopicError> {
        if text.len() > self.bytes_max {
            return Err(TopicError::OverByteLimit);
        }
        // A text of n bytes has at most n + 1 levels, so most topics need no count.
        if text.len() >= self.levels_max && level_count(text) > self.levels_max {
            return Err(TopicError::TooManyLevels);
        }
        Ok(())
    }
}

impl Default for TopicLimits {
    fn default() -> Self {
        TopicLimits { levels_max: TOPIC_LEVELS_DEFAULT, bytes_max: TOPIC_BYTES_DEFAULT }
    }
}

/// Which rule a text breaks, as a topic name or as a topic filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum TopicError {
    /// No characters at all ([MQTT-4.7.3-1]).
    Empty,
    /// More than 65,535 bytes ([MQTT-4.7.3-3]).
    TooLong,
    /// U+0000 in it ([MQTT-1.5.3-2], [MQTT-4.7.3-2]).
    Nul,
    /// `+` or `#` in a topic name ([MQTT-3.3.2-2], [MQTT-4.7.1-1]).
    WildcardInName,
    /// `#` that is not the last character, or not alone in its level ([MQTT-4.7.1-2]).
    MisplacedHash,
    /// `+` that is not alone in its level ([MQTT-4.7.1-3]).
    MisplacedPlus,
    /// `$share/` with an empty group name, or with `+` or `#` in it.
    ShareGroup,
    /// `$share/<group>` without a filter behind it.
    ShareWithoutFilter,
    /// More levels than [`TopicLimits::levels_max`].
    TooManyLevels,
    /// More bytes than [`TopicLimits::bytes_max`].
    OverByteLimit,
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TopicError::Empty => "empty",
            TopicError::TooLong => "longer than 65535 bytes",
            TopicError::Nul => "contains U+0000",
            TopicError::WildcardInName => "wildcard in a topic name",
            TopicError::MisplacedHash => "# is not alone in the last level",
            TopicError::MisplacedPlus => "+ is not alone in its level",
            TopicError::ShareGroup => "shared subscription with an empty group name or a wildcard in it",
            TopicError::ShareWithoutFilter => "shared subscription without a filter",
            TopicError::TooManyLevels => "more levels than allowed",
            TopicError::OverByteLimit => "more bytes than allowed",
        })
    }
}

impl std::error::Error for TopicError {}

/// Levels of a topic or filter: slashes plus one. Empty levels count (§4.7.1.1).
pub fn level_count(text: &str) -> usize {
    1 + text.bytes().map(|byte| usize::from(byte == b'/')).sum::<usize>()
}

/// A valid topic name, borrowed: 1..=65535 bytes, no U+0000, no wildcard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicNameRef<'a>(&'a str);

impl<'a> TopicNameRef<'a> {
    /// Takes `text` if MQTT allows it as a topic name.
    #[inline]
    pub fn new(text: &'a str) -> Result<Self, TopicError> {
        if text.is_empty() {
            return Err(TopicError::Empty); // [MQTT-4.7.3-1]
        }
        if text.len() > TOPIC_BYTES_WIRE_MAX {
            return Err(TopicError::TooLong); // [MQTT-4.7.3-3]
        }
        // One pass without an early exit, which the compiler turns into vector code; the rare failure is told apart
        // afterwards.
        let bad = text.bytes().fold(false, |bad, byte| bad | matches!(byte, 0 | b'+' | b'#'));
        if bad { Err(Self::what_is_wrong(text)) } else { Ok(TopicNameRef(text)) }
    }

    /// Takes a text that was checked before, when its message was made.
    pub(crate) const fn trusted(text: &'a str) -> Self {
        TopicNameRef(text)
    }

    /// As [`TopicNameRef::new`], and within the operator's `limits`.
    pub fn new_within(text: &'a str, limits: &TopicLimits) -> Result<Self, TopicError> {
        let name = Self::new(text)?;
        limits.check(text)?;
        Ok(name)
    }

    #[cold]
    fn what_is_wrong(text: &str) -> TopicError {
        if text.as_bytes().contains(&0) {
            TopicError::Nul // [MQTT-1.5.3-2]
        } else {
            TopicError::WildcardInName // [MQTT-3.3.2-2]
        }
    }

    /// Whether the operator's `limits` allow this topic: the check for a name that came through the codec.
    pub fn within(self, limits: &TopicLimits) -> Result<Self, TopicError> {
        limits.check(self.0).map(|()| self)
    }

    /// The text.
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// Begins with `$`: kept out of leading wildcards ([MQTT-4.7.2-1]).
    pub fn is_dollar(self) -> bool {
        self.0.as_bytes().first() == Some(&b'$')
    }

    /// The levels, at least one; any of them may be empty.
    pub fn levels(self) -> impl Iterator<Item = &'a str> {
        self.0.split('/')
    }

    /// An owned copy.
    pub fn to_owned(self) -> TopicName {
        TopicName(Arc::from(self.0))
    }
}

impl AsRef<str> for TopicNameRef<'_> {
    fn as_ref(&self) -> &str {
        self.0
    }
}

impl fmt::Debug for TopicNameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

impl fmt::Display for TopicNameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A valid topic name, owned and cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Arc<str>);

impl TopicName {
    /// Takes `text` if MQTT allows it as a topic name.
    pub fn new(text: &str) -> Result<Self, TopicError> {
        TopicNameRef::new(text).map(TopicNameRef::to_owned)
    }

    /// The borrowed form.
    pub fn as_name(&self) -> TopicNameRef<'_> {
        TopicNameRef(&self.0)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for TopicName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A valid topic filter, borrowed, possibly one of a shared subscription (`$share/<group>/<pattern>`).
///
/// The *pattern* is what topics are compared with: the whole text, or what stands behind the group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilterRef<'a> {
    text: &'a str,
    /// Where the pattern begins: 0 for a filter without a group.
    pattern_at: u32,
}

impl<'a> TopicFilterRef<'a> {
    /// Takes `text` if MQTT allows it as a topic filter, and, when it begins with `$share/`, if it is a well-formed
    /// shared subscription.
    ///
    /// Interpretation: MQTT 3.1.1 has no shared subscriptions, so `$share/...` is an ordinary filter to it; the rules
    /// for them are those of MQTT 5 §4.8.2, as other 3.1.1 brokers apply them.
    pub fn new(text: &'a str) -> Result<Self, TopicError> {
        if text.is_empty() {
            return Err(TopicError::Empty); // [MQTT-4.7.3-1]
        }
        if text.len() > TOPIC_BYTES_WIRE_MAX {
            return Err(TopicError::TooLong); // [MQTT-4.7.3-3]
        }
        let bad_or_wild =
            text.bytes().fold(false, |found, byte| found | matches!(byte, 0 | b'+' | b'#' | b'$'));
        if !bad_or_wild {
            return Ok(TopicFilterRef { text, pattern_at: 0 });
        }
        Self::new_slowly(text)
    }

    /// As [`TopicFilterRef::new`], and within the operator's `limits`.
    pub fn new_within(text: &'a str, limits: &TopicLimits) -> Result<Self, TopicError> {
        // Limits first: they bound the work that the rules may cost.
        if text.is_empty() {
            return Err(TopicError::Empty);
        }
        limits.check(text)?;
        Self::new(text)
    }

    fn new_slowly(text: &'a str) -> Result<Self, TopicError> {
        if text.as_bytes().contains(&0) {
            return Err(TopicError::Nul); // [MQTT-1.5.3-2]
        }
        let Some(shared) = text.strip_prefix(SHARE_PREFIX) else {
            check_wildcards(text)?;
            return Ok(TopicFilterRef { text, pattern_at: 0 });
        };
        let (group, pattern) = match shared.split_once('/') {
            Some(parts) => parts,
            None => (shared, ""),
        };
        if group.is_empty() || group.contains(['+', '#']) {
            return Err(TopicError::ShareGroup);
        }
        if pattern.is_empty() {
            return Err(TopicError::ShareWithoutFilter);
        }
        check_wildcards(pattern)?;
        let pattern_at = text.len() - pattern.len();
        Ok(TopicFilterRef {
            text,
            pattern_at: u32::try_from(pattern_at).expect("a filter has at most 65,535 bytes"),
        })
    }

    /// The whole text, as the client wrote it.
    pub const fn as_str(self) -> &'a str {
        self.text
    }

    /// The group of a shared subscription.
    pub fn group(self) -> Option<&'a str> {
        let end = (self.pattern_at as usize).checked_sub(1)?;
        self.text.get(SHARE_PREFIX.len()..end)
    }

    /// What topics are compared with: the text without `$share/<group>/`.
    pub fn pattern(self) -> &'a str {
        self.text.get(self.pattern_at as usize..).unwrap_or_default()
    }

    /// The pattern contains `+` or `#`.
    pub fn has_wildcard(self) -> bool {
        self.pattern().bytes().fold(false, |found, byte| found | matches!(byte, b'+' | b'#'))
    }

    /// The levels of the pattern, at least one.
    pub fn levels(self) -> impl Iterator<Item = &'a str> {
        self.pattern().split('/')
    }

    /// Whether a message on `topic` belongs to this filter (§4.7).
    pub fn matches(self, topic: TopicNameRef<'_>) -> bool {
        let mut levels = topic.levels();
        for (depth, want) in self.levels().enumerate() {
            let wild = want == "#" || want == "+";
            if wild && depth == 0 && topic.is_dollar() {
                return false; // [MQTT-4.7.2-1]
            }
            if want == "#" {
                return true; // the parent level too: sport/# matches sport (§4.7.1.2)
            }
            match levels.next() {
                Some(level) if want == "+" || want == level => {}
                // [MQTT-4.7.3-4]: level by level, exact, no normalisation
                Some(_) | None => return false,
            }
        }
        levels.next().is_none()
    }

    /// An owned copy.
    pub fn to_owned(self) -> TopicFilter {
        TopicFilter { text: Box::from(self.text), pattern_at: self.pattern_at }
    }
}

/// [MQTT-4.7.1-2] and [MQTT-4.7.1-3], level by level.
fn check_wildcards(pattern: &str) -> Result<(), TopicError> {
    let mut levels = pattern.split('/').peekable();
    while let Some(level) = levels.next() {
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            return Err(TopicError::MisplacedHash);
        }
        if level.contains('+') && level != "+" {
            return Err(TopicError::MisplacedPlus);
        }
    }
    Ok(())
}

impl AsRef<str> for TopicFilterRef<'_> {
    fn as_ref(&self) -> &str {
        self.text
    }
}

impl fmt::Debug for TopicFilterRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.text, f)
    }
}

impl fmt::Display for TopicFilterRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// A valid topic filter, owned.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter {
    text: Box<str>,
    pattern_at: u32,
}

impl TopicFilter {
    /// Takes `text` if MQTT allows it as a topic filter; see [`TopicFilterRef::new`].
    pub fn new(text: &str) -> Result<Self, TopicError> {
        TopicFilterRef::new(text).map(TopicFilterRef::to_owned)
    }

    /// As [`TopicFilter::new`], and within the operator's `limits`.
    pub fn new_within(text: &str, limits: &TopicLimits) -> Result<Self, TopicError> {
        TopicFilterRef::new_within(text, limits).map(TopicFilterRef::to_owned)
    }

    /// The borrowed form, which has all the methods.
    pub fn as_filter(&self) -> TopicFilterRef<'_> {
        TopicFilterRef { text: &self.text, pattern_at: self.pattern_at }
    }

    /// The whole text, as the client wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// See [`TopicFilterRef::matches`].
    pub fn matches(&self, topic: TopicNameRef<'_>) -> bool {
        self.as_filter().matches(topic)
    }
}

impl AsRef<str> for TopicFilter {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text, f)
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(filter: &str, topic: &str) -> bool {
        TopicFilterRef::new(filter).unwrap().matches(TopicNameRef::new(topic).unwrap())
    }

    #[test]
    fn topic_names_follow_section_4_7() {
        let long = "a".repeat(65_536);
        let cases: &[(&str, Option<TopicError>)] = &[
            ("a", None),
            ("/", None),
            ("//", None),
            ("/finance", None),
            ("Accounts payable", None),
            ("$SYS/broker/uptime", None),
            ("$share/g/t", None),
            ("\u{1}\u{1f}\u{7f}\u{9f}\u{ffff}", None),
            ("\u{feff}x", None),
            (&long[..65_535], None),
            ("", Some(TopicError::Empty)),
            (&long, Some(TopicError::TooLong)),
            ("a\0b", Some(TopicError::Nul)),
            ("a+\0", Some(TopicError::Nul)),
            ("+opic", Some(TopicError::WildcardInName)),
            ("a/#", Some(TopicError::WildcardInName)),
            ("a/+/b", Some(TopicError::WildcardInName)),
        ];
        for (text, error) in cases {
            assert_eq!(TopicNameRef::new(text).err(), *error, "{:.20}", text);
        }
    }

    #[test]
    fn byte_order_mark_is_part_of_the_name() {
        // [MQTT-1.5.3-3]
        let name = TopicNameRef::new("\u{feff}a").unwrap();
        assert_eq!(name.as_str().as_bytes(), b"\xEF\xBB\xBFa");
        assert!(!matches("a", "\u{feff}a"));
    }

    #[test]
    fn topic_filters_follow_section_4_7_and_the_share_rules() {
        use TopicError::*;
        let cases: &[(&str, Option<TopicError>)] = &[
            ("#", None),
            ("+", None),
            ("/#", None),
            ("+/+", None),
            ("+/tennis/#", None),
            ("sport/tennis/player1/#", None),
            ("sport/+/player1", None),
            ("/+", None),
            ("$SYS/#", None),
            ("$share", None),
            ("$shared/x", None),
            ("$share/g/#", None),
            ("$share/g/a/b", None),
            ("$share/g//", None),
            ("$share/g/$SYS/#", None),
            ("", Some(Empty)),
            ("a\0", Some(Nul)),
            ("sport/tennis#", Some(MisplacedHash)),
            ("sport/tennis/#/ranking", Some(MisplacedHash)),
            ("a/#/b", Some(MisplacedHash)),
            ("#a", Some(MisplacedHash)),
            ("##", Some(MisplacedHash)),
            ("#/", Some(MisplacedHash)),
            ("a+", Some(MisplacedPlus)),
            ("sport+", Some(MisplacedPlus)),
            ("++", Some(MisplacedPlus)),
            ("a/b+/c", Some(MisplacedPlus)),
            ("$share//t", Some(ShareGroup)),
            ("$share/", Some(ShareGroup)),
            ("$share/+/t", Some(ShareGroup)),
            ("$share/#", Some(ShareGroup)),
            ("$share/a#/t", Some(ShareGroup)),
            ("$share/g", Some(ShareWithoutFilter)),
            ("$share/g/", Some(ShareWithoutFilter)),
            ("$share/g/a#", Some(MisplacedHash)),
            ("$share/g/a+", Some(MisplacedPlus)),
            ("$share/g/\0", Some(Nul)),
        ];
        for (text, error) in cases {
            assert_eq!(TopicFilterRef::new(text).err(), *error, "{text}");
        }
        assert_eq!(TopicFilterRef::new(&"a".repeat(65_536)).err(), Some(TooLong));
    }

    #[test]
    fn shared_filters_are_split_into_group_and_pattern() {
        for (text, group, pattern) in [
            ("$share/g/a/b", Some("g"), "a/b"),
            ("$share/g//", Some("g"), "/"),
            ("$share/sharename/test", Some("sharename"), "test"),
            ("$share/grüppe/#", Some("grüppe"), "#"),
            ("a/b", None, "a/b"),
            ("$share", None, "$share"),
            ("$SYS/#", None, "$SYS/#"),
        ] {
            let filter = TopicFilterRef::new(text).unwrap();
            assert_eq!((filter.group(), filter.pattern(), filter.as_str()), (group, pattern, text));
            let owned = filter.to_owned();
            assert_eq!(owned.as_filter(), filter);
        }
    }

    #[test]
    fn limits_are_the_operators_and_apart_from_the_rules() {
        let limits = TopicLimits { levels_max: 3, bytes_max: 8 };
        for (text, error) in [
            ("a/b/c", None),
            ("12345678", None),
            ("//", None),
            ("///", Some(TopicError::TooManyLevels)),
            ("a/b/c/d", Some(TopicError::TooManyLevels)),
            ("123456789", Some(TopicError::OverByteLimit)),
        ] {
            assert_eq!(TopicNameRef::new_within(text, &limits).err(), error, "{text}");
            assert_eq!(TopicNameRef::new(text).unwrap().within(&limits).err(), error, "{text}");
            assert_eq!(TopicFilterRef::new_within(text, &limits).err(), error, "{text}");
        }
        let slashes = "/".repeat(65_535);
        assert!(TopicFilterRef::new(&slashes).is_ok());
        assert_eq!(
            TopicFilterRef::new_within(&slashes, &TopicLimits { bytes_max: 65_535, ..Default::default() })
                .err(),
            Some(TopicError::TooManyLevels)
        );
        assert!(TopicNameRef::new_within(&slashes, &TopicLimits::WIRE).is_ok());
        assert_eq!(TopicFilterRef::new_within("", &limits).err(), Some(TopicError::Empty));
    }

    #[test]
    fn matching_follows_the_examples_of_the_specification() {
        for (filter, topic, expected) in [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/ranking", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
            ("sport/#", "sport", true),
            ("sport/#", "sports", false),
            ("#", "a/b/c", true),
            ("#", "/", true),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("+/monitor/Clients", "$SYS/monitor/Clients", false),
            ("#", "$SYS/x", false),
            ("+/x", "$SYS/x", false),
            ("+", "$SYS", false),
            ("$SYS/#", "$SYS/x", true),
            ("$SYS/#", "$SYS", true),
            ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
            ("a/+", "a/$b", true),
            ("ACCOUNTS", "Accounts", false),
            ("/a", "a", false),
            ("a/", "a", false),
            ("a//b", "a/b", false),
            ("a/+/b", "a//b", true),
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("$share/g/a/+", "a/x", true),
            ("$share/g/#", "$SYS/x", false),
            ("$share/g/t", "$share/g/t", false),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter} {topic}");
        }
    }
}
