//! `turnstone sn search`: asks for gateways (SEARCHGW) and prints those that answer.
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use clap::{ArgAction, Args};
use sn_proto::wire::{Datagram, Envelope, Message, SearchGw};
use socket2::{Domain, Protocol, Socket, Type};

use super::args::GatewayArgs;
use crate::exit::Exit;
use crate::tools::interrupt::Interrupt;
use crate::tools::{Outcome, ToolError, finish, net, terminal};

/// Gateways that are told apart. Reaction: further ones are passed over.
const GATEWAYS_MAX: usize = 1024;
/// Longest wait in one socket before the other is looked at.
const TURN: Duration = Duration::from_millis(20);

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct SnSearchArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    /// Ask a group instead of one host, such as 225.1.1.1 or 255.255.255.255
    #[arg(long, value_name = "ADDRESS")]
    group: Option<IpAddr>,
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
    let port = arguments.gateway.port;
    let hosts = match arguments.group {
        Some(group) => vec![SocketAddr::new(group, port)],
        None => net::resolve(&arguments.gateway.host, port)?,
    };
    let Some(to) = hosts.first().copied() else {
        return Err(ToolError::new(Exit::Unreachable, "no address to ask", "-h HOST"));
    };
    let group = to.ip().is_multicast() || to.ip() == IpAddr::V4(Ipv4Addr::BROADCAST);
    let lost = |error: &std::io::Error| net::unreachable("gateways", &to.to_string(), error);
    let asking = asker(to, arguments.radius).map_err(|error| lost(&error))?;
    // Gateways answer a group on the group; where its port is taken, those that answer us alone are still heard.
    let listening = if group { listener(to).ok() } else { None };
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
    asking.send_to(&question, to).map_err(|error| lost(&error))?;
    let interrupt = Interrupt::watch();
    let deadline = Instant::now() + Duration::from_secs_f64(arguments.timeout);
    let mut found: HashSet<(u8, SocketAddr)> = HashSet::new();
    let sockets: Vec<&UdpSocket> = [Some(&asking), listening.as_ref()].into_iter().flatten().collect();
    while Instant::now() < deadline && !interrupt.is_set() {
        for socket in &sockets {
            let Some((from, bytes)) = receive(socket) else { continue };
            if arguments.gateway.debug {
                eprintln!("<- {from} {}", sn_proto::describe::describe(&bytes));
            }
            let Some(gateway) = Gateway::read(from, &bytes) else { continue };
            if found.len() < GATEWAYS_MAX && found.insert((gateway.id, gateway.at)) {
                terminal::line(&gateway.shown(arguments.json))?;
            }
        }
        if !group && !found.is_empty() {
            break;
        }
    }
    if found.is_empty() && !interrupt.is_set() {
        return Err(ToolError::new(
            Exit::Timeout,
            format!("no gateway answered at {to}"),
            if group { "a larger --radius, or -h HOST" } else { "--group 225.1.1.1, or another -h and -p" },
        ));
    }
    Ok(Exit::Ok)
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

fn receive(socket: &UdpSocket) -> Option<(SocketAddr, Vec<u8>)> {
    let mut bytes = vec![0; 2048];
    let (length, from) = socket.recv_from(&mut bytes).ok()?;
    bytes.truncate(length);
    Some((from, bytes))
}

fn asker(to: SocketAddr, radius: u8) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP))?;
    let ttl = if radius == 0 { 255 } else { u32::from(radius) };
    match to.ip() {
        IpAddr::V4(ip) if ip.is_multicast() => {
            socket.set_multicast_ttl_v4(ttl)?;
            socket.set_multicast_loop_v4(true)?;
        }
        IpAddr::V4(ip) => socket.set_broadcast(ip == Ipv4Addr::BROADCAST)?,
        IpAddr::V6(ip) if ip.is_multicast() => socket.set_multicast_hops_v6(ttl)?,
        IpAddr::V6(_) => {}
    }
    let any: SocketAddr = SocketAddr::new(any_of(to), 0);
    socket.bind(&any.into())?;
    socket.set_read_timeout(Some(TURN))?;
    Ok(socket.into())
}

/// A socket on the group's own port, shared with whoever has it too.
fn listener(group: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(group), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&group.into())?;
    match group.ip() {
        IpAddr::V4(ip) if ip.is_multicast() => socket.join_multicast_v4(&ip, &Ipv4Addr::UNSPECIFIED)?,
        IpAddr::V6(ip) => socket.join_multicast_v6(&ip, 0)?,
        IpAddr::V4(_) => {}
    }
    socket.set_read_timeout(Some(TURN))?;
    Ok(socket.into())
}

fn any_of(to: SocketAddr) -> IpAddr {
    match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
