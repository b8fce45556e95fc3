//! [`JsonText`]: a JSON object written member by member, for messages that go out with every registration. A tree of
//! values costs several times as much.
use crate::catalog::Version;
use crate::path::ObjectPath;
use std::net::SocketAddr;

/// An object in the making. Member names are ours and need no escape.
#[derive(Debug)]
pub(crate) struct JsonText(String);

impl JsonText {
    pub(crate) fn object() -> JsonText {
        JsonText::object_in(String::new())
    }

    /// An object in the memory of a former text.
    pub(crate) fn object_in(mut memory: String) -> JsonText {
        memory.clear();
        memory.push('{');
        JsonText(memory)
    }

    fn name(&mut self, name: &str) {
        if !self.0.ends_with('{') {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    /// A text, escaped.
    pub(crate) fn text(mut self, name: &str, value: &str) -> JsonText {
        self.name(name);
        push_text(&mut self.0, value);
        self
    }

    /// A text under a name that is not ours.
    pub(crate) fn foreign(mut self, name: &str, value: &str) -> JsonText {
        if !self.0.ends_with('{') {
            self.0.push(',');
        }
        push_text(&mut self.0, name);
        self.0.push(':');
        push_text(&mut self.0, value);
        self
    }

    pub(crate) fn number(mut self, name: &str, value: u64) -> JsonText {
        self.name(name);
        push_number(&mut self.0, value);
        self
    }

    pub(crate) fn flag(mut self, name: &str, value: bool) -> JsonText {
        self.name(name);
        self.0.push_str(if value { "true" } else { "false" });
        self
    }

    /// What is JSON already.
    pub(crate) fn json(mut self, name: &str, json: &str) -> JsonText {
        self.name(name);
        self.0.push_str(json);
        self
    }

    /// "1.1".
    pub(crate) fn version(mut self, name: &str, version: Version) -> JsonText {
        self.name(name);
        self.0.push('"');
        push_number(&mut self.0, version.major.into());
        self.0.push('.');
        push_number(&mut self.0, version.minor.into());
        self.0.push('"');
        self
    }

    /// An address as it is written elsewhere, too.
    pub(crate) fn address(mut self, name: &str, address: SocketAddr) -> JsonText {
        self.name(name);
        self.0.push('"');
        match address {
            SocketAddr::V4(v4) => {
                for (place, octet) in v4.ip().octets().into_iter().enumerate() {
                    self.0.push_str(if place == 0 { "" } else { "." });
                    push_number(&mut self.0, octet.into());
                }
                self.0.push(':');
                push_number(&mut self.0, v4.port().into());
            }
            SocketAddr::V6(v6) => self.0.push_str(&v6.to_string()),
        }
        self.0.push('"');
        self
    }

    /// A member that is an object; its own members follow, up to [`JsonText::close`].
    pub(crate) fn open(mut self, name: &str) -> JsonText {
        self.name(name);
        self.0.push('{');
        self
    }

    /// The end of an inner object.
    pub(crate) fn close(mut self) -> JsonText {
        self.0.push('}');
        self
    }

    /// The whole object.
    pub(crate) fn end(self) -> String {
        self.close().0
    }
}

/// A list of paths as texts.
pub(crate) fn path_list(paths: impl Iterator<Item = ObjectPath>) -> String {
    let mut list = String::from("[");
    for (place, path) in paths.enumerate() {
        list.push_str(if place == 0 { "\"" } else { ",\"" });
        list.push_str(&path.to_string());
        list.push('"');
    }
    list + "]"
}

fn push_number(out: &mut String, number: u64) {
    out.push_str(itoa::Buffer::new().format(number));
}

fn push_text(out: &mut String, text: &str) {
    let plain = text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
    if plain {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_in_order_and_texts_are_escaped() {
        let path = |text| ObjectPath::parse(text).unwrap();
        let text = JsonText::object()
            .text("a", "x\"\\\u{1}é")
            .number("b", u64::MAX)
            .open("i")
            .version("v", Version::V1_1)
            .close()
            .json("c", "{}")
            .json("d", &path_list([path("/3/0"), path("/65535")].into_iter()))
            .flag("e", true)
            .foreign("f\"", "g")
            .end();
        let expected = r#"{"a":"x\"\\\u0001é","b":18446744073709551615,"i":{"v":"1.1"},"c":{},"#.to_owned()
            + r#""d":["/3/0","/65535"],"e":true,"f\"":"g"}"#;
        assert_eq!(text, expected);
        assert_eq!(path_list(std::iter::empty()), "[]");
        assert_eq!(JsonText::object().text("a", "{").number("b", 0).end(), r#"{"a":"{","b":0}"#);
        assert_eq!(JsonText::object().end(), "{}");
    }

    #[test]
    fn addresses_are_written_as_everywhere() {
        for text in
            ["0.0.0.0:0", "192.0.2.17:5683", "255.255.255.255:65535", "[2001:db8::1]:56830", "[fe80::1%3]:1"]
        {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(JsonText::object().address("a", address).end(), format!(r#"{{"a":"{address}"}}"#));
        }
    }
}
