//! What is measured, with its bar and the goal behind it.
use crate::client::Fleet;
use crate::peer::Peer;
use std::io;
use std::time::{Duration, Instant};

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Messages of a throughput row.
    pub(crate) messages: usize,
    /// Idle connections.
    pub(crate) idle: usize,
    /// Seconds of the latency row.
    pub(crate) latency: Duration,
}

impl Scale {
    /// For figures to quote.
    pub(crate) const FULL: Scale =
        Scale { messages: 400_000, idle: 15_000, latency: Duration::from_secs(20) };
    /// For a look.
    pub(crate) const QUICK: Scale = Scale { messages: 60_000, idle: 4_000, latency: Duration::from_secs(4) };
}

/// One row of the table.
pub(crate) struct Row {
    /// Its name.
    pub(crate) name: &'static str,
    /// What the figure counts.
    pub(crate) unit: &'static str,
    /// At most this.
    pub(crate) bar: Option<f64>,
    /// At most this part of mosquitto's figure in the same run.
    pub(crate) ratio: Option<f64>,
    /// Better still.
    pub(crate) goal: Option<f64>,
    /// Measures one broker.
    pub(crate) run: fn(&Peer, Scale) -> io::Result<f64>,
}

const fn row(
    name: &'static str,
    unit: &'static str,
    bar: f64,
    goal: f64,
    ratio: Option<f64>,
    run: fn(&Peer, Scale) -> io::Result<f64>,
) -> Row {
    Row { name, unit, bar: Some(bar), ratio, goal: Some(goal), run }
}

/// All rows.
pub(crate) const ROWS: &[Row] = &[
    row("qos0 one-to-one", "CPU us/message", 1.0, 0.5, Some(0.25), |p, s| flow(p, s.messages, 1, 1, 0)),
    row("qos1 one-to-one", "CPU us/message", 1.6, 0.8, Some(0.23), |p, s| flow(p, s.messages, 1, 1, 1)),
    row("qos2 one-to-one", "CPU us/message", 3.7, 3.2, Some(0.10), |p, s| flow(p, s.messages / 2, 1, 1, 2)),
    Row {
        bar: None,
        goal: None,
        ..row("qos0 fan-in 100", "CPU us/message", 0.0, 0.0, None, |p, s| flow(p, s.messages, 100, 1, 0))
    },
    row("qos0 fan-out 100", "CPU us/delivery", 0.5, 0.35, Some(0.14), |p, s| {
        flow(p, s.messages / 40, 1, 100, 0).map(|us| us / 100.0)
    }),
    row("100 000 mixed filters", "CPU us/publish", 5.5, 3.0, Some(0.25), |p, s| filters(p, s, 100_000)),
    row("400 000 mixed filters", "CPU us/publish", 5.5, 3.0, None, |p, s| filters(p, s, 400_000)),
    row("idle connection", "RSS bytes", 735.0, 500.0, None, idle),
    row("p999 at 5 000 msg/s", "ms", 5.0, 5.0, None, latency),
    row("start", "ms to first accept", 300.0, 300.0, None, |p, _| Ok(p.start.as_secs_f64() * 1e3)),
    row("idle RSS", "MB", 15.0, 15.0, None, |p, _| {
        std::thread::sleep(Duration::from_millis(500));
        Ok(p.rss()? as f64 / 1e6)
    }),
];

const PAYLOAD: [u8; 64] = [0x55; 64];
/// Messages that publishers may be ahead of the subscribers.
const AHEAD_QOS0: usize = 1000;
/// Unacknowledged QoS 1/2 messages of one publisher: below every broker's window.
const AHEAD_ACKED: usize = 16;

/// `publishers` send `messages` in all on one topic each; every one of `subscribers` gets all. CPU us a message.
fn flow(peer: &Peer, messages: usize, publishers: usize, subscribers: usize, qos: u8) -> io::Result<f64> {
    let mut fleet = Fleet::new()?;
    fleet.open(peer.address, subscribers, "sub", false)?;
    for at in 0..subscribers {
        fleet.subscribe(at, &["bench/+/flow".to_owned()], qos)?;
    }
    fleet.open(peer.address, publishers, "pub", false)?;
    let topics: Vec<String> = (0..publishers).map(|n| format!("bench/{n}/flow")).collect();
    let warm = messages / 10;
    send(&mut fleet, &topics, subscribers, warm, qos, 0)?;
    let before = peer.cpu_ns()?;
    send(&mut fleet, &topics, subscribers, messages, qos, warm)?;
    let spent = peer.cpu_ns()? - before;
    Ok(spent as f64 / 1e3 / messages as f64)
}

/// Sends `messages` and waits for all deliveries and acks; `done` were sent by earlier calls.
fn send(
    fleet: &mut Fleet,
    topics: &[String],
    subscribers: usize,
    messages: usize,
    qos: u8,
    done: usize,
) -> io::Result<()> {
    let publishers = topics.len();
    let begun = Instant::now();
    let ahead = if qos == 0 { (AHEAD_QOS0 / subscribers).max(20) } else { AHEAD_ACKED * publishers };
    let mut sent = 0;
    loop {
        let received = fleet.clients[..subscribers].iter().map(|c| c.received).min().unwrap_or(0) - done;
        let acked: usize = fleet.clients[subscribers..].iter().map(|c| c.acked).sum();
        let finished = if qos == 0 { received } else { received.min(acked - done) };
        if finished >= messages {
            return Ok(());
        }
        if begun.elapsed() > Duration::from_secs(120) {
            return Err(io::Error::other(format!("{finished} of {messages} messages within two minutes")));
        }
        let room = (finished + ahead).min(messages).saturating_sub(sent);
        for _ in 0..room {
            let publisher = sent % publishers;
            fleet.publish(subscribers + publisher, &topics[publisher], &PAYLOAD, qos);
            sent += 1;
        }
        if room > 0 {
            for publisher in 0..publishers {
                fleet.flush(subscribers + publisher)?;
            }
        }
        fleet.step(Duration::from_millis(20))?;
    }
}

/// Publishes against `count` filters of a hundred clients or more; each message has one receiver.
fn filters(peer: &Peer, scale: Scale, count: usize) -> io::Result<f64> {
    let each = 1000;
    let clients = count / each;
    let mut fleet = Fleet::new()?;
    fleet.open(peer.address, clients, "filters", false)?;
    for at in 0..clients {
        let own: Vec<String> = (0..each)
            .map(|n| match n % 4 {
                0 => format!("site/{at}/+/{n}/temp"),
                1 => format!("site/{at}/dev/{n}/#"),
                _ => format!("site/{at}/dev/{n}/temp"),
            })
            .collect();
        fleet.subscribe(at, &own, 0)?;
    }
    fleet.open(peer.address, 1, "publisher", false)?;
    // The same hundred receivers at every size: what grows is the number of filters, not of sockets written.
    let receivers = clients.min(100);
    let messages = scale.messages / 4;
    let mut spread = 1u64;
    let mut round = |fleet: &mut Fleet, messages: usize| -> io::Result<()> {
        let begun = Instant::now();
        let base: usize = fleet.clients.iter().map(|c| c.received).sum();
        let mut sent = 0;
        while sent < messages || fleet.clients.iter().map(|c| c.received).sum::<usize>() < base + messages {
            if begun.elapsed() > Duration::from_secs(120) {
                return Err(io::Error::other("messages missing after two minutes"));
            }
            let received = fleet.clients.iter().map(|c| c.received).sum::<usize>() - base;
            let room = (received + 500).min(messages).saturating_sub(sent);
            for _ in 0..room {
                spread =
                    spread.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = (spread >> 33) as usize % receivers;
                let n = (spread >> 13) as usize % each;
                fleet.publish(clients, &format!("site/{at}/dev/{n}/temp"), &PAYLOAD, 0);
                sent += 1;
            }
            if room > 0 {
                fleet.flush(clients)?;
            }
            fleet.step(Duration::from_millis(20))?;
        }
        Ok(())
    };
    round(&mut fleet, messages / 10)?;
    let before = peer.cpu_ns()?;
    round(&mut fleet, messages)?;
    let spent = peer.cpu_ns()? - before;
    Ok(spent as f64 / 1e3 / messages as f64)
}

/// Resident bytes that an idle connection adds.
fn idle(peer: &Peer, scale: Scale) -> io::Result<f64> {
    let mut warm = Fleet::new()?;
    warm.open(peer.address, 100, "warm", false)?;
    let before = peer.rss()?;
    let mut fleet = Fleet::new()?;
    fleet.open(peer.address, scale.idle, "idle", false)?;
    std::thread::sleep(Duration::from_millis(300));
    Ok(peer.rss()?.saturating_sub(before) as f64 / scale.idle as f64)
}

/// 99.9th percentile of publish-to-delivery at 5 000 QoS 1 messages a second over 50 publishers, in ms.
fn latency(peer: &Peer, scale: Scale) -> io::Result<f64> {
    let mut fleet = Fleet::new()?;
    fleet.open(peer.address, 1, "sub", true)?;
    fleet.subscribe(0, &["bench/+/latency".to_owned()], 1)?;
    fleet.open(peer.address, 50, "pub", false)?;
    let topics: Vec<String> = (0..50).map(|n| format!("bench/{n}/latency")).collect();
    let interval = Duration::from_micros(200);
    let total = (scale.latency.as_micros() / interval.as_micros()) as usize;
    let begun = Instant::now();
    let mut sent = 0;
    while sent < total {
        let due = ((begun.elapsed().as_micros() / interval.as_micros()) as usize).min(total);
        while sent < due {
            let mut payload = PAYLOAD;
            payload[..8].copy_from_slice(&fleet.stamp().to_be_bytes());
            let publisher = 1 + sent % 50;
            fleet.publish(publisher, &topics[sent % 50], &payload, 1);
            fleet.flush(publisher)?;
            sent += 1;
        }
        fleet.step(Duration::ZERO)?;
    }
    fleet.run_until(Duration::from_secs(20), "last delivery", |f| f.clients[0].received >= total)?;
    let mut delays = std::mem::take(&mut fleet.clients[0].delays);
    delays.sort_unstable();
    let at = (delays.len() * 999 / 1000).min(delays.len().saturating_sub(1));
    Ok(delays.get(at).copied().unwrap_or(u64::MAX) as f64 / 1e6)
}
