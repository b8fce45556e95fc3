//! Serving: opens the listeners of a configuration and runs until a signal ends it.
use crate::clock::Clock;
use crate::config::{self, Loaded, Protocol};
use crate::exit::Exit;
use crate::log::{self, LevelHandle};
use crate::reload::Control;
use crate::settings::Settings;
use crate::signals::Signals;
use crate::sys;
use crate::tcp::{self, TcpPort};
use crate::udp::{self, UdpPort};
use crate::worker::Owner;
use broker_core::frontend::ListenerId;
use broker_core::link::FrontendId;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use tracing::{error, info, warn};

/// Runs the gateway with checked settings; [`Loaded::reload`] reads them again on SIGHUP.
pub fn run(loaded: Loaded) -> Exit {
    let level = log::start(loaded.config.log.level, loaded.config.log.format);
    info!("turnstone {} starts; {}", env!("CARGO_PKG_VERSION"), loaded.source_line());
    for warning in &loaded.warnings {
        warn!("{}", one_line(&warning.as_warning()));
    }
    match serve(loaded, level) {
        Ok(()) => Exit::Ok,
        Err(StartError(text)) => {
            for line in text.lines() {
                error!("{line}");
            }
            Exit::Failure
        }
    }
}

/// Why serving could not begin or go on, with what to do about it.
#[derive(Debug)]
struct StartError(String);

fn serve(loaded: Loaded, level: LevelHandle) -> Result<(), StartError> {
    let clock = Clock::start();
    raise_descriptor_limit(loaded.config.limits.connections);
    let sockets = open(&loaded.config)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError(format!("cannot start: {error}")))?;
    let settings = Settings::of_the_start(&loaded.config);
    runtime.block_on(async {
        // Before anything is announced: whoever reads the log may send signals.
        let mut signals =
            Signals::new().map_err(|error| StartError(format!("cannot listen to signals: {error}")))?;
        let failed = |error: io::Error| StartError(format!("cannot serve: {error}"));
        let (owner, poll) =
            Owner::new(clock, settings, seed(), sockets.streams, sockets.datagrams).map_err(failed)?;
        for line in &sockets.lines {
            info!("listening: {line}");
        }
        info!("{}", loaded.config.open_hint());
        owner.run(poll, &mut signals, Control::new(loaded, level)).await.map_err(failed)
    })
}

/// A text of several lines as one line of the log.
pub(crate) fn one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

/// The bound sockets.
#[derive(Debug, Default)]
struct Sockets {
    streams: Vec<TcpPort>,
    datagrams: Vec<UdpPort>,
    lines: Vec<String>,
}

/// Binds every listener, or nothing stays open and the error names all that failed.
fn open(config: &config::Config) -> Result<Sockets, StartError> {
    let mut sockets = Sockets::default();
    let mut problems = Vec::new();
    let mut missing = Vec::new();
    let mut small_buffer = None;
    for (index, listener) in config.listeners().into_iter().enumerate() {
        let id = ListenerId(u16::try_from(index).unwrap_or(u16::MAX));
        let v6 = listener.address.is_ipv6();
        let opened = match listener.protocol {
            Protocol::Mqtt => {
                tcp::bind(listener.address, false).map(|socket| sockets.streams.push(TcpPort::new(socket)))
            }
            Protocol::MqttSn | Protocol::Lwm2m => udp::bind(listener.address).map(|socket| {
                let frontend = if listener.protocol == Protocol::MqttSn {
                    FrontendId::MqttSn
                } else {
                    FrontendId::Lwm2m
                };
                small_buffer = small_buffer.take().or_else(|| udp::shortfall(&socket));
                sockets.datagrams.push(UdpPort::new(socket, id, frontend, v6));
            }),
        };
        match opened {
            Ok(()) => sockets.lines.push(listener.to_string()),
            Err(error) if is_missing_v6(listener.address.ip(), &error) => missing.push((listener, error)),
            Err(error) => problems.push(explain(&listener, &error)),
        }
    }
    if !problems.is_empty() {
        return Err(StartError(problems.join("\n")));
    }
    for (listener, error) in missing {
        warn!("{listener}: this machine has no such address ({error}); going on without it");
    }
    if let Some(text) = small_buffer {
        warn!("{text}");
    }
    if sockets.lines.is_empty() {
        return Err(StartError("no listener is open; try: mqtt.bind = [\"127.0.0.1\"]".to_owned()));
    }
    Ok(sockets)
}

/// A machine without IPv6 has no `::1`, which is in the defaults.
fn is_missing_v6(ip: IpAddr, error: &io::Error) -> bool {
    let own = ip == IpAddr::V6(Ipv6Addr::LOCALHOST) || ip == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    own && matches!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT | libc::EPERM))
}

fn explain(listener: &config::Listener, error: &io::Error) -> String {
    let (protocol, address) = (listener.protocol, listener.address);
    let (port, ip) = (address.port(), address.ip());
    let tool = if protocol.transport() == "TCP" { "ss -ltnp" } else { "ss -lunp" };
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{protocol}: port {port} on {ip} is in use (by another broker or gateway?); try: `{tool} 'sport = :{port}'` \
             shows by whom, or choose another with --set {}={}",
            protocol.port_key(),
            port.checked_add(10_000).unwrap_or(port - 10_000),
        ),
        io::ErrorKind::AddrNotAvailable => format!(
            "{protocol}: {ip} is no address of this machine; try: `ip addr` shows those there are, then set {}",
            protocol.bind_key()
        ),
        io::ErrorKind::PermissionDenied => format!(
            "{protocol}: not allowed to open port {port} on {ip}; try: a port above 1023 with --set {}=PORT",
            protocol.port_key()
        ),
        _ => format!(
            "{protocol}: cannot open port {port} on {ip}: {error}; try: another address in {}",
            protocol.bind_key()
        ),
    }
}

/// Every connection is a file descriptor: takes as many as the system allows, and says when that is too few.
fn raise_descriptor_limit(connections: u32) {
    let Some((soft, hard)) = sys::descriptor_limit() else { return };
    let wanted = u64::from(connections) + 100;
    let got =
        if soft < wanted && soft < hard { sys::set_descriptor_limit(wanted.min(hard), hard) } else { soft };
    if got < wanted {
        info!(
            "this process may open {got} files, so at most about {} of limits.connections = {connections} fit; \
             try: ulimit -n {wanted}, or LimitNOFILE={wanted} in the service",
            got.saturating_sub(100)
        );
    }
}

/// Unpredictable, from the standard library's own source of random keys.
fn seed() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish()
}
