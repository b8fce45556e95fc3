//! Firmware updates: push by Block1 with loss, pull from our own side, reboots on both sides, every failure.
use super::world::{Device, Does, Reply, Seen, World};
use crate::server::{Config, Images};
use bytes::Bytes;
use coap_lite::{CoapOption, MessageType, Packet, RequestType};
use std::net::SocketAddr;
use std::time::Duration;

pub(super) const COMMAND: &str = r#"{"reqID":29,"msgType":"firmware","data":{"file":"meter-2.1.bin"}}"#;

struct OneImage(Bytes);

impl Images for OneImage {
    fn open(&self, name: &str) -> Result<Bytes, String> {
        if name == "meter-2.1.bin" { Ok(self.0.clone()) } else { Err(format!("{name}: no such file")) }
    }
}

pub(super) fn image(bytes: usize) -> Bytes {
    (0..bytes).map(|n| (n * 31 % 251) as u8).collect::<Vec<u8>>().into()
}

/// Object 5 of a device.
#[derive(Default)]
pub(super) struct Meter {
    pub(super) state: u8,
    pub(super) result: u8,
    pub(super) delivery: u8,
    pub(super) package: Vec<u8>,
    pub(super) uri: String,
    pub(super) executed: u32,
    /// Drops every so manieth block.
    loses: usize,
    seen: usize,
}

impl Meter {
    /// It takes its image either way.
    fn pushed() -> Meter {
        Meter { delivery: 2, ..Meter::default() }
    }

    /// 0 by pull only, 1 by push only, 2 both.
    pub(super) fn delivering(delivery: u8) -> Meter {
        Meter { delivery, ..Meter::default() }
    }

    fn object(&self) -> Reply {
        let text = format!(
            r#"[{{"bn":"/5/0/","n":"3","v":{}}},{{"n":"5","v":{}}},{{"n":"8/0","v":0}},{{"n":"9","v":{}}}]"#,
            self.state, self.result, self.delivery
        );
        Reply::content(110, text)
    }

    pub(super) fn on(&mut self, seen: &Seen) -> Does {
        self.seen += 1;
        if self.loses > 0 && self.seen.is_multiple_of(self.loses) {
            return Does::Silence;
        }
        let line = seen.line();
        let path = line.split(' ').nth(1).unwrap().to_owned();
        Does::Answer(match (&*seen.code(), &*path) {
            ("GET", "/5/0") => self.object(),
            ("PUT", "/5/0/1") => {
                self.uri = seen.text();
                (self.state, self.result) = (u8::from(!self.uri.is_empty()), 0);
                Reply::code(2, 4)
            }
            ("PUT", "/5/0/0") => return Does::Answer(self.on_block(seen)),
            ("POST", "/5/0/2") if self.state == 2 => {
                self.executed += 1;
                self.state = 3;
                Reply::code(2, 4)
            }
            ("POST", "/5/0/2") => Reply::code(4, 5),
            _ => Reply::code(4, 4),
        })
    }

    fn on_block(&mut self, seen: &Seen) -> Reply {
        let block = seen.number(CoapOption::Block1).unwrap_or(0);
        let (number, more, size) = (block >> 4, block & 8 != 0, 16 << (block & 7));
        if number == 0 {
            self.package.clear();
        }
        let place = number as usize * size;
        if place > self.package.len() {
            return Reply { block1: Some(block), ..Reply::code(4, 8) };
        }
        self.package.truncate(place); // a block that came again
        self.package.extend_from_slice(&seen.packet.payload);
        self.state = if more { 1 } else { 2 };
        Reply { block1: Some(block), ..if more { Reply::code(2, 31) } else { Reply::code(2, 4) } }
    }
}

pub(super) fn world_with(bytes: usize) -> (World, Device) {
    let listeners = vec![SocketAddr::from(([192, 0, 2, 1], 5683))];
    let mut world = World::with(Config { listeners, ..Config::default() });
    world.server.set_images(Box::new(OneImage(image(bytes))));
    let mut device = Device::new(56830);
    device.register(&mut world, &["ep=m1", "lwm2m=1.1", "lt=86400"], r#"</>;ct=110,</3/0>,</5/0>"#);
    world.heard();
    (world, device)
}

/// Serves the device second by second until `done` or the time is over.
pub(super) fn run(
    world: &mut World,
    device: &mut Device,
    meter: &mut Meter,
    seconds: u64,
    done: impl Fn(&Meter) -> bool,
) {
    for _ in 0..seconds {
        device.serve(world, |seen| meter.on(seen));
        if done(meter) {
            return;
        }
        world.pass(Duration::from_secs(1));
    }
    assert!(done(meter), "state {} result {} {} bytes", meter.state, meter.result, meter.package.len());
}

/// The device comes back with its new program.
pub(super) fn reboot(world: &mut World, device: &mut Device, meter: &mut Meter, result: u8) {
    (meter.state, meter.result) = (0, result);
    device.register(world, &["ep=m1", "lwm2m=1.1", "lt=86400"], r#"</>;ct=110,</3/0>,</5/0>"#);
    run(world, device, meter, 1, |_| true);
    device.serve(world, |seen| meter.on(seen));
}

pub(super) const UPDATED: &str = r#"{"reqID":29,"msgType":"firmware","data":{"reqPath":"/5/0","code":"2.04","codeMsg":"changed","state":0,"result":1}}"#;

#[test]
fn an_image_is_pushed_installed_and_reported_over_a_reboot() {
    let (mut world, mut device) = world_with(10_000);
    let mut meter = Meter { delivery: 2, ..Meter::default() };
    world.publish("lwm2m/m1/dn", COMMAND);
    run(&mut world, &mut device, &mut meter, 60, |meter| meter.executed == 1);
    assert_eq!(meter.package, image(10_000));
    reboot(&mut world, &mut device, &mut meter, 1);
    let heard = world.heard();
    let answers: Vec<&str> =
        heard.iter().filter(|h| h.payload.contains(r#""msgType":"firmware""#)).map(|h| &*h.payload).collect();
    assert_eq!(answers, [UPDATED]);
    let states: Vec<String> = heard
        .iter()
        .filter(|h| h.payload.contains(r#""event":"firmware""#))
        .map(|h| h.payload.split(r#""id":29,"state":"#).nth(1).unwrap().replace(['"', '}'], ""))
        .collect();
    assert_eq!(states.first().unwrap(), "downloading,percent:0");
    assert!(states.contains(&"downloading,percent:50".to_owned()), "{states:?}");
    assert_eq!(states[states.len() - 3..], ["downloaded,percent:100", "updating", "updated"]);
}

#[test]
fn a_mebibyte_arrives_whole_over_a_network_that_loses_a_tenth() {
    let (mut world, mut device) = world_with(1 << 20);
    let mut meter = Meter { delivery: 1, loses: 10, ..Meter::default() };
    world.publish("lwm2m/m1/dn", COMMAND);
    run(&mut world, &mut device, &mut meter, 3_000, |meter| meter.executed == 1);
    assert!(meter.package == image(1 << 20));
    meter.loses = 0;
    reboot(&mut world, &mut device, &mut meter, 1);
    assert_eq!(world.on("lwm2m/m1/up/resp").iter().filter(|answer| *answer == UPDATED).count(), 1);
}

#[test]
fn a_push_that_a_reboot_breaks_begins_again_at_block_0() {
    let (mut world, mut device) = world_with(20_000);
    let mut meter = Meter::pushed();
    world.publish("lwm2m/m1/dn", COMMAND);
    let mut blocks = 0;
    device.serve(&mut world, |seen| {
        blocks += usize::from(seen.code() == "PUT");
        if blocks > 5 { Does::Silence } else { meter.on(seen) }
    });
    assert_eq!(meter.state, 1);
    reboot(&mut world, &mut device, &mut meter, 0);
    run(&mut world, &mut device, &mut meter, 60, |meter| meter.executed == 1);
    assert_eq!(meter.package, image(20_000));
}

#[test]
fn a_restart_of_ours_goes_on_where_the_device_is() {
    let (mut before, mut device) = world_with(5_000);
    let mut meter = Meter::pushed();
    before.publish("lwm2m/m1/dn", COMMAND);
    run(&mut before, &mut device, &mut meter, 60, |meter| meter.executed == 1);
    let mut world = before.restarted(Config::default());
    world.server.set_images(Box::new(OneImage(image(5_000))));
    run(&mut world, &mut device, &mut meter, 20, |_| true);
    assert_eq!(meter.executed, 1, "it is installing: the order is not given twice");
    reboot(&mut world, &mut device, &mut meter, 1);
    assert_eq!(world.on("lwm2m/m1/up/resp").iter().filter(|answer| *answer == UPDATED).count(), 1);
}

#[test]
fn a_device_that_is_not_idle_is_reset_first() {
    let (mut world, mut device) = world_with(100);
    let mut meter = Meter { state: 2, ..Meter::pushed() };
    world.publish("lwm2m/m1/dn", COMMAND);
    let asked = device.serve(&mut world, |seen| meter.on(seen));
    assert!(asked.iter().any(|line| line.starts_with("PUT /5/0/1 ")), "{asked:?}");
    run(&mut world, &mut device, &mut meter, 60, |meter| meter.executed == 1);
    assert_eq!(meter.package, image(100));
}

#[test]
fn failures_are_answered_with_the_result_in_words() {
    for (result, reason) in
        [(2, "not enough flash memory"), (5, "integrity check failed"), (8, "update failed")]
    {
        let (mut world, mut device) = world_with(100);
        let mut meter = Meter::pushed();
        world.publish("lwm2m/m1/dn", COMMAND);
        run(&mut world, &mut device, &mut meter, 60, |meter| meter.executed == 1);
        world.heard();
        reboot(&mut world, &mut device, &mut meter, result);
        let answers = world.on("lwm2m/m1/up/resp");
        let expected = format!(
            r#"{{"reqID":29,"msgType":"firmware","data":{{"reqPath":"/5/0","code":"5.00","codeMsg":"internal_server_error","state":0,"result":{result},"reason":"{reason}"}}}}"#
        );
        assert!(answers.contains(&expected), "{answers:?}");
    }
}

#[test]
fn what_cannot_begin_is_answered_at_once() {
    let (mut world, mut device) = world_with(100);
    world.publish("lwm2m/m1/dn", r#"{"reqID":1,"msgType":"firmware","data":{"file":"other.bin"}}"#);
    assert!(world.on("lwm2m/m1/up/resp")[0].contains(r#""code":"4.04""#));
    let mut meter = Meter::pushed();
    world.publish("lwm2m/m1/dn", COMMAND);
    world.publish("lwm2m/m1/dn", COMMAND);
    assert!(world.on("lwm2m/m1/up/resp")[0].contains(r#""code":"4.09""#), "one at a time");
    // A device without the object.
    device.serve(&mut world, |_| Does::Answer(Reply::code(4, 4)));
    let answers = world.on("lwm2m/m1/up/resp");
    assert!(answers[0].contains(r#""code":"5.00""#) && answers[0].contains("cannot be read"), "{answers:?}");
    // And the next may begin.
    world.publish("lwm2m/m1/dn", COMMAND);
    run(&mut world, &mut device, &mut meter, 60, |meter| meter.executed == 1);
}

#[test]
fn other_commands_run_while_firmware_is_installed() {
    let (mut world, mut device) = world_with(100);
    let mut meter = Meter::pushed();
    world.publish("lwm2m/m1/dn", COMMAND);
    run(&mut world, &mut device, &mut meter, 60, |meter| meter.executed == 1);
    world.heard();
    world.publish("lwm2m/m1/command", r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0/0"}"#);
    device.serve(&mut world, |_| Does::Answer(Reply::text("ACME")));
    assert_eq!(world.on("lwm2m/m1/response").len(), 1);
}

#[test]
fn a_device_that_leaves_ends_its_update() {
    let (mut world, mut device) = world_with(100);
    world.publish("lwm2m/m1/dn", COMMAND);
    device.deregister(&mut world);
    let answers = world.on("lwm2m/m1/up/resp");
    assert!(answers.len() == 1 && answers[0].contains(r#""code":"4.04""#), "{answers:?}");
}

/// Fetches a URI of ours as a device does, block by block.
fn fetch(world: &mut World, device: &mut Device, uri: &str) -> Result<Vec<u8>, String> {
    let path = uri.strip_prefix("coap://192.0.2.1:5683").expect("our own address");
    let mut body = Vec::new();
    for number in 0..5_000u32 {
        let mut packet = device.packet(RequestType::Get, path, &[], b"");
        let block = number << 4 | 6;
        packet.add_option(
            CoapOption::Block2,
            block.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect(),
        );
        let answer = device.send(world, &packet);
        if answer.code() != "2.05" {
            return Err(answer.code());
        }
        assert!(answer.packet.get_option(CoapOption::ETag).is_some());
        body.extend_from_slice(&answer.packet.payload);
        if answer.number(CoapOption::Block2).unwrap_or(0) & 8 == 0 {
            return Ok(body);
        }
    }
    Err("without end".into())
}

#[test]
fn a_device_that_only_fetches_gets_a_uri_of_ours_and_its_blocks() {
    let (mut world, mut device) = world_with(1 << 20);
    let mut meter = Meter { delivery: 0, ..Meter::default() };
    world.publish("lwm2m/m1/dn", COMMAND);
    run(&mut world, &mut device, &mut meter, 20, |meter| meter.uri.starts_with("coap://"));
    let uri = meter.uri.clone();
    let mut stranger = Device::new(666);
    assert_eq!(fetch(&mut world, &mut stranger, &uri), Err("4.04".into()), "only its own device");
    let body = fetch(&mut world, &mut device, &uri).unwrap();
    assert!(body == image(1 << 20));
    meter.state = 2;
    run(&mut world, &mut device, &mut meter, 60, |meter| meter.executed == 1);
    reboot(&mut world, &mut device, &mut meter, 1);
    let heard = world.heard();
    assert!(heard.iter().any(|h| h.payload.contains(r#""state":"downloading","percent":90"#)));
    assert!(heard.iter().any(|h| h.payload == UPDATED));
    assert_eq!(fetch(&mut world, &mut device, &uri), Err("4.04".into()), "for this update only");
}

#[test]
fn a_foreign_uri_is_handed_on_as_it_is_and_only_downloading_is_possible_too() {
    let (mut world, mut device) = world_with(100);
    let mut meter = Meter::pushed();
    world.publish(
        "lwm2m/m1/command",
        r#"{"CmdID":5,"Command":"Firmware","Uri":"coaps://fw.example/x.bin","Update":false}"#,
    );
    run(&mut world, &mut device, &mut meter, 20, |meter| meter.uri == "coaps://fw.example/x.bin");
    meter.state = 2;
    for _ in 0..10 {
        world.pass(Duration::from_secs(1));
        device.serve(&mut world, |seen| meter.on(seen));
    }
    assert_eq!(meter.executed, 0);
    let answers = world.on("lwm2m/m1/response");
    assert_eq!(answers, [r#"{"CmdID":5,"Command":"Firmware","Result":{"State":2,"UpdateResult":0}}"#]);
}

#[test]
fn a_notification_of_nothing_disturbs_no_update() {
    let (mut world, mut device) = world_with(3_000);
    let mut meter = Meter::pushed();
    world.publish("lwm2m/m1/dn", COMMAND);
    let mut packet = Packet::new();
    packet.header.message_id = 9;
    packet.header.set_type(MessageType::NonConfirmable);
    packet.header.code = 0x45.into();
    packet.set_token(vec![9, 9, 9]);
    world.datagram(device.at, &packet.to_bytes().unwrap());
    run(&mut world, &mut device, &mut meter, 60, |meter| meter.executed == 1);
}
