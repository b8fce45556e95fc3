//! [`Traces`]: what followed devices say and hear, as messages on `$SYS/turnstone/trace/CLIENT`.
//!
//! A device is followed while somebody reads its topic, who must be a local reader (see
//! [`broker_core::acl::Acl::with_local`]); else no datagram costs more than one look at a flag.
use crate::fronts::Front;
use crate::stats::Stats;
use broker_core::acl::Acl;
use broker_core::topic::TopicFilter;
use broker_core::trace::TraceEvent;
use broker_core::{Instant, Message, Now, QoS};
use serde_json::json;
use std::time::Duration;

/// The topics that carry traces, before the device's name.
pub(crate) const PREFIX: &str = "$SYS/turnstone/trace/";
/// Messages in a second, of all traces together: more than anybody reads, and a small share of what the broker does.
/// Beyond: left out and counted; the next message says how many.
const PER_SECOND: u32 = 1000;

/// Who is followed.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    followed: Vec<Box<str>>,
    second: Instant,
    in_second: u32,
    left_out: u64,
}

impl Traces {
    /// Whether anybody is followed.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        !self.followed.is_empty()
    }

    /// From now on these are read, in order. What is to be told their readers at once comes back. A name is followed in
    /// every protocol: it may be a client's here and an endpoint's there.
    pub(crate) fn follow<'a>(
        &mut self,
        now: Now,
        read: Vec<Box<str>>,
        fronts: impl Iterator<Item = &'a mut Front>,
        stats: &mut Stats,
    ) -> Vec<Message> {
        let mut fronts: Vec<&mut Front> = fronts.collect();
        if fronts.is_empty() {
            return Vec::new();
        }
        let before = std::mem::take(&mut self.followed);
        for name in before.iter().filter(|name| !read.contains(name)) {
            fronts.iter_mut().for_each(|front| front.unfollow(name));
        }
        let mut told = Vec::new();
        for name in read {
            if fronts.iter_mut().all(|front| front.follow(&name)) {
                self.followed.push(name);
            } else {
                fronts.iter_mut().for_each(|front| front.unfollow(&name));
                stats.traces_refused += 1;
                let text = "not traced: too many devices are traced at this moment";
                told.push(message(&name, &json!({ "time": now.unix_ms, "message": text })));
            }
        }
        told
    }

    /// The messages about what was seen since the last call.
    pub(crate) fn take(&mut self, now: Now, front: &mut Front, stats: &mut Stats) -> Vec<Message> {
        let events: Vec<TraceEvent> = match front {
            Front::Sn(gateway) if gateway.has_traces() => gateway.take_traces().collect(),
            Front::Lwm2m(server) if server.has_traces() => server.take_traces().collect(),
            Front::Sn(_) | Front::Lwm2m(_) => return Vec::new(),
        };
        events.iter().filter_map(|event| self.shown(now, event, stats)).collect()
    }

    fn shown(&mut self, now: Now, event: &TraceEvent, stats: &mut Stats) -> Option<Message> {
        if now.instant.saturating_since(self.second) >= Duration::from_secs(1) {
            (self.second, self.in_second) = (now.instant, 0);
        }
        if self.in_second >= PER_SECOND {
            self.left_out += 1;
            stats.traces_left_out += 1;
            return None;
        }
        self.in_second += 1;
        stats.traces += 1;
        let hex: String = event.bytes.iter().map(|octet| format!("{octet:02x}")).collect();
        let mut fields = json!({
            "time": event.unix_ms,
            "direction": if event.verdict.is_some() { "in" } else { "out" },
            "address": event.address.to_string(),
            "message": event.message,
            "hex": hex,
        });
        if let Some(verdict) = event.verdict {
            fields["verdict"] = json!(verdict);
        }
        let left_out = std::mem::take(&mut self.left_out);
        if left_out > 0 {
            fields["left_out"] = json!(left_out);
        }
        Some(message(&event.name, &fields))
    }
}

/// The rules with which only local readers get traces.
pub(crate) fn kept_local(acl: Acl) -> Acl {
    let all = TopicFilter::new(&format!("{PREFIX}#")).expect("a filter, as its text shows");
    acl.with_local(vec![all])
}

fn message(client: &str, fields: &serde_json::Value) -> Message {
    Message::new(&format!("{PREFIX}{client}"), fields.to_string().as_bytes(), QoS::AtMostOnce, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::fronts::FrontSettings;
    use broker_core::frontend::{Actions, Address, Frontend, ListenerId, Peer};
    use broker_core::link::FrontendId;
    use serde_json::Value as Json;
    use std::iter::once;

    fn front() -> Front {
        let settings = FrontSettings::from_config(&Config::default());
        settings.front(FrontendId::MqttSn, 0, 1).expect("a front-end")
    }

    fn at(millis: u64) -> Now {
        Now::new(Instant::from_millis(millis), 1_700_000_000_000 + millis)
    }

    fn connect(front: &mut Front, now: Now) {
        let remote = "127.0.0.1:4000".parse().expect("an address");
        let address = Address { remote, local: None, listener: ListenerId(0) };
        let peer = Peer { address, group: false, identity: None };
        let octets = [8, 4, 4, 1, 0, 60, b'd', b'1'];
        front.handle_datagram(now, &peer, &octets, &mut Actions::default());
    }

    #[test]
    fn a_followed_device_is_told_of_until_nobody_reads() {
        let (mut front, mut traces, mut stats) = (front(), Traces::default(), Stats::default());
        connect(&mut front, at(0));
        assert!(traces.take(at(0), &mut front, &mut stats).is_empty());
        traces.follow(at(0), vec![Box::from("d1")], once(&mut front), &mut stats);
        assert!(traces.is_on());
        connect(&mut front, at(5));
        let messages = traces.take(at(5), &mut front, &mut stats);
        let [message] = messages.as_slice() else { panic!("{messages:?}") };
        assert_eq!(message.topic(), "$SYS/turnstone/trace/d1");
        let fields: Json = serde_json::from_slice(message.payload()).expect("JSON");
        assert_eq!(
            fields,
            json!({
                "time": 1_700_000_000_005u64, "direction": "in", "address": "127.0.0.1:4000",
                "message": "CONNECT \"d1\" keep-alive 60 s clean", "verdict": "handled", "hex": "08040401003c6431",
            })
        );
        traces.follow(at(6), Vec::new(), once(&mut front), &mut stats);
        assert!(!traces.is_on());
        connect(&mut front, at(7));
        assert!(traces.take(at(7), &mut front, &mut stats).is_empty());
    }

    #[test]
    fn a_flood_is_cut_and_says_so() {
        let (mut front, mut traces, mut stats) = (front(), Traces::default(), Stats::default());
        traces.follow(at(0), vec![Box::from("d1")], once(&mut front), &mut stats);
        let mut told = 0;
        for _ in 0..PER_SECOND + 500 {
            connect(&mut front, at(10));
            told += traces.take(at(10), &mut front, &mut stats).len();
        }
        assert_eq!(told, PER_SECOND as usize);
        assert_eq!((stats.traces, stats.traces_left_out), (u64::from(PER_SECOND), 500));
        connect(&mut front, at(1010));
        let messages = traces.take(at(1010), &mut front, &mut stats);
        let fields: Json = serde_json::from_slice(messages[0].payload()).expect("JSON");
        assert_eq!(fields["left_out"], 500);
    }

    #[test]
    fn too_many_devices_are_refused_with_a_word_to_the_reader() {
        let (mut front, mut traces, mut stats) = (front(), Traces::default(), Stats::default());
        let names =
            |count: usize| (0..count).map(|n| Box::from(format!("d{n:02}"))).collect::<Vec<Box<str>>>();
        let told = traces.follow(at(0), names(18), once(&mut front), &mut stats);
        let topics: Vec<&str> = told.iter().map(Message::topic).collect();
        assert_eq!(topics, ["$SYS/turnstone/trace/d16", "$SYS/turnstone/trace/d17"]);
        assert_eq!(stats.traces_refused, 2);
        let told = traces.follow(at(0), names(18).split_off(5), once(&mut front), &mut stats);
        assert!(told.is_empty(), "there is room now");
    }
}
