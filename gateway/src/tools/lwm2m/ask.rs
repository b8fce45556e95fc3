//! [`Asker`]: one command to a device, its one answer, and what follows it.
use std::time::{Duration, Instant};

use broker_core::QoS;
use serde_json::{Map, Value as Json, json};

use super::args::{CommonArgs, PatienceArgs};
use crate::exit::Exit;
use crate::tools::interrupt::Interrupt;
use crate::tools::mqtt::Client;
use crate::tools::mqtt::sub_tool::seconds;
use crate::tools::{ToolError, net};

/// A connection for one command.
#[derive(Debug)]
pub(super) struct Asker {
    client: Client,
    endpoint: String,
    /// `lwm2m/EP/`
    below: String,
    id: u64,
    interrupt: Interrupt,
}

/// What an asker has heard.
#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    Answer(Json),
    Notify(Json),
    Event(Json),
    /// The time is over, or the user wants to end.
    Nothing,
}

impl Asker {
    /// Connects and subscribes to the answers of one device.
    pub(super) fn connect(common: &CommonArgs, endpoint: &str) -> Result<Asker, ToolError> {
        let broken = endpoint.is_empty() || endpoint.contains(['/', '+', '#', '\0']);
        if broken {
            return Err(ToolError::usage(
                format!("{endpoint:?} can be no endpoint's name"),
                "`turnstone lwm2m ls` shows the names",
            ));
        }
        let mut broker = common.broker.clone();
        broker.apply_url()?;
        let interrupt = Interrupt::watch();
        let mut client = broker.connect(&interrupt)?;
        let below = format!("{}/{endpoint}/", common.mount.trim_end_matches('/'));
        let topics = ["up/resp", "up/notify", "event"].map(|leaf| format!("{below}{leaf}"));
        let wanted: Vec<(&str, QoS)> =
            topics.iter().map(|topic| (topic.as_str(), QoS::AtLeastOnce)).collect();
        client.subscribe_all(&wanted)?;
        // Whole numbers up to 2^53 survive every reader of JSON.
        Ok(Asker { client, endpoint: endpoint.to_owned(), below, id: net::random() >> 12, interrupt })
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupt.is_set()
    }

    /// Sends a command without waiting for its answer.
    pub(super) fn send(
        &mut self,
        kind: &str,
        data: Json,
        patience: Option<&PatienceArgs>,
        qos: QoS,
    ) -> Result<(), ToolError> {
        let mut command = Map::new();
        command.insert("reqID".to_owned(), Json::from(self.id));
        command.insert("msgType".to_owned(), Json::from(kind));
        command.insert("data".to_owned(), data);
        if let Some(patience) = patience {
            if let Some(ttl) = patience.ttl {
                command.insert("ttl".to_owned(), Json::from(ttl));
            }
            if let Some(accept) = patience.accept {
                command.insert("accept".to_owned(), Json::from(accept));
            }
        }
        let topic = format!("{}dn", self.below);
        self.client.publish(&topic, Json::Object(command).to_string().as_bytes(), qos, false)
    }

    /// The next message about this command.
    pub(super) fn hear(&mut self, deadline: Option<Instant>) -> Result<Heard, ToolError> {
        loop {
            let Some(message) = self.client.receive(deadline)? else { return Ok(Heard::Nothing) };
            let Ok(json) = serde_json::from_slice::<Json>(&message.payload) else { continue };
            let leaf = message.topic.strip_prefix(self.below.as_str()).unwrap_or_default();
            let ours = |key: &str| json.get(key) == Some(&Json::from(self.id));
            let kind = json.get("msgType").and_then(Json::as_str).unwrap_or_default();
            match leaf {
                // An option of the gateway: the device has the command; the answer follows.
                "up/resp" if ours("reqID") && kind == "ack" => {}
                "up/resp" if ours("reqID") => return Ok(Heard::Answer(json)),
                "up/notify" if ours("reqID") => return Ok(Heard::Notify(json)),
                "event" if ours("id") => return Ok(Heard::Event(json)),
                _ => {} // another asker's
            }
        }
    }

    /// Sends a command and waits for its answer; a refusal is an error.
    pub(super) fn ask(&mut self, kind: &str, data: Json, patience: &PatienceArgs) -> Result<Json, ToolError> {
        let wait = seconds(Some(patience.wait))?.unwrap_or_default();
        self.send(kind, data, Some(patience), QoS::AtLeastOnce)?;
        self.await_answer(wait, |_| Ok(()))
    }

    /// Waits for the answer; events of the command on the way go to `on_event`.
    pub(super) fn await_answer(
        &mut self,
        wait: Duration,
        mut on_event: impl FnMut(&Json) -> Result<(), ToolError>,
    ) -> Result<Json, ToolError> {
        let deadline = Instant::now() + wait;
        loop {
            match self.hear(Some(deadline))? {
                Heard::Answer(answer) => return self.check(answer),
                Heard::Notify(_) => {}
                Heard::Event(event) => on_event(&event)?,
                Heard::Nothing if self.interrupt.is_set() => return Err(ToolError::interrupted()),
                Heard::Nothing => {
                    return Err(ToolError::new(
                        Exit::Timeout,
                        format!("no answer about {} within {} s", self.endpoint, wait.as_secs()),
                        "`turnstone lwm2m ls` shows who is there; a sleeping device needs a longer -W",
                    ));
                }
            }
        }
    }

    /// The answer, when it says that the command was done.
    pub(super) fn check(&self, answer: Json) -> Result<Json, ToolError> {
        let kind = answer.get("msgType").and_then(Json::as_str).unwrap_or_default();
        match Some(kind) {
            Some("coap_timeout") => return Err(self.refused("", "5.04", "gateway_timeout", None)),
            Some("coap_reset") => return Err(self.refused("", "5.02", "bad_gateway", None)),
            Some(_) | None => {}
        }
        let data = answer.get("data").cloned().unwrap_or_else(|| json!({}));
        let text = |key: &str| data.get(key).and_then(Json::as_str);
        match text("code") {
            Some(code) if code.starts_with("2.") => Ok(answer),
            Some(code) => Err(self.refused(kind, code, text("codeMsg").unwrap_or("unknown"), text("reason"))),
            None => Err(ToolError::new(Exit::Failure, format!("an answer without a code: {answer}"), "")),
        }
    }

    fn refused(&self, kind: &str, code: &str, name: &str, reason: Option<&str>) -> ToolError {
        let (exit, advice) = match code {
            "4.01" | "4.03" => (Exit::Denied, "the device's access rules (object 2)"),
            // Its reason tells what was not found: an image, an update.
            "4.04" if kind == "firmware" => (Exit::Failure, ""),
            "4.04" => {
                (Exit::Failure, "`turnstone lwm2m ls` for devices, `discover` for what one of them has")
            }
            "4.05" => {
                (Exit::Failure, "`discover` shows what the device has; not all of it can be read or written")
            }
            "5.04" => (Exit::Timeout, "again when the device is there, or --ttl and -W to wait for it"),
            "5.03" => (Exit::Failure, "again later"),
            _ => (Exit::Failure, ""), // the reason says what there is to say
        };
        let reason = reason.map(|reason| format!(", {reason}")).unwrap_or_default();
        ToolError::new(exit, format!("{}: {code} {}{reason}", self.endpoint, name.replace('_', " ")), advice)
    }

    /// Ends the connection.
    pub(super) fn close(self) {}
}

/// Also where an answer was an error: the gateway's log has no client that vanished.
impl Drop for Asker {
    fn drop(&mut self) {
        self.client.say_goodbye();
    }
}

#[cfg(test)]
#[path = "ask_tests.rs"]
mod tests;
