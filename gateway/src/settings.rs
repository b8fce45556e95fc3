//! What a worker takes from the configuration, in the form that it uses.
use crate::config::{Config, Network};
use crate::fronts::FrontSettings;
use crate::udp::GroupSettings;
use broker_core::Limits;
use std::net::IpAddr;
use std::time::Duration;

/// The reloadable settings of a worker.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Worker threads; fixed at the start.
    pub(crate) workers: u8,
    /// Bounds of the broker and of the MQTT front-end.
    pub(crate) limits: Limits,
    /// Connections of all listeners.
    pub(crate) connections_max: usize,
    /// Connections of one address.
    pub(crate) connections_per_ip_max: u32,
    /// New connections in a second.
    pub(crate) connects_per_second: u32,
    /// Without a limit per address.
    exempt: Vec<Network>,
    /// Silence of a client with keep-alive 0.
    pub(crate) idle_timeout: Option<Duration>,
    /// Those of the datagram front-ends.
    pub(crate) fronts: FrontSettings,
    /// Groups on which MQTT-SN gateways are looked for.
    pub(crate) groups: GroupSettings,
    /// Between two updates of `$SYS`.
    pub(crate) sys_interval: Option<Duration>,
}

impl Settings {
    pub(crate) fn from_config(config: &Config) -> Self {
        Self::with_fronts(config, FrontSettings::from_config(config))
    }

    /// Those of the start; [`crate::reload::Control::read_objects`] brings the object definitions of files.
    pub(crate) fn of_the_start(config: &Config) -> Self {
        Self::with_fronts(config, FrontSettings::of_the_start(config))
    }

    fn with_fronts(config: &Config, fronts: FrontSettings) -> Self {
        Settings {
            workers: u8::try_from(config.process.workers).unwrap_or(u8::MAX).max(1),
            limits: config.broker_limits(),
            connections_max: config.limits.connections as usize,
            connections_per_ip_max: config.limits.connections_per_ip,
            connects_per_second: config.limits.connects_per_second,
            exempt: config.limits.exempt.clone(),
            idle_timeout: config.mqtt.idle_timeout,
            fronts,
            groups: GroupSettings::from_config(config),
            sys_interval: config.sys.interval,
        }
    }

    /// Whether this address has no limits of its own.
    pub(crate) fn is_exempt(&self, ip: IpAddr) -> bool {
        self.exempt.iter().any(|network| network.contains(ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_exempt_by_default_and_others_are_not() {
        let settings = Settings::from_config(&Config::default());
        assert!(settings.is_exempt(IpAddr::from([127, 0, 0, 9])));
        assert!(settings.is_exempt("::1".parse().expect("an address")));
        assert!(!settings.is_exempt(IpAddr::from([192, 0, 2, 1])));
    }
}
