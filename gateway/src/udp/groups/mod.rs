//! [`Groups`]: the sockets that hear multicast groups and broadcasts, for MQTT-SN's discovery (§6.1).
//!
//! ```text
//! settings ┐                       one socket a group and interface ──► Peer { group, listener = number of both }
//!          ├─ plan ─► memberships ─┤
//! interfaces (every 5 s) ┘         └► destinations of ADVERTISE and GWINFO, sent by the service's own socket
//! ```
//! Groups have sockets of their own, since one that is bound to an address hears no group; answers leave from the
//! service socket, since a client takes their source for the gateway's address. Where the service socket holds the
//! group's port on every address it joins the group itself. Each socket hears its group on its interface only.
//!
//! Nothing here ends a running gateway: what cannot be had is one line in the log, and is tried again.
mod plan;

pub(crate) use plan::GroupSettings;

use super::interfaces::{self, Interface};
use super::mmsg::{Batch, Received};
use super::port::{UdpCounters, UdpPort, inform};
use broker_core::Instant;
use broker_core::frontend::{Address, ListenerId, Peer};
use broker_core::link::FrontendId;
use mio::{Interest, Registry, Token};
use plan::Membership;
use slab::Slab;
use sn_proto::config::Group;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;
use tracing::{info, warn};

/// How often it is looked whether an interface has come or gone.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Failures that make the time until an announcement is tried again longer: up to 5 s times 2 to this power.
const FAILURES_COUNTED: u32 = 9;
/// Numbers of listeners that hear groups begin here, above those of the service.
const FIRST_NUMBER: u16 = 0x8000;

/// Who said what is heard on a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// We ourselves.
    Own,
    /// Somebody else, on the group with this number.
    Other(ListenerId),
    /// Somebody else, on a group that is not ours.
    Unknown,
}

#[derive(Debug)]
struct Entry {
    membership: Membership,
    /// `None`: the service socket hears it.
    socket: Option<UdpPort>,
    /// The error of the last datagram that could not be sent there.
    failed: Option<i32>,
    /// When it is announced again, since the last announcement did not get there, and how often that was so.
    again: Option<Instant>,
    failures: u32,
}

/// What a look at the interfaces leads to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Refreshed {
    /// The destinations for the front-end, when they have changed.
    pub(crate) groups: Option<Vec<Group>>,
    /// A destination that could not be reached is to be tried again.
    pub(crate) announce: bool,
}

/// The groups that are served.
#[derive(Debug)]
pub(crate) struct Groups {
    settings: GroupSettings,
    registry: Registry,
    /// Tokens of the sockets begin here.
    first_token: usize,
    entries: Slab<Entry>,
    interfaces: Vec<Interface>,
    /// What cannot be served, and why, as it was logged.
    problems: BTreeMap<String, String>,
    next_look: Option<Instant>,
    last_look: Instant,
    /// What the front-end was told last.
    told: Vec<Group>,
}

impl Groups {
    /// Without sockets yet: the first [`Groups::refresh`] opens them.
    pub(crate) fn new(registry: Registry, first_token: usize, settings: GroupSettings) -> Self {
        let mut groups = Groups {
            settings: GroupSettings::default(),
            registry,
            first_token,
            entries: Slab::new(),
            interfaces: Vec::new(),
            problems: BTreeMap::new(),
            next_look: None,
            last_look: Instant::ZERO,
            told: Vec::new(),
        };
        groups.set_settings(Instant::ZERO, settings);
        groups
    }

    /// Other settings; they hold from the next [`Groups::refresh`], which is due at once.
    pub(crate) fn set_settings(&mut self, now: Instant, settings: GroupSettings) {
        if settings.stands_by && settings.is_empty() {
            warn!(
                "mqtt.sn.standby_for: no group is served, so the other gateway is not heard; try: mqtt.sn.groups"
            );
        }
        self.settings = settings;
        let anything = !self.settings.is_empty() || !self.entries.is_empty();
        self.next_look = anything.then_some(now);
    }

    /// When [`Groups::refresh`] is due.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.next_look
    }

    /// Closes everything.
    pub(crate) fn close(&mut self) {
        self.entries.clear();
        self.next_look = None;
    }

    /// Looks at the interfaces; opens what is missing, closes what is gone.
    pub(crate) fn refresh(&mut self, now: Instant, services: &[UdpPort]) -> Refreshed {
        self.last_look = now;
        self.next_look = (!self.settings.is_empty()).then_some(now + LOOK_AGAIN);
        let mut problems = BTreeMap::new();
        match interfaces::list() {
            Ok(interfaces) => self.interfaces = interfaces,
            // Those from before hold.
            Err(error) => {
                problems.insert("mqtt.sn.groups".to_owned(), format!("cannot list interfaces: {error}"));
            }
        }
        let plan = plan::plan(&self.settings, &self.interfaces);
        problems.extend(plan.problems);
        self.close_all_but(&plan.memberships, services);
        let mut opened: BTreeMap<(SocketAddr, ListenerId), Vec<String>> = BTreeMap::new();
        for wanted in plan.memberships {
            if self.entries.iter().any(|(_, entry)| entry.membership == wanted) {
                continue;
            }
            let (group, service, interface) = (plain(wanted.group), wanted.service, wanted.interface.clone());
            match self.open(wanted, services) {
                Ok(()) => opened.entry((group, service)).or_default().push(interface),
                Err(error) => {
                    problems.insert(format!("{group} on {interface}"), explain(&error, group));
                }
            }
        }
        for ((group, _), interfaces) in opened {
            info!("listening: MQTT-SN discovery on {group} ({})", interfaces.join(", "));
        }
        for (group, why) in &problems {
            if self.problems.get(group) != Some(why) {
                warn!("MQTT-SN group {group}: {why}; tried again every {} s", LOOK_AGAIN.as_secs());
            }
        }
        self.problems = problems;
        let told = self.destinations();
        let groups = (told != self.told).then(|| {
            self.told.clone_from(&told);
            told
        });
        Refreshed { groups, announce: self.retry(now) }
    }

    /// Whether a destination that failed is to be tried again now. Each failure doubles the time until then.
    fn retry(&mut self, now: Instant) -> bool {
        let mut retry = false;
        for (_, entry) in &mut self.entries {
            match entry.again {
                Some(again) if again <= now => {
                    entry.again = None;
                    retry = true;
                }
                Some(_) => {}
                // The last try got there.
                None => (entry.failures, entry.failed) = (0, None),
            }
        }
        retry
    }

    fn destinations(&self) -> Vec<Group> {
        let ttl = Some(self.settings.ttl);
        let group = |(index, entry): (usize, &Entry)| Group {
            heard_on: number(index),
            to: entry.membership.address(),
            ttl,
        };
        self.entries.iter().map(group).collect()
    }

    fn close_all_but(&mut self, wanted: &[Membership], services: &[UdpPort]) {
        let Groups { entries, interfaces, .. } = self;
        entries.retain(|_, entry| {
            let Membership { group, interface, index, .. } = &entry.membership;
            if wanted.contains(&entry.membership) {
                return true;
            }
            let group = plain(*group);
            if interfaces.iter().any(|it| it.index == *index) {
                info!("MQTT-SN group {group}: no longer served on {interface}");
            } else {
                warn!(
                    "MQTT-SN group {group}: {interface} is gone; looked for again every {} s",
                    LOOK_AGAIN.as_secs()
                );
            }
            if entry.socket.is_none()
                && let Some(service) = service(services, entry.membership.service)
            {
                // It left by itself with its interface.
                let _gone = leave(&SockRef::from(&service.socket), &entry.membership);
            }
            false
        });
    }

    fn open(&mut self, membership: Membership, services: &[UdpPort]) -> io::Result<()> {
        let Some(service) = service(services, membership.service) else {
            return Err(io::Error::from(io::ErrorKind::NotConnected)); // its listener could not be opened
        };
        let shared = SockRef::from(&service.socket);
        if !membership.group.ip().is_multicast() {
            shared.set_broadcast(true)?;
        }
        let slot = self.entries.vacant_entry();
        let socket = if membership.shared {
            join(&shared, &membership)?;
            None
        } else {
            let socket = bind(&membership)?;
            let v6 = membership.group.is_ipv6();
            let mut port = UdpPort::new(socket, number(slot.key()), FrontendId::MqttSn, v6);
            let token = Token(self.first_token + slot.key());
            self.registry.register(&mut port.socket, token, Interest::READABLE)?;
            Some(port)
        };
        slot.insert(Entry { membership, socket, failed: None, again: None, failures: 0 });
        Ok(())
    }

    /// The socket with this token may have something to read.
    pub(crate) fn on_event(&mut self, token: usize) {
        let index = token.checked_sub(self.first_token);
        if let Some(port) =
            index.and_then(|index| self.entries.get_mut(index)).and_then(|it| it.socket.as_mut())
        {
            port.readable = true;
        }
    }

    /// Asks the kernel what it has dropped.
    pub(crate) fn count_drops(&mut self, counters: &mut UdpCounters) {
        let sockets = self.entries.iter_mut().filter_map(|(_, entry)| entry.socket.as_mut());
        sockets.for_each(|port| port.count_drops(counters));
    }

    /// Whether a socket may have more to read.
    pub(crate) fn has_datagrams(&self) -> bool {
        self.entries.iter().any(|(_, entry)| entry.socket.as_ref().is_some_and(|port| port.readable))
    }

    /// Takes one batch from each socket that has some, and hands on what others have said on its group.
    pub(crate) fn receive(
        &mut self,
        batch: &mut Batch,
        counters: &mut UdpCounters,
        mut each: impl FnMut(&Peer, &[u8]),
    ) {
        let Groups { entries, settings, interfaces, .. } = self;
        for (index, entry) in entries.iter_mut() {
            let Entry { membership, socket: Some(port), .. } = entry else { continue };
            if !port.readable {
                continue;
            }
            let mut own = 0;
            port.receive(batch, counters, |received| {
                let Received { from, hit, interface, bytes, .. } = received;
                // The kernel may hand a broadcast, or a group of IPv6, to every socket that knows the group.
                if hit != Some(membership.group.ip()) || interface != membership.index {
                    return;
                }
                if settings.is_own(from.remote, interfaces) {
                    own += 1;
                    return;
                }
                let address = Address { listener: number(index), local: None, ..from };
                each(&Peer { address, group: true, identity: None }, bytes);
            });
            counters.own_heard += own;
        }
    }

    /// Who it was that `received`, which a service socket has heard on a group, is from.
    pub(crate) fn speaker(&self, received: &Received<'_>) -> Speaker {
        if self.settings.is_own(received.from.remote, &self.interfaces) {
            return Speaker::Own;
        }
        let heard = |entry: &Entry| {
            let it = &entry.membership;
            it.shared
                && it.service == received.from.listener
                && Some(it.group.ip()) == received.hit
                && it.index == received.interface
        };
        let found = self.entries.iter().find(|(_, entry)| heard(entry));
        found.map_or(Speaker::Unknown, |(index, _)| Speaker::Other(number(index)))
    }

    /// A datagram for a group could not be sent: one line for each group and error.
    pub(crate) fn send_failed(&mut self, to: Address, error: &io::Error) {
        let mut entries = self.entries.iter_mut().map(|(_, entry)| entry);
        let Some(entry) = entries.find(|it| it.membership.address() == to) else { return };
        if entry.again.is_none() {
            entry.again = Some(self.last_look + LOOK_AGAIN * (1 << entry.failures.min(FAILURES_COUNTED)));
            entry.failures += 1;
        }
        let code = error.raw_os_error();
        if entry.failed != code {
            entry.failed = code;
            let (group, interface) = (plain(to.remote), &entry.membership.interface);
            warn!("MQTT-SN group {group} on {interface}: cannot send, to be tried again: {error}");
        }
    }
}

fn number(index: usize) -> ListenerId {
    ListenerId(FIRST_NUMBER.saturating_add(u16::try_from(index).unwrap_or(u16::MAX)))
}

fn service(services: &[UdpPort], listener: ListenerId) -> Option<&UdpPort> {
    services.iter().find(|port| port.listener == listener)
}

/// Without IPv6's scope: the interface stands beside it where it is shown.
fn plain(group: SocketAddr) -> SocketAddr {
    SocketAddr::new(group.ip(), group.port())
}

fn explain(error: &io::Error, group: SocketAddr) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {} is held by a program that does not share it; try: `ss -lunp 'sport = :{}'` shows which, or \
             another port behind the group in mqtt.sn.groups",
            group.port(),
            group.port()
        ),
        io::ErrorKind::NotConnected => "the listener that would answer is not open".to_owned(),
        _ => format!("cannot be heard: {error}"),
    }
}

/// A socket that hears the group on its interface. Others may hear it as well: the port is shared.
fn bind(membership: &Membership) -> io::Result<Socket> {
    let group = membership.group;
    let socket = Socket::new(Domain::for_address(group), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if group.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    inform(socket.as_raw_fd(), group.is_ipv6())?;
    // Saves copies of what other interfaces hear, or other programs have joined; where the kernel does not let us, they
    // are passed over one by one.
    let _passed_over = socket.bind_device(Some(membership.interface.as_bytes()));
    let _passed_over = match group {
        SocketAddr::V4(_) => socket.set_multicast_all_v4(false),
        SocketAddr::V6(_) => socket.set_multicast_all_v6(false),
    };
    socket.bind(&group.into())?;
    join(&SockRef::from(&socket), membership)?;
    Ok(socket)
}

fn join(socket: &SockRef<'_>, membership: &Membership) -> io::Result<()> {
    match membership.group.ip() {
        IpAddr::V4(ip) if ip.is_multicast() => {
            socket.join_multicast_v4_n(&ip, &InterfaceIndexOrAddress::Index(membership.index))
        }
        IpAddr::V4(_) => Ok(()),
        IpAddr::V6(ip) => socket.join_multicast_v6(&ip, membership.index),
    }
}

fn leave(socket: &SockRef<'_>, membership: &Membership) -> io::Result<()> {
    match membership.group.ip() {
        IpAddr::V4(ip) if ip.is_multicast() => {
            socket.leave_multicast_v4_n(&ip, &InterfaceIndexOrAddress::Index(membership.index))
        }
        IpAddr::V4(_) => Ok(()),
        IpAddr::V6(ip) => socket.leave_multicast_v6(&ip, membership.index),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Bind, Config};
    use crate::udp::bind as bind_service;
    use mio::{Events, Poll};
    use std::net::Ipv4Addr;

    const FIRST_TOKEN: usize = 100;

    /// A service on loopback, the settings that give it a group on loopback, and a free port for that group.
    fn service() -> (UdpPort, Config, SocketAddr) {
        let socket = bind_service(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("loopback");
        let at = socket.local_addr().ok().and_then(|at| at.as_socket()).expect("it is bound");
        let free =
            std::net::UdpSocket::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a free port");
        let mut config = Config::default();
        config.sn.bind = vec![Bind { ip: at.ip(), port: Some(at.port()) }];
        let group = SocketAddr::from(([225, 1, 1, 1], free.port()));
        config.sn.groups = Some(vec![group.to_string().parse().expect("a group")]);
        // Listeners 0 and 1 are MQTT's.
        (UdpPort::new(socket, ListenerId(2), FrontendId::MqttSn, false), config, group)
    }

    fn speaker() -> Socket {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).expect("a socket");
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("loopback");
        socket
    }

    #[test]
    fn a_group_on_loopback_hears_others_and_not_its_own_service() {
        let mut poll = Poll::new().expect("a poll");
        let registry = poll.registry().try_clone().expect("its registry");
        let (service, config, group) = service();
        let mut groups = Groups::new(registry, FIRST_TOKEN, GroupSettings::from_config(&config));
        assert_eq!(groups.next_timeout(), Some(Instant::ZERO));
        let start = Instant::from_millis(1_000);
        let told =
            groups.refresh(start, std::slice::from_ref(&service)).groups.expect("there is a group now");
        let [Group { heard_on, to, ttl: Some(1) }] = told[..] else { panic!("one group: {told:?}") };
        assert_eq!(
            (to.remote, to.local, to.listener),
            (group, Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), ListenerId(2))
        );
        assert_eq!(groups.next_timeout(), Some(start + LOOK_AGAIN));
        assert_eq!(
            groups.refresh(start, std::slice::from_ref(&service)),
            Refreshed::default(),
            "nothing has changed"
        );

        let other = speaker();
        other.send_to(b"theirs", &group.into()).expect("loopback carries it");
        SockRef::from(&service.socket).send_to(b"ours", &group.into()).expect("loopback carries it");
        let (mut batch, mut counters, mut heard) = (Batch::new(), UdpCounters::default(), Vec::new());
        let mut events = Events::with_capacity(8);
        for _ in 0..100 {
            poll.poll(&mut events, Some(Duration::from_millis(100))).expect("a poll");
            events.iter().for_each(|event| groups.on_event(event.token().0));
            groups
                .receive(&mut batch, &mut counters, |peer, bytes| heard.push((peer.clone(), bytes.to_vec())));
            if counters.datagrams_received == 2 {
                break;
            }
        }
        let [(peer, bytes)] = &heard[..] else { panic!("one datagram: {heard:?}") };
        assert_eq!((bytes.as_slice(), peer.group, peer.address.listener), (&b"theirs"[..], true, heard_on));
        assert_eq!(Some(peer.address.remote), other.local_addr().ok().and_then(|at| at.as_socket()));
        assert_eq!(counters.own_heard, 1);

        groups.set_settings(start, GroupSettings::default());
        assert_eq!(groups.refresh(start, &[service]).groups, Some(Vec::new()), "and away with it");
        assert_eq!((groups.next_timeout(), groups.entries.len()), (None, 0));
    }

    #[test]
    fn a_taken_port_is_a_problem_until_it_is_free() {
        let poll = Poll::new().expect("a poll");
        let registry = poll.registry().try_clone().expect("its registry");
        let (service, config, group) = service();
        let greedy = std::net::UdpSocket::bind(group).expect("nobody has it");
        let mut groups = Groups::new(registry, FIRST_TOKEN, GroupSettings::from_config(&config));
        assert_eq!(groups.refresh(Instant::ZERO, std::slice::from_ref(&service)), Refreshed::default());
        let problem = groups.problems.get(&format!("{group} on lo")).expect("a problem");
        assert!(problem.contains("held by a program that does not share it"), "{problem}");
        drop(greedy);
        assert!(groups.refresh(Instant::ZERO, &[service]).groups.is_some());
        assert!(groups.problems.is_empty());
    }

    #[test]
    fn an_announcement_that_could_not_be_sent_is_tried_again_ever_more_seldom() {
        let poll = Poll::new().expect("a poll");
        let registry = poll.registry().try_clone().expect("its registry");
        let (service, config, _) = service();
        let services = [service];
        let mut groups = Groups::new(registry, FIRST_TOKEN, GroupSettings::from_config(&config));
        let at = |seconds: u64| Instant::from_millis(seconds * 1_000);
        let told = groups.refresh(at(0), &services).groups.expect("there is a group");
        let to = told.first().expect("it").to;
        let unreachable = io::Error::from_raw_os_error(libc::ENETUNREACH);
        let mut tries = Vec::new();
        groups.send_failed(to, &unreachable);
        for second in (5..100).step_by(5) {
            if groups.refresh(at(second), &services).announce {
                tries.push(second);
                groups.send_failed(to, &unreachable);
                groups.send_failed(to, &unreachable); // GWINFO in between counts for no more
            }
        }
        assert_eq!(tries, [5, 15, 35, 75]);
        assert!(
            (100..200).step_by(5).any(|second| groups.refresh(at(second), &services).announce),
            "it gets there now"
        );
        assert_eq!(groups.refresh(at(200), &services), Refreshed::default());
        groups.send_failed(to, &unreachable);
        assert!(groups.refresh(at(205), &services).announce, "from the beginning");
    }
}
