//! Firmware updates: push by Block1 with loss, pull from our own side, reboots on both sides, every failure.
use super::world::{Device, Does, Reply, Seen, World};
use crate::server::{Config, ImageFault, Images};
use bytes::Bytes;
use coap_lite::{CoapOption, MessageType, Packet, RequestType};
use std::net::SocketAddr;
use std::time::Duration;

pub(super) const COMMAND: &str = r#"{"reqID":29,"msgType":"firmware","data":{"file":"meter-2.1.bin"}}"#;

struct OneImage(Bytes);

impl Images for OneImage {
    fn open(&self, name: &str) -> Result<Bytes, ImageFault> {
        match name {
            "meter-2.1.bin" => Ok(self.0.clone()),
            "large.bin" => Err(ImageFault::TooLarge("too large".into())),
            _ => Err(ImageFault::Missing(format!("{name}: no such file"))), // any other name
        }
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
    /// Protocols that it fetches over; none: not said.
    protocols: &'static [u8],
    /// Tells when its state or result changes, under these tokens.
    tells: bool,
    tokens: Vec<(String, Vec<u8>)>,
    sequence: u32,
    /// Times that it was asked for all of it.
    asked: usize,
    cancelled: bool,
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
        let mut text = format!(
            r#"[{{"bn":"/5/0/","n":"3","v":{}}},{{"n":"5","v":{}}},{{"n":"9","v":{}}}"#,
            self.state, self.result, self.delivery
        );
        for (n, protocol) in self.protocols.iter().enumerate() {
            text += &format!(r#",{{"n":"8/{n}","v":{protocol}}}"#);
        }
        Reply::content(110, text + "]")
    }

    /// Tells its observers what has changed.
    fn tell(&mut self, world: &mut World, device: &mut Device) {
        for (path, token) in self.tokens.clone() {
            self.sequence += 1;
            let value = if path == "/5/0/3" { self.state } else { self.result };
            let told = Reply::text(&value.to_string()).observed(self.sequence + 1); // newer than the first answer
            for seen in device.notify(world, &token, &told) {
                let does = self.on(&seen);
                device.do_with(world, &seen, does);
            }
        }
    }

    pub(super) fn on(&mut self, seen: &Seen) -> Does {
        self.seen += 1;
        if self.loses > 0 && self.seen.is_multiple_of(self.loses) {
            return Does::Silence;
        }
        let line = seen.line();
        let path = line.split(' ').nth(1).unwrap().to_owned();
        Does::Answer(match (&*seen.code(), &*path) {
            ("GET", "/5/0") => {
                self.asked += 1;
                self.object()
            }
            ("GET", "/5/0/3" | "/5/0/5") if self.tells => {
                let value = if path == "/5/0/3" { self.state } else { self.result };
                self.tokens.retain(|(known, _)| *known != path);
                self.tokens.push((path, seen.packet.get_token().to_vec()));
                Reply::text(&value.to_string()).observed(1)
            }
            ("POST", "/5/0/10") if self.state < 3 => {
                self.cancelled = true;
                (self.state, self.result) = (0, 10);
                Reply::code(2, 4)
            }
            ("POST", "/5/0/10") => Reply::code(4, 5),
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
            self.result = 0;
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
    for (file, code) in [("large.bin", "4.13"), ("../large.bin", "4.00"), (".hidden", "4.00"), ("", "4.00")] {
        let command = format!(r#"{{"reqID":1,"msgType":"firmware","data":{{"file":"{file}"}}}}"#);
        world.publish("lwm2m/m1/dn", &command);
        let answers = world.on("lwm2m/m1/up/resp");
        assert!(answers.len() == 1 && answers[0].contains(&format!(r#""code":"{code}""#)), "{answers:?}");
    }
    world.publish("lwm2m/m1/dn", CANCEL);
    assert!(world.on("lwm2m/m1/up/resp")[0].contains("no firmware update of this device runs"));
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
    let mut stranger = Device::new(56830);
    stranger.at.remote.set_ip([192, 0, 2, 66].into());
    assert_eq!(fetch(&mut world, &mut stranger, &uri), Err("4.04".into()), "only its own device");
    let mut other_socket = Device::new(40_000);
    let body = fetch(&mut world, &mut other_socket, &uri).unwrap();
    assert!(body == image(1 << 20), "from any port of the device");
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
    let mut meter = Meter { protocols: &[0, 1], ..Meter::pushed() };
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

#[test]
fn a_uri_of_a_kind_that_the_device_does_not_know_is_not_handed_out() {
    for (protocols, uri, reason) in [
        (&[][..], "coaps://fw.example/x", "the device does not fetch over coaps; it knows coap"),
        (&[0, 9], "HTTPS://fw.example/x", "the device does not fetch over https; it knows coap, 9"),
    ] {
        let (mut world, mut device) = world_with(100);
        let mut meter = Meter { protocols, ..Meter::pushed() };
        world.publish(
            "lwm2m/m1/dn",
            &format!(r#"{{"reqID":3,"msgType":"firmware","data":{{"uri":"{uri}"}}}}"#),
        );
        run(&mut world, &mut device, &mut meter, 5, |_| true);
        let answers = world.on("lwm2m/m1/up/resp");
        assert!(answers.len() == 1 && answers[0].contains(reason), "{answers:?}");
        assert_eq!(meter.uri, "");
    }
}

const CANCEL: &str = r#"{"reqID":30,"msgType":"firmware","data":{"cancel":true}}"#;

#[test]
fn a_device_that_tells_its_state_is_not_polled() {
    let (mut world, mut device) = world_with(3_000);
    let mut meter = Meter { tells: true, delivery: 0, ..Meter::default() };
    world.publish("lwm2m/m1/dn", COMMAND);
    run(&mut world, &mut device, &mut meter, 5, |meter| meter.uri.starts_with("coap://"));
    assert_eq!(meter.tokens.len(), 2, "state and result are observed before the image is on its way");
    // It downloads for half a minute, then says so.
    let asked = meter.asked;
    for _ in 0..30 {
        world.pass(Duration::from_secs(1));
        device.serve(&mut world, |seen| meter.on(seen));
    }
    assert!(meter.asked <= asked + 1, "{} looks", meter.asked - asked);
    meter.state = 2;
    meter.tell(&mut world, &mut device);
    device.serve(&mut world, |seen| meter.on(seen));
    assert_eq!(meter.executed, 1, "at once");
    meter.tokens.clear();
    reboot(&mut world, &mut device, &mut meter, 1);
    assert_eq!(world.on("lwm2m/m1/up/resp").iter().filter(|answer| *answer == UPDATED).count(), 1);
    let rejected = device.notify(&mut world, &meter.tokens[0].1.clone(), &Reply::text("0").observed(9));
    assert_eq!(rejected.len(), 1, "nothing is observed after the end");
}

#[test]
fn an_observer_of_ones_own_keeps_its_observation_when_the_update_is_over() {
    let (mut world, mut device) = world_with(3_000);
    let mut meter = Meter { tells: true, ..Meter::pushed() };
    world.publish("lwm2m/m1/dn", r#"{"reqID":7,"msgType":"observe","data":{"path":"/5/0/3"}}"#);
    device.serve(&mut world, |seen| meter.on(seen));
    world.publish("lwm2m/m1/dn", COMMAND);
    run(&mut world, &mut device, &mut meter, 60, |meter| meter.executed == 1);
    meter.tokens.clear();
    reboot(&mut world, &mut device, &mut meter, 1);
    world.heard();
    meter.state = 1;
    let token = meter.tokens.iter().find(|(path, _)| path == "/5/0/3").unwrap().1.clone();
    device.notify(&mut world, &token, &Reply::text("1").observed(7));
    let told = world.on("lwm2m/m1/up/notify");
    assert!(told.len() == 1 && told[0].contains(r#""reqID":7"#), "{told:?}");
}

#[test]
fn a_command_cancels_an_update_while_its_image_is_on_the_way() {
    for (links, by_execute) in [(r#"</>;ct=110,</5>;ver=1.1,</5/0>"#, true), (r#"</>;ct=110,</5/0>"#, false)]
    {
        let (mut world, mut device) = world_with(1 << 20);
        device.register(&mut world, &["ep=m1", "lwm2m=1.1", "lt=86400"], links);
        let mut meter = Meter::pushed();
        world.publish("lwm2m/m1/dn", COMMAND);
        let mut blocks = 0;
        device.serve(&mut world, |seen| {
            blocks += usize::from(seen.code() == "PUT");
            if blocks > 20 { Does::Silence } else { meter.on(seen) }
        });
        world.heard();
        world.publish("lwm2m/m1/dn", CANCEL);
        run(&mut world, &mut device, &mut meter, 10, |meter| meter.state == 0);
        let answers = world.on("lwm2m/m1/up/resp");
        assert_eq!(
            answers,
            [
                r#"{"reqID":29,"msgType":"firmware","data":{"reqPath":"/5/0","code":"5.00","codeMsg":"internal_server_error","state":0,"result":10,"reason":"cancelled by a command"}}"#,
                r#"{"reqID":30,"msgType":"firmware","data":{"reqPath":"/5/0","code":"2.04","codeMsg":"changed","state":0,"result":10}}"#,
            ]
        );
        assert_eq!(meter.cancelled, by_execute);
        let before = meter.seen;
        for _ in 0..100 {
            world.pass(Duration::from_secs(1));
            device.serve(&mut world, |seen| meter.on(seen));
        }
        assert_eq!(meter.seen, before, "nothing goes on");
        world.publish("lwm2m/m1/dn", COMMAND);
        run(&mut world, &mut device, &mut meter, 60, |meter| meter.executed == 1);
    }
}

#[test]
fn a_device_that_installs_already_refuses_to_cancel_and_goes_on() {
    let (mut world, mut device) = world_with(100);
    device.register(&mut world, &["ep=m1", "lwm2m=1.1", "lt=86400"], r#"</>;ct=110,</5>;ver=1.1,</5/0>"#);
    let mut meter = Meter::pushed();
    world.publish("lwm2m/m1/dn", COMMAND);
    run(&mut world, &mut device, &mut meter, 60, |meter| meter.executed == 1);
    world.heard();
    world.publish("lwm2m/m1/dn", CANCEL);
    run(&mut world, &mut device, &mut meter, 5, |_| true);
    let answers = world.on("lwm2m/m1/up/resp");
    assert!(answers.len() == 1 && answers[0].contains(r#""code":"4.05""#), "{answers:?}");
    assert!(answers[0].contains("goes on with its update"), "{answers:?}");
    reboot(&mut world, &mut device, &mut meter, 1);
    assert_eq!(world.on("lwm2m/m1/up/resp").iter().filter(|answer| *answer == UPDATED).count(), 1);
}

#[test]
fn a_device_that_is_fetching_finds_its_image_after_a_restart_of_ours() {
    let (mut before, mut device) = world_with(5_000);
    let mut meter = Meter { delivery: 0, ..Meter::default() };
    before.publish("lwm2m/m1/dn", COMMAND);
    run(&mut before, &mut device, &mut meter, 20, |meter| meter.uri.starts_with("coap://"));
    let listeners = vec![SocketAddr::from(([192, 0, 2, 1], 5683))];
    let mut world = before.restarted(Config { listeners, ..Config::default() });
    world.server.set_images(Box::new(OneImage(image(5_000))));
    for _ in 0..5 {
        world.pass(Duration::from_secs(1));
        device.serve(&mut world, |seen| meter.on(seen));
    }
    assert_eq!(fetch(&mut world, &mut device, &meter.uri.clone()), Ok(image(5_000).to_vec()));
}
