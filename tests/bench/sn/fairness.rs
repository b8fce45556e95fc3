//! What a flood from one device does to the others.
use super::crowd::Line;
use super::datagrams;
use super::devices::{Devices, percentile};
use super::peer::Peer;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Datagrams that the flooding device sends with one system call.
const BURST: usize = 64;
/// Requests of well-behaved devices, one every few milliseconds.
const INTERVAL: Duration = Duration::from_millis(5);
/// A request that is not answered within this counts as lost.
const LOST: Duration = Duration::from_millis(500);

/// PINGREQ and CONNECT of one device while another one sends as fast as it can, for `length`.
pub(crate) fn fairness(peer: &Peer, length: Duration, line: Line<'_>) -> io::Result<()> {
    ask(peer, length, line, "alone")?;
    let port = peer.sn.port();
    let drops = datagrams::kernel_drops(port)?;
    let over = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicUsize::new(0));
    let flood = std::thread::spawn({
        let (over, sent, gateway) = (Arc::clone(&over), Arc::clone(&sent), peer.sn);
        move || flood(gateway, &over, &sent)
    });
    std::thread::sleep(Duration::from_millis(200));
    let begun = Instant::now();
    let before = sent.load(Ordering::Relaxed);
    let asked = ask(peer, length, line, "beside a flood");
    let rate = (sent.load(Ordering::Relaxed) - before) as f64 / begun.elapsed().as_secs_f64();
    over.store(true, Ordering::Relaxed);
    flood.join().map_err(|_| io::Error::other("the flood failed"))??;
    asked?;
    line("the flood", rate / 1e3, "thousand datagrams/s", None);
    line("datagrams dropped by the kernel", (datagrams::kernel_drops(port)? - drops) as f64, "", None);
    Ok(())
}

/// One connected device publishes QoS 0 without pause.
fn flood(gateway: std::net::SocketAddr, over: &AtomicBool, sent: &AtomicUsize) -> io::Result<()> {
    // Where processors are few, what is measured would else be how long the asking thread waits for one.
    // SAFETY: a plain system call, which on Linux concerns this thread only.
    unsafe { libc::nice(10) };
    let mut sn = Devices::new(gateway, 1)?;
    sn.connect(0, "flood");
    sn.flush()?;
    sn.run_until(Duration::from_secs(5), "CONNACK", |sn| sn.heard.connacks >= 1)?;
    sn.register(0, "flood/topic");
    sn.flush()?;
    sn.run_until(Duration::from_secs(5), "REGACK", |sn| sn.heard.regacks >= 1)?;
    while !over.load(Ordering::Relaxed) {
        for _ in 0..BURST {
            sn.publish(0, &[0; 32], 0);
        }
        sn.flush()?;
        sent.fetch_add(BURST, Ordering::Relaxed);
    }
    Ok(())
}

/// One PINGREQ after the other, and a CONNECT every tenth time.
fn ask(peer: &Peer, length: Duration, line: Line<'_>, name: &str) -> io::Result<()> {
    const ASKING: usize = 900;
    let mut sn = Devices::new(peer.sn, ASKING)?;
    sn.connect(0, "asks");
    sn.flush()?;
    sn.run_until(Duration::from_secs(5), "CONNACK", |sn| sn.heard.connacks >= 1)?;
    sn.delays.clear();
    let (mut pings, mut connects) = (Vec::new(), Vec::new());
    let mut lost = 0;
    let begun = Instant::now();
    for turn in 0.. {
        if begun.elapsed() >= length {
            break;
        }
        let newcomer = 1 + turn / 10;
        let connecting = turn % 10 == 9 && newcomer < ASKING;
        match connecting {
            true => sn.connect(newcomer, &format!("asks-{newcomer}")),
            false => sn.ping(0, ""),
        }
        sn.flush()?;
        let answered = sn.run_until(LOST, "answer", |sn| !sn.delays.is_empty());
        lost += usize::from(answered.is_err());
        if connecting { &mut connects } else { &mut pings }.append(&mut sn.delays);
        std::thread::sleep(INTERVAL);
    }
    for (what, delays) in [("PINGREQ", &mut pings), ("CONNECT", &mut connects)] {
        for (part, text) in [(0.5, "p50"), (0.99, "p99"), (0.999, "p999")] {
            line(&format!("{what} {name} {text}"), percentile(delays, part), "ms", None);
        }
    }
    line(&format!("requests {name} without an answer"), lost as f64, "", None);
    Ok(())
}
