//! The outside of a command: which form it has, who asks, and what must come back to the letter.
use super::answer::Answer;
use crate::coap::Code;
use crate::limits::{COMMAND_BYTES_MAX, JSON_DEPTH_MAX};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;
use serde_json::value::RawValue;
use std::fmt;

/// Where a command came in, which decides where its answers go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// `lwm2m/<ep>/command`, answered on `…/response`.
    Command,
    /// `lwm2m/<ep>/dn/#`, answered on `…/up/resp`, notifications on `…/up/notify`.
    Downlink,
}

/// Which JSON generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// `CmdID`, `Command`.
    A,
    /// `reqID`, `msgType`, `data`.
    B,
}

impl Form {
    /// The member that names the operation.
    pub(crate) const fn operation_key(self) -> &'static str {
        match self {
            Form::A => "Command",
            Form::B => "msgType",
        }
    }

    /// The member that the asker tells its answers by.
    pub(crate) const fn id_key(self) -> &'static str {
        match self {
            Form::A => "CmdID",
            Form::B => "reqID",
        }
    }
}

/// Who asked: enough to answer in the form asked, with every id to the letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// Where it came in.
    pub channel: Channel,
    /// Its generation.
    pub form: Form,
    /// Members that come back with their very text: `CmdID` and `Command`, or all top-level members but `data`.
    pub echo: Vec<(Box<str>, Box<str>)>,
    /// Form B: `reqPath` of the answer, the path as the asker wrote it without its query.
    pub request_path: Option<Box<str>>,
    /// Form B: the text of `data`, for messages that repeat it.
    pub data: Option<Box<str>>,
}

impl Asker {
    /// The id's own text: "null" when absent.
    pub fn id(&self) -> &str {
        self.echoed(self.form.id_key()).unwrap_or("null")
    }

    /// The operation as written; `None` when it is no text.
    pub fn operation(&self) -> Option<String> {
        serde_json::from_str(self.echoed(self.form.operation_key())?).ok()
    }

    pub(crate) fn echoed(&self, name: &str) -> Option<&str> {
        self.echo.iter().find(|(key, _)| &**key == name).map(|(_, raw)| &**raw)
    }

    /// Bytes that it takes to keep, about.
    pub fn cost(&self) -> usize {
        let echo: usize = self.echo.iter().map(|(key, raw)| key.len() + raw.len()).sum();
        echo + self.request_path.as_ref().map_or(0, |path| path.len())
    }

    /// Nobody: whose messages no command asked for.
    pub fn nobody(operation: &str) -> Asker {
        let echo = vec![("msgType".into(), Json::from(operation).to_string().into())];
        Asker { channel: Channel::Downlink, form: Form::B, echo, request_path: None, data: None }
    }

    /// Somebody of whom not even an id could be read.
    fn unread(channel: Channel, form: Form) -> Asker {
        let null = |key: &str| (key.into(), "null".into());
        let echo = vec![null(form.id_key()), null(form.operation_key())];
        Asker { channel, form, echo, request_path: None, data: None }
    }

    fn new(channel: Channel, form: Form, fields: &Fields) -> Asker {
        let mut echo: Vec<(Box<str>, Box<str>)> = Vec::new();
        let mut push = |key: &str, raw: &str| echo.push((key.into(), raw.into()));
        match form {
            Form::A => {
                if let Some(id) = fields.raw("CmdID") {
                    push("CmdID", id);
                }
                push("Command", fields.raw("Command").unwrap_or("null"));
                Asker { channel, form, echo, request_path: None, data: None }
            }
            Form::B => {
                for (at, (key, _)) in fields.0.iter().enumerate() {
                    let first = fields.0.iter().position(|(other, _)| other == key) == Some(at);
                    if key != "data" && first {
                        push(key, fields.raw(key).unwrap_or("null"));
                    }
                }
                if !fields.has("msgType") {
                    push("msgType", "null");
                }
                let data = fields.json("data");
                let path = match fields.json("msgType").as_str() {
                    Some(
                        "read-composite"
                        | "write-composite"
                        | "observe-composite"
                        | "cancel-observe-composite",
                    ) => Some("/"),
                    Some("firmware") => Some("/5/0"),
                    _ => data.get("path").or_else(|| data.get("basePath")).and_then(Json::as_str),
                };
                let request_path = path.map(|path| path.split('?').next().unwrap_or_default().into());
                Asker { channel, form, echo, request_path, data: fields.raw("data").map(Box::from) }
            }
        }
    }
}

/// Top-level members by name, values unread.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, Box<RawValue>)>);

impl Fields {
    /// The raw text of a member; the last one of a name counts.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.get())
    }

    /// A member, read. `Json::Null` when it is absent.
    pub(super) fn json(&self, name: &str) -> Json {
        // The whole was parsed before, within the depth limit, so its parts parse too.
        self.raw(name).and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Json::Null)
    }

    fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Fields;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                while let Some(member) = map.next_entry::<String, Box<RawValue>>()? {
                    fields.0.push(member);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Opens a command: its form and its members, or the answer that it gets.
pub(super) fn open(channel: Channel, payload: &[u8]) -> Result<(Asker, Fields), Box<Answer>> {
    let nobody = || match channel {
        Channel::Command => Asker::unread(channel, Form::A),
        Channel::Downlink => Asker::unread(channel, Form::B),
    };
    let refuse = |asker, reason: String| Box::new(Answer::failed(asker, Code::BAD_REQUEST, reason));
    let fields = parse(payload).map_err(|reason| refuse(nobody(), reason))?;
    let ambiguous = |reason: &str| {
        let mut asker = Asker::new(channel, Form::A, &fields);
        if !fields.has("CmdID") {
            asker.echo.insert(0, ("CmdID".into(), "null".into()));
        }
        refuse(asker, reason.to_owned())
    };
    let form = match (channel, fields.has("Command"), fields.has("msgType")) {
        (Channel::Downlink, _, _) | (Channel::Command, false, true) => Form::B,
        (Channel::Command, true, false) => Form::A,
        (Channel::Command, true, true) => return Err(ambiguous("both Command and msgType: use one")),
        (Channel::Command, false, false) => return Err(ambiguous("neither Command nor msgType")),
    };
    if fields.0.len() > ECHO_MEMBERS_MAX {
        return Err(refuse(nobody(), format!("more than {ECHO_MEMBERS_MAX} members")));
    }
    Ok((Asker::new(channel, form, &fields), fields))
}

/// Most top-level members of a command; EMQX's own have about ten.
const ECHO_MEMBERS_MAX: usize = 64;

fn parse(payload: &[u8]) -> Result<Fields, String> {
    if payload.len() > COMMAND_BYTES_MAX {
        return Err(format!("{} bytes: a command has at most {COMMAND_BYTES_MAX}", payload.len()));
    }
    let text = std::str::from_utf8(payload)
        .map_err(|error| format!("not JSON: not UTF-8 at byte {}", error.valid_up_to() + 1))?;
    if depth(text) > JSON_DEPTH_MAX {
        return Err(format!("nested deeper than {JSON_DEPTH_MAX} levels"));
    }
    let not_json =
        |error: serde_json::Error| format!("not JSON: line {}, column {}", error.line(), error.column());
    // Raw members are only skimmed; a full parse finds what skimming lets pass, such as lone surrogates.
    match serde_json::from_str::<Json>(text).map_err(not_json)? {
        Json::Object(_) => serde_json::from_str::<Fields>(text).map_err(not_json),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
            Err("not a JSON object".into())
        }
    }
}

/// Deepest nesting of arrays and objects; brackets within strings do not count.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Appends `"name":raw`, with a comma where one is needed.
pub(super) fn push_member(text: &mut String, name: &str, raw: &str) {
    if !text.ends_with('{') {
        text.push(',');
    }
    text.push_str(&Json::from(name).to_string());
    text.push(':');
    text.push_str(raw);
}
