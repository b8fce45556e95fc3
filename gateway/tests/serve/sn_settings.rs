//! The settings of MQTT-SN, each seen from outside by a device.
use crate::gateway::{Gateway, publish_packet};
use crate::sn_device::{Device, connect};
use std::process::Command;

#[test]
fn predefined_topics_are_for_all_and_for_single_devices_and_a_reload_reads_their_file_again() {
    let folder = std::env::temp_dir().join(format!("turnstone-serve-predefined-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (config, file) = (folder.join("t.toml"), folder.join("predefinedTopic.conf"));
    let text = "mqtt.sn.predefined_file = \"predefinedTopic.conf\"\nmqtt.sn.predefined.topic.1 = \"all/1\"\n\
                mqtt.sn.predefined.client.m1.topic.2 = \"own/2\"\n";
    std::fs::write(&config, text).unwrap();
    std::fs::write(&file, "# of the old gateway\n*,all/3,3\nm2,own/4,4\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_turnstone"));
    command.arg("--config").arg(&config);
    let gateway = Gateway::start_with(command, &[]);
    let (one, two) = (Device::connected(&gateway, "m1"), Device::connected(&gateway, "m2"));
    let codes = |device: &Device| [1, 2, 3, 4].map(|id| device.subscribed(id));
    assert_eq!((codes(&one), codes(&two)), ([0, 0, 0, 2], [0, 2, 0, 0]));

    std::fs::write(&file, "*,all/3,3\n*,x\n").unwrap();
    gateway.signal("HUP");
    assert!(gateway.wait_for("bad line here").contains("predefinedTopic.conf:2:1"));
    gateway.wait_for("the settings from before stay");
    assert_eq!((codes(&one), codes(&two)), ([0, 0, 0, 2], [0, 2, 0, 0]));

    std::fs::write(&file, "m1,own/4,4\n").unwrap();
    gateway.signal("HUP");
    gateway.wait_for("(with other contents)");
    gateway.wait_for("configuration reloaded");
    assert_eq!((codes(&one), codes(&two)), ([0, 0, 2, 0], [0, 2, 2, 2]));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_mount_point_keeps_devices_apart() {
    let gateway = Gateway::start(&["mqtt.sn.mountpoint=site/${clientid}/"]);
    let mut watcher = gateway.client("w");
    watcher.subscribe("site/#", 0);
    let (one, two) = (Device::connected(&gateway, "m1"), Device::connected(&gateway, "m2"));
    for device in [&one, &two] {
        // Everything: all that is its own.
        assert_eq!(device.ask(&[6, 0x12, 0, 0, 1, b'#']), [8, 0x13, 0, 0, 0, 0, 1, 0]);
    }
    one.send(&[8, 0x0C, 0x02, b'a', b'b', 0, 0, b'1']);
    watcher.expect(&publish_packet("site/m1/ab", b"1"));
    assert_eq!(one.hear(), [8, 0x0C, 0x02, b'a', b'b', 0, 0, b'1']);
    assert_eq!(two.ask(&[2, 0x16]), [2, 0x17], "and nothing before it");
    assert_eq!(Device::new(&gateway).ask(&connect("m1/x")), [3, 5, 3]);
}

#[test]
fn rates_hold_where_they_are_set() {
    let gateway = Gateway::start(&[
        "mqtt.sn.rates.address=1",
        "mqtt.sn.rates.address_burst=5",
        "mqtt.sn.rates.client=1",
        "mqtt.sn.rates.client_burst=3",
        "limits.exempt=127.0.0.9",
    ]);
    // 127.0.0.9 has no limit of an address, but each device there has its own.
    let (one, two) = (Device::at(&gateway, "127.0.0.9"), Device::at(&gateway, "127.0.0.9"));
    let search = [3, 1, 0];
    // What was asked before the answer to this one has been answered, or never is.
    let settle = || Device::at(&gateway, "127.0.0.9").ask(&search);
    let answers = |device: &Device| {
        device.0.set_nonblocking(true).unwrap();
        let mut bytes = [0; 64];
        std::iter::from_fn(|| device.0.recv(&mut bytes).ok()).count()
    };
    for device in [&one, &two] {
        (0..30).for_each(|_| device.send(&search));
    }
    settle();
    // On a busy machine a second or two may pass meanwhile.
    for device in [&one, &two] {
        let answered = answers(device);
        assert!((3..=6).contains(&answered), "{answered}");
    }
    let many: Vec<Device> = (0..30).map(|_| Device::new(&gateway)).collect();
    many.iter().for_each(|device| device.send(&search));
    settle();
    let answered = many.iter().map(answers).sum::<usize>();
    assert!((5..=8).contains(&answered), "their address holds five, and got {answered}");
}
