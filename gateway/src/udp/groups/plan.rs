//! Which group is to be heard on which interface, and from which listener it is answered. Pure: the settings and the
//! interfaces come in, the [`Plan`] goes out.
use crate::config::group::GroupAddress;
use crate::config::{Config, Protocol};
use crate::udp::interfaces::Interface;
use broker_core::frontend::{Address, ListenerId};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Memberships at most: groups times interfaces. Reaction: those beyond are left out, with a line in the log.
const MEMBERSHIPS_MAX: usize = 128;
/// The group that is usual for MQTT-SN over UDP (Paho and its descendants).
const USUAL_GROUP: Ipv4Addr = Ipv4Addr::new(225, 1, 1, 1);

/// What the settings say of groups.
#[derive(Clone, Debug, Default)]
pub(crate) struct GroupSettings {
    groups: Vec<GroupAddress>,
    port: u16,
    /// TTL or hop limit of what goes to groups.
    pub(crate) ttl: u8,
    /// The MQTT-SN listeners that may answer.
    services: Vec<(ListenerId, SocketAddr)>,
    /// For the log: there is a gateway whose silence would make this one announce itself.
    pub(crate) stands_by: bool,
}

impl GroupSettings {
    pub(crate) fn from_config(config: &Config) -> Self {
        let sn = &config.sn;
        let services: Vec<(ListenerId, SocketAddr)> = (0..=u16::MAX)
            .zip(config.listeners())
            .filter(|(_, listener)| listener.protocol == Protocol::MqttSn)
            .map(|(number, listener)| (ListenerId(number), listener.address))
            .collect();
        let (groups, services) = match &sn.groups {
            Some(groups) => (groups.clone(), services),
            None => {
                let usual = GroupAddress { ip: IpAddr::V4(USUAL_GROUP), interface: None, port: None };
                let open: Vec<_> =
                    services.into_iter().filter(|(_, at)| !at.ip().is_loopback() && at.is_ipv4()).collect();
                (if open.is_empty() { Vec::new() } else { vec![usual] }, open)
            }
        };
        GroupSettings {
            groups,
            port: sn.group_port,
            ttl: sn.group_ttl,
            services,
            stands_by: sn.standby_for.is_some(),
        }
    }

    /// Whether there is nothing to hear and nothing to announce.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty() || self.services.is_empty()
    }

    /// Whether `remote` is one of our own listeners, seen on a machine with these interfaces: what it says came from
    /// us and was brought back by the group.
    pub(crate) fn is_own(&self, remote: SocketAddr, interfaces: &[Interface]) -> bool {
        self.services.iter().any(|(_, service)| {
            service.port() == remote.port()
                && service.is_ipv4() == remote.is_ipv4()
                && (service.ip() == remote.ip()
                    || service.ip().is_unspecified() && interfaces.iter().any(|it| it.has(remote.ip())))
        })
    }
}

/// One group on one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Membership {
    /// The group; an IPv6 one has its interface as scope.
    pub(super) group: SocketAddr,
    pub(super) index: u32,
    pub(super) interface: String,
    /// Where answers leave from: listener, and source address where the listener has several.
    pub(super) service: ListenerId,
    pub(super) local: Option<IpAddr>,
    /// That listener holds the group's port on every address, so it hears the group itself.
    pub(super) shared: bool,
}

impl Membership {
    /// The destination of what goes to the group.
    pub(super) fn address(&self) -> Address {
        Address { remote: self.group, local: self.local, listener: self.service }
    }
}

/// What is wanted, and what cannot be: the group, and why.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) memberships: Vec<Membership>,
    pub(super) problems: Vec<(String, String)>,
}

/// Every group on every interface that it is meant for.
pub(super) fn plan(settings: &GroupSettings, interfaces: &[Interface]) -> Plan {
    let mut plan = Plan::default();
    for group in &settings.groups {
        let before = plan.memberships.len();
        let mut named = None;
        for interface in interfaces {
            if group.interface.as_ref().is_some_and(|name| *name != interface.name) {
                continue;
            }
            named = group.interface.as_ref();
            if let Some(membership) = membership(settings, group, interface)
                && !plan.memberships.iter().any(|other| {
                    (other.group, other.index) == (membership.group, membership.index) // listed with and without port
                })
            {
                plan.memberships.push(membership);
            }
        }
        if plan.memberships.len() == before && !covered(settings, group, &plan) {
            plan.problems.push((group.to_string(), missing(group, named.is_some())));
        }
    }
    if plan.memberships.len() > MEMBERSHIPS_MAX {
        plan.memberships.truncate(MEMBERSHIPS_MAX);
        let text = format!("too many groups on too many interfaces, only {MEMBERSHIPS_MAX} are served");
        plan.problems.push(("mqtt.sn.groups".to_owned(), text));
    }
    plan
}

/// The same group was listed before.
fn covered(settings: &GroupSettings, group: &GroupAddress, plan: &Plan) -> bool {
    let wanted = group.with_default_port(settings.port);
    plan.memberships.iter().any(|it| (it.group.ip(), it.group.port()) == (wanted.ip(), wanted.port()))
}

/// Why no interface carries this group.
fn missing(group: &GroupAddress, there: bool) -> String {
    match (&group.interface, group.ip) {
        (Some(name), _) if !there => format!("there is no interface {name} that is up"),
        (Some(name), _) => format!("{name} has no address that it could be answered from"),
        (None, IpAddr::V4(ip)) if !ip.is_multicast() && ip != Ipv4Addr::BROADCAST => {
            format!("{ip} is the broadcast address of no interface that is up")
        }
        (None, _) => "no interface that is up can carry it".to_owned(),
    }
}

fn membership(settings: &GroupSettings, group: &GroupAddress, interface: &Interface) -> Option<Membership> {
    let to = group.with_default_port(settings.port);
    // The first listener of the family that the interface leads to.
    let (service, at) = settings.services.iter().find(|(_, at)| {
        at.is_ipv4() == to.is_ipv4() && (at.ip().is_unspecified() || interface.has(at.ip()))
    })?;
    let only_here = group.interface.is_some() || !at.ip().is_unspecified();
    let shared = at.ip().is_unspecified() && at.port() == to.port();
    let made = |group, local| {
        let (index, name) = (interface.index, interface.name.clone());
        Membership { group, index, interface: name, service: *service, local, shared }
    };
    match to {
        SocketAddr::V4(to) => {
            let own = |fits: &dyn Fn(&(Ipv4Addr, Ipv4Addr)) -> bool| {
                interface.v4.iter().find(|it| fits(it)).map(|(ip, _)| IpAddr::V4(*ip))
            };
            let first = own(&|(ip, _)| at.ip().is_unspecified() || at.ip() == IpAddr::V4(*ip));
            let local = if to.ip().is_multicast() {
                first.filter(|_| interface.multicast || interface.loopback)
            } else if *to.ip() == Ipv4Addr::BROADCAST {
                first.filter(|_| !interface.loopback || only_here)
            } else {
                own(&|(ip, broadcast)| {
                    broadcast == to.ip() && (at.ip().is_unspecified() || at.ip() == IpAddr::V4(*ip))
                })
            };
            Some(made(SocketAddr::V4(SocketAddrV4::new(*to.ip(), to.port())), Some(local?)))
        }
        SocketAddr::V6(to) => {
            // The kernel has no multicast route on loopback, unless somebody made one.
            let carries = if interface.loopback { only_here } else { interface.multicast };
            let local = Some(at.ip()).filter(|ip| !ip.is_unspecified());
            let scoped = SocketAddrV6::new(*to.ip(), to.port(), 0, interface.index);
            (carries && !interface.v6.is_empty()).then(|| made(SocketAddr::V6(scoped), local))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Bind;

    fn interface(index: u32, name: &str, v4: &str, v6: &str) -> Interface {
        let v4: Ipv4Addr = v4.parse().expect("an address");
        let broadcast = if v4.is_loopback() {
            Ipv4Addr::new(127, 255, 255, 255)
        } else {
            Ipv4Addr::from_bits(v4.to_bits() | 255)
        };
        Interface {
            index,
            name: name.to_owned(),
            loopback: v4.is_loopback(),
            multicast: !v4.is_loopback(),
            v4: vec![(v4, broadcast)],
            v6: vec![v6.parse().expect("an address")],
        }
    }

    fn machine() -> Vec<Interface> {
        let tunnel =
            Interface { multicast: false, v6: Vec::new(), ..interface(5, "tun0", "10.8.0.2", "fe80::5") };
        vec![
            interface(2, "eth0", "192.0.2.9", "fe80::2"),
            interface(1, "lo", "127.0.0.1", "::1"),
            tunnel,
            interface(3, "wpan0", "10.9.0.1", "fe80::3"),
        ]
    }

    fn settings(bind: &[&str], groups: Option<&[&str]>) -> GroupSettings {
        let mut config = Config::default();
        let bind = bind.iter().map(|text| {
            let at: SocketAddr = text.parse().expect("an address");
            Bind { ip: at.ip(), port: Some(at.port()) }
        });
        config.sn.bind = bind.collect();
        config.sn.groups =
            groups.map(|list| list.iter().map(|text| text.parse().expect("a group")).collect());
        GroupSettings::from_config(&config)
    }

    /// `group interface local listener`, with a `*` where the service listener hears the group itself.
    fn planned(bind: &[&str], groups: Option<&[&str]>) -> (Vec<String>, Vec<String>) {
        let plan = plan(&settings(bind, groups), &machine());
        let shown = |it: &Membership| {
            let local = it.local.map_or("-".to_owned(), |ip| ip.to_string());
            let shared = if it.shared { " *" } else { "" };
            format!("{} {} {local} {}{shared}", it.group, it.interface, it.service.0)
        };
        let problems = plan.problems.iter().map(|(group, why)| format!("{group}: {why}")).collect();
        (plan.memberships.iter().map(shown).collect(), problems)
    }

    #[test]
    fn the_usual_group_is_served_on_every_interface_as_soon_as_a_listener_is_open() {
        // Listeners 0 and 1 are MQTT's.
        let (heard, problems) = planned(&["0.0.0.0:1884", "[::]:1884"], None);
        assert_eq!(
            heard,
            [
                "225.1.1.1:1883 eth0 192.0.2.9 2",
                "225.1.1.1:1883 lo 127.0.0.1 2",
                "225.1.1.1:1883 wpan0 10.9.0.1 2"
            ]
        );
        assert!(problems.is_empty());
        let (heard, _) = planned(&["127.0.0.1:1884", "10.9.0.1:1884"], None);
        assert_eq!(heard, ["225.1.1.1:1883 wpan0 10.9.0.1 3"], "a listener on one address has one interface");
        for loopback in [&["127.0.0.1:1884", "[::1]:1884"][..], &["[::]:1884"], &[]] {
            assert!(settings(loopback, None).is_empty(), "{loopback:?}");
        }
        assert!(settings(&["0.0.0.0:1884"], Some(&[])).is_empty());
    }

    #[test]
    fn loopback_announces_only_what_is_configured() {
        let (heard, _) =
            planned(&["127.0.0.1:1884"], Some(&["225.1.1.1", "127.255.255.255:7", "255.255.255.255"]));
        assert_eq!(
            heard,
            [
                "225.1.1.1:1883 lo 127.0.0.1 2",
                "127.255.255.255:7 lo 127.0.0.1 2",
                "255.255.255.255:1883 lo 127.0.0.1 2"
            ]
        );
    }

    #[test]
    fn a_group_may_have_a_port_and_an_interface_and_ipv6_carries_it_as_scope() {
        let groups =
            ["225.1.1.1%eth0:99", "ff02::1%wpan0", "[ff03::1]:5", "192.0.2.255", "255.255.255.255%eth0:9"];
        let (heard, problems) = planned(&["0.0.0.0:1884", "[::]:1884"], Some(&groups));
        assert_eq!(
            heard,
            [
                "225.1.1.1:99 eth0 192.0.2.9 2",
                "[ff02::1%3]:1883 wpan0 - 3",
                "[ff03::1%2]:5 eth0 - 3",
                "[ff03::1%3]:5 wpan0 - 3",
                "192.0.2.255:1883 eth0 192.0.2.9 2",
                "255.255.255.255:9 eth0 192.0.2.9 2"
            ]
        );
        assert!(problems.is_empty(), "{problems:?}");
    }

    #[test]
    fn a_listener_that_holds_the_port_of_the_group_on_every_address_hears_it_itself() {
        let groups = ["225.1.1.1:1884", "255.255.255.255:1884"];
        let (heard, _) = planned(&["0.0.0.0:1884"], Some(&groups));
        assert!(heard.len() == 6 && heard.iter().all(|line| line.ends_with(" *")), "{heard:?}");
        let (heard, _) = planned(&["192.0.2.9:1884"], Some(&groups));
        assert!(heard.len() == 2 && heard.iter().all(|line| !line.ends_with(" *")), "{heard:?}");
    }

    #[test]
    fn a_group_that_no_interface_carries_is_named_with_the_reason() {
        let groups = ["225.1.1.1%eth9", "ff02::1%tun0", "192.168.77.255", "225.1.1.1", "225.1.1.1:1883"];
        let (heard, problems) = planned(&["0.0.0.0:1884", "[::]:1884"], Some(&groups));
        assert_eq!(heard.len(), 3, "listed twice is served once: {heard:?}");
        assert_eq!(
            problems,
            [
                "225.1.1.1%eth9: there is no interface eth9 that is up",
                "ff02::1%tun0: tun0 has no address that it could be answered from",
                "192.168.77.255: 192.168.77.255 is the broadcast address of no interface that is up",
            ]
        );
    }

    #[test]
    fn what_our_own_listeners_say_is_told_from_what_others_say() {
        let own = |bind: &[&str], remote: &str| {
            settings(bind, Some(&["225.1.1.1"])).is_own(remote.parse().expect("an address"), &machine())
        };
        assert!(own(&["0.0.0.0:1884"], "192.0.2.9:1884") && own(&["10.9.0.1:1884"], "10.9.0.1:1884"));
        assert!(own(&["[::]:1884"], "[fe80::2]:1884"));
        assert!(!own(&["0.0.0.0:1884"], "192.0.2.9:1885"), "another gateway of this machine");
        assert!(!own(&["0.0.0.0:1884"], "192.0.2.10:1884"), "another machine");
        assert!(!own(&["10.9.0.1:1884"], "192.0.2.9:1884") && !own(&["[::]:1884"], "192.0.2.9:1884"));
    }
}
