//! The MQTT side's topics: a mount point with the endpoint's name in it, and what stands below.
//!
//! The mount point may also have the device's IP address as a level. It is the one that the device registered from: an
//! Update from elsewhere changes nothing, so that who has subscribed goes on hearing it; a new Register does.
use crate::command::Channel;
use broker_core::QoS;
use broker_core::topic::{TopicFilter, TopicName};

/// A topic below the mount point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its levels; "" turns the messages off.
    pub name: Box<str>,
    /// Their QoS.
    pub qos: QoS,
}

impl Leaf {
    fn new(name: &str, qos: QoS) -> Leaf {
        Leaf { name: name.into(), qos }
    }
}

/// Stands for the endpoint's name.
const ENDPOINT: &str = "%e";
/// Stands for the device's IP address.
const HOST: &str = "%h";

/// Whose topics: what stands where the mount point has its placeholders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The endpoint's name.
    pub endpoint: &'a str,
    /// The IP address that it registered from; "" where the mount point has none.
    pub host: &'a str,
}

/// Where everything goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// Before the endpoint's name: "lwm2m/". It may have a host in it.
    prefix: Box<str>,
    /// Behind it: "/". Or here.
    suffix: Box<str>,
    has_host: bool,
    /// Commands of both forms.
    pub command: Box<str>,
    /// Commands of form B; also any level below.
    pub downlink: Box<str>,
    /// Answers to commands that came on `command`.
    pub response: Leaf,
    /// Answers to commands that came on `downlink`.
    pub uplink: Leaf,
    /// Notifications of observations that were asked for on `downlink`, and what a device sends by itself.
    pub notify: Leaf,
    /// Register events as EMQX has them.
    pub register: Leaf,
    /// Update events as EMQX has them.
    pub update: Leaf,
    /// Life-cycle and command events.
    pub event: Leaf,
    /// Retained: online or offline.
    pub status: Leaf,
}

impl Default for Topics {
    fn default() -> Topics {
        Topics {
            prefix: "lwm2m/".into(),
            suffix: "/".into(),
            has_host: false,
            command: "command".into(),
            downlink: "dn".into(),
            response: Leaf::new("response", QoS::AtMostOnce),
            uplink: Leaf::new("up/resp", QoS::AtMostOnce),
            notify: Leaf::new("up/notify", QoS::AtMostOnce),
            register: Leaf::new("up/resp", QoS::AtMostOnce),
            update: Leaf::new("up/resp", QoS::AtMostOnce),
            event: Leaf::new("event", QoS::AtMostOnce),
            status: Leaf::new("status", QoS::AtLeastOnce),
        }
    }
}

/// Why a mount point is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadMountpoint;

impl std::fmt::Display for BadMountpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "a mount point has %e, the endpoint's name, as one of its levels, such as \"lwm2m/%e/\"; %h, the \
             device's IP address, may be another",
        )
    }
}

impl std::error::Error for BadMountpoint {}

/// Why a topic cannot stand below the mount point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadLeaf {
    /// It is no topic name (MQTT 3.1.1 §4.7.1, §4.7.3).
    NoTopic,
    /// Without it no command could come.
    Missing,
    /// What is published there would be taken for a command.
    Command,
}

impl std::fmt::Display for BadLeaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            BadLeaf::NoTopic => "a topic has no + and # in it",
            BadLeaf::Missing => "commands need a topic to come in by",
            BadLeaf::Command => "commands come in on topics of their own",
        })
    }
}

impl Topics {
    /// What is wrong with the topics below the mount point: the key of each, and why.
    pub fn bad_leaves(&self) -> Vec<(&'static str, BadLeaf)> {
        let judge = |(key, name): (&'static str, &str)| {
            let commands = matches!(key, "command" | "dn");
            let topic = self.of(Place { endpoint: "e", host: "h" }, name);
            let why = if name.is_empty() {
                commands.then_some(BadLeaf::Missing)
            } else if TopicName::new(&topic).is_err() {
                Some(BadLeaf::NoTopic)
            } else {
                match self.parse(&topic) {
                    Some((_, Channel::Command)) if key != "command" => Some(BadLeaf::Command),
                    Some((_, Channel::Downlink)) if !commands => Some(BadLeaf::Command),
                    Some((_, Channel::Command | Channel::Downlink)) | None => None,
                }
            };
            why.map(|why| (key, why))
        };
        [
            ("command", &*self.command),
            ("dn", &*self.downlink),
            ("response", &*self.response.name),
            ("up", &*self.uplink.name),
            ("notify", &*self.notify.name),
            ("register", &*self.register.name),
            ("update", &*self.update.name),
            ("event", &*self.event.name),
            ("status", &*self.status.name),
        ]
        .into_iter()
        .filter_map(judge)
        .collect()
    }

    /// Mounts everything below `mountpoint`, in which `%e` or `${endpoint_name}` stands for the endpoint's name, and
    /// `%h` or `${peerhost}`, if it is there, for the IP address that the device registered from.
    ///
    /// # Errors
    /// When the name is not there, one of the two not a level of its own or there twice, or the rest is no topic.
    pub fn mounted_at(mut self, mountpoint: &str) -> Result<Topics, BadMountpoint> {
        let text = mountpoint.replace("${endpoint_name}", ENDPOINT).replace("${peerhost}", HOST);
        let once = |placeholder: &str| text.matches(placeholder).count() <= 1;
        let whole = text.split('/').all(|level| {
            (level == ENDPOINT || level == HOST) || !(level.contains(ENDPOINT) || level.contains(HOST))
        });
        let (prefix, suffix) = text.split_once(ENDPOINT).ok_or(BadMountpoint)?;
        if !whole || !once(ENDPOINT) || !once(HOST) || !suffix.ends_with('/') {
            return Err(BadMountpoint);
        }
        if TopicName::new(&format!("{prefix}e{suffix}x")).is_err() {
            return Err(BadMountpoint);
        }
        (self.prefix, self.suffix, self.has_host) = (prefix.into(), suffix.into(), text.contains(HOST));
        Ok(self)
    }

    /// Whether the mount point has the device's IP address in it.
    pub fn has_host(&self) -> bool {
        self.has_host
    }

    /// The topic of an endpoint.
    pub fn of(&self, place: Place<'_>, leaf: &str) -> String {
        let mut topic = String::new();
        self.write(place, leaf, &mut topic);
        topic
    }

    /// The topic of an endpoint, in the place of a former text.
    pub(crate) fn write(&self, place: Place<'_>, leaf: &str, topic: &mut String) {
        topic.clear();
        let push = |part: &str, topic: &mut String| {
            if self.has_host {
                topic.push_str(&part.replace(HOST, place.host));
            } else {
                topic.push_str(part);
            }
        };
        push(&self.prefix, topic);
        topic.push_str(place.endpoint);
        push(&self.suffix, topic);
        topic.push_str(leaf);
    }

    /// Whom a command topic names, and its kind.
    pub fn parse<'t>(&self, topic: &'t str) -> Option<(Place<'t>, Channel)> {
        let (before, rest) = strip(&self.prefix, topic)?;
        let (endpoint, rest) = level(rest);
        let (behind, leaf) = strip(&self.suffix, rest)?;
        let place = Place { endpoint, host: before.or(behind).unwrap_or_default() };
        if leaf == &*self.command {
            return Some((place, Channel::Command));
        }
        let below = leaf.strip_prefix(&*self.downlink)?;
        (below.is_empty() || below.starts_with('/')).then_some((place, Channel::Downlink))
    }

    /// The filters of the command topics.
    pub fn filters(&self) -> Vec<TopicFilter> {
        let at = |leaf: &str| TopicFilter::new(&self.of(ANY, leaf));
        // `dn/#` covers `dn` itself too (MQTT 3.1.1 §4.7.1.2).
        [at(&self.command), at(&format!("{}/#", self.downlink))].into_iter().flatten().collect()
    }

    /// What only the gateway may publish below the mount point, as filters.
    pub fn closed(&self) -> Vec<TopicFilter> {
        let leaves = [&self.response, &self.uplink, &self.notify, &self.register, &self.update, &self.event];
        let mut filters: Vec<TopicFilter> = Vec::new();
        for leaf in leaves.into_iter().chain([&self.status]).filter(|leaf| !leaf.name.is_empty()) {
            if let Ok(filter) = TopicFilter::new(&self.of(ANY, &leaf.name))
                && !filters.contains(&filter)
            {
                filters.push(filter);
            }
        }
        filters
    }
}

/// All devices, in filters.
const ANY: Place<'static> = Place { endpoint: "+", host: "+" };

/// The first level of a topic, and the rest with its slash.
fn level(topic: &str) -> (&str, &str) {
    topic.split_at_checked(topic.find('/').unwrap_or(topic.len())).unwrap_or((topic, ""))
}

/// Takes a part of the mount point off a topic: the host in it, if it has one, and the rest.
fn strip<'t>(part: &str, topic: &'t str) -> Option<(Option<&'t str>, &'t str)> {
    let Some((before, behind)) = part.split_once(HOST) else {
        return Some((None, topic.strip_prefix(part)?));
    };
    let (host, rest) = level(topic.strip_prefix(before)?);
    Some((Some(host), rest.strip_prefix(behind)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<'a>(endpoint: &'a str, host: &'a str) -> Place<'a> {
        Place { endpoint, host }
    }

    #[test]
    fn command_topics_name_an_endpoint_and_a_channel() {
        let topics = Topics::default();
        for (topic, parsed) in [
            ("lwm2m/ep/command", Some((at("ep", ""), Channel::Command))),
            ("lwm2m/ep/dn", Some((at("ep", ""), Channel::Downlink))),
            ("lwm2m/ep/dn/read/x", Some((at("ep", ""), Channel::Downlink))),
            ("lwm2m//command", Some((at("", ""), Channel::Command))),
            ("lwm2m/ep/dnx", None),
            ("lwm2m/ep/response", None),
            ("lwm2m/ep", None),
            ("lwm2m/ep/x/command", None),
            ("other/ep/command", None),
        ] {
            assert_eq!(topics.parse(topic), parsed, "{topic}");
        }
        let filters: Vec<String> = topics.filters().iter().map(|f| f.as_str().to_owned()).collect();
        assert_eq!(filters, ["lwm2m/+/command", "lwm2m/+/dn/#"]);
    }

    #[test]
    fn topics_that_could_not_serve_are_named() {
        assert_eq!(Topics::default().bad_leaves(), []);
        let leaf = |name: &str| Leaf::new(name, QoS::AtMostOnce);
        let mut topics = Topics::default();
        (topics.command, topics.downlink) = ("".into(), "+".into());
        (topics.response, topics.event) = (leaf("a/#"), leaf(""));
        assert_eq!(
            topics.bad_leaves(),
            [("command", BadLeaf::Missing), ("dn", BadLeaf::NoTopic), ("response", BadLeaf::NoTopic)]
        );
        let topics = Topics {
            downlink: "command".into(),
            response: leaf("command"),
            uplink: leaf("command/resp"),
            ..Topics::default()
        };
        assert_eq!(
            topics.bad_leaves(),
            [("dn", BadLeaf::Command), ("response", BadLeaf::Command), ("up", BadLeaf::Command)]
        );
    }

    #[test]
    fn the_mount_point_has_the_name_as_a_level() {
        let topics = Topics::default().mounted_at("site/a/${endpoint_name}/lw/").unwrap();
        assert_eq!(topics.of(at("m1", ""), "response"), "site/a/m1/lw/response");
        assert_eq!(topics.parse("site/a/m1/lw/dn/1"), Some((at("m1", ""), Channel::Downlink)));
        assert_eq!(topics.parse("site/a/m1/dn"), None);
        let bare = Topics::default().mounted_at("%e/").unwrap();
        assert_eq!(bare.parse("m1/command"), Some((at("m1", ""), Channel::Command)));
        for bad in [
            "",
            "lwm2m/",
            "lwm2m/x%e/",
            "lwm2m/%e",
            "lwm2m/%ex/",
            "a/+/%e/",
            "%e/%e/",
            "#/%e/",
            "%h/",
            "%h%e/",
            "%h/%e/%h/",
            "x%h/%e/",
            "%e/%hx/",
        ] {
            assert!(Topics::default().mounted_at(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_device_s_address_may_be_a_level_before_or_behind_its_name() {
        for (mountpoint, host, topic, filters) in [
            ("a/${peerhost}/%e/", "192.0.2.7", "a/192.0.2.7/m1/dn/x", ["a/+/+/command", "a/+/+/dn/#"]),
            ("%e/b/%h/", "2001:db8::7", "m1/b/2001:db8::7/dn/x", ["+/b/+/command", "+/b/+/dn/#"]),
            ("%h/%e/", "::1", "::1/m1/dn/x", ["+/+/command", "+/+/dn/#"]),
        ] {
            let topics = Topics::default().mounted_at(mountpoint).unwrap();
            assert!(topics.has_host());
            assert_eq!(topics.of(at("m1", host), "dn/x"), topic);
            assert_eq!(topics.parse(topic), Some((at("m1", host), Channel::Downlink)));
            let all: Vec<String> = topics.filters().iter().map(|f| f.as_str().to_owned()).collect();
            assert_eq!(all, filters);
        }
        let topics = Topics::default().mounted_at("a/%h/%e/").unwrap();
        // A name that looks like a placeholder is only a name.
        assert_eq!(topics.of(at("%h", "::1"), "status"), "a/::1/%h/status");
        for no_command in ["a/m1/command", "b/::1/m1/command", "a/::1", "a/"] {
            assert_eq!(topics.parse(no_command), None, "{no_command}");
        }
        assert!(!Topics::default().has_host());
    }
}
