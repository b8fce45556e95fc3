//! [`run`]: many devices on one thread, each with a socket of its own.
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use super::rng::Rng;
use crate::exit::Exit;
use crate::sys;
use crate::tools::ToolError;
use crate::tools::interrupt::{Interrupt, LOOK};

/// Datagrams read from one socket before others have their turn.
const READS_MAX: usize = 64;
/// Deadlines handled before sockets are looked at.
const DEADLINES_MAX: usize = 4096;
/// How long the devices may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(3);
/// Files that the process needs beside the sockets.
const OTHER_FILES: u64 = 64;
/// A datagram that is late comes this much later, at most: long enough for others to pass, shorter than a repetition.
const LATE: Duration = Duration::from_millis(100);
/// Datagrams kept back at a time. Beyond, they come in time.
const LATE_MAX: usize = 100_000;

/// The network and the schedule.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) to: SocketAddr,
    pub(crate) duration: Option<Duration>,
    /// Devices that start in a second.
    pub(crate) rate: f64,
    pub(crate) seed: u64,
    pub(crate) loss: f64,
    pub(crate) duplicate: f64,
    pub(crate) reorder: f64,
    pub(crate) spread: bool,
}

/// What one call of a device wants sent.
pub(crate) type Wire = Vec<Vec<u8>>;

/// A device. `stats` is shared by all of them.
pub(crate) trait Device {
    type Stats;
    fn start(&mut self, now: Instant, wire: &mut Wire, stats: &mut Self::Stats);
    fn handle_datagram(&mut self, now: Instant, bytes: &[u8], wire: &mut Wire, stats: &mut Self::Stats);
    fn handle_timeout(&mut self, now: Instant, wire: &mut Wire, stats: &mut Self::Stats);
    fn next_timeout(&self) -> Option<Instant>;
    /// Say goodbye.
    fn stop(&mut self, now: Instant, wire: &mut Wire, stats: &mut Self::Stats);
    /// Nothing is to be waited for any more.
    fn is_stopped(&self) -> bool;
}

/// What went over the sockets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// Lost, doubled or kept back on purpose.
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) late: u64,
    /// The system would not send, for instance since nobody listens there.
    pub(crate) refused: u64,
    pub(crate) ran: Duration,
}

struct Place<D> {
    device: D,
    socket: UdpSocket,
    started: bool,
    /// The deadline that stands in the heap.
    armed: Option<Instant>,
}

/// A datagram that is kept back. Ordered by when it goes.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Late {
    at: Instant,
    index: usize,
    /// To the device, or from it.
    inward: bool,
    bytes: Vec<u8>,
}

struct Swarm<D> {
    places: Vec<Place<D>>,
    deadlines: BinaryHeap<Reverse<(Instant, usize)>>,
    rng: Rng,
    loss: f64,
    duplicate: f64,
    reorder: f64,
    /// Datagrams kept back, the next to go first.
    late: BinaryHeap<Reverse<Late>>,
    traffic: Traffic,
    wire: Wire,
}

/// Runs the devices until the plan's end or Ctrl-C, lets them say goodbye, and hands them back.
pub(crate) fn run<D: Device>(
    plan: &Plan,
    devices: Vec<D>,
    stats: &mut D::Stats,
    interrupt: &Interrupt,
) -> Result<(Vec<D>, Traffic), ToolError> {
    raise_descriptor_limit(devices.len() as u64)?;
    let failed = |error: &io::Error| {
        ToolError::new(
            Exit::Failure,
            format!("cannot open the devices' sockets: {error}"),
            "a smaller --count",
        )
    };
    let mut poll = Poll::new().map_err(|error| failed(&error))?;
    let begin = Instant::now();
    let mut swarm = Swarm {
        places: Vec::with_capacity(devices.len()),
        deadlines: BinaryHeap::new(),
        rng: Rng::new(plan.seed),
        loss: plan.loss,
        duplicate: plan.duplicate,
        reorder: plan.reorder,
        late: BinaryHeap::new(),
        traffic: Traffic::default(),
        wire: Wire::new(),
    };
    for (index, device) in devices.into_iter().enumerate() {
        let mut socket = open(plan, index).map_err(|error| failed(&error))?;
        poll.registry()
            .register(&mut socket, Token(index), Interest::READABLE)
            .map_err(|error| failed(&error))?;
        let start = begin + Duration::from_secs_f64(index as f64 / plan.rate);
        swarm.deadlines.push(Reverse((start, index)));
        swarm.places.push(Place { device, socket, started: false, armed: Some(start) });
    }
    swarm.live(&mut poll, plan.duration.map(|duration| begin + duration), stats, interrupt)?;
    let now = Instant::now();
    for index in 0..swarm.places.len() {
        swarm.call(index, now, |device, wire| device.stop(now, wire, stats));
    }
    let until = now + GOODBYE;
    while Instant::now() < until
        && swarm.places.iter().any(|place| place.started && !place.device.is_stopped())
    {
        swarm.turn(&mut poll, until, stats)?;
    }
    swarm.traffic.ran = begin.elapsed();
    Ok((swarm.places.into_iter().map(|place| place.device).collect(), swarm.traffic))
}

impl<D: Device> Swarm<D> {
    fn live(
        &mut self,
        poll: &mut Poll,
        end: Option<Instant>,
        stats: &mut D::Stats,
        interrupt: &Interrupt,
    ) -> Result<(), ToolError> {
        loop {
            let now = Instant::now();
            if interrupt.is_set() || end.is_some_and(|end| end <= now) {
                return Ok(());
            }
            self.turn(poll, end.unwrap_or(now + LOOK).min(now + LOOK), stats)?;
        }
    }

    /// Handles what is due, waits no longer than `until`, and reads what has come.
    fn turn(&mut self, poll: &mut Poll, until: Instant, stats: &mut D::Stats) -> Result<(), ToolError> {
        let now = Instant::now();
        for _ in 0..DEADLINES_MAX {
            let Some(&Reverse((at, index))) = self.deadlines.peek() else { break };
            if at > now {
                break;
            }
            self.deadlines.pop();
            let Some(place) = self.places.get_mut(index).filter(|place| place.armed == Some(at)) else {
                continue; // moved meanwhile
            };
            place.armed = None;
            if place.started {
                self.call(index, now, |device, wire| device.handle_timeout(now, wire, stats));
            } else {
                place.started = true;
                self.call(index, now, |device, wire| device.start(now, wire, stats));
            }
        }
        self.let_late_ones_go(now, stats);
        let next = self.deadlines.peek().map_or(until, |Reverse((at, _))| (*at).min(until));
        let next = self.late.peek().map_or(next, |Reverse(late)| late.at.min(next));
        let wait = next.saturating_duration_since(Instant::now());
        let mut events = Events::with_capacity(1024);
        match poll.poll(&mut events, Some(wait)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(ToolError::new(Exit::Failure, format!("cannot wait: {error}"), "")),
        }
        let mut ready: Vec<usize> = events.iter().map(|event| event.token().0).collect();
        // Edge-triggered: each socket is read until it has nothing more, a batch at a time.
        while !ready.is_empty() {
            ready.retain(|&index| self.read(index, stats));
        }
        Ok(())
    }

    /// Reads a batch from one socket. True: there may be more.
    fn read(&mut self, index: usize, stats: &mut D::Stats) -> bool {
        let mut buffer = [0; 2048];
        for _ in 0..READS_MAX {
            let Some(place) = self.places.get(index) else { return false };
            let length = match place.socket.recv(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // ICMP says that nobody listened; the next read has the next datagram.
                Err(_) => {
                    self.traffic.refused += 1;
                    continue;
                }
            };
            let bytes = buffer.get(..length).unwrap_or_default();
            for _ in 0..self.copies() {
                if !self.keep_back(index, true, bytes) {
                    self.deliver(index, bytes, stats);
                }
            }
        }
        true
    }

    fn deliver(&mut self, index: usize, bytes: &[u8], stats: &mut D::Stats) {
        self.traffic.received += 1;
        let now = Instant::now();
        self.call(index, now, |device, wire| device.handle_datagram(now, bytes, wire, stats));
    }

    fn send(&mut self, index: usize, bytes: &[u8]) {
        let Some(place) = self.places.get(index) else { return };
        match place.socket.send(bytes) {
            Ok(_) => self.traffic.sent += 1,
            Err(_) => self.traffic.refused += 1,
        }
    }

    /// Whether this datagram is to be late, and is kept.
    fn keep_back(&mut self, index: usize, inward: bool, bytes: &[u8]) -> bool {
        if self.late.len() >= LATE_MAX || !self.rng.chance(self.reorder) {
            return false;
        }
        self.traffic.late += 1;
        let at = Instant::now() + LATE.mul_f64(self.rng.unit());
        self.late.push(Reverse(Late { at, index, inward, bytes: bytes.to_vec() }));
        true
    }

    fn let_late_ones_go(&mut self, now: Instant, stats: &mut D::Stats) {
        for _ in 0..LATE_MAX {
            if self.late.peek().is_none_or(|Reverse(late)| late.at > now) {
                break;
            }
            let Some(Reverse(late)) = self.late.pop() else { break };
            if late.inward {
                self.deliver(late.index, &late.bytes, stats);
            } else {
                self.send(late.index, &late.bytes);
            }
        }
    }

    /// Calls a device, sends what it wants sent and sets its deadline.
    fn call(&mut self, index: usize, _now: Instant, act: impl FnOnce(&mut D, &mut Wire)) {
        let Some(place) = self.places.get_mut(index).filter(|place| place.started) else { return };
        let mut wire = std::mem::take(&mut self.wire);
        act(&mut place.device, &mut wire);
        let next = place.device.next_timeout();
        if let Some(at) = next.filter(|at| place.armed.is_none_or(|armed| *at < armed)) {
            place.armed = Some(at);
            self.deadlines.push(Reverse((at, index)));
        }
        for bytes in wire.drain(..) {
            for _ in 0..self.copies() {
                if !self.keep_back(index, false, &bytes) {
                    self.send(index, &bytes);
                }
            }
        }
        self.wire = wire;
    }

    /// How often a datagram arrives: not, once, or twice.
    fn copies(&mut self) -> usize {
        if self.rng.chance(self.loss) {
            self.traffic.lost += 1;
            return 0;
        }
        if self.rng.chance(self.duplicate) {
            self.traffic.doubled += 1;
            return 2;
        }
        1
    }
}

fn open(plan: &Plan, index: usize) -> io::Result<UdpSocket> {
    let local: IpAddr = match plan.to {
        SocketAddr::V4(_) if plan.spread => {
            // 127.1.0.1 and on: each a loopback address, none of them 127.0.0.1.
            let number = u32::try_from(index).unwrap_or(u32::MAX) + 1;
            Ipv4Addr::from(0x7f01_0000 + number).into()
        }
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(local, 0))?;
    socket.connect(plan.to)?;
    Ok(socket)
}

/// Every device is a file descriptor.
fn raise_descriptor_limit(count: u64) -> Result<(), ToolError> {
    let Some((soft, hard)) = sys::descriptor_limit() else { return Ok(()) };
    let wanted = count + OTHER_FILES;
    if soft >= wanted || sys::set_descriptor_limit(wanted.min(hard), hard) >= wanted {
        return Ok(());
    }
    Err(ToolError::usage(
        format!("{count} devices need {wanted} open files, and this process may have {hard}"),
        format!("ulimit -n {wanted}, or several simulators"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says its number until it hears it.
    struct Echo {
        number: u8,
        heard: bool,
        again: Option<Instant>,
        stopped: bool,
    }

    impl Device for Echo {
        type Stats = u32;

        fn start(&mut self, now: Instant, wire: &mut Wire, stats: &mut u32) {
            self.handle_timeout(now, wire, stats);
        }

        fn handle_datagram(&mut self, _: Instant, bytes: &[u8], _: &mut Wire, stats: &mut u32) {
            assert_eq!(bytes, [self.number]);
            self.heard = true;
            self.again = None;
            *stats += 1;
        }

        fn handle_timeout(&mut self, now: Instant, wire: &mut Wire, _: &mut u32) {
            wire.push(vec![self.number]);
            self.again = Some(now + Duration::from_millis(5));
        }

        fn next_timeout(&self) -> Option<Instant> {
            self.again.filter(|_| !self.heard)
        }

        fn stop(&mut self, _: Instant, _: &mut Wire, _: &mut u32) {
            self.stopped = true;
        }

        fn is_stopped(&self) -> bool {
            self.stopped
        }
    }

    #[test]
    fn every_device_is_heard_in_spite_of_loss_copies_and_delay() {
        let server = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        server.set_read_timeout(Some(Duration::from_millis(20))).expect("a time-out");
        let to = server.local_addr().expect("an address");
        let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let until = done.clone();
        let echo = std::thread::spawn(move || {
            let mut buffer = [0; 16];
            let mut addresses = std::collections::HashSet::new();
            while !until.load(std::sync::atomic::Ordering::Relaxed) {
                if let Ok((length, from)) = server.recv_from(&mut buffer) {
                    addresses.insert(from.ip());
                    server.send_to(&buffer[..length], from).expect("sent");
                }
            }
            addresses.len()
        });
        let plan = Plan {
            to,
            duration: Some(Duration::from_millis(600)),
            rate: 1_000.0,
            seed: 7,
            loss: 0.3,
            duplicate: 0.2,
            reorder: 0.2,
            spread: true,
        };
        let devices =
            (0..20).map(|number| Echo { number, heard: false, again: None, stopped: false }).collect();
        let mut answers = 0;
        let (devices, traffic) = run(&plan, devices, &mut answers, &Interrupt::default()).expect("a run");
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(devices.iter().all(|device| device.heard && device.stopped));
        assert_eq!(u64::from(answers), traffic.received);
        assert!(
            traffic.lost > 0 && traffic.doubled > 0 && traffic.late > 0 && traffic.sent >= 20,
            "{traffic:?}"
        );
        assert_eq!(echo.join().expect("no panic"), 20, "an address each");
    }
}
