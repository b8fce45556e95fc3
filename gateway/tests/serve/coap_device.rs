//! An LwM2M device over a real socket, in CoAP's bytes.
use crate::gateway::{Gateway, PATIENCE};
use std::net::UdpSocket;

/// Numbers of options (RFC 7252 §5.10, RFC 7959 §2.1).
pub(crate) const URI_PATH: u16 = 11;
pub(crate) const URI_QUERY: u16 = 15;
pub(crate) const BLOCK2: u16 = 23;
pub(crate) const BLOCK1: u16 = 27;

/// One message, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Coap {
    /// 0 CON, 1 NON, 2 ACK, 3 RST.
    pub(crate) kind: u8,
    /// Class and detail: 0x45 is 2.05.
    pub(crate) code: u8,
    pub(crate) mid: u16,
    pub(crate) token: Vec<u8>,
    pub(crate) options: Vec<(u16, Vec<u8>)>,
    pub(crate) payload: Vec<u8>,
}

impl Coap {
    pub(crate) fn new(kind: u8, code: u8, mid: u16) -> Coap {
        Coap { kind, code, mid, token: Vec::new(), options: Vec::new(), payload: Vec::new() }
    }

    pub(crate) fn with(mut self, number: u16, value: &[u8]) -> Coap {
        self.options.push((number, value.to_vec()));
        self.options.sort_by_key(|(number, _)| *number);
        self
    }

    pub(crate) fn with_payload(mut self, payload: &[u8]) -> Coap {
        self.payload = payload.to_vec();
        self
    }

    /// The acknowledgement with an answer to this request.
    pub(crate) fn answer(&self, code: u8) -> Coap {
        Coap { token: self.token.clone(), ..Coap::new(2, code, self.mid) }
    }

    /// The value of an option as a number.
    pub(crate) fn number(&self, number: u16) -> Option<u32> {
        let (_, value) = self.options.iter().find(|(other, _)| *other == number)?;
        Some(value.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    }

    pub(crate) fn path(&self) -> String {
        let parts = self.options.iter().filter(|(number, _)| *number == URI_PATH);
        parts.map(|(_, value)| format!("/{}", String::from_utf8_lossy(value))).collect()
    }

    fn encode(&self) -> Vec<u8> {
        let [high, low] = self.mid.to_be_bytes();
        let mut bytes = vec![0x40 | self.kind << 4 | self.token.len() as u8, self.code, high, low];
        bytes.extend(&self.token);
        let mut last = 0;
        for (number, value) in &self.options {
            let (delta, delta_more) = nibble(usize::from(number - last));
            let (length, length_more) = nibble(value.len());
            bytes.push(delta << 4 | length);
            bytes.extend(delta_more.into_iter().chain(length_more));
            bytes.extend(value);
            last = *number;
        }
        if !self.payload.is_empty() {
            bytes.push(0xff);
            bytes.extend(&self.payload);
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Coap {
        let mut message = Coap::new(bytes[0] >> 4 & 3, bytes[1], u16::from_be_bytes([bytes[2], bytes[3]]));
        let token = usize::from(bytes[0] & 15);
        message.token = bytes[4..4 + token].to_vec();
        let (mut at, mut number) = (4 + token, 0);
        while at < bytes.len() && bytes[at] != 0xff {
            let (delta, length) = (bytes[at] >> 4, bytes[at] & 15);
            at += 1;
            let mut wide = |nibble: u8| match nibble {
                13 => {
                    at += 1;
                    13 + u16::from(bytes[at - 1])
                }
                14 => {
                    at += 2;
                    269 + u16::from_be_bytes([bytes[at - 2], bytes[at - 1]])
                }
                small => u16::from(small),
            };
            number += wide(delta);
            let length = usize::from(wide(length));
            message.options.push((number, bytes[at..at + length].to_vec()));
            at += length;
        }
        message.payload = bytes.get(at + 1..).unwrap_or_default().to_vec();
        message
    }
}

/// The nibble of an option's delta or length, and what follows it.
fn nibble(value: usize) -> (u8, Option<u8>) {
    match u8::try_from(value) {
        Ok(small @ 0..=12) => (small, None),
        Ok(more) => (13, Some(more - 13)),
        Err(_) => panic!("{value} is more than a test needs"),
    }
}

/// A device's socket.
pub(crate) struct Device {
    socket: UdpSocket,
    mid: u16,
}

impl Device {
    pub(crate) fn new(gateway: &Gateway) -> Device {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(gateway.lwm2m).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Device { socket, mid: 0 }
    }

    /// A Register, answered with 2.01.
    pub(crate) fn registered(gateway: &Gateway, endpoint: &str, links: &str) -> Device {
        let mut device = Device::new(gateway);
        let request =
            device.post("/rd", &[&format!("ep={endpoint}"), "lwm2m=1.1", "lt=300"], links.as_bytes());
        assert_eq!(device.ask(&request).code, 0x41, "{endpoint}");
        device
    }

    /// A POST that is not sent yet.
    pub(crate) fn post(&mut self, path: &str, query: &[&str], payload: &[u8]) -> Coap {
        self.mid += 1;
        let mut request = Coap { token: vec![7, self.mid as u8], ..Coap::new(0, 2, self.mid) };
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            request = request.with(URI_PATH, segment.as_bytes());
        }
        for argument in query {
            request = request.with(URI_QUERY, argument.as_bytes());
        }
        request.with_payload(payload)
    }

    pub(crate) fn send(&self, message: &Coap) {
        self.socket.send(&message.encode()).unwrap();
    }

    pub(crate) fn hear(&self) -> Coap {
        let mut bytes = [0; 2048];
        let length = self.socket.recv(&mut bytes).expect("a message");
        Coap::decode(&bytes[..length])
    }

    pub(crate) fn ask(&self, request: &Coap) -> Coap {
        self.send(request);
        self.hear()
    }
}
