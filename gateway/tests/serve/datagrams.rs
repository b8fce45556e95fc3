//! Datagrams that come together: the gateway is held while they are sent, so that it reads them in one batch.
use crate::gateway::Gateway;
use crate::sn_device::{Device, connect};

/// Everything that the device hears up to the answer that begins with `last`.
fn until(device: &Device, last: &[u8]) -> Vec<Vec<u8>> {
    let mut heard = Vec::new();
    for _ in 0..20 {
        heard.push(device.hear());
        if heard.last().is_some_and(|answer| answer.starts_with(last)) {
            return heard;
        }
    }
    panic!("{last:02x?} does not come: {heard:02x?}");
}

fn at_once(gateway: &Gateway, send: impl FnOnce()) {
    gateway.signal("STOP");
    send();
    gateway.signal("CONT");
}

#[test]
fn what_a_device_sends_behind_its_connect_is_answered_in_order() {
    let gateway = Gateway::start(&[]);
    let (one, two) = (Device::new(&gateway), Device::new(&gateway));
    let first = connect("batch-1");
    at_once(&gateway, || {
        for device in [&one, &two] {
            let name = if std::ptr::eq(device, &one) { &first[..] } else { &connect("batch-2") };
            device.send(name);
            device.send(&[0x07, 0x0A, 0, 0, 0, 1, b't']); // REGISTER
            device.send(&[0x07, 0x12, 0x22, 0, 2, b'n', b'n']); // SUBSCRIBE, short name, QoS 1
            device.send(&[0x08, 0x0C, 0x22, b'q', b'q', 0, 3, b'x']); // PUBLISH, short name, QoS 1
            device.send(&[0x08, 0x0C, 0x42, b'q', b'q', 0, 4, b'x']); // PUBLISH, short name, QoS 2
            device.send(&[0x04, 0x10, 0, 4]); // PUBREL
            device.send(&[0x02, 0x18]); // DISCONNECT
        }
    });
    for device in [&one, &two] {
        let heard = until(device, &[2, 0x18]);
        let [connack, regack, suback, puback, pubrec, pubcomp, disconnect] = &heard[..] else {
            panic!("{heard:02x?}")
        };
        assert_eq!(connack[..], [3, 5, 0]);
        assert_eq!((regack[1], &regack[4..]), (0x0B, &[0, 1, 0][..]));
        assert_eq!(suback[..], [8, 0x13, 0x20, 0, 0, 0, 2, 0]);
        assert_eq!(puback[..], [7, 0x0D, b'q', b'q', 0, 3, 0]);
        assert_eq!(pubrec[..], [4, 0x0F, 0, 4]);
        assert_eq!(pubcomp[..], [4, 0x0E, 0, 4]);
        assert_eq!(disconnect[..], [2, 0x18]);
    }
}

#[test]
fn many_devices_in_one_batch_are_each_served() {
    let gateway = Gateway::start(&[]);
    let devices: Vec<Device> = (0..150).map(|_| Device::new(&gateway)).collect();
    at_once(&gateway, || {
        for (number, device) in devices.iter().enumerate() {
            device.send(&connect(&format!("many-{number}")));
            device.send(&[0x08, 0x0C, 0x22, b'q', b'q', 0, 3, b'x']);
        }
    });
    for device in &devices {
        assert_eq!(device.hear(), [3, 5, 0]);
        assert_eq!(device.hear(), [7, 0x0D, b'q', b'q', 0, 3, 0]);
    }
}
