//! Which sockets the settings ask for, and the log lines about them.

use std::fmt;
use std::net::SocketAddr;

use super::schema::Config;
use super::types::Bind;

/// A protocol that devices or clients speak to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// MQTT over TCP.
    Mqtt,
    /// MQTT-SN over UDP.
    MqttSn,
    /// LwM2M over CoAP over UDP.
    Lwm2m,
}

impl Protocol {
    /// `"TCP"` or `"UDP"`.
    pub fn transport(self) -> &'static str {
        match self {
            Self::Mqtt => "TCP",
            Self::MqttSn | Self::Lwm2m => "UDP",
        }
    }

    /// The key of its addresses.
    pub fn bind_key(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt.bind",
            Self::MqttSn => "mqtt.sn.bind",
            Self::Lwm2m => "lwm2m.bind",
        }
    }

    /// The key of its port.
    pub fn port_key(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt.port",
            Self::MqttSn => "mqtt.sn.port",
            Self::Lwm2m => "lwm2m.port",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mqtt => "MQTT",
            Self::MqttSn => "MQTT-SN",
            Self::Lwm2m => "LwM2M",
        })
    }
}

/// One socket to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    /// What is spoken on it.
    pub protocol: Protocol,
    /// The local address.
    pub address: SocketAddr,
}

impl fmt::Display for Listener {
    /// The log line of a listener that is open: `MQTT on TCP 127.0.0.1:1883, this machine only`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reach = if self.address.ip().is_loopback() { "this machine only" } else { "open to the network" };
        write!(f, "{} on {} {}, {reach}", self.protocol, self.protocol.transport(), self.address)
    }
}

impl Config {
    /// Every listener, in the order MQTT, MQTT-SN, LwM2M.
    pub fn listeners(&self) -> Vec<Listener> {
        let sides: [(Protocol, &[Bind], u16); 3] = [
            (Protocol::Mqtt, &self.mqtt.bind, self.mqtt.port),
            (Protocol::MqttSn, &self.sn.bind, self.sn.port),
            (Protocol::Lwm2m, &self.lwm2m.bind, self.lwm2m.port),
        ];
        let all = sides.into_iter().flat_map(|(protocol, binds, port)| {
            binds.iter().map(move |bind| Listener { protocol, address: bind.with_default_port(port) })
        });
        all.collect()
    }

    /// The number of the listener that announcements of MQTT-SN to `peer` leave from: the first that can reach it.
    pub fn sn_listener_towards(&self, peer: SocketAddr) -> Option<u16> {
        let reaches = |at: SocketAddr| {
            at.is_ipv4() == peer.is_ipv4()
                && (at.ip().is_unspecified() || at.ip().is_loopback() == peer.ip().is_loopback())
        };
        let mut listeners = (0..=u16::MAX).zip(self.listeners());
        let found = listeners.find(|(_, it)| it.protocol == Protocol::MqttSn && reaches(it.address));
        found.map(|(number, _)| number)
    }

    /// One log line that says how to let devices in, or how far the door is open already.
    pub fn open_hint(&self) -> String {
        let listeners = self.listeners();
        let closed: Vec<Protocol> = [Protocol::Mqtt, Protocol::MqttSn, Protocol::Lwm2m]
            .into_iter()
            .filter(|protocol| {
                let mut mine = listeners.iter().filter(|listener| listener.protocol == *protocol).peekable();
                mine.peek().is_some() && mine.all(|listener| listener.address.ip().is_loopback())
            })
            .collect();
        let anyone = "this version checks no passwords, so whoever reaches a port may publish and read";
        if closed.is_empty() {
            return format!("the listeners are open to the network; {anyone}");
        }
        let keys: Vec<_> = closed
            .iter()
            .map(|protocol| format!("{} = [\"0.0.0.0\", \"::\"]", protocol.bind_key()))
            .collect();
        format!(
            "only this machine is let in; to let in devices of the network set {} ({anyone})",
            keys.join(" or ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_listen_on_both_loopback_addresses_of_every_protocol() {
        let config = Config::default();
        let lines: Vec<String> = config.listeners().iter().map(Listener::to_string).collect();
        assert_eq!(
            lines,
            [
                "MQTT on TCP 127.0.0.1:1883, this machine only",
                "MQTT on TCP [::1]:1883, this machine only",
                "MQTT-SN on UDP 127.0.0.1:1884, this machine only",
                "MQTT-SN on UDP [::1]:1884, this machine only",
                "LwM2M on UDP 127.0.0.1:5683, this machine only",
                "LwM2M on UDP [::1]:5683, this machine only",
            ]
        );
        assert!(config.open_hint().contains("mqtt.bind = [\"0.0.0.0\", \"::\"] or mqtt.sn.bind"));
    }

    #[test]
    fn the_hint_names_only_the_sides_that_are_closed() {
        let mut config = Config::default();
        let open = Bind { ip: "0.0.0.0".parse().unwrap(), port: Some(9999) };
        config.mqtt.bind = vec![open];
        config.lwm2m.bind.clear();
        let hint = config.open_hint();
        assert!(
            hint.contains("mqtt.sn.bind") && !hint.contains("lwm2m") && !hint.contains("set mqtt.bind"),
            "{hint}"
        );
        config.sn.bind = vec![open];
        assert!(config.open_hint().starts_with("the listeners are open"));
        assert_eq!(config.listeners().first().unwrap().address.port(), 9999);
    }

    #[test]
    fn forwarders_are_told_from_a_listener_that_reaches_them() {
        let mut config = Config::default();
        let towards = |config: &Config, peer: &str| config.sn_listener_towards(peer.parse().unwrap());
        assert_eq!(towards(&config, "127.0.0.9:4000"), Some(2));
        assert_eq!(towards(&config, "[::1]:4000"), Some(3));
        assert_eq!(towards(&config, "10.1.1.1:4000"), None, "loopback does not lead there");
        config.sn.bind.insert(0, Bind { ip: "10.1.1.9".parse().unwrap(), port: None });
        assert_eq!(towards(&config, "10.1.1.1:4000"), Some(2));
        assert_eq!(towards(&config, "127.0.0.9:4000"), Some(3));
    }
}
