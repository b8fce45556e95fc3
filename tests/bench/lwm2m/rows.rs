//! What is measured, with its bar, the goal behind it, and its floor in the same run.
use crate::client::Fleet;
use crate::devices::{Devices, Draft};
use crate::floor::Floor;
use crate::process::Process;
use std::io;
use std::time::{Duration, Instant};

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Messages of a row.
    pub(crate) messages: usize,
    /// Endpoints of the memory row.
    pub(crate) endpoints: usize,
}

impl Scale {
    /// For figures to quote.
    pub(crate) const FULL: Scale = Scale { messages: 100_000, endpoints: 20_000 };
    /// For a look.
    pub(crate) const QUICK: Scale = Scale { messages: 20_000, endpoints: 20_000 };
}

/// One row of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    /// At most this.
    pub(crate) bar: Option<f64>,
    /// Better still.
    pub(crate) goal: Option<f64>,
    pub(crate) floor: Option<fn(Scale) -> io::Result<f64>>,
    pub(crate) run: fn(Scale) -> io::Result<f64>,
}

const REGISTER: Row = Row {
    name: "",
    unit: "CPU us/Register",
    bar: Some(26.0),
    goal: Some(8.0),
    floor: Some(|s| echo_floor(s, Devices::register)),
    run: |_| Err(io::Error::other("no row")),
};
const UPDATE: Row = Row {
    unit: "CPU us/Update",
    bar: Some(22.0),
    goal: Some(6.0),
    floor: Some(|s| {
        echo_floor(s, |devices, device| {
            devices.locations[device] = b"0123456789".to_vec();
            devices.at_location(device, 0x02)
        })
    }),
    ..REGISTER
};
const PLAIN: Row = Row { bar: None, goal: None, floor: None, ..REGISTER };

/// All rows.
pub(crate) const ROWS: &[Row] = &[
    Row { name: "register, 100 endpoints", run: |s| register(s, 100), ..REGISTER },
    Row { name: "register, 1 000 endpoints", run: |s| register(s, 1_000), ..REGISTER },
    Row { name: "register, 20 000 endpoints", run: |s| register(s, 20_000), ..REGISTER },
    Row { name: "register again, 20 000 endpoints", run: |s| again(s, 20_000), ..REGISTER },
    Row { name: "update, 100 endpoints", run: |s| update(s, 100), ..UPDATE },
    Row { name: "update, 1 000 endpoints", run: |s| update(s, 1_000), ..UPDATE },
    Row { name: "update, 20 000 endpoints", run: |s| update(s, 20_000), ..UPDATE },
    Row {
        name: "notify to MQTT subscriber",
        unit: "CPU us/notification",
        floor: Some(notify_floor),
        run: notify,
        ..PLAIN
    },
    Row {
        name: "command round trip",
        unit: "CPU us/command",
        floor: Some(|s| Ok(command_floor(s)?.0)),
        run: |s| Ok(command(s, 1)?.0),
        ..PLAIN
    },
    Row {
        name: "command round trip, latency",
        unit: "us, median",
        floor: Some(|s| Ok(command_floor(s)?.1)),
        run: |s| Ok(command(s, 1)?.1),
        ..PLAIN
    },
    Row {
        name: "command, 100 devices at once",
        unit: "CPU us/command",
        run: |s| Ok(command(s, 100)?.0),
        ..PLAIN
    },
    Row {
        name: "worst broken body of 64 KiB",
        unit: "us to decode (hostile L27)",
        bar: Some(1_000.0),
        run: |_| Ok(crate::hostile::nothing_whole().told()),
        ..PLAIN
    },
    Row {
        name: "worst of all, with 4096 values",
        unit: "us to decode",
        run: |_| Ok(crate::hostile::of_all().told()),
        ..PLAIN
    },
    Row { name: "memory of an endpoint, all of it", unit: "RSS bytes", run: memory_all, ..PLAIN },
    Row {
        name: "the same without status messages",
        unit: "RSS bytes",
        run: |s| memory(s, &["lwm2m.topics.status=\"\""]),
        ..PLAIN
    },
    Row {
        name: "replies kept for its repeats",
        unit: "bytes, of our own count",
        run: memory_replies,
        ..PLAIN
    },
    Row { name: "memory of a broker session", unit: "RSS bytes", run: memory_session, ..PLAIN },
    Row {
        name: "start with the shipped xml_dir",
        unit: "ms to first 2.01",
        bar: Some(300.0),
        run: start,
        ..PLAIN
    },
];

/// CPU microseconds of a process for each of so many messages.
fn each(process: &Process, messages: usize, work: impl FnOnce() -> io::Result<()>) -> io::Result<f64> {
    let before = process.cpu_ns()?;
    work()?;
    Ok((process.cpu_ns()? - before) as f64 / 1e3 / messages as f64)
}

fn echo_floor(scale: Scale, request: fn(&mut Devices, usize) -> Vec<u8>) -> io::Result<f64> {
    let process = Process::floor(Floor::Echo)?;
    let mut devices = Devices::new(1_000, process.udp)?;
    let messages = scale.messages / 2;
    each(&process, messages, || devices.ask((0..messages).map(|n| n * 7 % 1_000), request, None).map(|_| ()))
}

/// First Registers, a hundredth to a whole of the endpoints at a time; their ends in between are not counted.
fn register(scale: Scale, endpoints: usize) -> io::Result<f64> {
    let process = Process::gateway(&[])?;
    let batch = endpoints.min(1_000);
    let mut devices = Devices::new(endpoints, process.udp)?;
    devices.register_all(0..endpoints)?; // everything was allocated once
    let (mut spent, mut done) = (0.0, 0);
    let begin = endpoints - batch;
    while done < scale.messages {
        devices.ask(begin..endpoints, |devices, device| devices.at_location(device, 0x04), Some(0x42))?;
        spent += each(&process, 1, || devices.register_all(begin..endpoints).map(|_| ()))?;
        done += batch;
    }
    Ok(spent / done as f64)
}

/// Registers of endpoints that are registered.
fn again(scale: Scale, endpoints: usize) -> io::Result<f64> {
    let process = Process::gateway(&[])?;
    let mut devices = Devices::new(endpoints, process.udp)?;
    devices.register_all(0..endpoints)?;
    let messages = scale.messages;
    each(&process, messages, || {
        devices.ask((0..messages).map(|n| n * 7919 % endpoints), Devices::register, Some(0x41)).map(|_| ())
    })
}

fn update(scale: Scale, endpoints: usize) -> io::Result<f64> {
    let process = Process::gateway(&[])?;
    let mut devices = Devices::new(endpoints, process.udp)?;
    devices.register_all(0..endpoints)?;
    let mut round = |messages: usize| {
        let spread = (0..messages).map(|n| n * 7919 % endpoints);
        devices.ask(spread, |devices, device| devices.at_location(device, 0x02), Some(0x44)).map(|_| ())
    };
    round(scale.messages / 10)?;
    each(&process, scale.messages, || round(scale.messages))
}

/// Observes one resource of each device; their tokens.
fn observe_all(devices: &mut Devices, fleet: &mut Fleet, count: usize) -> io::Result<Vec<Vec<u8>>> {
    let mut tokens = vec![Vec::new(); count];
    for (device, token) in tokens.iter_mut().enumerate() {
        let topic = format!("lwm2m/{}/dn", Devices::name(device));
        fleet.publish(1, &topic, br#"{"reqID":1,"msgType":"observe","data":{"path":"/3303/0/5700"}}"#, 0);
        fleet.flush(1)?;
        let begun = Instant::now();
        let heard = loop {
            match devices.receive()? {
                Some(heard) if heard.code == 0x01 => break heard,
                _ if begun.elapsed() > Duration::from_secs(5) => {
                    return Err(io::Error::other("no GET after an observe command"));
                }
                _ => {}
            }
        };
        let answer =
            Draft::new(2, 0x45, heard.mid, &heard.token).option(6, &[1]).option(12, &[]).payload(b"20.5");
        devices.send(device, &answer)?;
        *token = heard.token;
    }
    let enough = |fleet: &Fleet| fleet.clients[0].received >= count;
    fleet.run_until(Duration::from_secs(10), "answers to observe", enough)?;
    Ok(tokens)
}

fn subscriber(process: &Process, filter: &str) -> io::Result<Fleet> {
    let mut fleet = Fleet::new()?;
    fleet.open(process.tcp, 1, "sub", false)?;
    fleet.subscribe(0, &[filter.to_owned()], 0)?;
    fleet.open(process.tcp, 1, "pub", false)?;
    Ok(fleet)
}

/// NON notifications of a thousand devices to one subscriber.
fn notify(scale: Scale) -> io::Result<f64> {
    const DEVICES: usize = 1_000;
    let process = Process::gateway(&[])?;
    let mut devices = Devices::new(DEVICES, process.udp)?;
    devices.register_all(0..DEVICES)?;
    let mut fleet = subscriber(&process, "lwm2m/+/up/#")?;
    let tokens = observe_all(&mut devices, &mut fleet, DEVICES)?;
    let mut sequence = 1;
    let mut round = |messages: usize| -> io::Result<()> {
        let base = fleet.clients[0].received;
        let mut sent = 0;
        while fleet.clients[0].received < base + messages {
            while sent < messages && sent < fleet.clients[0].received - base + 64 {
                let device = sent % DEVICES;
                sequence += usize::from(device == 0);
                let mid = devices.mid(device);
                let number = (sequence as u32).to_be_bytes();
                let value = format!("{}.25", 20 + sequence % 10);
                let notification = Draft::new(1, 0x45, mid, &tokens[device])
                    .option(6, &number[1..])
                    .option(12, &[])
                    .payload(value.as_bytes());
                devices.send(device, &notification)?;
                sent += 1;
            }
            let before = fleet.clients[0].received;
            let enough = |fleet: &Fleet| fleet.clients[0].received > before;
            fleet.run_until(Duration::from_secs(10), "notification", enough)?;
        }
        Ok(())
    };
    round(scale.messages / 10)?;
    each(&process, scale.messages, || round(scale.messages))
}

fn notify_floor(scale: Scale) -> io::Result<f64> {
    let process = Process::floor(Floor::Forward)?;
    let devices = Devices::new(1, process.udp)?;
    let mut stream = std::net::TcpStream::connect(process.tcp)?;
    let mut buffer = vec![0; 65536];
    let (messages, mut sent, mut got) = (scale.messages, 0, 0);
    each(&process, messages, || {
        while got < messages * 183 {
            while sent < messages && sent < got / 183 + 64 {
                devices.send(0, &[0x55; 24])?;
                sent += 1;
            }
            got += io::Read::read(&mut stream, &mut buffer)?;
        }
        Ok(())
    })
}

/// Reads of one resource: CPU microseconds, and the median from publish to answer when one runs at a time.
fn command(scale: Scale, at_once: usize) -> io::Result<(f64, f64)> {
    let process = Process::gateway(&[])?;
    let mut devices = Devices::new(at_once, process.udp)?;
    devices.register_all(0..at_once)?;
    let mut fleet = subscriber(&process, "lwm2m/+/response")?;
    let mut times = Vec::new();
    let mut round = |rounds: usize| -> io::Result<()> {
        for _ in 0..rounds {
            let begun = Instant::now();
            let wanted = fleet.clients[0].received + at_once;
            for device in 0..at_once {
                let topic = format!("lwm2m/{}/command", Devices::name(device));
                fleet.publish(1, &topic, br#"{"CmdID":1,"Command":"Read","BaseName":"/3303/0/5700"}"#, 0);
            }
            fleet.flush(1)?;
            let mut answered = 0;
            while answered < at_once {
                let Some(heard) = devices.receive()? else {
                    return Err(io::Error::other("no request after a command"));
                };
                let answer = Draft::new(2, 0x45, heard.mid, &heard.token).option(12, &[]).payload(b"20.5");
                devices.send(heard.device, &answer)?;
                answered += 1;
            }
            fleet.run_until(Duration::from_secs(10), "answer", |f| f.clients[0].received >= wanted)?;
            times.push(begun.elapsed());
        }
        Ok(())
    };
    let rounds = scale.messages / 5 / at_once;
    round(rounds / 10)?;
    let cpu = each(&process, rounds * at_once, || round(rounds))?;
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    Ok((cpu, median.as_secs_f64() * 1e6))
}

fn command_floor(scale: Scale) -> io::Result<(f64, f64)> {
    let process = Process::floor(Floor::RoundTrip)?;
    let mut devices = Devices::new(1, process.udp)?;
    let mut stream = std::net::TcpStream::connect(process.tcp)?;
    stream.set_nodelay(true)?;
    devices.send(0, &[0x50, 0, 0, 1])?;
    let (rounds, mut times, mut buffer) = (scale.messages / 5, Vec::new(), [0; 4096]);
    let cpu = each(&process, rounds, || {
        for _ in 0..rounds {
            let begun = Instant::now();
            // Looks like an Empty message to whoever parses it.
            io::Write::write_all(&mut stream, &[0x50, 0, 0, 1])?;
            while devices.receive()?.is_none() {}
            devices.send(0, &[0x50; 16])?;
            let mut got = 0;
            while got < 183 {
                got += io::Read::read(&mut stream, &mut buffer)?;
            }
            times.push(begun.elapsed());
        }
        Ok(())
    })?;
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    Ok((cpu, median.as_secs_f64() * 1e6))
}

/// From the start of the process to its first registered device.
fn start(_: Scale) -> io::Result<f64> {
    let begun = Instant::now();
    let process = Process::gateway_at_once(&[])?;
    let mut devices = Devices::new(1, process.udp)?;
    devices.set_patience(Duration::from_millis(2))?;
    loop {
        // Again and again: the first datagrams may come before the port is open.
        let request = devices.register(0);
        devices.send(0, &request)?;
        match devices.receive()? {
            Some(heard) if heard.code == 0x41 => return Ok(begun.elapsed().as_secs_f64() * 1e3),
            _ if begun.elapsed() > Duration::from_secs(10) => {
                return Err(io::Error::other("no device was registered"));
            }
            _ => {}
        }
    }
}

/// What a registered meter adds, with its session, its memo, its retained status and the replies kept for repeats.
fn memory_all(scale: Scale) -> io::Result<f64> {
    memory(scale, &[])
}

fn memory(scale: Scale, settings: &[&str]) -> io::Result<f64> {
    let process = Process::gateway(settings)?;
    let mut devices = Devices::new(scale.endpoints + 100, process.udp)?;
    devices.register_all(scale.endpoints..scale.endpoints + 100)?;
    let before = process.rss()?;
    devices.register_all(0..scale.endpoints)?;
    std::thread::sleep(Duration::from_millis(500));
    Ok(process.rss()?.saturating_sub(before) as f64 / scale.endpoints as f64)
}

/// Of that, what is kept for repeated messages, by the CoAP endpoint's own count. It goes after 247 s.
fn memory_replies(scale: Scale) -> io::Result<f64> {
    const NAME: &str = "$SYS/gateway/lwm2m/coap/remembered_bytes";
    let process = Process::gateway(&["sys.interval=1s"])?;
    let mut devices = Devices::new(scale.endpoints, process.udp)?;
    devices.register_all(0..scale.endpoints)?;
    std::thread::sleep(Duration::from_millis(2_500));
    let mut stream = std::net::TcpStream::connect(process.tcp)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut packets = vec![0x10, 13, 0, 4];
    packets.extend_from_slice(b"MQTT\x04\x02\0\0\0\x01r");
    packets.extend_from_slice(&[0x82, NAME.len() as u8 + 5, 0, 1, 0, NAME.len() as u8]);
    packets.extend_from_slice(NAME.as_bytes());
    packets.push(0);
    io::Write::write_all(&mut stream, &packets)?;
    let (mut got, mut buffer) = (Vec::new(), [0; 4096]);
    for _ in 0..100 {
        let text = String::from_utf8_lossy(&got);
        let value = text
            .split(NAME)
            .nth(1)
            .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
        if let Some(bytes) = value.and_then(|digits| digits.parse::<f64>().ok()) {
            return Ok(bytes / scale.endpoints as f64);
        }
        let length = io::Read::read(&mut stream, &mut buffer)?;
        got.extend_from_slice(&buffer[..length]);
    }
    Err(io::Error::other("no such topic"))
}

/// What a session of a client that has gone adds, without subscriptions and messages.
fn memory_session(scale: Scale) -> io::Result<f64> {
    let process = Process::gateway(&[])?;
    let visit = |name: &str| -> io::Result<()> {
        let mut stream = std::net::TcpStream::connect(process.tcp)?;
        let mut packet = vec![0x10, 12 + name.len() as u8, 0, 4];
        packet.extend_from_slice(b"MQTT");
        packet.extend_from_slice(&[4, 0, 0, 0, 0, name.len() as u8]);
        packet.extend_from_slice(name.as_bytes());
        io::Write::write_all(&mut stream, &packet)?;
        io::Read::read_exact(&mut stream, &mut [0; 4])?;
        io::Write::write_all(&mut stream, &[0xe0, 0])
    };
    (0..100).try_for_each(|n| visit(&format!("before-{n:07}")))?;
    let before = process.rss()?;
    (0..scale.endpoints).try_for_each(|n| visit(&Devices::name(n)))?;
    std::thread::sleep(Duration::from_millis(500));
    Ok(process.rss()?.saturating_sub(before) as f64 / scale.endpoints as f64)
}
