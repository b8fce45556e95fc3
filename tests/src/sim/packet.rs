//! MQTT 3.1.1 packets as scripted clients write and read them.
//!
//! Written apart from the broker's codec on purpose: a fault that both sides share would hide itself.

/// What a server sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FromServer {
    /// CONNACK.
    Connack {
        /// Session present.
        present: bool,
        /// Return code.
        code: u8,
    },
    /// PUBLISH.
    Publish(Publish),
    /// PUBACK.
    Puback(u16),
    /// PUBREC.
    Pubrec(u16),
    /// PUBREL.
    Pubrel(u16),
    /// PUBCOMP.
    Pubcomp(u16),
    /// SUBACK.
    Suback(u16, Vec<u8>),
    /// UNSUBACK.
    Unsuback(u16),
    /// PINGRESP.
    Pingresp,
    /// Anything that no server may send, byte for byte.
    Wrong(Vec<u8>),
}

/// A PUBLISH with everything that shows on the wire.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Publish {
    /// Topic name.
    pub topic: String,
    /// Payload, shown as text where it is text.
    pub payload: Vec<u8>,
    /// QoS.
    pub qos: u8,
    /// RETAIN.
    pub retain: bool,
    /// DUP.
    pub dup: bool,
    /// Packet id; 0 for QoS 0.
    pub id: u16,
}

impl Publish {
    /// A PUBLISH of a client.
    pub fn new(topic: &str, payload: &str, qos: u8, id: u16) -> Publish {
        Publish { topic: topic.into(), payload: payload.into(), qos, id, ..Publish::default() }
    }

    /// With RETAIN.
    pub fn retained(mut self) -> Publish {
        self.retain = true;
        self
    }

    /// With DUP.
    pub fn dup(mut self) -> Publish {
        self.dup = true;
        self
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut body = text(&self.topic);
        if self.qos > 0 {
            body.extend(self.id.to_be_bytes());
        }
        body.extend(&self.payload);
        packet(0x30 | u8::from(self.dup) << 3 | self.qos << 1 | u8::from(self.retain), &body)
    }
}

/// A CONNECT to be.
#[derive(Clone, Debug)]
pub struct Connect {
    /// ClientId.
    pub client_id: String,
    /// CleanSession.
    pub clean: bool,
    /// Keep-alive, seconds.
    pub keep_alive: u16,
    /// Will: topic, payload, QoS, retain.
    pub will: Option<(String, String, u8, bool)>,
    /// User name.
    pub username: Option<String>,
    /// Password.
    pub password: Option<String>,
    /// Protocol name and level.
    pub protocol: (String, u8),
}

impl Connect {
    /// Clean, no keep-alive, no will.
    pub fn new(client_id: &str) -> Connect {
        Connect {
            client_id: client_id.into(),
            clean: true,
            keep_alive: 0,
            will: None,
            username: None,
            password: None,
            protocol: ("MQTT".into(), 4),
        }
    }

    /// CleanSession 0.
    pub fn persistent(mut self) -> Connect {
        self.clean = false;
        self
    }

    /// With this keep-alive.
    pub fn keep_alive(mut self, seconds: u16) -> Connect {
        self.keep_alive = seconds;
        self
    }

    /// With this will.
    pub fn will(mut self, topic: &str, payload: &str, qos: u8, retain: bool) -> Connect {
        self.will = Some((topic.into(), payload.into(), qos, retain));
        self
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut flags = u8::from(self.clean) << 1;
        let mut payload = text(&self.client_id);
        if let Some((topic, message, qos, retain)) = &self.will {
            flags |= 0x04 | qos << 3 | u8::from(*retain) << 5;
            payload.extend(text(topic));
            payload.extend(text(message));
        }
        if let Some(username) = &self.username {
            flags |= 0x80;
            payload.extend(text(username));
        }
        if let Some(password) = &self.password {
            flags |= 0x40;
            payload.extend(text(password));
        }
        let mut body = text(&self.protocol.0);
        body.extend([self.protocol.1, flags]);
        body.extend(self.keep_alive.to_be_bytes());
        body.extend(payload);
        packet(0x10, &body)
    }
}

/// SUBSCRIBE.
pub fn subscribe(id: u16, filters: &[(&str, u8)]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    for (filter, qos) in filters {
        body.extend(text(filter));
        body.push(*qos);
    }
    packet(0x82, &body)
}

/// UNSUBSCRIBE.
pub fn unsubscribe(id: u16, filters: &[&str]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    filters.iter().for_each(|filter| body.extend(text(filter)));
    packet(0xA2, &body)
}

/// PUBACK.
pub fn puback(id: u16) -> Vec<u8> {
    packet(0x40, &id.to_be_bytes())
}

/// PUBREC.
pub fn pubrec(id: u16) -> Vec<u8> {
    packet(0x50, &id.to_be_bytes())
}

/// PUBREL.
pub fn pubrel(id: u16) -> Vec<u8> {
    packet(0x62, &id.to_be_bytes())
}

/// PUBCOMP.
pub fn pubcomp(id: u16) -> Vec<u8> {
    packet(0x70, &id.to_be_bytes())
}

/// PINGREQ.
pub const PINGREQ: [u8; 2] = [0xC0, 0];
/// DISCONNECT.
pub const DISCONNECT: [u8; 2] = [0xE0, 0];

/// A packet of any first byte and body.
pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut length = body.len();
    loop {
        let low = (length & 0x7F) as u8;
        length >>= 7;
        bytes.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

/// A length-prefixed string.
pub fn text(value: &str) -> Vec<u8> {
    let mut bytes = u16::try_from(value.len()).expect("test strings are short").to_be_bytes().to_vec();
    bytes.extend(value.as_bytes());
    bytes
}

/// Takes the first whole packet off `bytes`.
pub fn take(bytes: &mut Vec<u8>) -> Option<FromServer> {
    let mut length = 0;
    let mut header = 1;
    loop {
        let byte = *bytes.get(header)?;
        length |= usize::from(byte & 0x7F) << (7 * (header - 1));
        header += 1;
        if byte & 0x80 == 0 {
            break;
        }
        if header > 4 {
            return Some(FromServer::Wrong(std::mem::take(bytes)));
        }
    }
    if bytes.len() < header + length {
        return None;
    }
    let whole: Vec<u8> = bytes.drain(..header + length).collect();
    Some(read(whole[0], &whole[header..]).unwrap_or(FromServer::Wrong(whole)))
}

fn read(first: u8, body: &[u8]) -> Option<FromServer> {
    let id = |at: usize| Some(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]));
    let only_id = |make: fn(u16) -> FromServer| if body.len() == 2 { id(0).map(make) } else { None };
    match first {
        0x20 if body.len() == 2 && body[0] < 2 => {
            Some(FromServer::Connack { present: body[0] == 1, code: body[1] })
        }
        0x30..=0x3F => {
            let qos = (first >> 1) & 3;
            let topic_end = 2 + usize::from(id(0)?);
            let topic = String::from_utf8(body.get(2..topic_end)?.to_vec()).ok()?;
            let (id, start) = if qos > 0 { (id(topic_end)?, topic_end + 2) } else { (0, topic_end) };
            if qos == 3 || (qos > 0 && id == 0) || topic.is_empty() {
                return None;
            }
            let payload = body.get(start..)?.to_vec();
            let (retain, dup) = (first & 1 == 1, first & 8 == 8);
            Some(FromServer::Publish(Publish { topic, payload, qos, retain, dup, id }))
        }
        0x40 => only_id(FromServer::Puback),
        0x50 => only_id(FromServer::Pubrec),
        0x62 => only_id(FromServer::Pubrel),
        0x70 => only_id(FromServer::Pubcomp),
        0x90 => Some(FromServer::Suback(id(0)?, body.get(2..)?.to_vec())),
        0xB0 => only_id(FromServer::Unsuback),
        0xD0 if body.is_empty() => Some(FromServer::Pingresp),
        _ => None,
    }
}
