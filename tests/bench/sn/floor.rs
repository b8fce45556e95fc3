//! The floor: a relay without state, checks or timers that makes the same system calls as a gateway must make for
//! the same messages, one `recvmmsg`, `sendmmsg`, `read` and `write` for as many as are there. What it costs is the
//! kernel's share; no gateway can cost less on this machine.
use super::datagrams::{self, Outbox};
use mio::net::{TcpListener, TcpStream};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use sn_proto::wire::{Message, PubAck, Publish, Qos, RegAck, Register, ReturnCode, SubAck, TopicIdType};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4};

const UDP: Token = Token(0);
const LISTENER: Token = Token(1);
const FIRST_STREAM: usize = 2;

/// Who gets the next message.
#[derive(Default)]
struct Relay {
    outbox: Option<Outbox>,
    streams: Vec<(TcpStream, Vec<u8>)>,
    tcp_subscriber: Option<usize>,
    devices: Vec<SocketAddrV4>,
    next_device: usize,
    next_id: u16,
}

/// Serves until it is killed.
pub(crate) fn serve(tcp: u16, udp: u16) -> io::Result<()> {
    let (mut inbox, outbox) = datagrams::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, udp))?;
    let mut relay = Relay { outbox: Some(outbox), ..Relay::default() };
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind((Ipv4Addr::LOCALHOST, tcp).into())?;
    poll.registry().register(&mut SourceFd(&inbox.fd()), UDP, Interest::READABLE)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(256);
    let mut room = vec![0; 256 << 10];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            match event.token() {
                UDP => loop {
                    let count = inbox.receive(|_, remote, bytes| relay.on_datagram(remote, bytes))?;
                    relay.flush()?;
                    if count < 64 {
                        break;
                    }
                },
                LISTENER => {
                    while let Ok((mut stream, _)) = listener.accept() {
                        stream.set_nodelay(true)?;
                        let token = Token(FIRST_STREAM + relay.streams.len());
                        poll.registry().register(&mut stream, token, Interest::READABLE)?;
                        relay.streams.push((stream, Vec::new()));
                    }
                }
                Token(stream) => {
                    relay.on_readable(stream - FIRST_STREAM, &mut room)?;
                    relay.flush()?;
                }
            }
        }
    }
}

impl Relay {
    fn say(&mut self, to: SocketAddrV4, message: Message<'_>) {
        if let Some(outbox) = &mut self.outbox {
            outbox.queue(Ipv4Addr::UNSPECIFIED, to, |wire| {
                message.encode(wire).expect("what the bench sends is short");
            });
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        for (stream, output) in &mut self.streams {
            if !output.is_empty() {
                // The generator's window is far below the socket's buffer.
                stream.write_all(output)?;
                output.clear();
            }
        }
        self.outbox.as_mut().map_or(Ok(()), Outbox::flush)
    }

    fn on_datagram(&mut self, remote: SocketAddrV4, bytes: &[u8]) {
        let accepted = ReturnCode::Accepted;
        match Message::decode(bytes) {
            Ok(Message::Connect(_)) => self.say(remote, Message::ConnAck(accepted)),
            Ok(Message::Register(Register { msg_id, .. })) => {
                self.say(remote, Message::RegAck(RegAck { topic_id: 1, msg_id, return_code: accepted }));
            }
            Ok(Message::Subscribe(subscribe)) => {
                self.devices.push(remote);
                let (qos, msg_id) = (subscribe.qos, subscribe.msg_id);
                self.say(remote, Message::SubAck(SubAck { qos, topic_id: 1, msg_id, return_code: accepted }));
            }
            Ok(Message::Publish(Publish { qos, topic_id, msg_id, data, .. })) => {
                match qos {
                    Qos::AtLeastOnce => {
                        self.say(remote, Message::PubAck(PubAck { topic_id, msg_id, return_code: accepted }));
                    }
                    Qos::ExactlyOnce => self.say(remote, Message::PubRec(msg_id)),
                    Qos::AtMostOnce | Qos::MinusOne => {}
                }
                self.relay(qos, data);
            }
            Ok(Message::PubRel(id)) => self.say(remote, Message::PubComp(id)),
            Ok(Message::PubRec(id)) => self.say(remote, Message::PubRel(id)),
            Ok(_) | Err(_) => {}
        }
    }

    fn relay(&mut self, qos: Qos, data: &[u8]) {
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        let msg_id = if qos == Qos::AtMostOnce { 0 } else { self.next_id };
        if let Some(at) = self.tcp_subscriber {
            const TOPIC: &[u8] = b"bench/1/flow";
            let output = &mut self.streams[at].1;
            let id = if qos == Qos::AtMostOnce { 0 } else { 2 };
            let bits = match qos {
                Qos::AtMostOnce | Qos::MinusOne => 0,
                Qos::AtLeastOnce => 2,
                Qos::ExactlyOnce => 4,
            };
            output.push(0x30 | bits);
            output.push(u8::try_from(2 + TOPIC.len() + id + data.len()).expect("short messages"));
            output.extend_from_slice(&[0, TOPIC.len() as u8]);
            output.extend_from_slice(TOPIC);
            if id > 0 {
                output.extend_from_slice(&msg_id.to_be_bytes());
            }
            output.extend_from_slice(data);
        } else if !self.devices.is_empty() {
            self.next_device = (self.next_device + 1) % self.devices.len();
            let to = self.devices[self.next_device];
            let topic_id_type = TopicIdType::Normal;
            let publish =
                Publish { dup: false, qos, retain: false, topic_id_type, topic_id: 1, msg_id, data };
            self.say(to, Message::Publish(publish));
        }
    }

    fn on_readable(&mut self, at: usize, room: &mut [u8]) -> io::Result<()> {
        loop {
            let count = match self.streams[at].0.read(room) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            if count == 0 {
                return Ok(());
            }
            let mut rest = &room[..count];
            // The generator writes whole packets of fewer than 128 octets, far fewer at a time than fit.
            while let [first, length, ..] = *rest {
                let Some((packet, after)) = rest.split_at_checked(2 + usize::from(length)) else { break };
                rest = after;
                self.on_packet(at, first, &packet[2..]);
            }
            if count < room.len() {
                return Ok(());
            }
        }
    }

    fn on_packet(&mut self, at: usize, first: u8, body: &[u8]) {
        let mut answer = |bytes: &[u8]| self.streams[at].1.extend_from_slice(bytes);
        match first >> 4 {
            1 => answer(&[0x20, 2, 0, 0]),
            3 => {
                let qos = (first >> 1) & 3;
                let topic = 2 + usize::from(body[1]);
                let data = topic + if qos > 0 { 2 } else { 0 };
                match qos {
                    1 => answer(&[0x40, 2, body[topic], body[topic + 1]]),
                    2 => answer(&[0x50, 2, body[topic], body[topic + 1]]),
                    _ => {}
                }
                let qos = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce][usize::from(qos)];
                self.relay(qos, &body[data..]);
            }
            5 => answer(&[0x62, 2, body[0], body[1]]),
            6 => answer(&[0x70, 2, body[0], body[1]]),
            8 => {
                answer(&[0x90, 3, body[0], body[1], 0]);
                self.tcp_subscriber = Some(at);
            }
            _ => {}
        }
    }
}
