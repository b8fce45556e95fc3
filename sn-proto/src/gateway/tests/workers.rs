//! Two workers of one broker: a device that wakes from a new port may reach the other one.

use std::collections::VecDeque;

use broker_core::broker::Broker;
use broker_core::frontend::{Actions, Frontend};
use broker_core::{Effects, FromBroker, Instant, Limits, LinkId, Message as AppMessage, Now, QoS};

use super::world::{A, A2, B, hex, peer, plain, show};
use crate::config::{Config, Rebind};
use crate::gateway::SnGateway;
use crate::wire::Datagram;

struct Workers {
    now: Now,
    broker: Broker,
    workers: [SnGateway; 2],
    actions: [Actions; 2],
    heard: Vec<(usize, String, String)>,
}

impl Workers {
    fn new(rebind: Rebind) -> Self {
        let config = || Config { more_workers: true, rebind, ..plain() };
        Workers {
            now: Now::new(Instant::from_millis(5000), 0),
            broker: Broker::new(Limits::default(), 1),
            workers: [SnGateway::new(config(), 0, 1), SnGateway::new(config(), 1, 2)],
            actions: [Actions::default(), Actions::default()],
            heard: Vec::new(),
        }
    }

    fn send(&mut self, worker: usize, from: &str, text: &str) -> Vec<(usize, String, String)> {
        self.workers[worker].handle_datagram(self.now, &peer(from), &hex(text), &mut self.actions[worker]);
        self.settle();
        std::mem::take(&mut self.heard)
    }

    fn publish(&mut self, topic: &str, payload: &str) {
        let message = AppMessage::new(topic, payload.as_bytes(), QoS::AtLeastOnce, false);
        let mut effects = Effects::default();
        self.broker.publish(self.now, message, &mut effects);
        self.events(effects.events.into());
    }

    fn events(&mut self, mut events: VecDeque<(LinkId, FromBroker)>) {
        while let Some((link, event)) = events.pop_front() {
            let worker = usize::from(link.worker);
            self.workers[worker].handle_event(self.now, link, event, &mut self.actions[worker]);
        }
        self.settle();
    }

    fn settle(&mut self) {
        for _ in 0..1000 {
            let mut effects = Effects::default();
            for (worker, actions) in self.actions.iter_mut().enumerate() {
                for (to, bytes) in actions.outgoing() {
                    let line = show(&Datagram::decode(bytes).expect("good"));
                    self.heard.push((worker, to.to.remote.to_string(), line));
                }
                for (link, request) in std::mem::take(&mut actions.requests) {
                    self.broker.handle(self.now, link, request, &mut effects);
                }
                actions.clear();
            }
            if effects.events.is_empty() {
                return;
            }
            for (link, event) in effects.events {
                let worker = usize::from(link.worker);
                self.workers[worker].handle_event(self.now, link, event, &mut self.actions[worker]);
            }
        }
        panic!("never settles");
    }
}

fn line(worker: usize, to: &str, text: &str) -> (usize, String, String) {
    (worker, to.to_owned(), text.to_owned())
}

fn sleeper(rebind: Rebind) -> Workers {
    let mut w = Workers::new(rebind);
    w.send(0, A, "08 04 04 01 003C 6331");
    w.send(0, A, "08 12 20 0001 612F62");
    w.send(0, A, "04 18 003C");
    w.publish("a/b", "1");
    assert!(w.heard.is_empty());
    w
}

#[test]
fn a_sleeper_wakes_at_another_worker() {
    let mut w = sleeper(Rebind::SameIp);
    assert_eq!(w.send(1, A2, "04 16 6331"), [line(1, A2, "PUBLISH n1025 q1 1")]);
    assert_eq!(w.workers[0].clients(), 0, "the other worker has let go");
    assert_eq!(w.workers[1].clients(), 1);
}

#[test]
fn the_policy_holds_across_workers_and_the_sleeper_sleeps_on() {
    let mut w = sleeper(Rebind::SameIp);
    assert_eq!(w.send(1, B, "04 16 6331"), [line(1, B, "DISCONNECT")]);
    assert_eq!(w.send(0, A2, "04 16 6331"), [line(0, A2, "PUBLISH n1025 q1 1")], "its queue is whole");
    let mut w = sleeper(Rebind::Never);
    assert_eq!(w.send(1, A2, "04 16 6331"), [line(1, A2, "DISCONNECT")]);
    assert_eq!(w.send(0, A, "04 16 6331"), [line(0, A, "PUBLISH n1025 q1 1")]);
}

#[test]
fn a_pingreq_with_an_unknown_name_leaves_nothing_behind() {
    let mut w = Workers::new(Rebind::Any);
    assert_eq!(w.send(1, A, "04 16 6331"), [line(1, A, "DISCONNECT")]);
    assert_eq!(w.workers[1].clients(), 0);
}

#[test]
fn a_client_that_connects_at_another_worker_is_taken_over() {
    let mut w = Workers::new(Rebind::SameIp);
    w.send(0, A, "08 04 00 01 003C 6331");
    w.send(0, A, "08 12 20 0001 612F62");
    let heard = w.send(1, A2, "08 04 00 01 003C 6331");
    assert!(
        heard.contains(&line(0, A, "DISCONNECT")) && heard.contains(&line(1, A2, "CONNACK 0")),
        "{heard:?}"
    );
    w.publish("a/b", "1");
    assert_eq!(w.heard, [line(1, A2, "REGISTER 1025 a/b")]);
}
