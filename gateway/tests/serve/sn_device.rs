//! An MQTT-SN device over a real socket.
use crate::gateway::{Gateway, PATIENCE};
use std::net::UdpSocket;

/// A device's socket.
pub(crate) struct Device(pub(crate) UdpSocket);

impl Device {
    pub(crate) fn new(gateway: &Gateway) -> Device {
        Device::at(gateway, "127.0.0.1")
    }

    pub(crate) fn at(gateway: &Gateway, ip: &str) -> Device {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        socket.connect(gateway.sn).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Device(socket)
    }

    pub(crate) fn connected(gateway: &Gateway, client_id: &str) -> Device {
        let device = Device::new(gateway);
        assert_eq!(device.ask(&connect(client_id)), [3, 5, 0], "{client_id}");
        device
    }

    pub(crate) fn send(&self, bytes: &[u8]) {
        self.0.send(bytes).unwrap();
    }

    pub(crate) fn hear(&self) -> Vec<u8> {
        let mut bytes = [0; 2048];
        let length = self.0.recv(&mut bytes).expect("an answer");
        bytes[..length].to_vec()
    }

    pub(crate) fn ask(&self, bytes: &[u8]) -> Vec<u8> {
        self.send(bytes);
        self.hear()
    }

    /// The return code of a SUBSCRIBE to this predefined id.
    pub(crate) fn subscribed(&self, id: u16) -> u8 {
        let [high, low] = id.to_be_bytes();
        *self.ask(&[7, 0x12, 0x01, 0, 1, high, low]).last().unwrap()
    }
}

pub(crate) fn connect(client_id: &str) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(6 + client_id.len()).unwrap(), 4, 4, 1, 0, 0];
    bytes.extend(client_id.as_bytes());
    bytes
}
