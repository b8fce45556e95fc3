//! The notation of bytes in the data files.
//!
//! Tokens, with or without blanks between them: `10 0E 004D` hex digits in pairs; `61*1022` one byte many times;
//! `'MQTT'` text; `@connect(id)` a well-formed packet; `[ … ]` the octets between with their number, one octet, before
//! them; `< … >` the same with a number that counts itself, as MQTT-SN's Length does; in a `send`, `$0` … `$9` the bytes that the last `recv` with wildcards met there on the connection; in a `recv`,
//! `??` any byte, `##` the remaining length of an MQTT packet, whatever it is, and a final `...` any bytes.

use std::iter::Peekable;
use std::str::Chars;

/// One byte of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symbol {
    /// This one.
    Byte(u8),
    /// `??`: any byte, captured.
    Any,
    /// `##`: the remaining length of an MQTT packet, one to four bytes.
    Length,
    /// `...`: the rest, whatever it is.
    Rest,
    /// `$n`: what the n-th `??` captured.
    Captured(usize),
}

/// Reads the notation.
pub fn parse(text: &str) -> Result<Vec<Symbol>, String> {
    let mut symbols = Vec::new();
    let mut chars = text.chars().peekable();
    let mut open = Vec::new();
    while let Some(next) = chars.next() {
        match next {
            ' ' | '\n' | '\t' => {}
            '[' | '<' => open.push(symbols.len()),
            ']' | '>' => {
                let at: usize = open.pop().ok_or("a bracket is closed that was not opened")?;
                let length = symbols.len() - at + usize::from(next == '>');
                let length = u8::try_from(length).map_err(|_| "more than 255 octets in brackets")?;
                symbols.insert(at, Symbol::Byte(length));
            }
            '\'' => {
                for text in chars.by_ref().take_while(|c| *c != '\'') {
                    push_bytes(&mut symbols, text.to_string().as_bytes());
                }
            }
            '?' if chars.next_if_eq(&'?').is_some() => symbols.push(Symbol::Any),
            '#' if chars.next_if_eq(&'#').is_some() => symbols.push(Symbol::Length),
            '.' if chars.next_if_eq(&'.').is_some() && chars.next_if_eq(&'.').is_some() => {
                symbols.push(Symbol::Rest);
            }
            '$' => {
                let index = chars.next().and_then(|c| c.to_digit(10)).ok_or("`$` without a digit")?;
                symbols.push(Symbol::Captured(index as usize));
            }
            '@' => push_bytes(&mut symbols, &packet(&mut chars)?),
            high => {
                let low = chars.next().ok_or_else(|| format!("half a byte in {text:?}"))?;
                let byte = u8::from_str_radix(&format!("{high}{low}"), 16)
                    .map_err(|_| format!("{high}{low} in {text:?} is no byte"))?;
                let times = if chars.next_if_eq(&'*').is_some() { number(&mut chars)? } else { 1 };
                symbols.extend(std::iter::repeat_n(Symbol::Byte(byte), times));
            }
        }
    }
    if open.is_empty() { Ok(symbols) } else { Err("a bracket stays open".into()) }
}

/// The bytes to send, with captured ones filled in.
pub fn fill(symbols: &[Symbol], captured: &[u8]) -> Result<Vec<u8>, String> {
    symbols
        .iter()
        .map(|symbol| match symbol {
            Symbol::Byte(byte) => Ok(*byte),
            Symbol::Captured(index) => {
                captured.get(*index).copied().ok_or_else(|| format!("nothing was captured for ${index}"))
            }
            Symbol::Any | Symbol::Length | Symbol::Rest => Err("a wildcard cannot be sent".into()),
        })
        .collect()
}

/// Compares bytes with a pattern; `Some` holds what the wildcards captured.
pub fn matches(pattern: &[Symbol], found: &[u8]) -> Option<Vec<u8>> {
    let mut captured = Vec::new();
    let mut rest = found.iter();
    for symbol in pattern {
        match symbol {
            Symbol::Byte(byte) => {
                rest.next().filter(|found| *found == byte)?;
            }
            Symbol::Any => captured.push(*rest.next()?),
            Symbol::Length => while rest.next()? & 0x80 != 0 {},
            Symbol::Rest => return Some(captured),
            Symbol::Captured(_) => return None,
        }
    }
    rest.next().is_none().then_some(captured)
}

/// For messages: `20 02 00 00`, long ones shortened.
pub fn hex(bytes: &[u8]) -> String {
    let shown: Vec<String> = bytes.iter().take(48).map(|byte| format!("{byte:02X}")).collect();
    let more = if bytes.len() > 48 { format!(" … {} bytes", bytes.len()) } else { String::new() };
    if bytes.is_empty() { "nothing".into() } else { format!("{}{more}", shown.join(" ")) }
}

fn push_bytes(symbols: &mut Vec<Symbol>, bytes: &[u8]) {
    symbols.extend(bytes.iter().map(|byte| Symbol::Byte(*byte)));
}

fn number(chars: &mut Peekable<Chars<'_>>) -> Result<usize, String> {
    let mut digits = String::new();
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    digits.parse().map_err(|_| "`*` without a number".into())
}

/// `@name(argument,…)`: a packet that is in order, so that a row can come to the state where it is hostile.
fn packet(chars: &mut Peekable<Chars<'_>>) -> Result<Vec<u8>, String> {
    let mut name = String::new();
    while let Some(letter) = chars.next_if(|c| c.is_ascii_alphanumeric()) {
        name.push(letter);
    }
    let mut arguments = String::new();
    if chars.next_if_eq(&'(').is_some() {
        arguments = chars.by_ref().take_while(|c| *c != ')').collect();
    }
    if let Some(packet) = packet_of_two(&name, &arguments)? {
        return Ok(packet);
    }
    let arguments: Vec<&str> = arguments.split(',').collect();
    let argument = |index: usize| {
        arguments.get(index).copied().ok_or_else(|| format!("@{name} lacks its argument {index}"))
    };
    let id = |index: usize| {
        argument(index)?.parse::<u16>().map(u16::to_be_bytes).map_err(|_| format!("@{name}: no packet id"))
    };
    Ok(match name.as_str() {
        // MQTT
        "connect" => connect(argument(0)?, 0x02, &[]),
        "persistent" => connect(argument(0)?, 0x00, &[]),
        "will" => {
            let will = [text(argument(1)?), text(argument(2)?)].concat();
            connect(argument(0)?, 0x06, &will)
        }
        "connack" => vec![0x20, 2, 0, 0],
        "present" => vec![0x20, 2, 1, 0],
        "sub" => {
            let code = argument(2)?.parse::<u8>().map_err(|_| "@sub: no QoS")?;
            framed(0x82, &[&id(0)?[..], &text(argument(1)?), &[code]].concat())
        }
        "unsub" => framed(0xA2, &[&id(0)?[..], &text(argument(1)?)].concat()),
        "suback" => {
            [&[0x90, 3], &id(0)?[..], &[argument(1)?.parse().map_err(|_| "@suback: no code")?]].concat()
        }
        "pub" => framed(0x30, &[text(argument(0)?), argument(1)?.into()].concat()),
        "retain" => framed(0x31, &[text(argument(0)?), argument(1)?.into()].concat()),
        "pub1" => framed(0x32, &[&text(argument(1)?), &id(0)?[..], argument(2)?.as_bytes()].concat()),
        "pub2" => framed(0x34, &[&text(argument(1)?), &id(0)?[..], argument(2)?.as_bytes()].concat()),
        // MQTT-SN: a clean CONNECT, 60 s
        "sn" => {
            let name = argument(0)?;
            let length = u8::try_from(6 + name.len()).map_err(|_| "@sn: name too long")?;
            [&[length, 0x04, 0x04, 0x01, 0x00, 0x3C], name.as_bytes()].concat()
        }
        _ => return Err(format!("unknown packet @{name}")),
    })
}

/// Packets whose arguments are split by `|`, since they hold commas.
fn packet_of_two(name: &str, arguments: &str) -> Result<Option<Vec<u8>>, String> {
    let two = || arguments.split_once('|').ok_or_else(|| format!("@{name} needs two arguments and a `|`"));
    Ok(match name {
        // MQTT: a PUBLISH of QoS 0, topic and payload
        "msg" => {
            let (topic, payload) = two()?;
            Some(framed(0x30, &[&text(topic)[..], payload.as_bytes()].concat()))
        }
        // CoAP: a Register with message id 1 and token "R", query and links
        "rd" => {
            let (query, links) = two()?;
            Some(register(1, query, links.as_bytes()))
        }
        _ => None,
    })
}

/// A Confirmable POST /rd with token "R".
pub fn register(mid: u16, query: &str, links: &[u8]) -> Vec<u8> {
    let [high, low] = mid.to_be_bytes();
    let mut packet = vec![0x41, 0x02, high, low, b'R', 0xB2, b'r', b'd'];
    for (place, argument) in query.split('&').enumerate() {
        let delta = if place == 0 { 0x40 } else { 0 }; // Uri-Query 15 behind Uri-Path 11
        let length = u8::try_from(argument.len()).expect("queries in the data files are short");
        match length {
            0..=12 => packet.push(delta | length),
            13.. => packet.extend([delta | 13, length - 13]),
        }
        packet.extend_from_slice(argument.as_bytes());
    }
    if !links.is_empty() {
        packet.push(0xFF);
        packet.extend_from_slice(links);
    }
    packet
}

fn connect(client_id: &str, flags: u8, more: &[u8]) -> Vec<u8> {
    let head = [&text("MQTT")[..], &[4, flags, 0, 60]].concat();
    framed(0x10, &[&head, &text(client_id)[..], more].concat())
}

fn text(value: &str) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("texts in the data files are short");
    [&length.to_be_bytes()[..], value.as_bytes()].concat()
}

/// An MQTT packet with its remaining length (MQTT §2.2.3).
pub fn framed(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut length = body.len();
    loop {
        let digit = u8::try_from(length % 128).expect("below 128");
        length /= 128;
        packet.push(digit | if length > 0 { 0x80 } else { 0 });
        if length == 0 {
            break;
        }
    }
    packet.extend_from_slice(body);
    packet
}
