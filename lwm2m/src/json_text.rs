//! [`JsonText`]: a JSON object written member by member, for messages that go out with every registration. A tree of
//! values costs several times as much.
use std::fmt::{Display, Write};

/// An object in the making. Member names are ours and need no escape.
#[derive(Debug)]
pub(crate) struct JsonText(String);

impl JsonText {
    pub(crate) fn object() -> JsonText {
        JsonText(String::with_capacity(256))
    }

    fn name(&mut self, name: &str) {
        self.0.push_str(if self.0.is_empty() { "{" } else { "," });
        push_text(&mut self.0, name);
        self.0.push(':');
    }

    /// A text, escaped.
    pub(crate) fn text(mut self, name: &str, value: &str) -> JsonText {
        self.name(name);
        push_text(&mut self.0, value);
        self
    }

    /// A number, `true` or `false`.
    pub(crate) fn bare(mut self, name: &str, value: impl Display) -> JsonText {
        self.name(name);
        write!(self.0, "{value}").expect("a string takes all");
        self
    }

    /// What is JSON already.
    pub(crate) fn json(mut self, name: &str, json: &str) -> JsonText {
        self.name(name);
        self.0.push_str(json);
        self
    }

    /// A list of texts that need no escape.
    pub(crate) fn list(mut self, name: &str, items: impl Iterator<Item = impl Display>) -> JsonText {
        self.name(name);
        self.0.push('[');
        for (place, item) in items.enumerate() {
            self.0.push_str(if place == 0 { "\"" } else { ",\"" });
            write!(self.0, "{item}\"").expect("a string takes all");
        }
        self.0.push(']');
        self
    }

    /// The whole object.
    pub(crate) fn end(mut self) -> String {
        self.0.push_str(if self.0.is_empty() { "{}" } else { "}" });
        self.0
    }
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
        let text = JsonText::object()
            .text("a", "x\"\\\u{1}é")
            .bare("b", 7)
            .json("c", "{}")
            .list("d", ["/3/0", "/4"].iter())
            .bare("e", true)
            .end();
        assert_eq!(text, r#"{"a":"x\"\\\u0001é","b":7,"c":{},"d":["/3/0","/4"],"e":true}"#);
        assert_eq!(JsonText::object().list("n", std::iter::empty::<u8>()).end(), r#"{"n":[]}"#);
        assert_eq!(JsonText::object().end(), "{}");
    }
}
