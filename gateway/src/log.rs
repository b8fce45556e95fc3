//! Logging: one line an event, text or JSON, to standard error; safe against what peers put into names; repeats are
//! counted instead of printed.
use crate::config::{LogFormat, LogLevel};
use broker_core::frontend::ListenerId;
use broker_core::link::Notice;
use broker_core::{Instant, SessionName};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tracing::level_filters::LevelFilter;
use tracing::{debug, error, info, warn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, reload};

/// Changes the level while the program runs.
#[derive(Debug)]
pub struct LevelHandle(Option<reload::Handle<LevelFilter, Registry>>);

/// Starts logging. A second call in one process changes nothing and gives a handle that does nothing.
pub fn start(level: LogLevel, format: LogFormat) -> LevelHandle {
    let (filter, handle) = reload::Layer::new(filter(level));
    let registry = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Text => {
            registry.with(fmt::layer().with_target(false).with_writer(|| Escaping(io::stderr()))).try_init()
        }
        LogFormat::Json => {
            let layer =
                fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
            registry.with(layer.with_target(false).with_writer(io::stderr)).try_init()
        }
    };
    if started.is_ok() {
        // Caught where it can be; either way it is one escaped line of the log, with its place.
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let payload = panic.payload();
            let text = payload.downcast_ref::<&str>().copied();
            let text =
                text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text");
            error!(place, "panic: {text}");
        }));
    }
    LevelHandle(started.is_ok().then_some(handle))
}

impl LevelHandle {
    /// Logs what is at least as serious as `level` from now on.
    pub fn set(&self, level: LogLevel) {
        if let Some(handle) = &self.0
            && let Err(error) = handle.modify(|current| *current = filter(level))
        {
            warn!(%error, "the log level cannot be changed");
        }
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// Writes lines with every control character but the last newline escaped, so that no name of a peer can forge a
/// line or drive a terminal, even where a log call forgets to quote it.
#[derive(Debug)]
struct Escaping<W>(W);

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let (body, end) = match line {
            [body @ .., b'\n'] => (body, &b"\n"[..]),
            body => (body, &b""[..]),
        };
        if body.iter().any(u8::is_ascii_control) {
            let mut safe = Vec::with_capacity(line.len() + 16);
            for &byte in body {
                if byte.is_ascii_control() {
                    safe.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
                } else {
                    safe.push(byte);
                }
            }
            safe.extend_from_slice(end);
            self.0.write_all(&safe)?;
        } else {
            self.0.write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Kinds of lines that a peer can cause, each with a limit of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Topic {
    Attached,
    Detached,
    TakenOver,
    Refused,
    Peer,
    Device,
    SessionExpired,
    Connections,
    Panics,
    Searched,
    Standby,
}

const TOPICS: [(Topic, &str); 11] = [
    (Topic::Attached, "client connected"),
    (Topic::Detached, "client gone"),
    (Topic::TakenOver, "session taken over"),
    (Topic::Refused, "client refused"),
    (Topic::Peer, "peer broke the protocol"),
    (Topic::Device, "device came or went"),
    (Topic::SessionExpired, "session expired"),
    (Topic::Connections, "connection not accepted"),
    (Topic::Panics, "panic caught"),
    (Topic::Searched, "SEARCHGW answered"),
    (Topic::Standby, "stand-by changed"),
];

/// Lines of one kind in one [`WINDOW`]; the rest is counted.
const LINES_MAX: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    ends: Instant,
    lines: u32,
    suppressed: u64,
}

/// Counts repeats instead of printing them. One per worker.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    windows: [Window; TOPICS.len()],
}

impl Limiter {
    /// Whether a line of this kind may be printed now; if not, it is counted.
    pub(crate) fn allows(&mut self, topic: Topic, now: Instant) -> bool {
        self.flush(now);
        let Some(window) = self.windows.get_mut(topic as usize) else { return false };
        if now >= window.ends {
            *window = Window { ends: now + WINDOW, lines: 0, suppressed: 0 };
        }
        if window.lines < LINES_MAX {
            window.lines += 1;
            true
        } else {
            window.suppressed += 1;
            false
        }
    }

    /// Says how many lines were held back in the windows that are over.
    pub(crate) fn flush(&mut self, now: Instant) {
        for (window, (_, what)) in self.windows.iter_mut().zip(TOPICS) {
            if window.suppressed > 0 && now >= window.ends {
                info!(suppressed = window.suppressed, "{what}: {} similar suppressed", window.suppressed);
                window.suppressed = 0;
            }
        }
    }

    /// When [`Limiter::flush`] has something to say.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.windows.iter().filter(|window| window.suppressed > 0).map(|window| window.ends).min()
    }

    /// Prints a notice of a front-end or the broker. `bound` tells where a UDP listener is.
    pub(crate) fn notice(
        &mut self,
        now: Instant,
        notice: &Notice,
        bound: impl Fn(ListenerId) -> Option<SocketAddr>,
    ) {
        let topic = match notice {
            Notice::TakenOver { .. } => Topic::TakenOver,
            Notice::Attached { .. } => Topic::Attached,
            Notice::Detached { .. } => Topic::Detached,
            Notice::Refused { .. } => Topic::Refused,
            Notice::Peer { .. } => Topic::Peer,
            Notice::Device { .. } => Topic::Device,
            Notice::SessionExpired { .. } => Topic::SessionExpired,
            Notice::Searched { .. } => Topic::Searched,
            Notice::Standby { .. } => Topic::Standby,
        };
        if is_own(notice) || !self.allows(topic, now) {
            return;
        }
        // Names are untrusted: Debug quotes and escapes them.
        match notice {
            Notice::TakenOver { name, remote } => {
                info!(name = ?name.as_str(), remote = %Shown(remote), "session taken over");
            }
            Notice::Attached { name, protocol, remote, session_present } => {
                info!(name = ?name.as_str(), remote = %Shown(remote), ?protocol, session_present, "client connected");
            }
            Notice::Detached { name, ending } => info!(name = ?name.as_str(), ?ending, "client gone"),
            Notice::Refused { name, reason, remote } => {
                warn!(name = ?name.as_str(), remote = %Shown(remote), ?reason, "client refused");
            }
            Notice::Peer { remote, name, text } => {
                let name = name.as_deref().unwrap_or_default();
                warn!(name = ?name, remote = %Shown(remote), why = ?text, "peer refused");
            }
            Notice::Device { name, remote, text } => {
                info!(name = ?name, remote = %remote, what = ?text, "device");
            }
            Notice::Searched { remote, gateway_id, listener, local, group } => {
                let from = answered_from(bound(*listener), *local);
                let from = Shown(&from);
                match group {
                    None => info!(
                        "SEARCHGW from {remote} answered with GWINFO id {gateway_id} from {from}, to it alone"
                    ),
                    Some(group) => info!(
                        "SEARCHGW from {remote} answered with GWINFO id {gateway_id} from {from} on group {group}"
                    ),
                }
            }
            Notice::Standby { gateway_id, active: true } => {
                warn!("gateway {gateway_id} is not heard any more: this one takes over its announcements");
            }
            Notice::Standby { gateway_id, active: false } => {
                info!("gateway {gateway_id} is heard again: this one stands by");
            }
            Notice::SessionExpired { name } => debug!(name = ?name.as_str(), "session expired"),
        }
    }
}

/// A session of the gateway's own: nobody has come or gone. A LwM2M device's registration is told by
/// [`Notice::Device`]; its session is attached and left for other reasons too.
fn is_own(notice: &Notice) -> bool {
    match notice {
        Notice::Attached { name, .. } | Notice::Detached { name, .. } => {
            name.is_own() || matches!(name, SessionName::Endpoint(_))
        }
        Notice::TakenOver { .. }
        | Notice::Refused { .. }
        | Notice::Peer { .. }
        | Notice::Device { .. }
        | Notice::Searched { .. }
        | Notice::Standby { .. }
        | Notice::SessionExpired { .. } => false,
    }
}

/// Where an answer left: the address that it has, with the port of its listener.
fn answered_from(bound: Option<SocketAddr>, local: Option<IpAddr>) -> Option<SocketAddr> {
    let bound = bound?;
    Some(local.map_or(bound, |ip| SocketAddr::new(ip, bound.port())))
}

struct Shown<'a, T>(&'a Option<T>);

impl<T: std::fmt::Display> std::fmt::Display for Shown<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_of_a_peer_can_end_a_line_or_start_an_escape_sequence() {
        let mut out = Vec::new();
        Escaping(&mut out).write_all(b"a\nb\x1b[31m\x7f\r\tc\n").expect("a vector takes all");
        assert_eq!(out, b"a\\x0ab\\x1b[31m\\x7f\\x0d\\x09c\n");
        out.clear();
        Escaping(&mut out).write_all("plain ü\n".as_bytes()).expect("a vector takes all");
        assert_eq!(out, "plain ü\n".as_bytes());
    }

    #[test]
    fn where_an_answer_left_is_an_address_with_the_port_of_the_service() {
        let bound: SocketAddr = "0.0.0.0:1884".parse().expect("an address");
        let local = Some("192.0.2.7".parse().expect("an address"));
        for (bound, local, shown) in
            [(Some(bound), local, "192.0.2.7:1884"), (Some(bound), None, "0.0.0.0:1884"), (None, local, "-")]
        {
            assert_eq!(Shown(&answered_from(bound, local)).to_string(), shown);
        }
    }

    #[test]
    fn repeats_are_counted_and_each_kind_has_its_own_limit() {
        let mut limiter = Limiter::default();
        let start = Instant::from_millis(5_000);
        for _ in 0..LINES_MAX {
            assert!(limiter.allows(Topic::Attached, start));
        }
        assert!(!limiter.allows(Topic::Attached, start));
        assert!(!limiter.allows(Topic::Attached, start));
        assert!(limiter.allows(Topic::Peer, start), "another kind is not affected");
        assert_eq!(limiter.next(), Some(start + WINDOW));
        assert!(limiter.allows(Topic::Attached, start + WINDOW), "a new window begins");
        assert_eq!(limiter.next(), None);
    }

    #[test]
    fn every_kind_has_a_name_in_its_place() {
        for (index, (topic, _)) in TOPICS.into_iter().enumerate() {
            assert_eq!(topic as usize, index);
        }
    }
}
