//! Answers and notifications, in the form that was asked.
use super::envelope::{Asker, Channel, Form, push_member};
use crate::coap::Code;
use crate::content::Entry;
use crate::path::ObjectPath;
use crate::value::DataType;
use serde_json::{Map, Value as Json};

/// A path that a split operation could not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathFailure {
    /// Which.
    pub path: ObjectPath,
    /// The device's code.
    pub code: Code,
}

/// A value as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Path, value, time.
    pub entry: Entry,
    /// Shown as `type`: for values without a model, and with `lwm2m.content_details`.
    pub data_type: Option<DataType>,
    /// The resource's name, with `lwm2m.content_details`.
    pub name: Option<Box<str>>,
    /// Its units, with `lwm2m.content_details`.
    pub units: Option<Box<str>>,
}

impl From<Entry> for Item {
    fn from(entry: Entry) -> Item {
        Item { entry, data_type: None, name: None, units: None }
    }
}

/// What a successful answer carries.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Content {
    /// Nothing.
    #[default]
    None,
    /// Values.
    Values(Vec<Item>),
    /// Links of Discover.
    Links {
        /// The device's text, whole.
        text: String,
        /// The links one by one, without attributes that have no value.
        links: Vec<String>,
    },
}

/// One answer, or one notification, before it is printed.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// For whom.
    pub asker: Asker,
    /// How it went.
    pub code: Code,
    /// Form A's `Error`, where it is not the code's own name.
    pub error: Option<&'static str>,
    /// What it brought.
    pub content: Content,
    /// Where a new instance is.
    pub location: Option<String>,
    /// Text for people.
    pub reason: Option<String>,
    /// An undecodable answer of the device, in base 64.
    pub raw: Option<String>,
    /// Observe sequence number: makes it a notification.
    pub sequence: Option<u32>,
    /// A composite operation was split into single ones; these failed.
    pub split: Option<Vec<PathFailure>>,
    /// Firmware: state and result.
    pub firmware: Option<(u8, u8)>,
    /// A composite operation: path and base name are "/".
    pub composite: bool,
    /// Nobody asked: an automatic observation.
    pub automatic: bool,
}

impl Answer {
    /// An answer that is only a code.
    pub fn new(asker: Asker, code: Code) -> Answer {
        Answer {
            asker,
            code,
            error: None,
            content: Content::None,
            location: None,
            reason: None,
            raw: None,
            sequence: None,
            split: None,
            firmware: None,
            composite: false,
            automatic: false,
        }
    }

    /// A failure with a text for people.
    pub fn failed(asker: Asker, code: Code, reason: impl Into<String>) -> Answer {
        Answer { reason: Some(reason.into()).filter(|text| !text.is_empty()), ..Answer::new(asker, code) }
    }

    /// The operation is unknown.
    pub fn bad_command(asker: Asker, reason: impl Into<String>) -> Answer {
        Answer { error: Some("Bad Command"), ..Answer::failed(asker, Code::BAD_REQUEST, reason) }
    }

    /// The endpoint is unknown, or gone while the command waited.
    pub fn not_registered(asker: Asker, reason: impl Into<String>) -> Answer {
        Answer { error: Some("Not Registered"), ..Answer::failed(asker, Code::NOT_FOUND, reason) }
    }

    /// Whether it goes to the topic of notifications.
    pub fn is_notification(&self) -> bool {
        self.sequence.is_some() && self.asker.channel == Channel::Downlink
    }

    /// The JSON text.
    pub fn to_json(&self) -> String {
        match self.asker.form {
            Form::A => self.form_a(),
            Form::B => self.form_b(),
        }
    }

    fn form_a(&self) -> String {
        let mut text = String::from("{");
        for (key, raw) in &self.asker.echo {
            push_member(&mut text, key, raw);
        }
        if self.code.is_success() {
            push_member(&mut text, "Result", &self.result().to_string());
        } else {
            let error = self.error.map_or_else(|| error_name(self.code), str::to_owned);
            push_member(&mut text, "Error", &Json::from(error).to_string());
            if let Some((state, result)) = self.firmware {
                push_member(&mut text, "State", &state.to_string());
                push_member(&mut text, "UpdateResult", &result.to_string());
            }
        }
        if let Some(location) = &self.location {
            push_member(&mut text, "Location", &Json::from(location.as_str()).to_string());
        }
        if let Some(failures) = &self.split {
            push_member(&mut text, "Split", "true");
            if !failures.is_empty() {
                push_member(&mut text, "Errors", &failures_json(failures).to_string());
            }
        }
        if let Some(raw) = &self.raw {
            push_member(&mut text, "Raw", &Json::from(raw.as_str()).to_string());
        }
        if let Some(reason) = &self.reason {
            push_member(&mut text, "Reason", &Json::from(reason.as_str()).to_string());
        }
        text.push('}');
        text
    }

    fn result(&self) -> Json {
        if let Some((state, result)) = self.firmware {
            return serde_json::json!({"State": state, "UpdateResult": result});
        }
        match &self.content {
            Content::Values(items) => base_and_elements(items, self.composite),
            Content::Links { text, .. } => Json::from(text.as_str()),
            Content::None => Json::from(match self.code {
                Code::CREATED => "Created",
                Code::DELETED => "Deleted",
                Code::VALID => "Valid",
                Code::CHANGED => "Changed",
                _ => "Content", // a number of a device, not an enum of ours
            }),
        }
    }

    fn form_b(&self) -> String {
        let mut data = Map::new();
        let request_path = match (&self.asker.request_path, self.composite) {
            (_, true) => Json::from("/"),
            (Some(path), false) => Json::from(&**path),
            (None, false) if self.firmware.is_some() => Json::from("/5/0"),
            (None, false) => Json::Null,
        };
        data.insert("reqPath".into(), request_path);
        data.insert("code".into(), Json::from(self.code.to_string()));
        data.insert("codeMsg".into(), Json::from(code_message(self.code)));
        match &self.content {
            Content::None => {}
            Content::Values(items) => {
                data.insert("content".into(), items.iter().map(item_json).collect());
            }
            Content::Links { links, .. } => {
                data.insert("content".into(), links.iter().map(|link| Json::from(link.as_str())).collect());
            }
        }
        if let Some(location) = &self.location {
            data.insert("location".into(), Json::from(location.as_str()));
        }
        if let Some((state, result)) = self.firmware {
            data.insert("state".into(), Json::from(state));
            data.insert("result".into(), Json::from(result));
        }
        if let Some(failures) = &self.split {
            data.insert("split".into(), Json::from(true));
            if !failures.is_empty() {
                data.insert("errors".into(), failures_json(failures));
            }
        }
        if let Some(raw) = &self.raw {
            data.insert("raw".into(), Json::from(raw.as_str()));
        }
        if let Some(reason) = &self.reason {
            data.insert("reason".into(), Json::from(reason.as_str()));
        }
        self.around_data(&Json::from(data).to_string())
    }

    /// Form B's outside around the text of `data`.
    fn around_data(&self, data: &str) -> String {
        let mut text = String::from("{");
        for (key, raw) in &self.asker.echo {
            let renamed = self.sequence.is_some() && &**key == "msgType";
            push_member(&mut text, key, if renamed { r#""notify""# } else { raw });
        }
        if let Some(sequence) = self.sequence {
            push_member(&mut text, "seqNum", &sequence.to_string());
        }
        if self.automatic {
            push_member(&mut text, "is_auto_observe", "true");
        }
        push_member(&mut text, "data", data);
        text.push('}');
        text
    }

    /// EMQX's messages that have a `msgType` of their own and repeat the request's data: `ack`, `coap_timeout`,
    /// `coap_reset`. `None` for form A, which has none of them.
    pub fn emqx_message(asker: &Asker, kind: &str) -> Option<String> {
        if asker.form == Form::A {
            return None;
        }
        let mut asker = asker.clone();
        for (key, raw) in &mut asker.echo {
            if &**key == "msgType" {
                *raw = Json::from(kind).to_string().into();
            }
        }
        let data = asker.data.take().unwrap_or_else(|| "{}".into());
        Some(Answer::new(asker, Code::EMPTY).around_data(&data))
    }
}

/// `codeMsg` of form B: EMQX's name of a response code.
pub const fn code_message(code: Code) -> &'static str {
    match (code.class(), code.detail()) {
        (2, 1) => "created",
        (2, 2) => "deleted",
        (2, 3) => "valid",
        (2, 4) => "changed",
        (2, 5) => "content",
        (2, 31) => "continue",
        (4, 0) => "bad_request",
        (4, 1) => "unauthorized",
        (4, 2) => "bad_option",
        (4, 3) => "forbidden",
        (4, 4) => "not_found",
        (4, 5) => "method_not_allowed",
        (4, 6) => "not_acceptable",
        (4, 8) => "request_entity_incomplete",
        (4, 9) => "conflict",
        (4, 12) => "precondition_failed",
        (4, 13) => "request_entity_too_large",
        (4, 15) => "unsupported_content_format",
        (4, 22) => "unprocessable_entity",
        (5, 0) => "internal_server_error",
        (5, 1) => "not_implemented",
        (5, 2) => "bad_gateway",
        (5, 3) => "service_unavailable",
        (5, 4) => "gateway_timeout",
        (5, 5) => "proxying_not_supported",
        _ => "unknown", // two numbers of a device, not an enum of ours
    }
}

/// `Error` of form A.
fn error_name(code: Code) -> String {
    let name = match (code.class(), code.detail()) {
        (4, 0) => "Bad Request",
        (4, 1) => "Unauthorized",
        (4, 2) => "Bad Option",
        (4, 3) => "Forbidden",
        (4, 4) => "Not Found",
        (4, 5) => "Method Not Allowed",
        (4, 6) => "Not Acceptable",
        (4, 8) => "Request Entity Incomplete",
        (4, 9) => "Conflict",
        (4, 12) => "Precondition Failed",
        (4, 13) => "Request Entity Too Large",
        (4, 15) => "Unsupported Content Format",
        (4, 22) => "Unprocessable Entity",
        (5, 0) => "Internal Server Error",
        (5, 1) => "Not Implemented",
        (5, 2) => "Bad Gateway",
        (5, 3) => "Service Unavailable",
        (5, 4) => "Timeout",
        (5, 5) => "Proxying Not Supported",
        _ => return code.to_string(), // as above
    };
    name.to_owned()
}

fn failures_json(failures: &[PathFailure]) -> Json {
    let one = |failure: &PathFailure| {
        serde_json::json!({
            "path": failure.path.to_string(),
            "code": failure.code.to_string(),
            "codeMsg": code_message(failure.code),
        })
    };
    failures.iter().map(one).collect()
}

/// One item of form B's content.
pub(crate) fn item_json(item: &Item) -> Json {
    let mut one = Map::new();
    one.insert("path".into(), Json::from(item.entry.path.to_string()));
    one.insert("value".into(), item.entry.value.to_json());
    if let Some(name) = &item.name {
        one.insert("name".into(), Json::from(&**name));
    }
    if let Some(data_type) = item.data_type {
        one.insert("type".into(), Json::from(data_type.name()));
    }
    if let Some(units) = &item.units {
        one.insert("units".into(), Json::from(&**units));
    }
    if let Some(time) = item.entry.time {
        one.insert("time".into(), Json::from(time));
    }
    Json::from(one)
}

/// Form A's `{"bn":…,"e":[…]}`: the base name is the deepest of resource (one value alone), instance and object
/// that holds all values; names are relative to it.
fn base_and_elements(items: &[Item], composite: bool) -> Json {
    let base = if composite { ObjectPath::ROOT } else { common_base(items) };
    let element = |item: &Item| {
        let entry = &item.entry;
        let mut one = Map::new();
        let relative = entry.path.below(base).unwrap_or_default();
        if !relative.is_empty() {
            let segments: Vec<String> = relative.iter().map(u16::to_string).collect();
            one.insert("n".into(), Json::from(segments.join("/")));
        }
        let (key, value) = entry.value.to_json_element();
        one.insert(key.into(), value);
        if let Some(time) = entry.time {
            one.insert("t".into(), seconds(time));
        }
        Json::from(one)
    };
    let elements: Json = items.iter().map(element).collect();
    serde_json::json!({"bn": base.to_string(), "e": elements})
}

/// Milliseconds as seconds, with a fraction only where there is one.
fn seconds(ms: i64) -> Json {
    if ms % 1000 == 0 { Json::from(ms / 1000) } else { Json::from(ms as f64 / 1000.0) }
}

fn common_base(items: &[Item]) -> ObjectPath {
    let Some(first) = items.first().map(|item| item.entry.path) else { return ObjectPath::ROOT };
    if items.len() == 1 && first.depth() == 3 {
        return first;
    }
    // Deepest first: all values below one instance, else below one object.
    [2, 1]
        .into_iter()
        .map(|depth| first.ancestor(depth))
        .find(|base| items.iter().all(|item| base.contains(item.entry.path)))
        .unwrap_or(ObjectPath::ROOT)
}
