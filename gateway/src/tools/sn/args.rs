//! The flags that the tools of MQTT-SN share, with mosquitto's letters.
use std::time::Duration;

use clap::Args;
use sn_proto::wire::Qos;

use super::link::Link;
use super::session::{Settings, Topic, Will};
use crate::tools::interrupt::Interrupt;
use crate::tools::mqtt::args::WillArgs;
use crate::tools::{ToolError, net, terminal};

/// Longest node id that a forwarder's encapsulation can say.
const NODE_ID_MAX: usize = 252;

/// Where the gateway is, and who we are.
#[derive(Clone, Debug, Args)]
pub(crate) struct GatewayArgs {
    /// The gateway's host
    #[arg(short = 'h', long, default_value = "localhost", help_heading = "Connection")]
    pub(crate) host: String,
    /// The gateway's port
    #[arg(short, long, default_value_t = 1884, help_heading = "Connection")]
    pub(crate) port: u16,
    /// Client id [default: a random one]
    #[arg(short = 'i', long = "id", value_name = "ID", help_heading = "Connection")]
    pub(crate) id: Option<String>,
    /// Keep-alive in seconds, 0 for none
    #[arg(short, long, default_value_t = 60, value_name = "SECONDS", help_heading = "Connection")]
    pub(crate) keepalive: u16,
    /// Keep the session at the gateway (needs -i)
    #[arg(short = 'c', long = "disable-clean-session", help_heading = "Connection")]
    pub(crate) keep_session: bool,
    /// Come as a node behind a forwarder: its node id in hex
    #[arg(long, value_name = "HEX", help_heading = "Connection")]
    pub(crate) fe: Option<String>,
    /// Seconds until a message that was not answered is sent again
    #[arg(long, default_value_t = 3.0, value_name = "SECONDS", help_heading = "Connection")]
    pub(crate) retry: f64,
    /// How often it is sent again
    #[arg(long, default_value_t = 3, value_name = "COUNT", help_heading = "Connection")]
    pub(crate) retries: u8,
    /// Show every message on standard error
    #[arg(short = 'd', long, help_heading = "Connection")]
    pub(crate) debug: bool,
}

impl GatewayArgs {
    /// The session that these flags describe.
    pub(crate) fn settings(&self, will: Option<&WillArgs>) -> Result<Settings, ToolError> {
        if self.keep_session && self.id.is_none() {
            return Err(ToolError::usage("-c keeps a session, which needs a name", "-i ID"));
        }
        if !(0.01..=3600.0).contains(&self.retry) {
            return Err(ToolError::usage(format!("--retry {} is no useful time", self.retry), "--retry 3"));
        }
        let will = will.and_then(|will| {
            Some(Will {
                topic: will.will_topic.clone()?,
                payload: will.will_payload.clone().unwrap_or_default().into_bytes(),
                qos: qos(i8::try_from(will.will_qos).unwrap_or(0)),
                retain: will.will_retain,
            })
        });
        Ok(Settings {
            // §5.3.1 ends at 23 characters.
            client_id: self.id.clone().unwrap_or_else(|| net::random_id("ts-")),
            keep_alive: self.keepalive,
            clean: !self.keep_session,
            will,
            retry: Duration::from_secs_f64(self.retry),
            retries: self.retries,
            node_id: self.node_id()?,
        })
    }

    /// The node id behind `--fe`.
    pub(crate) fn node_id(&self) -> Result<Option<Vec<u8>>, ToolError> {
        let Some(text) = &self.fe else { return Ok(None) };
        match terminal::from_hex(text) {
            Some(node) if node.len() <= NODE_ID_MAX => Ok(Some(node)),
            Some(_) | None => Err(ToolError::usage(
                format!("--fe {text} is no node id"),
                format!("up to {NODE_ID_MAX} bytes in hex, such as --fe 00a1"),
            )),
        }
    }

    /// Opens the socket.
    pub(crate) fn open(&self, settings: Settings, interrupt: &Interrupt) -> Result<Link, ToolError> {
        Link::open(&self.host, self.port, settings, interrupt.clone(), self.debug)
    }
}

/// The QoS of a flag, which has checked its range.
pub(crate) fn qos(level: i8) -> Qos {
    match level {
        ..0 => Qos::MinusOne,
        0 => Qos::AtMostOnce,
        1 => Qos::AtLeastOnce,
        2.. => Qos::ExactlyOnce,
    }
}

/// A topic from `-t` or `-T`. Two octets without a wildcard go as a short topic name, which needs no registration.
pub(crate) fn topic(name: Option<&str>, id: Option<u16>) -> Result<Topic, ToolError> {
    match (name, id) {
        (Some(name), None) => match <[u8; 2]>::try_from(name.as_bytes()) {
            Ok(pair) if !name.contains(['+', '#']) => Ok(Topic::Short(pair)),
            Ok(_) | Err(_) => Ok(Topic::Name(name.to_owned())),
        },
        (None, Some(id)) => Ok(Topic::Predefined(id)),
        (None, None) => Err(ToolError::usage("no topic", "-t TOPIC, or -T ID for a predefined topic")),
        (Some(_), Some(_)) => Err(ToolError::usage("-t and -T name one topic each", "one of both")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_octets_are_a_short_name_unless_they_are_a_filter() {
        let of = |name| topic(Some(name), None).expect("a topic");
        assert_eq!(of("ab"), Topic::Short(*b"ab"));
        assert_eq!(of("é"), Topic::Short([0xc3, 0xa9]));
        assert_eq!(of("a#"), Topic::Name("a#".to_owned()));
        assert_eq!(of("abc"), Topic::Name("abc".to_owned()));
        assert_eq!(topic(None, Some(7)), Ok(Topic::Predefined(7)));
        assert!(topic(None, None).is_err() && topic(Some("a"), Some(1)).is_err());
    }
}
