//! What stands before every topic of a client: a text in which `%c` is its ClientId, and `%h` its IP address.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use broker_core::topic::TopicNameRef;

/// The largest mount point, octets.
const BYTES_MAX: usize = 256;
/// Stands for the ClientId.
const CLIENT: &str = "%c";
/// Stands for the IP address that the client connected from.
const HOST: &str = "%h";
/// The same in the words of another gateway's settings.
const OTHER_WORDS: [(&str, &str); 2] = [("${clientid}", CLIENT), ("${peerhost}", HOST)];

/// A prefix of topics and filters; the default is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mountpoint {
    parts: Box<[Part]>,
}

/// What a mount point is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Client,
    Host,
}

/// Who is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mounted<'a> {
    /// Its ClientId; `None` for a publish without a session.
    pub client: Option<&'a str>,
    /// The IP address that it connected from.
    pub host: IpAddr,
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
    /// `%c` or `%h` more than once.
    Twice,
    /// A percent sign that is neither `%c` nor `%h`.
    Percent,
    /// `%c` or `%h` with something else on its level: `ab` would reach into `a` + `b`.
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
            BadMountpoint::Twice => "it has %c or %h more than once",
            BadMountpoint::Percent => "it has a % that is neither %c, the client id, nor %h, its address",
            BadMountpoint::PartOfLevel => "%c and %h must be levels of their own, between slashes",
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
        let text =
            OTHER_WORDS.iter().fold(text.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours));
        if text.contains(['+', '#', '\0']) {
            return Err(BadMountpoint::Character);
        }
        if text.starts_with('$') {
            return Err(BadMountpoint::Dollar);
        }
        let Some(levels) = text.strip_suffix('/') else { return Err(BadMountpoint::NoSlash) };
        let mut parts: Vec<Part> = Vec::new();
        for level in levels.split('/') {
            let placeholder = match level {
                CLIENT => Some(Part::Client),
                HOST => Some(Part::Host),
                _ if level.replace(CLIENT, "").replace(HOST, "").contains('%') => {
                    return Err(BadMountpoint::Percent);
                }
                _ if level.contains('%') => return Err(BadMountpoint::PartOfLevel),
                _ => None, // a text
            };
            match placeholder {
                Some(part) if parts.contains(&part) => return Err(BadMountpoint::Twice),
                Some(part) => parts.extend([part, Part::Text("/".into())]),
                None => parts.push(Part::Text(format!("{level}/").into())),
            }
        }
        Ok(Mountpoint { parts: parts.into() })
    }

    /// Whether it puts nothing before topics.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether the address that clients connect from is in it.
    pub fn has_host(&self) -> bool {
        self.parts.contains(&Part::Host)
    }

    /// Whether this client can be mounted. Where `%c` stands, a ClientId must be one level of a topic: with `/` in it
    /// a client would reach into another's part, with `+` or `#` into all (CVE-2017-7650, hostile input N10).
    pub fn admits(&self, client: &str) -> bool {
        !self.parts.contains(&Part::Client) || is_level(client, self.parts.first() == Some(&Part::Client))
    }

    /// A client's topic as the broker knows it; `None` where `%c` stands and nobody has a session.
    pub fn mounted<'a>(&self, whose: Mounted<'_>, topic: &'a str) -> Option<Cow<'a, str>> {
        if self.is_empty() {
            return Some(Cow::Borrowed(topic));
        }
        let mut mounted = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => mounted.push_str(text),
                Part::Client => mounted.push_str(whose.client?),
                Part::Host => mounted.push_str(&whose.host.to_canonical().to_string()),
            }
        }
        Some(Cow::Owned(mounted + topic))
    }

    /// A client's filter as the broker knows it. In a shared subscription the group stays in front.
    pub fn mounted_filter<'a>(&self, whose: Mounted<'_>, filter: &'a str) -> Option<Cow<'a, str>> {
        let shared = filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
        match shared {
            Some((group, rest)) if !self.is_empty() => {
                Some(Cow::Owned(format!("$share/{group}/{}", self.mounted(whose, rest)?)))
            }
            Some(_) | None => self.mounted(whose, filter),
        }
    }

    /// A topic of the broker as a client knows it. Any address is taken off: what the client subscribed to from
    /// another one is still its own.
    pub fn unmounted<'a>(&self, client: &str, topic: &'a str) -> &'a str {
        let rest = self.parts.iter().try_fold(topic, |rest, part| match part {
            Part::Text(text) => rest.strip_prefix(&**text),
            Part::Client => rest.strip_prefix(client),
            Part::Host => rest.find('/').and_then(|end| rest.get(end..)),
        });
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

    fn at<'a>(client: Option<&'a str>, host: &str) -> Mounted<'a> {
        Mounted { client, host: host.parse().expect("an address") }
    }

    fn c1() -> Mounted<'static> {
        at(Some("c1"), "192.0.2.7")
    }

    #[test]
    fn topics_are_mounted_and_unmounted() {
        for (text, topic, mounted) in [
            ("", "a/b", "a/b"),
            ("site/1/", "a/b", "site/1/a/b"),
            ("%c/", "a", "c1/a"),
            ("devices/%c/up/", "a/b", "devices/c1/up/a/b"),
            ("devices/${clientid}/", "/a", "devices/c1//a"),
            ("at/${peerhost}/", "a/b", "at/192.0.2.7/a/b"),
            ("%h/x/%c/", "a", "192.0.2.7/x/c1/a"),
            ("%c/%h/", "a", "c1/192.0.2.7/a"),
        ] {
            let mount = mount(text);
            assert_eq!(mount.mounted(c1(), topic).as_deref(), Some(mounted), "{text}");
            assert_eq!(mount.unmounted("c1", mounted), topic, "{text}");
        }
        let own = mount("%c/");
        assert_eq!(own.unmounted("c1", "c2/a"), "c2/a", "another's");
        assert_eq!(own.unmounted("c1", "c12/a"), "c12/a");
        assert_eq!(own.mounted(at(None, "::1"), "a"), None, "nobody's");
        assert_eq!(mount("s/").mounted(at(None, "::1"), "a").as_deref(), Some("s/a"));
        assert!(mount("").is_empty() && !own.is_empty());
    }

    #[test]
    fn an_address_is_one_level_and_any_is_taken_off() {
        let here = mount("at/%h/");
        assert!(here.has_host() && !mount("at/%c/").has_host());
        for (host, mounted) in
            [("2001:db8::7", "at/2001:db8::7/t"), ("::ffff:192.0.2.7", "at/192.0.2.7/t"), ("::1", "at/::1/t")]
        {
            assert_eq!(here.mounted(at(None, host), "t").as_deref(), Some(mounted));
            assert_eq!(here.unmounted("c1", mounted), "t");
        }
        assert_eq!(here.unmounted("c1", "at/x"), "at/x");
        let own = mount("%h/%c/");
        assert_eq!(own.unmounted("c1", "198.51.100.1/c1/t"), "t");
        assert_eq!(own.unmounted("c1", "198.51.100.1/c2/t"), "198.51.100.1/c2/t");
    }

    #[test]
    fn a_shared_subscription_keeps_its_group_in_front() {
        let mount = mount("s/%c/");
        assert_eq!(mount.mounted_filter(c1(), "$share/g/a/#").as_deref(), Some("$share/g/s/c1/a/#"));
        assert_eq!(mount.mounted_filter(c1(), "+/a").as_deref(), Some("s/c1/+/a"));
        assert_eq!(Mountpoint::default().mounted_filter(c1(), "$share/g/a").as_deref(), Some("$share/g/a"));
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
            ("%c/%c/", BadMountpoint::Twice),
            ("%u/", BadMountpoint::Percent),
            ("a/%c/%d/", BadMountpoint::Percent),
            ("a-%c/", BadMountpoint::PartOfLevel),
            ("a/%c-b/", BadMountpoint::PartOfLevel),
            ("a/%h%c/", BadMountpoint::PartOfLevel),
            ("%h/%c/%h/", BadMountpoint::Twice),
        ] {
            assert_eq!(Mountpoint::new(text), Err(error), "{text}");
        }
        assert_eq!(Mountpoint::new(&"a/".repeat(129)), Err(BadMountpoint::TooLong));
    }
}
