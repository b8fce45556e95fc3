//! A network of endpoints with virtual time.
use std::collections::BTreeMap;
use std::net::SocketAddr;

use broker_core::time::Instant;

use crate::coap::token::Secrets;
use crate::coap::{
    Code, Config, Endpoint, Event, ExchangeId, IncomingRequest, Output, Request, RequestId, Response, Source,
};

/// What an application says to a request, and after how many milliseconds.
pub(super) type Handler = Box<dyn FnMut(&IncomingRequest<SocketAddr>) -> (u64, Response)>;

pub(super) struct Node {
    pub(super) address: SocketAddr,
    pub(super) endpoint: Endpoint<SocketAddr>,
    handler: Handler,
    /// Events other than requests, with their time.
    pub(super) events: Vec<(u64, Event<SocketAddr>)>,
    /// Requests handed up.
    pub(super) requests: Vec<IncomingRequest<SocketAddr>>,
}

pub(super) struct Sim {
    pub(super) seed: u64,
    pub(super) now: u64,
    pub(super) nodes: Vec<Node>,
    /// Per cent of datagrams lost, and doubled.
    pub(super) loss: u64,
    pub(super) doubled: u64,
    /// Shortest and longest way in milliseconds; different ways reorder.
    pub(super) delay: (u64, u64),
    pub(super) datagrams: u64,
    random: Secrets,
    order: u64,
    wire: BTreeMap<(u64, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    answers: BTreeMap<(u64, u64), (usize, RequestId, Response)>,
}

fn seed_bytes(seed: u64, more: u8) -> [u8; 32] {
    let mut bytes = [more; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes
}

impl Sim {
    pub(super) fn new(seed: u64) -> Sim {
        Sim {
            seed,
            now: 0,
            nodes: Vec::new(),
            loss: 0,
            doubled: 0,
            delay: (20, 20),
            datagrams: 0,
            random: Secrets::new(seed_bytes(seed, 0xff)),
            order: 0,
            wire: BTreeMap::new(),
            answers: BTreeMap::new(),
        }
    }

    /// Adds an endpoint whose application answers with `handler`.
    pub(super) fn node(
        &mut self,
        config: Config,
        handler: impl FnMut(&IncomingRequest<SocketAddr>) -> (u64, Response) + 'static,
    ) -> usize {
        let index = self.nodes.len();
        self.nodes.push(Node {
            address: super::peer(index as u32 * 256 + 1),
            endpoint: Endpoint::new(config, seed_bytes(self.seed, index as u8)),
            handler: Box::new(handler),
            events: Vec::new(),
            requests: Vec::new(),
        });
        index
    }

    /// Adds an endpoint that answers 4.04 to everything.
    pub(super) fn client(&mut self) -> usize {
        self.node(Config::default(), |_| (0, Response::new(Code::NOT_FOUND)))
    }

    pub(super) fn ask(&mut self, from: usize, to: usize, request: Request, tag: u64) -> ExchangeId {
        let to = self.nodes[to].address;
        let mut out = Output::default();
        let now = Instant::from_millis(self.now);
        let id =
            self.nodes[from].endpoint.request(now, to, request, tag, &mut out).expect("room for a request");
        self.take(from, out);
        id
    }

    /// Calls an endpoint outside the usual flow.
    pub(super) fn with<T>(
        &mut self,
        node: usize,
        call: impl FnOnce(&mut Endpoint<SocketAddr>, Instant, &mut Output<SocketAddr>) -> T,
    ) -> T {
        let mut out = Output::default();
        let result = call(&mut self.nodes[node].endpoint, Instant::from_millis(self.now), &mut out);
        self.take(node, out);
        result
    }

    fn take(&mut self, node: usize, out: Output<SocketAddr>) {
        let from = self.nodes[node].address;
        for (to, datagram) in out.outgoing() {
            self.datagrams += 1;
            let copies = match self.random.between(0, 99) {
                roll if roll < self.loss => 0,
                roll if roll < self.loss + self.doubled => 2,
                _ => 1,
            };
            for _ in 0..copies {
                let arrives = self.now + self.random.between(self.delay.0, self.delay.1);
                self.order += 1;
                self.wire.insert((arrives, self.order), (from, to, datagram.to_vec()));
            }
        }
        for event in out.events {
            match event {
                Event::Request(request) => {
                    let (delay, response) = (self.nodes[node].handler)(&request);
                    let id = request.id;
                    self.nodes[node].requests.push(request);
                    if delay == 0 {
                        self.answer(node, id, response);
                    } else {
                        self.order += 1;
                        self.answers.insert((self.now + delay, self.order), (node, id, response));
                    }
                }
                other => self.nodes[node].events.push((self.now, other)),
            }
        }
    }

    fn answer(&mut self, node: usize, id: RequestId, response: Response) {
        self.with(node, |endpoint, now, out| endpoint.respond(now, id, response, out));
    }

    /// One step: the next datagram, answer or timer. `false` when nothing is left before `until`.
    fn step(&mut self, until: u64) -> bool {
        let datagram = self.wire.first_key_value().map(|((when, _), _)| *when);
        let answer = self.answers.first_key_value().map(|((when, _), _)| *when);
        let timers =
            self.nodes.iter().enumerate().filter_map(|(index, node)| {
                node.endpoint.next_timeout().map(|when| (when.as_millis(), index))
            });
        let timer = timers.min();
        let next = [datagram, answer, timer.map(|(when, _)| when)].into_iter().flatten().min();
        let Some(next) = next.filter(|next| *next <= until) else {
            self.now = self.now.max(until);
            return false;
        };
        self.now = self.now.max(next);
        if datagram == Some(next) {
            if let Some((_, (from, to, datagram))) = self.wire.pop_first()
                && let Some(node) = self.nodes.iter().position(|node| node.address == to)
            {
                self.with(node, |endpoint, now, out| {
                    endpoint.handle_datagram(now, Source::unicast(from), &datagram, out);
                });
            }
        } else if answer == Some(next) {
            if let Some((_, (node, id, response))) = self.answers.pop_first() {
                self.answer(node, id, response);
            }
        } else if let Some((_, node)) = timer {
            self.with(node, |endpoint, now, out| endpoint.handle_timeout(now, out));
        }
        true
    }

    /// Runs until nothing happens before `until` milliseconds, then stands there.
    pub(super) fn run_until(&mut self, until: u64) {
        for _ in 0..10_000_000 {
            if !self.step(until) {
                return;
            }
        }
        panic!("no end, seed {}", self.seed);
    }

    /// The response with this tag.
    pub(super) fn response(&self, node: usize, tag: u64) -> Option<(Code, &[u8])> {
        self.nodes[node].events.iter().find_map(|(_, event)| match event {
            Event::Response(response) if response.tag == tag => Some((response.code, &response.payload[..])),
            _ => None,
        })
    }

    /// How often a request came to its end.
    pub(super) fn ends(&self, node: usize, tag: u64) -> usize {
        let is_end = |event: &Event<SocketAddr>| match event {
            Event::Response(response) => response.tag == tag,
            Event::Failed { tag: failed, .. } => *failed == tag,
            _ => false,
        };
        self.nodes[node].events.iter().filter(|(_, event)| is_end(event)).count()
    }
}
