//! What stands before every topic of a client: a text in which `%c` is its ClientId.

use std::borrow::Cow;
use std::fmt;

use broker_core::topic::TopicNameRef;

/// The largest mount point, octets.
const BYTES_MAX: usize = 256;
/// Stands for the ClientId.
const CLIENT: &str = "%c";
/// The same in the words of another gateway's settings.
const CLIENT_LONG: &str = "${clientid}";

/// A prefix of topics and filters; the default is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mountpoint {
    before: Box<str>,
    /// There is a ClientId, and this behind it.
    after: Option<Box<str>>,
}

/// Why a text is no mount point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadMountpoint {
    /// Longer than 256 octets.
    TooLong,
    /// `+`, `#` or U+0000 in it.
    Character,
    /// `$` in front: those topics belong to the broker.
    Dollar,
    /// `%c` more than once.
    ClientTwice,
    /// A percent sign that is not `%c`.
    Percent,
    /// `%c` with something else on its level: `ab` would reach into `a` + `b`.
    PartOfLevel,
    /// `/` is missing behind it: topics would run together with it.
    NoSlash,
}

impl fmt::Display for BadMountpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadMountpoint::TooLong => "it is longer than 256 bytes",
            BadMountpoint::Character => "it has a +, a # or U+0000 in it",
            BadMountpoint::Dollar => "it begins with $, and those topics belong to the broker",
            BadMountpoint::ClientTwice => "it has %c more than once",
            BadMountpoint::Percent => "it has a % that is not %c, the client id",
            BadMountpoint::PartOfLevel => "%c must be a level of its own, between slashes",
            BadMountpoint::NoSlash => "it does not end with /",
        })
    }
}

impl std::error::Error for BadMountpoint {}

impl Mountpoint {
    /// Reads a mount point; the empty text is none.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Mountpoint, BadMountpoint> {
        if text.is_empty() {
            return Ok(Mountpoint::default());
        }
        if text.len() > BYTES_MAX {
            return Err(BadMountpoint::TooLong);
        }
        let text = text.replace(CLIENT_LONG, CLIENT);
        if text.contains(['+', '#', '\0']) {
            return Err(BadMountpoint::Character);
        }
        if text.starts_with('$') {
            return Err(BadMountpoint::Dollar);
        }
        if !text.ends_with('/') {
            return Err(BadMountpoint::NoSlash);
        }
        let (before, after) = match text.split_once(CLIENT) {
            Some((before, after)) => (before, Some(after)),
            None => (text.as_str(), None),
        };
        if after.is_some_and(|after| after.contains(CLIENT)) {
            return Err(BadMountpoint::ClientTwice);
        }
        if before.contains('%') || after.is_some_and(|after| after.contains('%')) {
            return Err(BadMountpoint::Percent);
        }
        if after.is_some_and(|after| !after.starts_with('/') || !(before.is_empty() || before.ends_with('/')))
        {
            return Err(BadMountpoint::PartOfLevel);
        }
        Ok(Mountpoint { before: Box::from(before), after: after.map(Box::from) })
    }

    /// Whether it puts nothing before topics.
    pub fn is_empty(&self) -> bool {
        self.before.is_empty() && self.after.is_none()
    }

    /// Whether this client can be mounted. Where `%c` stands, a ClientId must be one level of a topic: with `/` in it
    /// a client would reach into another's part, with `+` or `#` into all (CVE-2017-7650, hostile input N10).
    pub fn admits(&self, client: &str) -> bool {
        self.after.is_none() || is_level(client, self.before.is_empty())
    }

    /// A client's topic as the broker knows it. `client`: `None` for a publish without a session, which has no place
    /// where `%c` stands.
    pub fn mounted<'a>(&self, client: Option<&str>, topic: &'a str) -> Option<Cow<'a, str>> {
        match (&self.after, client) {
            (None, _) if self.before.is_empty() => Some(Cow::Borrowed(topic)),
            (None, _) => Some(Cow::Owned(format!("{}{topic}", self.before))),
            (Some(after), Some(client)) => Some(Cow::Owned(format!("{}{client}{after}{topic}", self.before))),
            (Some(_), None) => None,
        }
    }

    /// A client's filter as the broker knows it. In a shared subscription the group stays in front.
    pub fn mounted_filter<'a>(&self, client: &str, filter: &'a str) -> Option<Cow<'a, str>> {
        let shared = filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
        match shared {
            Some((group, rest)) if !self.is_empty() => {
                Some(Cow::Owned(format!("$share/{group}/{}", self.mounted(Some(client), rest)?)))
            }
            Some(_) | None => self.mounted(Some(client), filter),
        }
    }

    /// A topic of the broker as a client knows it.
    pub fn unmounted<'a>(&self, client: &str, topic: &'a str) -> &'a str {
        let rest = topic.strip_prefix(&*self.before);
        let rest = match &self.after {
            None => rest,
            Some(after) => {
                rest.and_then(|rest| rest.strip_prefix(client)).and_then(|rest| rest.strip_prefix(&**after))
            }
        };
        rest.unwrap_or(topic)
    }
}

fn is_level(client: &str, is_first: bool) -> bool {
    TopicNameRef::new(client).is_ok() && !client.contains('/') && !(is_first && client.starts_with('$'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(text: &str) -> Mountpoint {
        Mountpoint::new(text).expect("a mount point")
    }

    #[test]
    fn topics_are_mounted_and_unmounted() {
        for (text, topic, mounted) in [
            ("", "a/b", "a/b"),
            ("site/1/", "a/b", "site/1/a/b"),
            ("%c/", "a", "c1/a"),
            ("devices/%c/up/", "a/b", "devices/c1/up/a/b"),
            ("devices/${clientid}/", "/a", "devices/c1//a"),
        ] {
            let mount = mount(text);
            assert_eq!(mount.mounted(Some("c1"), topic).as_deref(), Some(mounted), "{text}");
            assert_eq!(mount.unmounted("c1", mounted), topic, "{text}");
        }
        let own = mount("%c/");
        assert_eq!(own.unmounted("c1", "c2/a"), "c2/a", "another's");
        assert_eq!(own.unmounted("c1", "c12/a"), "c12/a");
        assert_eq!(own.mounted(None, "a"), None, "nobody's");
        assert_eq!(mount("s/").mounted(None, "a").as_deref(), Some("s/a"));
        assert!(mount("").is_empty() && !own.is_empty());
    }

    #[test]
    fn a_shared_subscription_keeps_its_group_in_front() {
        let mount = mount("s/%c/");
        assert_eq!(mount.mounted_filter("c1", "$share/g/a/#").as_deref(), Some("$share/g/s/c1/a/#"));
        assert_eq!(mount.mounted_filter("c1", "+/a").as_deref(), Some("s/c1/+/a"));
        assert_eq!(Mountpoint::default().mounted_filter("c1", "$share/g/a").as_deref(), Some("$share/g/a"));
    }

    #[test]
    fn where_the_client_id_stands_it_must_be_one_level() {
        let own = mount("d/%c/");
        for (client, admitted) in
            [("c1", true), ("a b", true), ("$x", true), ("a/b", false), ("+", false), ("a#", false)]
        {
            assert_eq!(own.admits(client), admitted, "{client}");
            assert!(mount("site/").admits(client) && mount("").admits(client));
        }
        assert!(!mount("%c/").admits("$SYS"));
    }

    #[test]
    fn what_is_no_mount_point_is_refused() {
        for (text, error) in [
            ("a", BadMountpoint::NoSlash),
            ("a/+/", BadMountpoint::Character),
            ("#/", BadMountpoint::Character),
            ("a\0/", BadMountpoint::Character),
            ("$SYS/", BadMountpoint::Dollar),
            ("%c/%c/", BadMountpoint::ClientTwice),
            ("%u/", BadMountpoint::Percent),
            ("a/%c/%d/", BadMountpoint::Percent),
            ("a-%c/", BadMountpoint::PartOfLevel),
            ("a/%c-b/", BadMountpoint::PartOfLevel),
        ] {
            assert_eq!(Mountpoint::new(text), Err(error), "{text}");
        }
        assert_eq!(Mountpoint::new(&"a/".repeat(129)), Err(BadMountpoint::TooLong));
    }
}
