//! The behaviours of EMQX's LwM2M test suites, one test each, driven as those are: CoAP bytes on one side, MQTT JSON
//! with `requestID` and `cacheID` on `dn/dm` on the other. Where the gateway answers differently on purpose, the test
//! asserts ours and says so. `index.rs` lists every case with its test.
mod api;
mod index;
mod observe;
mod read;
mod register;
mod robust;
mod write;

use super::world::{Device, Does, Reply, World};
use crate::server::Config;
use coap_lite::CoapOption;

/// A registered device and the MQTT client that commands it.
struct Bench {
    world: World,
    device: Device,
    ep: String,
}

impl Bench {
    /// A device with EMQX's query: lifetime 345 s, LwM2M "1".
    fn new(links: &str) -> Bench {
        Bench::with(Config::default(), &[], links)
    }

    fn with(config: Config, more: &[&str], links: &str) -> Bench {
        let ep = "urn:oma:lwm2m:oma:3".to_owned();
        let mut bench = Bench { world: World::with(config), device: Device::new(5783), ep };
        bench.register(more, links);
        bench.world.heard();
        bench
    }

    /// POST /rd as EMQX's suite sends it, with the wrong Content-Format.
    fn register(&mut self, more: &[&str], links: &str) {
        let ep = format!("ep={}", self.ep);
        let query: Vec<&str> = [&*ep, "lt=345", "lwm2m=1"].into_iter().chain(more.iter().copied()).collect();
        let mut packet = self.device.packet(coap_lite::RequestType::Post, "/rd", &query, links.as_bytes());
        packet.add_option(CoapOption::ContentFormat, Vec::new()); // text/plain
        let answer = self.device.send(&mut self.world, &packet);
        assert_eq!(answer.code(), "2.01", "{}", answer.text());
        self.device.location = answer.location();
    }

    fn topic(&self, leaf: &str) -> String {
        format!("lwm2m/{}/{leaf}", self.ep)
    }

    fn send(&mut self, command: &str) {
        let topic = self.topic("dn/dm");
        self.world.publish_as(&topic, command.as_bytes(), broker_core::QoS::AtMostOnce, false);
    }

    /// What has come on `up/resp`.
    fn answers(&mut self) -> Vec<String> {
        let topic = self.topic("up/resp");
        self.world.on(&topic)
    }

    /// One command of this kind, what the device must be asked ("" for nothing), its reply, and `data` of the one
    /// answer. What a device is asked is written with blanks between groups of hex.
    fn ask(&mut self, kind: &str, data: &str, asked: &str, reply: &Reply, answer: &str) {
        self.ask_with("", kind, data, asked, reply, answer);
    }

    /// As `ask`, with further members before `data`.
    fn ask_with(&mut self, more: &str, kind: &str, data: &str, asked: &str, reply: &Reply, answer: &str) {
        self.world.heard();
        self.send(&envelope(more, kind, data));
        let seen = self.device.serve(&mut self.world, |_| Does::Answer(reply.clone()));
        let expected: Vec<String> = [asked].into_iter().filter(|line| !line.is_empty()).map(tight).collect();
        assert_eq!(seen, expected, "{kind} {data}");
        assert_eq!(self.answers(), [envelope(more, kind, answer)], "{kind} {data}");
    }
}

fn envelope(more: &str, kind: &str, data: &str) -> String {
    format!(r#"{{"requestID":206,"cacheID":206,"msgType":"{kind}",{more}"data":{data}}}"#)
}

/// `data` of an answer with values.
fn content(path: &str, items: &str) -> String {
    format!(r#"{{"reqPath":"{path}","code":"2.05","codeMsg":"content","content":[{items}]}}"#)
}

/// `data` of an answer that is only a code.
fn code(path: &str, code: &str, name: &str) -> String {
    format!(r#"{{"reqPath":"{path}","code":"{code}","codeMsg":"{name}"}}"#)
}

/// One item.
fn item(path: &str, value: &str) -> String {
    format!(r#"{{"path":"{path}","value":{value}}}"#)
}

/// Hex in brackets without its blanks.
fn tight(line: &str) -> String {
    match line.split_once(" [") {
        Some((head, hex)) => format!("{head} [{}", hex.replace(' ', "").to_lowercase()),
        None => line.to_owned(),
    }
}

fn tlv(hex: &str) -> Reply {
    Reply::content(11542, bytes(hex))
}

/// Hex with blanks as bytes.
fn bytes(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

fn changed() -> Reply {
    Reply::code(2, 4)
}
