//! Plays the rows of a file against a server and judges what happens.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::generate::chunks;
use super::link::{Link, PATIENCE};
use super::rows::{File, Proto, Row, Step};
use super::server::Server;
use turnstone_tests::notation::{fill, framed, hex, matches, parse};

/// How long another client may wait for its own message while a row is on.
const BYSTANDER_LIMIT: Duration = Duration::from_secs(3);

/// Plays every row against a server, which it ends; returns what failed, one text each.
pub(crate) fn play(file: &File, server: Server) -> Result<Vec<String>, String> {
    let mut bystander = Bystander::connect(&server)?;
    let mut failures = Vec::new();
    for row in file.row.iter().flat_map(Row::variants) {
        if server.is_peer() && row.differs.iter().any(|peer| peer == "mosquitto") {
            continue;
        }
        let start = Instant::now();
        let result =
            (0..row.repeat).try_for_each(|_| Stage::new(&server, file.proto, &row).play(&mut bystander));
        if start.elapsed() > Duration::from_secs(5) {
            println!("{} took {:?}", row.id, start.elapsed());
        }
        if let Err(error) = result {
            failures.push(format!("{}, {}: {error}", row.id, row.title));
            if failures.len() > 20 {
                break;
            }
            bystander = Bystander::connect(&server).map_err(|error| {
                format!("{}\nthe server is lost: {error}\n{}", failures.join("\n"), server.log())
            })?;
        }
    }
    drop(bystander);
    if let Err(error) = server.stop() {
        failures.push(error);
    }
    Ok(failures)
}

/// A client that does nothing wrong, and must never notice a row.
struct Bystander(Link);

impl Bystander {
    fn connect(server: &Server) -> Result<Self, String> {
        let mut link = Link::open(Proto::Mqtt, server.address(Proto::Mqtt))?;
        link.send(&fill(&parse("@connect(bystander) @sub(1,bystander/#,0)")?, &[])?)?;
        link.recv(&parse("@connack @suback(1,0)")?)?;
        let mut bystander = Self(link);
        bystander.check()?; // the first exchange also warms the server up
        Ok(bystander)
    }

    /// Its own message comes back in time.
    fn check(&mut self) -> Result<(), String> {
        let start = Instant::now();
        let message = framed(0x30, b"\0\x0Bbystander/tstill here");
        self.0.send(&message)?;
        self.0.recv(&parse("@pub(bystander/t,still here)")?).map_err(|e| format!("another client: {e}"))?;
        if start.elapsed() > BYSTANDER_LIMIT {
            return Err(format!("another client waited {:?} for its message", start.elapsed()));
        }
        Ok(())
    }
}

/// One row being played.
struct Stage<'a> {
    server: &'a Server,
    proto: Proto,
    row: &'a Row,
    links: HashMap<(String, usize), Link>,
    /// Where the row looks at the server's own numbers.
    numbers: Option<Numbers>,
}

impl<'a> Stage<'a> {
    fn new(server: &'a Server, proto: Proto, row: &'a Row) -> Self {
        Self { server, proto, row, links: HashMap::new(), numbers: None }
    }

    fn play(mut self, bystander: &mut Bystander) -> Result<(), String> {
        if self.row.steps.iter().any(|step| step.counter.is_some()) {
            self.numbers = Some(Numbers::at_start(self.server, self.proto)?);
        }
        let fds = self.server.fds();
        let before = self.server.rss_kib();
        for (number, step) in self.row.steps.iter().enumerate() {
            let sockets = if step.is_shared() { 1 } else { self.row.sockets };
            let start = Instant::now();
            for socket in 0..sockets {
                self.step(step, socket)
                    .map_err(|error| format!("step {}, socket {socket}: {error}", number + 1))?;
            }
            in_time(step, start.elapsed()).map_err(|error| format!("step {}: {error}", number + 1))?;
        }
        bystander.check()?;
        if let (Some(before), Some(after)) = (before, self.server.rss_kib())
            && after.saturating_sub(before) > self.row.rss_kib
        {
            return Err(format!(
                "memory grew from {before} to {after} KiB, {} KiB are allowed",
                self.row.rss_kib
            ));
        }
        self.links.clear();
        fds.map_or(Ok(()), |base| self.server.wait_for_fds(base))
    }

    fn link(&mut self, step: &Step, socket: usize) -> Result<&mut Link, String> {
        let name = step.connection();
        let proto = if name.starts_with("MQTT") { Proto::Mqtt } else { self.proto };
        let key = (name.to_owned(), socket);
        if !self.links.contains_key(&key) {
            let from = name.split_once('@').map_or(Ok(Ipv4Addr::LOCALHOST), |(_, from)| from.parse());
            let from = from.map_err(|_| format!("{name}: no address behind the @"))?;
            let link = Link::open_at(proto, self.server.address(proto), from)?;
            self.links.insert(key.clone(), link);
        }
        self.links.get_mut(&key).ok_or_else(|| "the connection was just opened".into())
    }

    fn step(&mut self, step: &Step, socket: usize) -> Result<(), String> {
        if step.reset.is_some() {
            let key = (step.connection().to_owned(), socket);
            return self.links.remove(&key).map_or(Ok(()), Link::reset);
        }
        if let Some(name) = &step.counter {
            let numbers = self.numbers.as_mut().ok_or("the row does not look at numbers")?;
            return numbers.judge(name, step.at_least.unwrap_or(0), step.at_most.unwrap_or(u64::MAX));
        }
        let captured = match &step.captured {
            None => None,
            Some(name) => {
                let other = self.links.get(&(name.clone(), socket));
                Some(other.ok_or_else(|| format!("no connection {name} has captured"))?.captured.clone())
            }
        };
        let link = self.link(step, socket)?;
        if step.collect.is_some() {
            return collect(link, step);
        }
        if step.send.is_some() {
            return send(link, step, captured);
        }
        if let Some(name) = &step.generate {
            for (number, chunk) in chunks(name, step.times.unwrap_or(1))?.iter().enumerate() {
                if !link.send(chunk)? {
                    break;
                }
                // Datagrams have nothing to slow them down: the kernel would drop them before the server sees them.
                if link.is_udp() && number % 32 == 31 {
                    link.settle()?;
                }
                link.drain()?;
            }
            if link.is_udp() {
                link.settle()?;
            }
            return Ok(());
        }
        if let Some(text) = &step.recv {
            return link.recv(&parse(text)?).map_err(|error| format!("{error}, wanted {text}"));
        }
        if let Some(texts) = &step.closed {
            let found = link.until_closed()?;
            return one_of(texts, &found).map_err(|error| format!("before the end {error}"));
        }
        if let Some(texts) = &step.either {
            return either(link, texts);
        }
        if step.quiet.is_some() {
            return link.expect_quiet();
        }
        let answered = link.settle()?;
        if !answered && step.survive.is_none() {
            return Err("the connection was closed".into());
        }
        Ok(())
    }
}

fn collect(link: &mut Link, step: &Step) -> Result<(), String> {
    let found = link.collect(step.datagrams.map_or(0, |(least, _)| least))?;
    let bytes: usize = found.iter().map(Vec::len).sum();
    let shown = || found.iter().take(4).map(|datagram| hex(datagram)).collect::<Vec<_>>().join(", ");
    if let Some((least, most)) = step.datagrams
        && !(least..=most).contains(&found.len())
    {
        return Err(format!("{} datagrams came, wanted {least} to {most}: {}", found.len(), shown()));
    }
    if step.bytes_max.is_some_and(|most| bytes > most) {
        return Err(format!("{bytes} bytes came: {}", shown()));
    }
    Ok(())
}

/// The server's own numbers, below `$SYS`. It publishes what has changed at intervals.
struct Numbers {
    link: Link,
    seen: HashMap<String, u64>,
    base: HashMap<String, u64>,
}

impl Numbers {
    /// The numbers as they are now, with all that happened before this row counted.
    fn at_start(server: &Server, proto: Proto) -> Result<Self, String> {
        let mut link = Link::open(Proto::Mqtt, server.address(Proto::Mqtt))?;
        link.send(&fill(&parse("@connect(numbers) @sub(1,$SYS/#,0)")?, &[])?)?;
        link.recv(&parse("@connack @suback(1,0)")?)?;
        let mut numbers = Self { link, seen: HashMap::new(), base: HashMap::new() };
        numbers.read_for(Duration::from_millis(200))?;
        // A datagram of our own is counted in the next interval, and everything before it too.
        let all = "gateway/udp/datagrams/received";
        let before = numbers.seen.get(all).copied();
        let mut probe = Link::open(proto, server.address(proto))?;
        probe.expect_quiet()?;
        let end = Instant::now() + PATIENCE;
        while numbers.seen.get(all).copied() == before {
            if Instant::now() > end {
                return Err("the server publishes no numbers: `sys.interval`?".into());
            }
            numbers.read_for(Duration::from_millis(200))?;
        }
        numbers.read_for(Duration::from_millis(200))?;
        numbers.base = numbers.seen.clone();
        Ok(numbers)
    }

    /// Reads until nothing has come for `pause`.
    fn read_for(&mut self, pause: Duration) -> Result<(), String> {
        while let Some(packet) = self.link.packet(pause)? {
            let body = packet.iter().skip_while(|byte| **byte != 0).copied().collect::<Vec<_>>(); // topics are short
            let [_, length, text @ ..] = body.as_slice() else { continue };
            let (topic, value) = text.split_at(usize::from(*length).min(text.len()));
            let topic = String::from_utf8_lossy(topic);
            if let (Some(name), Ok(value)) =
                (topic.strip_prefix("$SYS/"), String::from_utf8_lossy(value).parse())
            {
                self.seen.insert(name.to_owned(), value);
            }
        }
        Ok(())
    }

    fn judge(&mut self, name: &str, least: u64, most: u64) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        loop {
            let now = *self.seen.get(name).ok_or_else(|| format!("no number {name}"))?;
            let grown = now - self.base.get(name).copied().unwrap_or(0);
            if (least..=most).contains(&grown) {
                return Ok(());
            }
            if Instant::now() > end || grown > most {
                return Err(format!("{name} grew by {grown}, wanted {least} to {most}"));
            }
            self.read_for(Duration::from_millis(200))?;
        }
    }
}

fn send(link: &mut Link, step: &Step, captured: Option<Vec<u8>>) -> Result<(), String> {
    let captured = captured.unwrap_or_else(|| link.captured.clone());
    for text in step.sends()? {
        let bytes = fill(&parse(&text)?, &captured)?;
        let times = step.times.unwrap_or(1);
        for _ in 0..times * step.burst.unwrap_or(1) {
            if !link.send(&bytes)? {
                return Ok(()); // closed: the next step says whether that was right
            }
            if times > 1 {
                link.drain()?;
            }
        }
    }
    Ok(())
}

fn either(link: &mut Link, texts: &[String]) -> Result<(), String> {
    let mut patterns = Vec::new();
    for text in texts.iter().filter(|text| *text != "close") {
        patterns.push(parse(text)?);
    }
    let found = link.next(&patterns)?;
    if patterns.iter().any(|pattern| matches(pattern, &found).is_some()) {
        return Ok(());
    }
    if found.is_empty() && link.is_ended() && texts.iter().any(|text| text == "close") {
        return Ok(());
    }
    Err(format!("received {}, wanted one of {texts:?}", hex(&found)))
}

fn one_of(texts: &[String], found: &[u8]) -> Result<(), String> {
    for text in texts {
        if matches(&parse(text)?, found).is_some() {
            return Ok(());
        }
    }
    Err(format!("received {}, wanted one of {texts:?}", hex(found)))
}

fn in_time(step: &Step, took: Duration) -> Result<(), String> {
    if step.within_ms.is_some_and(|limit| took > Duration::from_millis(limit)) {
        return Err(format!("took {took:?}"));
    }
    if step.not_before_ms.is_some_and(|limit| took < Duration::from_millis(limit)) {
        return Err(format!("was over after {took:?}"));
    }
    Ok(())
}
