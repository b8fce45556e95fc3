//! LwM2M: datagrams of devices and commands of people as a session against the server with a broker behind it, every
//! content format, commands, and object definitions.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use broker_core::Limits as BrokerLimits;
use broker_core::link::FrontendId;
use lwm2m::catalog::{Catalog, NoModel};
use lwm2m::command::{self, Channel, Form};
use lwm2m::content::{self, ContentFormat, Context};
use lwm2m::limits::ContentLimits;
use lwm2m::path::ObjectPath;
use lwm2m::{Config, Lwm2mServer};

use super::Input;
use crate::notation::register;
use crate::sim::mqtt::world_with;
use crate::sim::packet::{Connect, Publish};
use crate::sim::world::{Client, World};

/// Octets of input that are played; the rest would only take time.
const PLAYED_MAX: usize = 4096;
/// Where the server is.
const SERVER: &str = "127.0.0.1:5683";
/// Where the devices are: two ports of a host, and another host.
const PLACES: [&str; 3] = ["192.0.2.1:1000", "192.0.2.1:1001", "192.0.2.2:1000"];
/// Commands for the endpoint "m", which the seeds register.
const COMMANDS: [&str; 8] = [
    r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#,
    r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0"}"#,
    r#"{"reqID":1,"msgType":"observe","data":{"path":"/3/0/9"}}"#,
    r#"{"reqID":1,"msgType":"cancel-observe","data":{"path":"/3/0/9"}}"#,
    r#"{"CmdID":1,"Command":"Write","Value":{"bn":"/3/0","e":[{"n":"13","v":1},{"n":"14","sv":"x"}]}}"#,
    r#"{"reqID":1,"msgType":"read-composite","data":{"paths":["/3/0/0","/3/0/9"]}}"#,
    r#"{"reqID":1,"msgType":"execute","ttl":0,"data":{"path":"/3/0/4"}}"#,
    r#"{"reqID":1,"msgType":"deregister"}"#,
];

fn place(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// The server and whoever commands its devices.
struct Play {
    world: World,
    mqtt: Client,
    /// The last request that each device was sent: message id and token, for answers that fit.
    asked: [Vec<u8>; PLACES.len()],
}

impl Play {
    fn new() -> Play {
        let mut world = world_with(7, BrokerLimits::default());
        let server = Lwm2mServer::new(Config::default(), Arc::clone(core()), 0, [7; 32]);
        world.add_frontend(FrontendId::Lwm2m, place(SERVER), Box::new(server));
        let mqtt = world.connect(&Connect::new("mqtt"));
        world.subscribe(mqtt, &[("lwm2m/#", 0)]);
        Play { world, mqtt, asked: Default::default() }
    }

    /// What the server has sent is CoAP, and what it has published is JSON.
    fn pass(&mut self, time: Duration) -> Vec<String> {
        self.world.pass(time);
        for (at, asked) in PLACES.iter().zip(&mut self.asked) {
            for (_, datagram) in self.world.inbox(place(at)) {
                let bytes = datagram.bytes;
                let token = usize::from(bytes.first().map_or(0xFF, |first| first & 0x0F));
                let head = bytes.len() >= 4 && bytes.first().is_some_and(|first| first >> 6 == 1);
                assert!(head && token <= 8 && bytes.len() >= 4 + token, "the server sent {bytes:02x?}");
                if (1..32).contains(&bytes.get(1).copied().unwrap_or(0)) {
                    *asked = bytes.get(2..4 + token).unwrap_or_default().to_vec();
                }
            }
        }
        let mut said = Vec::new();
        for message in self.world.messages(self.mqtt) {
            if message.topic.ends_with("/command") || message.topic.contains("/dn") {
                continue; // a command itself
            }
            let payload = String::from_utf8_lossy(message.payload.as_ref()).into_owned();
            let json = serde_json::from_str::<serde_json::Value>(&payload);
            assert!(json.is_ok_and(|json| json.is_object()), "{} {payload}", message.topic);
            said.push(payload);
        }
        said
    }

    fn say(&mut self, from: usize, bytes: &[u8]) -> Vec<String> {
        self.world.send_datagram(place(PLACES[from]), place(SERVER), bytes);
        self.pass(Duration::from_millis(5))
    }

    fn command(&mut self, topic: &str, payload: &str) -> Vec<String> {
        self.world.send(self.mqtt, &Publish::new(topic, payload, 0, 0).bytes());
        self.pass(Duration::from_millis(5))
    }
}

/// A session is steps. Each begins with an octet: its low three bits say who (0 to 2 a device that sends the chunk
/// which follows; 3 and 4 the first two devices answer what they were asked last: the chunk stands behind message id and
/// token, the others say its code; 5 a command from the list; 6 time passes; 7 the chunk is a command), the others how.
pub fn session(bytes: &[u8]) {
    let mut play = Play::new();
    let mut input = Input::new(bytes.get(..PLAYED_MAX).unwrap_or(bytes));
    while !input.is_empty() {
        let step = input.octet();
        let how = usize::from(step >> 3);
        match step & 0b111 {
            from @ 0..=2 => drop(play.say(usize::from(from), input.chunk())),
            who @ (3 | 4) => {
                let from = usize::from(who - 3);
                let asked = play.asked[from].clone();
                let token = u8::try_from(asked.len().saturating_sub(2)).expect("eight octets");
                let code = [0x45, 0x44, 0x84, 0x8F, 0x5F, 0x00, 0x80, 0x41][how % 8];
                let kind = [0x60, 0x40, 0x50, 0x70][how / 8];
                let datagram = match code {
                    0x00 => {
                        vec![kind, 0, asked.first().copied().unwrap_or(0), asked.get(1).copied().unwrap_or(0)]
                    }
                    _ => [&[kind | token, code], &asked[..], input.chunk()].concat(),
                };
                play.say(from, &datagram);
            }
            5 => {
                let topic = if how / 8 % 2 == 0 { "lwm2m/m/command" } else { "lwm2m/m/dn" };
                play.command(topic, COMMANDS[how % 8]);
            }
            6 => drop(play.pass(Duration::from_millis([1, 3_000, 61_000, 300_000][how % 4]))),
            _ => {
                let payload = String::from_utf8_lossy(input.chunk()).into_owned();
                play.command(if how % 2 == 0 { "lwm2m/m/command" } else { "lwm2m/m/dn/x" }, &payload);
            }
        }
    }
    heal(&mut play);
}

/// Whatever was, a device that behaves registers, is read, and leaves.
fn heal(play: &mut Play) {
    // Nothing of before is on its way any more, and no message id is remembered.
    play.pass(Duration::from_secs(400));
    for (from, place) in PLACES.iter().enumerate() {
        let said = play.say(from, &register(0x7001, "ep=heal&lwm2m=1.1", b"</3/0>"));
        assert!(
            said.iter().any(|json| json.contains(r#""msgType":"register""#)),
            "{} {said:?}",
            PLACES[from]
        );
        let read = r#"{"reqID":"heal","msgType":"read","data":{"path":"/3/0/0"}}"#;
        let mut said = play.command("lwm2m/heal/dn", read);
        for _ in 0..3 {
            // A probe of the address may come first; it is answered by the next round's silence, then by RST.
            let asked = play.asked[from].clone();
            said.extend(play.say(from, &[&[0x68, 0x45], &asked[..], b"\xC0\xFFwell"].concat()));
            if said.iter().any(|json| json.contains(r#""value":"well""#)) {
                break;
            }
            said.extend(play.pass(Duration::from_secs(3)));
        }
        let answers = said.iter().filter(|json| json.contains(r#""reqID":"heal""#) && json.contains("data"));
        assert_eq!(answers.count(), 1, "{place} {said:?}");
        let said = play.command("lwm2m/heal/dn", r#"{"msgType":"deregister"}"#);
        assert!(said.iter().any(|json| json.contains(r#""code":"2.02""#)), "{said:?}");
    }
}

/// The formats that hold values, by the first octet of an input; the second says where they are to lie.
const FORMATS: [ContentFormat; 10] = [
    ContentFormat::Text,
    ContentFormat::Opaque,
    ContentFormat::Cbor,
    ContentFormat::SenmlJson,
    ContentFormat::SenmlCbor,
    ContentFormat::Tlv,
    ContentFormat::Json,
    ContentFormat::LwM2mCbor,
    ContentFormat::LegacyTlv,
    ContentFormat::Link,
];
const BASES: [&str; 5] = ["/", "/3", "/3/0", "/3/0/0", "/3/0/7/1"];

/// What is read lies where it was asked for, and what is written of it is read again as the same.
pub fn content(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let format = FORMATS[usize::from(input.octet()) % FORMATS.len()];
    let base = ObjectPath::parse_composite(BASES[usize::from(input.octet()) % BASES.len()]).expect("a path");
    let payload = input.rest();
    let limits = ContentLimits::default();
    let cx = Context { model: &NoModel, limits: &limits, now_unix_ms: 1_700_000_000_000, alternate_path: "" };
    if format == ContentFormat::Link {
        for link in content::link::decode(payload, &limits).into_iter().flatten() {
            drop((
                link.to_string(),
                link.without_bare_attributes(),
                link.content_formats(),
                link.place("/lw"),
            ));
        }
        return;
    }
    if let Ok(paths) = content::decode_paths(format, payload, &cx) {
        let written = content::encode_paths(format, &paths, &cx).expect("what was read can be written");
        assert_eq!(content::decode_paths(format, &written, &cx).as_ref(), Ok(&paths), "{format:?}");
    }
    let Ok(entries) = content::decode(format, base, payload, &cx) else { return };
    for entry in &entries {
        assert!(base.contains(entry.path) && entry.path.depth() >= 3, "{format:?} {base} {}", entry.path);
    }
    let Ok(written) = content::encode(format, base, &entries, &cx) else { return };
    let again = content::decode(format, base, &written, &cx).expect("what was written can be read");
    let sorted = |entries: &[content::Entry]| {
        let mut shown: Vec<String> =
            entries.iter().map(|e| format!("{} {}", e.path, e.value.to_json())).collect();
        shown.sort();
        shown
    };
    assert_eq!(sorted(&again), sorted(&entries), "{format:?} {written:02x?}");
}

/// A command is read, or answered in JSON on its own channel.
pub fn command(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let channel = if input.octet().is_multiple_of(2) { Channel::Command } else { Channel::Downlink };
    let payload = input.rest();
    let asker = command::asker(channel, payload);
    assert_eq!(asker.channel, channel);
    assert!(channel == Channel::Command || asker.form == Form::B, "form B alone on dn");
    match command::read(channel, payload, &|_| None) {
        Ok(command) => {
            assert_eq!(command.asker, asker, "the asker of a command is who it is, refused or not");
            let operation = &command.operation;
            assert!(!operation.is_composite() || operation.path().is_root());
        }
        Err(answer) => {
            let text = answer.to_json();
            let json: serde_json::Value = serde_json::from_str(&text).expect("an answer is JSON");
            assert!(json.is_object() && !answer.code.is_success(), "{text}");
            assert!(text.len() <= 2 * payload.len() + 2_048, "an answer is not longer than what it answers");
        }
    }
}

fn core() -> &'static Arc<Catalog> {
    static CORE: OnceLock<Arc<Catalog>> = OnceLock::new();
    CORE.get_or_init(|| Arc::new(Catalog::core()))
}

/// A file of object definitions loads, or is one warning at least; the core objects stay.
pub fn object_xml(bytes: &[u8]) {
    let (catalog, warnings) = Catalog::load([("fuzz.xml", bytes)]);
    assert!(warnings.len() <= 1_000_000 && catalog.objects().count() <= bytes.len());
    for warning in &warnings {
        assert!(!warning.to_string().is_empty());
    }
    for object in catalog.objects() {
        drop((object.name().to_owned(), object.version()));
    }
    assert!(core().object(3, None).is_some());
}
