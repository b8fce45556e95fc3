//! `turnstone sn search`: asks for gateways (SEARCHGW) and prints those that answer.
use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::{Duration, Instant};

use clap::{ArgAction, Args};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use sn_proto::wire::{Datagram, Envelope, Message, SearchGw};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::args::GatewayArgs;
use crate::config::group::GroupAddress;
use crate::exit::Exit;
use crate::tools::interrupt::Interrupt;
use crate::tools::{Outcome, ToolError, finish, net, terminal};
use crate::udp::interfaces::{self, Interface};

/// Gateways that are told apart. Reaction: further ones are passed over.
const GATEWAYS_MAX: usize = 1024;
/// Interfaces and groups that are asked on. Reaction: further ones are left out.
const SOCKETS_MAX: usize = 256;
/// Datagrams taken from one socket before the others are looked at.
const DATAGRAMS_AT_ONCE: usize = 64;
/// Longest wait before it is looked whether the user wants to stop.
const TURN: Duration = Duration::from_millis(100);
/// The port of a group that names none, as in the gateway's `mqtt.sn.group_port`.
const GROUP_PORT: u16 = 1883;

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct SnSearchArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    /// Ask a multicast group or a broadcast address instead of one host, on all interfaces or on one, as 225.1.1.1,
    /// 225.1.1.1:1885, ff02::1%wpan0, [ff03::1]:1883 or 255.255.255.255:1884; the port is 1883 unless it stands there
    #[arg(long = "group", value_name = "ADDRESS")]
    groups: Vec<GroupAddress>,
    /// How far the question goes: the TTL of the datagram; 0 is the whole network
    #[arg(long, default_value_t = 1)]
    radius: u8,
    /// Seconds to listen
    #[arg(short = 'W', long, default_value_t = 3.0, value_name = "SECONDS")]
    timeout: f64,
    /// Print JSON, one gateway a line
    #[arg(long)]
    json: bool,
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// `turnstone sn search`.
pub(crate) fn run(arguments: SnSearchArgs) -> Exit {
    finish(search(&arguments))
}

fn search(arguments: &SnSearchArgs) -> Outcome {
    if !(0.01..=3600.0).contains(&arguments.timeout) {
        return Err(ToolError::usage("-W is a number of seconds, up to 3600", "-W 3"));
    }
    let mut question = Vec::new();
    let node_id = arguments.gateway.node_id()?;
    let envelope = node_id.as_ref().map(|node_id| Envelope { radius: arguments.radius & 3, node_id });
    let message = Message::SearchGw(SearchGw { radius: arguments.radius });
    Datagram { envelope, message }
        .encode(&mut question)
        .map_err(|error| ToolError::usage(error.to_string(), "a shorter --fe"))?;
    if arguments.gateway.debug {
        eprintln!("-> {}", sn_proto::describe::describe(&question));
    }
    let (place, sockets) = ask(arguments, &question)?;
    let mut listener =
        Listener::new(sockets).map_err(|error| net::unreachable("gateways", &place, &error))?;
    let interrupt = Interrupt::watch();
    let deadline = Instant::now() + Duration::from_secs_f64(arguments.timeout);
    let mut found: HashSet<(u8, SocketAddr)> = HashSet::new();
    while Instant::now() < deadline && !interrupt.is_set() {
        for (from, bytes) in listener.hear(deadline.saturating_duration_since(Instant::now()).min(TURN)) {
            if arguments.gateway.debug {
                eprintln!("<- {from} {}", sn_proto::describe::describe(&bytes));
            }
            let Some(gateway) = Gateway::read(from, &bytes) else { continue };
            if found.len() < GATEWAYS_MAX && found.insert((gateway.id, gateway.at)) {
                terminal::line(&gateway.shown(arguments.json))?;
            }
        }
        if arguments.groups.is_empty() && !found.is_empty() {
            break;
        }
    }
    if found.is_empty() && !interrupt.is_set() {
        let advice = match arguments.groups.is_empty() {
            true => "--group 225.1.1.1, or another -h and -p",
            false => "a larger --radius, or -h HOST",
        };
        return Err(ToolError::new(Exit::Timeout, format!("no gateway answered at {place}"), advice));
    }
    Ok(Exit::Ok)
}

/// Asks the host, or every group on every interface; names the place, and gives the sockets that may hear answers.
fn ask(arguments: &SnSearchArgs, question: &[u8]) -> Result<(String, Vec<Socket>), ToolError> {
    if arguments.groups.is_empty() {
        let hosts = net::resolve(&arguments.gateway.host, arguments.gateway.port)?;
        let Some(to) = hosts.first().copied() else {
            return Err(ToolError::new(Exit::Unreachable, "no address to ask", "-h HOST"));
        };
        let socket = ask_host(to, question);
        let socket = socket.map_err(|error| net::unreachable("gateways", &to.to_string(), &error))?;
        return Ok((to.to_string(), vec![socket]));
    }
    let place = arguments.groups.iter().map(GroupAddress::to_string).collect::<Vec<_>>().join(", ");
    let lost = |error: &io::Error| net::unreachable("gateways", &place, error);
    let interfaces = interfaces::list().map_err(|error| lost(&error))?;
    let mut sockets = Vec::new();
    let mut failure = None;
    for group in &arguments.groups {
        for interface in &interfaces {
            let wanted = group.interface.as_ref().is_none_or(|name| *name == interface.name);
            let Some(at) = place_on(group, interface).filter(|_| wanted) else { continue };
            if sockets.len() >= SOCKETS_MAX {
                break;
            }
            // Gateways answer a group on the group; where its port is taken, those that answer us alone are still
            // heard.
            sockets.extend(listen(&at).ok());
            match ask_group(&at, arguments.radius, question) {
                Ok(socket) => sockets.push(socket),
                Err(error) => failure = Some(error),
            }
        }
        if sockets.is_empty() && failure.is_none() {
            let text = match &group.interface {
                Some(name) => format!("there is no interface {name} that could ask {group}"),
                None => format!("no interface could ask {group}"),
            };
            return Err(ToolError::new(Exit::Unreachable, text, "`ip addr` shows the interfaces there are"));
        }
    }
    match failure {
        Some(error) if sockets.is_empty() => Err(lost(&error)),
        Some(_) | None => Ok((place, sockets)),
    }
}

/// A group as one interface reaches it.
struct Place {
    to: SocketAddr,
    /// Source address with IPv4, which also chooses the interface.
    own: IpAddr,
    index: u32,
}

fn place_on(group: &GroupAddress, interface: &Interface) -> Option<Place> {
    let (port, index) = (group.port.unwrap_or(GROUP_PORT), interface.index);
    match group.ip {
        IpAddr::V4(ip) => {
            let directed = !ip.is_multicast() && ip != Ipv4Addr::BROADCAST;
            let own = interface.v4.iter().find(|(_, broadcast)| !directed || *broadcast == ip)?;
            Some(Place { to: SocketAddr::new(group.ip, port), own: IpAddr::V4(own.0), index })
        }
        IpAddr::V6(ip) => {
            interface.v6.first()?;
            let to = SocketAddr::V6(SocketAddrV6::new(ip, port, 0, index));
            Some(Place { to, own: IpAddr::V6(Ipv6Addr::UNSPECIFIED), index })
        }
    }
}

fn ask_host(to: SocketAddr, question: &[u8]) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP))?;
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    socket.bind(&SocketAddr::new(any, 0).into())?;
    socket.send_to(question, &to.into())?;
    Ok(socket)
}

fn ask_group(place: &Place, radius: u8, question: &[u8]) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(place.to), Type::DGRAM, Some(Protocol::UDP))?;
    let ttl = if radius == 0 { 255 } else { u32::from(radius) };
    match place.to.ip() {
        IpAddr::V4(ip) if ip.is_multicast() => {
            socket.set_multicast_ttl_v4(ttl)?;
            socket.set_multicast_loop_v4(true)?;
        }
        IpAddr::V4(_) => {
            socket.set_broadcast(true)?;
            socket.set_ttl_v4(ttl)?;
        }
        IpAddr::V6(_) => {
            socket.set_multicast_hops_v6(ttl)?;
            socket.set_multicast_if_v6(place.index)?;
        }
    }
    socket.bind(&SocketAddr::new(place.own, 0).into())?;
    socket.send_to(question, &place.to.into())?;
    Ok(socket)
}

/// A socket on the group's own port, shared with whoever has it too.
fn listen(place: &Place) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(place.to), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&place.to.into())?;
    match place.to.ip() {
        IpAddr::V4(ip) if ip.is_multicast() => {
            socket.join_multicast_v4_n(&ip, &InterfaceIndexOrAddress::Index(place.index))?;
        }
        IpAddr::V4(_) => {}
        IpAddr::V6(ip) => socket.join_multicast_v6(&ip, place.index)?,
    }
    Ok(socket)
}

/// The sockets on which answers are heard.
struct Listener {
    poll: Poll,
    events: Events,
    sockets: Vec<UdpSocket>,
    buffer: Vec<u8>,
}

impl Listener {
    fn new(sockets: Vec<Socket>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = Listener {
            poll,
            events: Events::with_capacity(SOCKETS_MAX),
            sockets: Vec::new(),
            buffer: vec![0; 2048],
        };
        for (number, socket) in sockets.into_iter().enumerate() {
            socket.set_nonblocking(true)?;
            let mut socket = UdpSocket::from_std(socket.into());
            listener.poll.registry().register(&mut socket, Token(number), Interest::READABLE)?;
            listener.sockets.push(socket);
        }
        Ok(listener)
    }

    /// What has come, after waiting this long for it.
    fn hear(&mut self, wait: Duration) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut heard = Vec::new();
        if self.poll.poll(&mut self.events, Some(wait)).is_err() {
            return heard; // interrupted: the caller looks at that
        }
        // Edge-triggered, and more than a few datagrams may have come: all are looked at, each time.
        for socket in &self.sockets {
            for _ in 0..DATAGRAMS_AT_ONCE {
                match socket.recv_from(&mut self.buffer) {
                    Ok((length, from)) => {
                        heard.push((from, self.buffer.get(..length).unwrap_or_default().to_vec()));
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(_) => {} // an ICMP error of an earlier datagram
                }
            }
        }
        heard
    }
}

/// A gateway that made itself known.
#[derive(Debug, PartialEq, Eq)]
struct Gateway {
    id: u8,
    at: SocketAddr,
    /// Seconds between its ADVERTISEs, when it was heard by one.
    advertises: Option<u16>,
    /// Another client answered for it and gave this address.
    address: Vec<u8>,
}

impl Gateway {
    fn read(from: SocketAddr, bytes: &[u8]) -> Option<Gateway> {
        match Datagram::decode(bytes).ok()?.message {
            Message::GwInfo(info) => Some(Gateway {
                id: info.gateway_id,
                at: from,
                advertises: None,
                address: info.gateway_address.to_vec(),
            }),
            Message::Advertise(advertise) => Some(Gateway {
                id: advertise.gateway_id,
                at: from,
                advertises: Some(advertise.duration),
                address: Vec::new(),
            }),
            _ => None, // not an enum of ours to list here: every other message is no answer
        }
    }

    fn shown(&self, json: bool) -> String {
        if json {
            return terminal::json(&serde_json::json!({
                "gateway_id": self.id,
                "address": self.at.to_string(),
                "advertise_duration": self.advertises,
                "gateway_address_hex": (!self.address.is_empty()).then(|| terminal::hex(&self.address, "")),
            }));
        }
        let mut out = format!("gateway {} at {}", self.id, self.at);
        if let Some(seconds) = self.advertises {
            out.push_str(&format!(", advertises every {seconds} s"));
        }
        if !self.address.is_empty() {
            out.push_str(&format!(", on behalf of {}", terminal::hex(&self.address, ":")));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_asked_on_the_interfaces_that_reach_it() {
        let eth = Interface {
            index: 4,
            name: "eth0".to_owned(),
            loopback: false,
            multicast: true,
            v4: vec![
                (Ipv4Addr::new(192, 0, 2, 9), Ipv4Addr::new(192, 0, 2, 255)),
                (Ipv4Addr::new(10, 0, 0, 9), Ipv4Addr::new(10, 0, 0, 255)),
            ],
            v6: vec!["fe80::9".parse().expect("an address")],
        };
        let placed = |group: &str| {
            let place = place_on(&group.parse().expect("a group"), &eth)?;
            Some(format!("{} from {}", place.to, place.own))
        };
        assert_eq!(placed("225.1.1.1").as_deref(), Some("225.1.1.1:1883 from 192.0.2.9"));
        assert_eq!(placed("10.0.0.255:1884").as_deref(), Some("10.0.0.255:1884 from 10.0.0.9"));
        assert_eq!(placed("10.9.0.255"), None, "another network's broadcast address");
        assert_eq!(placed("ff03::1").as_deref(), Some("[ff03::1%4]:1883 from ::"));
    }

    #[test]
    fn gateways_are_read_from_gwinfo_and_advertise() {
        let from: SocketAddr = "192.0.2.1:1884".parse().expect("an address");
        let shown = |bytes: &[u8]| Gateway::read(from, bytes).map(|gateway| gateway.shown(false));
        assert_eq!(shown(&[3, 2, 7]).as_deref(), Some("gateway 7 at 192.0.2.1:1884"));
        assert_eq!(
            shown(&[5, 2, 7, 0xc0, 2]).as_deref(),
            Some("gateway 7 at 192.0.2.1:1884, on behalf of c0:02")
        );
        assert_eq!(
            shown(&[5, 0, 1, 3, 0x84]).as_deref(),
            Some("gateway 1 at 192.0.2.1:1884, advertises every 900 s")
        );
        assert_eq!(shown(&[2, 0x17]), None);
        assert_eq!(shown(b"\xff\xff"), None);
        let json = Gateway::read(from, &[3, 2, 7]).expect("a gateway").shown(true);
        assert!(json.contains("\"gateway_id\":7") && json.contains("192.0.2.1:1884"), "{json}");
    }
}
