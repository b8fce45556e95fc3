//! How a received message is printed: the payload alone, with its topic, by a format, or as JSON.
use serde_json::{Value as Json, json};

use super::Delivery;
use crate::tools::ToolError;
use crate::tools::terminal::{self, escape, hex};

/// How messages are printed.
#[derive(Clone, Debug)]
pub(crate) enum Style {
    /// Payload alone.
    Payload,
    /// Topic, a space, payload.
    Verbose,
    /// `mosquitto_sub -F`.
    Format(String),
    /// One JSON object a line.
    Json,
}

/// A printer of messages.
#[derive(Clone, Debug)]
pub(crate) struct Show {
    pub(crate) style: Style,
    /// A line break behind each message.
    pub(crate) newline: bool,
    /// Bytes as they came, instead of escaped for a terminal.
    pub(crate) raw: bool,
}

impl Show {
    /// Prints one message.
    pub(crate) fn message(&self, message: &Delivery) -> Result<(), ToolError> {
        terminal::write_out(&self.bytes(message, terminal::unix_ms()))
    }

    fn bytes(&self, message: &Delivery, unix_ms: u64) -> Vec<u8> {
        let mut out = match &self.style {
            Style::Payload => self.payload(message),
            Style::Verbose => {
                let mut out = self.text(&message.topic).into_bytes();
                out.push(b' ');
                out.append(&mut self.payload(message));
                out
            }
            Style::Format(format) => self.formatted(format, message, unix_ms),
            Style::Json => terminal::json(&to_json(message, unix_ms)).into_bytes(),
        };
        if self.newline {
            out.push(b'\n');
        }
        out
    }

    fn payload(&self, message: &Delivery) -> Vec<u8> {
        if self.raw { message.payload.clone() } else { terminal::payload(&message.payload).into_bytes() }
    }

    fn text(&self, text: &str) -> String {
        if self.raw { text.to_owned() } else { escape(text).into_owned() }
    }

    /// The letters of `mosquitto_sub -F`; an unknown one stays as it is.
    fn formatted(&self, format: &str, message: &Delivery, unix_ms: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let mut letters = format.chars();
        while let Some(letter) = letters.next() {
            match (letter, letter == '%' || letter == '\\') {
                ('%', true) => match letters.next() {
                    Some('t') => out.extend(self.text(&message.topic).bytes()),
                    Some('p') => out.append(&mut self.payload(message)),
                    Some('q') => out.extend((message.qos as u8).to_string().bytes()),
                    Some('r') => out.push(if message.retain { b'1' } else { b'0' }),
                    Some('l') => out.extend(message.payload.len().to_string().bytes()),
                    Some('m') => out.extend(message.packet_id.unwrap_or(0).to_string().bytes()),
                    Some('x') => out.extend(hex(&message.payload, "").bytes()),
                    Some('X') => out.extend(hex(&message.payload, "").to_uppercase().bytes()),
                    Some('j') => out.extend(terminal::json(&to_json(message, unix_ms)).bytes()),
                    Some('I') => out.extend(terminal::utc(unix_ms).bytes()),
                    Some('U') => {
                        out.extend(format!("{}.{:03}000000", unix_ms / 1000, unix_ms % 1000).bytes());
                    }
                    Some('%') => out.push(b'%'),
                    Some(other) => out.extend(format!("%{other}").bytes()),
                    None => out.push(b'%'),
                },
                (_, true) => match letters.next() {
                    Some('n') => out.push(b'\n'),
                    Some('r') => out.push(b'\r'),
                    Some('t') => out.push(b'\t'),
                    Some('0') => out.push(0),
                    Some('a') => out.push(7),
                    Some('e') => out.push(0x1b),
                    Some('\\') => out.push(b'\\'),
                    Some(other) => out.extend(format!("\\{other}").bytes()),
                    None => out.push(b'\\'),
                },
                (letter, false) => out.extend(letter.to_string().bytes()),
            }
        }
        out
    }
}

/// The message as `mosquitto_sub -F %j` prints it; JSON payloads as JSON, bytes that are no text as hex.
pub(crate) fn to_json(message: &Delivery, unix_ms: u64) -> Json {
    let mut object = json!({
        "tst": terminal::utc(unix_ms),
        "topic": message.topic,
        "qos": message.qos as u8,
        "retain": u8::from(message.retain),
        "payloadlen": message.payload.len(),
    });
    if let Some(fields) = object.as_object_mut() {
        match std::str::from_utf8(&message.payload) {
            Ok(text) => {
                let value = match serde_json::from_str::<Json>(text) {
                    Ok(value @ (Json::Object(_) | Json::Array(_))) => value,
                    Ok(_) | Err(_) => Json::from(text),
                };
                fields.insert("payload".to_owned(), value);
            }
            Err(_) => {
                fields.insert("payload_hex".to_owned(), Json::from(hex(&message.payload, "")));
            }
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use broker_core::QoS;

    fn message(payload: &[u8]) -> Delivery {
        Delivery {
            topic: "a/\u{1b}b".to_owned(),
            payload: payload.to_vec(),
            qos: QoS::AtLeastOnce,
            retain: true,
            packet_id: Some(7),
        }
    }

    fn shown(style: Style, raw: bool, payload: &[u8]) -> String {
        let show = Show { style, newline: false, raw };
        String::from_utf8(show.bytes(&message(payload), 0)).expect("text")
    }

    #[test]
    fn a_terminal_gets_no_escape_sequence_and_a_pipe_gets_the_bytes() {
        assert_eq!(shown(Style::Verbose, false, b"x\x1b[2J"), "a/\\u{1b}b x\\u{1b}[2J");
        assert_eq!(shown(Style::Payload, true, b"x\x1b[2J"), "x\x1b[2J");
    }

    #[test]
    fn formats_know_mosquittos_letters() {
        let format = Style::Format("%q%r%l%m %x %X %p %% %I\\t%z\\n".to_owned());
        assert_eq!(shown(format, false, b"\xabc"), "1127 ab63 AB63 \\xabc % 1970-01-01T00:00:00.000Z\t%z\n");
    }

    #[test]
    fn json_holds_json_text_or_hex() {
        let json = |payload: &[u8]| to_json(&message(payload), 0);
        assert_eq!(json(b"{\"v\":1.50}")["payload"].to_string(), "{\"v\":1.50}");
        assert_eq!(json(b"21.5")["payload"], "21.5");
        assert_eq!(json(b"\xff")["payload_hex"], "ff");
        assert_eq!(json(b"")["payloadlen"], 0);
    }
}
