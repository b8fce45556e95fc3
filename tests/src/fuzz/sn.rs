//! MQTT-SN: datagrams, and whole sessions of several peers against the gateway with a broker behind it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use broker_core::Limits as BrokerLimits;
use broker_core::link::FrontendId;
use sn_proto::config::{Network, ReflectGuard};
use sn_proto::wire::{Datagram, Message};
use sn_proto::{Config, SnGateway};

use super::Input;
use crate::sim::mqtt::world_with;
use crate::sim::packet::{Connect, Publish, pubrel};
use crate::sim::world::World;

/// What decodes is what encodes: no field is lost on the way.
pub fn datagram(bytes: &[u8]) {
    let Ok(read) = Datagram::decode(bytes) else { return };
    let mut written = Vec::new();
    read.encode(&mut written).expect("what fitted a datagram fits one again");
    assert_eq!(Datagram::decode(&written), Ok(read), "{bytes:02x?} was written as {written:02x?}");
    let head = read.envelope.map_or(0, |envelope| 3 + envelope.node_id.len());
    assert_eq!(written.len(), head + read.message.encoded_len());
    assert!(written.len() <= bytes.len(), "the shortest form is written");
    assert!(!read.message.to_string().is_empty());
}

/// Octets of input that are played; the rest would only take time.
const PLAYED_MAX: usize = 4096;
/// Where the gateway is.
const GATEWAY: &str = "127.0.0.1:1884";
/// Where the peers are: two ports of a host, another host, a public address, a listed forwarder.
const PLACES: [&str; 5] =
    ["10.0.0.1:1000", "10.0.0.1:1001", "10.0.0.2:2000", "203.0.113.5:1000", "10.9.9.9:4000"];

fn place(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// A session is steps. Each begins with an octet: its low three bits say who (0 to 4 a peer that sends the chunk which
/// follows; 5 an MQTT client that publishes; 6 time passes; 7 two octets of a topic are published retained), the
/// others how.
pub fn session(bytes: &[u8]) {
    let network = Network { address: IpAddr::from([10, 9, 9, 9]), prefix: 32 };
    let config = Config {
        forwarders: vec![network],
        reflect_guard: ReflectGuard::Public,
        random_topic_ids: false,
        ..Config::default()
    };
    let mut world = world_with(7, BrokerLimits::default());
    let gateway = place(GATEWAY);
    world.add_frontend(FrontendId::MqttSn, gateway, Box::new(SnGateway::new(config, 0, 7)));
    let mqtt = world.connect(&Connect::new("mqtt"));
    world.subscribe(mqtt, &[("#", 2)]);
    let mut input = Input::new(bytes.get(..PLAYED_MAX).unwrap_or(bytes));
    let mut number = 0;
    while !input.is_empty() {
        let step = input.octet();
        let how = step >> 3;
        match usize::from(step & 0b111) {
            5 | 7 => {
                number += 1;
                let topic = ["a", "ab", "a/b", "w/t"][usize::from(how) % 4];
                let qos = how / 4 % 3;
                let mut publish = Publish::new(topic, "m", qos, if qos == 0 { 0 } else { number });
                publish.retain = step & 0b111 == 7;
                world.send(mqtt, &publish.bytes());
                world.send(mqtt, &pubrel(number));
                world.messages(mqtt);
            }
            6 => pass(&mut world, Duration::from_millis([1, 900, 11_000, 95_000][usize::from(how) % 4])),
            from => {
                world.send_datagram(place(PLACES[from]), gateway, input.chunk());
                pass(&mut world, Duration::from_millis(2));
            }
        }
    }
    heal(&mut world);
}

fn pass(world: &mut World, time: Duration) {
    world.pass(time);
    for at in PLACES {
        for (_, datagram) in world.inbox(place(at)) {
            if let Err(error) = Datagram::decode(&datagram.bytes) {
                panic!("the gateway sent {:02x?}: {error}", datagram.bytes);
            }
        }
    }
}

/// Whatever was, a client that behaves is served at each of the places: it connects, subscribes, is told the topic,
/// and gets its message.
fn heal(world: &mut World) {
    pass(world, Duration::from_secs(1));
    let gateway = place(GATEWAY);
    for at in PLACES {
        let at = place(at);
        let mut say = |bytes: &[u8]| {
            world.send_datagram(at, gateway, bytes);
            world.pass(Duration::from_millis(5));
            world.inbox(at).into_iter().map(|(_, datagram)| datagram.bytes).collect::<Vec<_>>()
        };
        // Once for nothing: it may end a sleep, or a connection, of that name.
        say(b"\x0A\x04\x04\x01\x00\x3Cheal");
        say(&[0x02, 0x18]);
        let answer = say(b"\x0A\x04\x04\x01\x00\x3Cheal");
        assert_eq!(answer, [[0x03, 0x05, 0x00]], "CONNECT from {at}");
        let answer = say(b"\x0B\x12\x00\x00\x01heal/+");
        assert_eq!(answer, [[0x08, 0x13, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00]], "SUBSCRIBE from {at}");
        let answer = say(b"\x11\x0C\x60\x00\x06\x00\x00heal/1well");
        let [register] = answer.as_slice() else { panic!("{at} heard {answer:02x?}") };
        let Ok(Message::Register(register)) = Message::decode(register) else {
            panic!("{at} heard {register:02x?} where REGISTER was due")
        };
        let (id, msg) = (register.topic_id.to_be_bytes(), register.msg_id.to_be_bytes());
        let answer = say(&[0x07, 0x0B, id[0], id[1], msg[0], msg[1], 0x00]);
        let publish = [&[0x0B, 0x0C, 0x00, id[0], id[1], 0x00, 0x00][..], b"well"].concat();
        assert_eq!(answer, [publish], "PUBLISH at {at}");
        assert_eq!(say(&[0x02, 0x18]), [[0x02, 0x18]]);
    }
    sleeps_and_wakes(world);
}

/// And it is served in full: its own messages at QoS 2 and 1 while it is awake, and what waited while it slept.
fn sleeps_and_wakes(world: &mut World) {
    let (at, gateway) = (place(PLACES[0]), place(GATEWAY));
    let mut say = |bytes: &[u8]| {
        world.send_datagram(at, gateway, bytes);
        world.pass(Duration::from_millis(5));
        let heard = world.inbox(at).into_iter().map(|(_, datagram)| datagram.bytes);
        heard.map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect()).collect::<Vec<String>>()
    };
    let msg_id =
        |publish: &str| u16::from_str_radix(publish.get(10..14).unwrap_or(""), 16).unwrap_or(0).to_be_bytes();
    assert_eq!(say(b"\x0A\x04\x04\x01\x00\x3Cheal"), ["030500"]);
    assert_eq!(say(b"\x07\x12\x42\x00\x01\x01\x02"), ["0813400000000100"], "SUBSCRIBE to a short name");
    assert_eq!(say(b"\x08\x0C\x42\x01\x02\x00\x09x"), ["040f0009"]);
    let answer = say(&[0x04, 0x10, 0x00, 0x09]);
    let [publish, pubcomp] = answer.as_slice() else { panic!("PUBREL was answered by {answer:?}") };
    assert_eq!((&publish[..10], pubcomp.as_str()), ("080c420102", "040e0009"));
    let id = msg_id(publish);
    assert_eq!(say(&[0x04, 0x0F, id[0], id[1]]), [format!("0410{:02x}{:02x}", id[0], id[1])]);
    assert!(say(&[0x04, 0x0E, id[0], id[1]]).is_empty());
    assert_eq!(say(&[0x04, 0x18, 0x00, 0x3C]), ["0218"]);
    assert_eq!(say(b"\x08\x0C\x22\x01\x02\x00\x0Ay"), ["070d0102000a00"], "a sleeper may publish");
    let answer = say(b"\x06\x16heal");
    let [publish] = answer.as_slice() else { panic!("PINGREQ was answered by {answer:?}") };
    assert_eq!(&publish[..10], "080c220102");
    let id = msg_id(publish);
    assert_eq!(say(&[0x07, 0x0D, 0x01, 0x02, id[0], id[1], 0x00]), ["0217"]);
    assert_eq!(say(b"\x06\x16heal"), ["0217"]);
    assert_eq!(say(&[0x02, 0x18]), ["0218"]);
}
