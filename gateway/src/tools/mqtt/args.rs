//! The flags that name a broker and how to log in, as `mosquitto_pub` has them.
use std::net::IpAddr;
use std::time::Duration;

use broker_core::QoS;
use broker_core::mqtt::Version;
use clap::{Args, ValueEnum};

use super::client::{Client, Login, Will};
use crate::tools::interrupt::Interrupt;
use crate::tools::{ToolError, net};

/// Where the broker is, and who we are.
#[derive(Clone, Debug, Args)]
pub(crate) struct BrokerArgs {
    /// The broker's host
    #[arg(short = 'h', long, default_value = "localhost", help_heading = "Connection")]
    pub(crate) host: String,
    /// The broker's port [default: 1883]
    #[arg(short, long, help_heading = "Connection")]
    pub(crate) port: Option<u16>,
    /// Local address to connect from
    #[arg(short = 'A', long = "bind", value_name = "ADDRESS", help_heading = "Connection")]
    pub(crate) bind: Option<IpAddr>,
    /// mqtt://[user[:password]@]host[:port]/topic instead of -h, -p, -u, -P and -t
    #[arg(short = 'L', long, value_name = "URL", help_heading = "Connection")]
    pub(crate) url: Option<String>,
    /// User name
    #[arg(short, long, value_name = "NAME", help_heading = "Connection")]
    pub(crate) username: Option<String>,
    /// Password
    #[arg(
        short = 'P',
        long = "pw",
        alias = "password",
        value_name = "PASSWORD",
        help_heading = "Connection"
    )]
    pub(crate) password: Option<String>,
    /// Client id [default: a random one]
    #[arg(short = 'i', long = "id", value_name = "ID", help_heading = "Connection")]
    pub(crate) id: Option<String>,
    /// Client id that begins like this and ends with the process id
    #[arg(
        short = 'I',
        long = "id-prefix",
        value_name = "PREFIX",
        conflicts_with = "id",
        help_heading = "Connection"
    )]
    pub(crate) id_prefix: Option<String>,
    /// Keep-alive in seconds, 0 for none
    #[arg(short, long, default_value_t = 60, value_name = "SECONDS", help_heading = "Connection")]
    pub(crate) keepalive: u16,
    /// Keep the session at the broker (needs -i)
    #[arg(short = 'c', long = "disable-clean-session", help_heading = "Connection")]
    pub(crate) keep_session: bool,
    /// Protocol version
    #[arg(short = 'V', long = "protocol-version", default_value = "mqttv311", help_heading = "Connection")]
    pub(crate) version: VersionArg,
    /// Show every packet on standard error
    #[arg(short = 'd', long, help_heading = "Connection")]
    pub(crate) debug: bool,
}

/// A protocol version by mosquitto's names.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum VersionArg {
    /// MQTT 3.1
    #[value(name = "mqttv31", alias = "31")]
    V31,
    /// MQTT 3.1.1
    #[value(name = "mqttv311", alias = "311")]
    V311,
}

/// The will.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct WillArgs {
    /// Topic of the will
    #[arg(long, value_name = "TOPIC", help_heading = "Will")]
    pub(crate) will_topic: Option<String>,
    /// Payload of the will
    #[arg(long, value_name = "TEXT", requires = "will_topic", help_heading = "Will")]
    pub(crate) will_payload: Option<String>,
    /// QoS of the will
    #[arg(long, default_value_t = 0, value_name = "QOS", value_parser = clap::value_parser!(u8).range(0..=2), help_heading = "Will")]
    pub(crate) will_qos: u8,
    /// The will is a retained message
    #[arg(long, requires = "will_topic", help_heading = "Will")]
    pub(crate) will_retain: bool,
}

/// Connecting, and each acknowledgement, may take this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

impl BrokerArgs {
    /// Takes the parts of `-L` over and hands out its topic.
    pub(crate) fn apply_url(&mut self) -> Result<Option<String>, ToolError> {
        let Some(text) = self.url.take() else { return Ok(None) };
        let url = Url::parse(&text)?;
        self.host = url.host;
        self.port = url.port.or(self.port);
        self.username = url.username.or(self.username.take());
        self.password = url.password.or(self.password.take());
        Ok(url.topic)
    }

    fn client_id(&self) -> String {
        match (&self.id, &self.id_prefix) {
            (Some(id), _) => id.clone(),
            (None, Some(prefix)) => format!("{prefix}{}", std::process::id()),
            (None, None) => net::random_id("turnstone-"),
        }
    }

    /// The connection that these flags describe.
    pub(crate) fn login(&self, will: Option<&WillArgs>) -> Result<Login, ToolError> {
        if self.keep_session && self.id.is_none() {
            return Err(ToolError::usage("-c keeps a session, which needs a name", "-i ID"));
        }
        let will = will.and_then(|will| {
            Some(Will {
                topic: will.will_topic.clone()?,
                payload: will.will_payload.clone().unwrap_or_default().into_bytes(),
                qos: QoS::from_u8(will.will_qos)?,
                retain: will.will_retain,
            })
        });
        // [MQTT-3.1.2-22]: no password without a user name.
        let username = match (&self.username, &self.password) {
            (None, Some(_)) => Some(String::new()),
            (name, _) => name.clone(),
        };
        Ok(Login {
            host: self.host.clone(),
            port: self.port.unwrap_or(1883),
            bind: self.bind,
            client_id: self.client_id(),
            username,
            password: self.password.clone().map(String::into_bytes),
            keep_alive: self.keepalive,
            clean: !self.keep_session,
            version: match self.version {
                VersionArg::V31 => Version::V31,
                VersionArg::V311 => Version::V311,
            },
            will,
            patience: PATIENCE,
            debug: self.debug,
        })
    }

    /// Connects without a will.
    pub(crate) fn connect(&self, interrupt: &Interrupt) -> Result<Client, ToolError> {
        Ok(Client::connect(&self.login(None)?, interrupt.clone())?.0)
    }
}

/// The parts of `mqtt://…`.
#[derive(Debug, PartialEq, Eq)]
struct Url {
    host: String,
    port: Option<u16>,
    username: Option<String>,
    password: Option<String>,
    topic: Option<String>,
}

impl Url {
    fn parse(text: &str) -> Result<Url, ToolError> {
        let wrong =
            |why: &str| ToolError::usage(format!("-L {text}: {why}"), "mqtt://user:password@host:1883/topic");
        let rest = match text.split_once("://") {
            Some(("mqtt", rest)) => rest,
            Some(("mqtts", _)) => return Err(wrong("this tool does not speak TLS")),
            Some(_) | None => return Err(wrong("not a URL of MQTT")),
        };
        let (authority, topic) = match rest.split_once('/') {
            Some((authority, topic)) => (authority, Some(topic.to_owned())),
            None => (rest, None),
        };
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, authority),
        };
        let (username, password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
            Some((name, "")) => (Some(name.to_owned()), None),
            Some((name, password)) => (Some(name.to_owned()), Some(password.to_owned())),
            None => (None, None),
        };
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, Some(port.parse().map_err(|_| wrong("the port is no number"))?))
            }
            Some(_) | None => (place, None),
        };
        if host.is_empty() {
            return Err(wrong("no host"));
        }
        let topic = topic.filter(|topic| !topic.is_empty());
        Ok(Url { host: host.to_owned(), port, username, password, topic })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_their_parts() {
        let url = Url::parse("mqtt://ann:se:cret@[::1]:1999/a/b").expect("a URL");
        assert_eq!(
            url,
            Url {
                host: "[::1]".to_owned(),
                port: Some(1999),
                username: Some("ann".to_owned()),
                password: Some("se:cret".to_owned()),
                topic: Some("a/b".to_owned()),
            }
        );
        let url = Url::parse("mqtt://host").expect("a URL");
        assert_eq!((url.host.as_str(), url.port, url.topic), ("host", None, None));
        assert_eq!(Url::parse("mqtt://[::1]/").expect("a URL").host, "[::1]");
        for text in ["host", "mqtts://host", "http://host", "mqtt://", "mqtt://h:x", "mqtt://u@:1"] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }
}
