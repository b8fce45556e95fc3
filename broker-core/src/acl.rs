//! Who may publish and receive what.
//!
//! Four layers: topics that begin with `$` belong to the broker; *closed* topics belong to the gateway (answers and
//! events of LwM2M devices, which a client could forge); *local* topics, which begin with `$` too, are read on this
//! machine only (traces show what others say); and the operator's rules. Only MQTT and MQTT-SN clients are judged:
//! endpoints and services are the gateway's own.
//!
//! A subscription is judged when it is made, and every message again when it is routed, leaves a queue, or is sent as
//! retained (CVE-2018-12546, CVE-2021-34434): rules may have changed since.
use crate::link::SessionName;
use crate::message::Message;
use crate::topic::{TopicFilter, TopicNameRef};
use std::sync::Arc;

/// Not allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Denied;

/// Whom a rule is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Who {
    /// Every client.
    Everyone,
    /// Clients with this user name.
    Username(Arc<str>),
    /// The client with this ClientId.
    Client(Arc<str>),
}

/// What a rule is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Publishing, wills included.
    Publish,
    /// Subscribing and receiving.
    Subscribe,
    /// Both.
    Both,
}

/// One rule. The first rule that fits decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Whom it is about.
    pub who: Who,
    /// What it is about.
    pub access: Access,
    /// Topics it is about. Names in it are taken literally, never from the client.
    pub filter: TopicFilter,
    /// Whether it allows or denies.
    pub allow: bool,
}

/// The rules in force. The default closes the `$` topics and nothing else.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Acl {
    closed: Vec<TopicFilter>,
    /// What all topics that `closed` covers begin with: most topics of most clients do not.
    closed_prefix: Box<str>,
    local: Vec<TopicFilter>,
    /// `None`: everyone may do what is not closed. An empty list denies everything (CVE-2018-12550).
    rules: Option<Vec<Rule>>,
}

impl Acl {
    /// Topics below the LwM2M mount point that only the gateway may publish to (hostile L29).
    pub const LWM2M_CLOSED: [&str; 4] = ["+/response", "+/up/#", "+/event", "+/status"];

    /// Closes `closed` to clients' publishes, and applies `rules` where there are any.
    pub fn new(closed: Vec<TopicFilter>, rules: Option<Vec<Rule>>) -> Acl {
        let mut prefixes = closed.iter().map(literal_prefix);
        let first = prefixes.next().unwrap_or_default();
        let closed_prefix = prefixes.fold(first, common_prefix).into();
        Acl { closed, closed_prefix, local: Vec::new(), rules }
    }

    /// The same with topics that only local readers get: MQTT clients that come over the loopback interface. The
    /// filters begin with `$`.
    pub fn with_local(self, local: Vec<TopicFilter>) -> Acl {
        debug_assert!(local.iter().all(|filter| filter.as_str().starts_with('$')), "see `may_receive`");
        Acl { local, ..self }
    }

    /// Whether this client may publish to `topic`.
    #[inline]
    pub fn may_publish(
        &self,
        name: &SessionName,
        username: Option<&str>,
        topic: &[u8],
    ) -> Result<(), Denied> {
        let client = match name {
            SessionName::Client(client) => client,
            SessionName::Endpoint(_) | SessionName::Service(_) => return Ok(()),
        };
        if topic.first() == Some(&b'$') {
            return Err(Denied); // hostile M25
        }
        let open = self.closed.is_empty() || !topic.starts_with(self.closed_prefix.as_bytes());
        if open && self.rules.is_none() {
            return Ok(());
        }
        self.judge_publish(client, username, topic)
    }

    fn judge_publish(&self, client: &str, username: Option<&str>, topic: &[u8]) -> Result<(), Denied> {
        let topic = std::str::from_utf8(topic).map_err(|_| Denied)?;
        if self.closed.iter().any(|closed| shares_prefix(closed, topic) && matches(closed, topic)) {
            return Err(Denied);
        }
        let Some(rules) = &self.rules else { return Ok(()) };
        let rule = rules.iter().find(|rule| {
            rule.access != Access::Subscribe && rule.fits(client, username) && matches(&rule.filter, topic)
        });
        if rule.is_some_and(|rule| rule.allow) { Ok(()) } else { Err(Denied) }
    }

    /// Whether this client may subscribe with `filter`; `is_local`: it is a local reader. What a granted filter covers
    /// beyond the rules is still denied message by message.
    pub fn may_subscribe(
        &self,
        name: &SessionName,
        username: Option<&str>,
        is_local: bool,
        filter: &TopicFilter,
    ) -> bool {
        if !is_local && is_client(name) && self.local.iter().any(|local| covers(local, filter)) {
            return false;
        }
        let Some((client, rules)) = self.judged(name) else { return true };
        let rule = rules.iter().find(|rule| {
            rule.access != Access::Publish && rule.fits(client, username) && covers(&rule.filter, filter)
        });
        rule.is_some_and(|rule| rule.allow)
    }

    /// Whether this client may receive `message`; `is_local`: it is a local reader.
    #[inline]
    pub fn may_receive(
        &self,
        name: &SessionName,
        username: Option<&str>,
        is_local: impl FnOnce() -> bool,
        message: &Message,
    ) -> bool {
        // Local topics begin with $: for all others this is one look at one octet.
        if message.topic_bytes().first() == Some(&b'$') && self.is_kept_local(name, is_local, message) {
            return false;
        }
        if self.rules.is_none() {
            return true;
        }
        let Some((client, rules)) = self.judged(name) else { return true };
        let rule = rules.iter().find(|rule| {
            rule.access != Access::Publish
                && rule.fits(client, username)
                && matches(&rule.filter, message.topic())
        });
        rule.is_some_and(|rule| rule.allow)
    }

    #[cold]
    fn is_kept_local(&self, name: &SessionName, is_local: impl FnOnce() -> bool, message: &Message) -> bool {
        self.local.iter().any(|local| matches(local, message.topic())) && is_client(name) && !is_local()
    }

    fn judged<'a>(&'a self, name: &'a SessionName) -> Option<(&'a str, &'a [Rule])> {
        match name {
            SessionName::Client(client) => Some((client, self.rules.as_deref()?)),
            SessionName::Endpoint(_) | SessionName::Service(_) => None,
        }
    }
}

impl Rule {
    fn fits(&self, client: &str, username: Option<&str>) -> bool {
        match &self.who {
            Who::Everyone => true,
            Who::Username(name) => username == Some(name),
            Who::Client(name) => client == &**name,
        }
    }
}

fn is_client(name: &SessionName) -> bool {
    match name {
        SessionName::Client(_) => true,
        SessionName::Endpoint(_) | SessionName::Service(_) => false,
    }
}

fn matches(filter: &TopicFilter, topic: &str) -> bool {
    TopicNameRef::new(topic).is_ok_and(|topic| filter.matches(topic))
}

/// A cheap look before the full comparison: the text before the first wildcard.
fn shares_prefix(filter: &TopicFilter, topic: &str) -> bool {
    topic.as_bytes().starts_with(literal_prefix(filter).as_bytes())
}

/// What every topic that `filter` matches begins with.
fn literal_prefix(filter: &TopicFilter) -> &str {
    let literal = filter.as_str().split(['+', '#']).next().unwrap_or_default();
    literal.trim_end_matches('/')
}

/// What both begin with.
fn common_prefix<'a>(one: &'a str, other: &str) -> &'a str {
    let same = one.char_indices().zip(other.chars()).find(|((_, a), b)| a != b);
    let end = same.map_or(one.len().min(other.len()), |((at, _), _)| at);
    one.get(..end).unwrap_or_default()
}

/// Whether every topic of `narrow` is one of `wide`.
fn covers(wide: &TopicFilter, narrow: &TopicFilter) -> bool {
    let mut narrow = narrow.as_filter().levels().peekable();
    for (depth, want) in wide.as_filter().levels().enumerate() {
        let dollar = depth == 0 && narrow.peek().is_some_and(|level| level.starts_with('$'));
        match want {
            "#" => return !dollar, // [MQTT-4.7.2-1]
            "+" => match narrow.next() {
                Some("#") | None => return false,
                Some(_) if dollar => return false,
                Some(_) => {}
            },
            literal => {
                if narrow.next() != Some(literal) {
                    return false;
                }
            }
        }
    }
    narrow.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::QoS;

    fn filter(text: &str) -> TopicFilter {
        TopicFilter::new(text).unwrap()
    }

    fn client(name: &str) -> SessionName {
        SessionName::Client(Arc::from(name))
    }

    fn rule(who: Who, access: Access, text: &str, allow: bool) -> Rule {
        Rule { who, access, filter: filter(text), allow }
    }

    #[test]
    fn what_is_closed_is_closed_whatever_the_filters_have_in_common() {
        let may = |closed: &[&str], topic: &str| {
            let acl = Acl::new(closed.iter().map(|text| filter(text)).collect(), None);
            acl.may_publish(&SessionName::Client(Arc::from("c")), None, topic.as_bytes()).is_ok()
        };
        let cases: [(&[&str], &[&str], &[&str]); 6] = [
            (
                &["a/b/+/x", "a/b/+/y/#"],
                &["a/b/1/x", "a/b/1/y", "a/b/1/y/z"],
                &["a/b/1", "a/c/1/x", "a/b/1/z", "b"],
            ),
            (&["ab/#", "ac/#"], &["ab", "ab/x", "ac"], &["a", "ad", "abc"]),
            (&["a/#"], &["a", "a/b"], &["ab", "b"]),
            (&["+/x", "a/y"], &["a/x", "b/x", "a/y"], &["b/y", "x"]),
            (&["é/x", "è/x"], &["é/x", "è/x"], &["e/x", "ê/x"]),
            (&["a/b", "a"], &["a/b", "a"], &["a/c", "ab"]),
        ];
        for (closed, denied, allowed) in cases {
            for topic in denied {
                assert!(!may(closed, topic), "{closed:?} {topic}");
            }
            for topic in allowed {
                assert!(may(closed, topic), "{closed:?} {topic}");
            }
        }
    }

    #[test]
    fn dollar_topics_are_closed_to_clients_only() {
        let acl = Acl::default();
        for topic in ["$SYS/broker/uptime", "$CONTROL/x", "$foo", "$"] {
            assert_eq!(acl.may_publish(&client("c"), None, topic.as_bytes()), Err(Denied), "{topic}");
            assert_eq!(
                acl.may_publish(&SessionName::Service(Arc::from("s")), None, topic.as_bytes()),
                Ok(())
            );
        }
        assert_eq!(acl.may_publish(&client("c"), None, b"a/$x"), Ok(()));
        assert!(acl.may_subscribe(&client("c"), None, false, &filter("$SYS/#")));
    }

    #[test]
    fn lwm2m_answers_cannot_be_forged() {
        let closed = Acl::LWM2M_CLOSED.iter().map(|text| filter(&format!("lwm2m/{text}"))).collect();
        let acl = Acl::new(closed, None);
        for topic in
            ["lwm2m/ep/response", "lwm2m/ep/up/resp/x", "lwm2m/ep/up", "lwm2m/e/event", "lwm2m/e/status"]
        {
            assert_eq!(acl.may_publish(&client("c"), None, topic.as_bytes()), Err(Denied), "{topic}");
        }
        for topic in ["lwm2m/ep/command", "lwm2m/response", "lwm2m/a/b/response", "x/ep/response", "lwm2m"] {
            assert_eq!(acl.may_publish(&client("c"), None, topic.as_bytes()), Ok(()), "{topic}");
        }
        let endpoint = SessionName::Endpoint(Arc::from("ep"));
        assert_eq!(acl.may_publish(&endpoint, None, b"lwm2m/ep/response"), Ok(()));
    }

    #[test]
    fn an_empty_rule_list_denies_everything() {
        let acl = Acl::new(Vec::new(), Some(Vec::new()));
        let message = Message::new("t", b"1", QoS::AtMostOnce, false);
        assert_eq!(acl.may_publish(&client("c"), None, b"t"), Err(Denied));
        assert!(!acl.may_subscribe(&client("c"), None, false, &filter("t")));
        assert!(!acl.may_receive(&client("c"), None, || false, &message));
        assert!(acl.may_receive(&SessionName::Endpoint(Arc::from("c")), None, || false, &message));
    }

    #[test]
    fn local_topics_are_read_on_this_machine_only() {
        let acl = Acl::default().with_local(vec![filter("$SYS/turnstone/trace/#")]);
        let name = client("c");
        let trace = Message::new("$SYS/turnstone/trace/d", b"1", QoS::AtMostOnce, false);
        let other = Message::new("$SYS/broker/uptime", b"1", QoS::AtMostOnce, false);
        for (text, allowed) in [
            ("$SYS/turnstone/trace/d", false),
            ("$SYS/turnstone/trace/#", false),
            ("$SYS/turnstone/trace/+", false),
            ("$share/g/$SYS/turnstone/trace/d", false),
            ("$SYS/#", true),
            ("$SYS/turnstone/+/d", true),
            ("#", true),
        ] {
            assert_eq!(acl.may_subscribe(&name, None, false, &filter(text)), allowed, "{text}");
            assert!(acl.may_subscribe(&name, None, true, &filter(text)), "{text}");
        }
        assert!(!acl.may_receive(&name, None, || false, &trace), "what a wider filter covers");
        assert!(acl.may_receive(&name, None, || true, &trace));
        assert!(acl.may_receive(&name, None, || false, &other));
        let service = SessionName::Service(Arc::from("s"));
        assert!(acl.may_receive(&service, None, || false, &trace));
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let acl = Acl::new(
            Vec::new(),
            Some(vec![
                rule(Who::Everyone, Access::Both, "secret/#", false),
                rule(Who::Username(Arc::from("ann")), Access::Publish, "a/+", true),
                rule(Who::Client(Arc::from("c1")), Access::Subscribe, "#", true),
            ]),
        );
        let one = |topic: &str| Message::new(topic, b"", QoS::AtMostOnce, false);
        assert_eq!(acl.may_publish(&client("x"), Some("ann"), b"a/b"), Ok(()));
        assert_eq!(acl.may_publish(&client("x"), Some("a+n"), b"a/b"), Err(Denied));
        assert_eq!(acl.may_publish(&client("x"), None, b"a/b"), Err(Denied));
        assert_eq!(acl.may_publish(&client("x"), Some("ann"), b"secret/b"), Err(Denied));
        assert!(acl.may_subscribe(&client("c1"), None, false, &filter("#")));
        assert!(acl.may_subscribe(&client("c1"), None, false, &filter("$share/g/x/+")));
        assert!(!acl.may_subscribe(&client("c1"), None, false, &filter("secret/x")));
        assert!(!acl.may_subscribe(&client("c2"), None, false, &filter("x")));
        assert!(acl.may_receive(&client("c1"), None, || false, &one("a")));
        assert!(
            !acl.may_receive(&client("c1"), None, || false, &one("secret/x")),
            "covered by #, denied one by one"
        );
    }

    #[test]
    fn a_filter_covers_only_what_it_would_match_in_full() {
        for (wide, narrow, expected) in [
            ("#", "a/b", true),
            ("#", "#", true),
            ("#", "$SYS/#", false),
            ("+/a", "$SYS/a", false),
            ("$SYS/#", "$SYS/broker", true),
            ("a/+", "a/b", true),
            ("a/+", "a/+", true),
            ("a/+", "a/#", false),
            ("a/#", "a", true),
            ("a/b", "a/+", false),
            ("a/+/c", "a/b", false),
            ("a", "a/b", false),
        ] {
            assert_eq!(covers(&filter(wide), &filter(narrow)), expected, "{wide} over {narrow}");
        }
    }
}
