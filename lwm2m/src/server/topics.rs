//! The MQTT side's topics: a mount point with the endpoint's name in it, and what stands below.
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

/// Where everything goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// Before the endpoint's name: "lwm2m/".
    prefix: Box<str>,
    /// Behind it: "/".
    suffix: Box<str>,
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
        f.write_str("a mount point has the endpoint's name as one of its levels, such as \"lwm2m/%e/\"")
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
            let topic = self.of("e", name);
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

    /// Mounts everything below `mountpoint`, in which `%e` or `${endpoint_name}` stands for the endpoint's name.
    ///
    /// # Errors
    /// When the name is not there, not a level of its own, or the rest is no topic.
    pub fn mounted_at(mut self, mountpoint: &str) -> Result<Topics, BadMountpoint> {
        let text = mountpoint.replace("${endpoint_name}", "%e");
        let (prefix, suffix) = text.split_once("%e").ok_or(BadMountpoint)?;
        let level = (prefix.is_empty() || prefix.ends_with('/')) && suffix.starts_with('/');
        if !level || !suffix.ends_with('/') || suffix.contains("%e") {
            return Err(BadMountpoint);
        }
        if TopicName::new(&format!("{prefix}e{suffix}x")).is_err() {
            return Err(BadMountpoint);
        }
        (self.prefix, self.suffix) = (prefix.into(), suffix.into());
        Ok(self)
    }

    /// The topic of an endpoint.
    pub fn of(&self, endpoint: &str, leaf: &str) -> String {
        [&self.prefix, endpoint, &self.suffix, leaf].concat()
    }

    /// The endpoint and the kind of a command topic.
    pub fn parse<'t>(&self, topic: &'t str) -> Option<(&'t str, Channel)> {
        let rest = topic.strip_prefix(&*self.prefix)?;
        let (endpoint, rest) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len()))?;
        let leaf = rest.strip_prefix(&*self.suffix)?;
        if leaf == &*self.command {
            return Some((endpoint, Channel::Command));
        }
        let below = leaf.strip_prefix(&*self.downlink)?;
        (below.is_empty() || below.starts_with('/')).then_some((endpoint, Channel::Downlink))
    }

    /// The filters of the command topics.
    pub fn filters(&self) -> Vec<TopicFilter> {
        let at = |leaf: &str| TopicFilter::new(&self.of("+", leaf));
        // `dn/#` covers `dn` itself too (MQTT 3.1.1 §4.7.1.2).
        [at(&self.command), at(&format!("{}/#", self.downlink))].into_iter().flatten().collect()
    }

    /// What only the gateway may publish below the mount point, as filters.
    pub fn closed(&self) -> Vec<TopicFilter> {
        let leaves = [&self.response, &self.uplink, &self.notify, &self.register, &self.update, &self.event];
        let mut filters: Vec<TopicFilter> = Vec::new();
        for leaf in leaves.into_iter().chain([&self.status]).filter(|leaf| !leaf.name.is_empty()) {
            if let Ok(filter) = TopicFilter::new(&self.of("+", &leaf.name))
                && !filters.contains(&filter)
            {
                filters.push(filter);
            }
        }
        filters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_topics_name_an_endpoint_and_a_channel() {
        let topics = Topics::default();
        for (topic, parsed) in [
            ("lwm2m/ep/command", Some(("ep", Channel::Command))),
            ("lwm2m/ep/dn", Some(("ep", Channel::Downlink))),
            ("lwm2m/ep/dn/read/x", Some(("ep", Channel::Downlink))),
            ("lwm2m//command", Some(("", Channel::Command))),
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
        assert_eq!(topics.of("m1", "response"), "site/a/m1/lw/response");
        assert_eq!(topics.parse("site/a/m1/lw/dn/1"), Some(("m1", Channel::Downlink)));
        assert_eq!(topics.parse("site/a/m1/dn"), None);
        let bare = Topics::default().mounted_at("%e/").unwrap();
        assert_eq!(bare.parse("m1/command"), Some(("m1", Channel::Command)));
        for bad in ["", "lwm2m/", "lwm2m/x%e/", "lwm2m/%e", "lwm2m/%ex/", "a/+/%e/", "%e/%e/", "#/%e/"] {
            assert!(Topics::default().mounted_at(bad).is_err(), "{bad}");
        }
    }
}
