//! A gateway process for a test, and the bytes of a client.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longer than anything takes on a busy machine; a test that needs it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running gateway; killed when dropped.
pub(crate) struct Gateway {
    pub(crate) child: Child,
    log: Receiver<String>,
    pub(crate) mqtt: SocketAddr,
    pub(crate) sn: SocketAddr,
    pub(crate) lwm2m: SocketAddr,
}

impl Gateway {
    /// Starts one on free ports with these settings.
    pub(crate) fn start(settings: &[&str]) -> Gateway {
        Gateway::start_with(Command::new(env!("CARGO_BIN_EXE_turnstone")), settings)
    }

    /// As [`Gateway::start`], where at most this many files may be open.
    pub(crate) fn start_with_files(files: u32, settings: &[&str]) -> Gateway {
        let mut command = Command::new("sh");
        let script = format!("ulimit -n {files}; exec \"$0\" \"$@\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_turnstone")]);
        Gateway::start_with(command, settings)
    }

    /// Starts what `command` says.
    pub(crate) fn start_with(command: Command, settings: &[&str]) -> Gateway {
        let (mqtt, sn, lwm2m) = (free_tcp_port(), free_udp_port(), free_udp_port());
        let mut command = command;
        command.env_clear().args(["--log-level", "info"]);
        for setting in [
            format!("mqtt.port={mqtt}"),
            format!("mqtt.sn.port={sn}"),
            format!("lwm2m.port={lwm2m}"),
            "mqtt.bind=127.0.0.1".to_owned(),
            "mqtt.sn.bind=127.0.0.1".to_owned(),
            "lwm2m.bind=127.0.0.1".to_owned(),
        ] {
            command.args(["--set", &setting]);
        }
        for setting in settings {
            command.args(["--set", setting]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stderr = child.stderr.take().expect("piped");
        let (sender, log) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let gateway = Gateway { child, log, mqtt: local(mqtt), sn: local(sn), lwm2m: local(lwm2m) };
        gateway.wait_for("checks no passwords");
        gateway
    }

    /// Waits for a line of the log.
    pub(crate) fn wait_for(&self, part: &str) -> String {
        let until = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        while let Ok(line) = self.log.recv_timeout(until.saturating_duration_since(Instant::now())) {
            if line.contains(part) {
                return line;
            }
            seen.push(line);
        }
        panic!("no line with {part:?} in the log: {seen:#?}");
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let (sender, done) = channel();
        let pid = self.child.id();
        std::thread::spawn(move || {
            if done.recv_timeout(PATIENCE).is_err() {
                // Ends the wait below, and the test with it.
                let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
            }
        });
        let status = self.child.wait().expect("it can be waited for");
        let _ = sender.send(());
        status
    }

    /// CPU time that it has used, all threads.
    pub(crate) fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        let nanos = tasks.flatten().filter_map(|task| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanos.sum())
    }

    /// Resident memory, bytes.
    pub(crate) fn rss(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// How many files it has open.
    pub(crate) fn files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it runs").count()
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.mqtt)
    }

    /// A client that has its CONNACK.
    pub(crate) fn client(&self, id: &str) -> Client {
        let mut client = self.connect();
        client.send(&connect_packet(id, 60));
        client.expect(b"\x20\x02\x00\x00");
        client
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_tcp_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    listener.local_addr().expect("bound").port()
}

fn free_udp_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    socket.local_addr().expect("bound").port()
}

/// A clean CONNECT.
pub(crate) fn connect_packet(id: &str, keep_alive: u8) -> Vec<u8> {
    let length = u8::try_from(id.len()).expect("a short id");
    let mut packet = vec![0x10, 12 + length];
    packet.extend_from_slice(b"\x00\x04MQTT\x04\x02\x00");
    packet.extend_from_slice(&[keep_alive, 0, length]);
    packet.extend_from_slice(id.as_bytes());
    packet
}

/// A SUBSCRIBE with packet id 1.
pub(crate) fn subscribe_packet(filter: &str, qos: u8) -> Vec<u8> {
    let length = u8::try_from(filter.len()).expect("a short filter");
    let mut packet = vec![0x82, 5 + length, 0, 1, 0, length];
    packet.extend_from_slice(filter.as_bytes());
    packet.push(qos);
    packet
}

/// A PUBLISH at QoS 0.
pub(crate) fn publish_packet(topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut remaining = 2 + topic.len() + payload.len();
    let mut packet = vec![0x30];
    loop {
        let byte = (remaining % 128) as u8;
        remaining /= 128;
        packet.push(if remaining > 0 { byte | 0x80 } else { byte });
        if remaining == 0 {
            break;
        }
    }
    packet.extend_from_slice(&[0, u8::try_from(topic.len()).expect("a short topic")]);
    packet.extend_from_slice(topic.as_bytes());
    packet.extend_from_slice(payload);
    packet
}

/// A client that speaks in bytes.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        Client { stream }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("it reads");
    }

    /// Reads as many bytes as these and compares.
    #[track_caller]
    pub(crate) fn expect(&mut self, bytes: &[u8]) {
        let mut got = vec![0; bytes.len()];
        self.stream
            .read_exact(&mut got)
            .unwrap_or_else(|error| panic!("{:02x?} did not come: {error}", head(bytes)));
        assert!(got == bytes, "got {:02x?}, not {:02x?}", head(&got), head(bytes));
    }

    /// Subscribes and waits for the answer.
    #[track_caller]
    pub(crate) fn subscribe(&mut self, filter: &str, qos: u8) {
        self.send(&subscribe_packet(filter, qos));
        self.expect(&[0x90, 3, 0, 1, qos]);
    }

    /// Asserts that it is alive: a PINGREQ is answered, after everything before.
    #[track_caller]
    pub(crate) fn ping(&mut self) {
        self.send(b"\xc0\x00");
        self.expect(b"\xd0\x00");
    }

    /// Reads a CONNACK, or nothing where the connection ends.
    pub(crate) fn until_answer(&mut self) -> Option<[u8; 4]> {
        let mut answer = [0; 4];
        self.stream.read_exact(&mut answer).ok().map(|()| answer)
    }

    /// Sends a PINGREQ into a packet that is not complete: it is part of that packet. Waits until it is with the
    /// gateway.
    pub(crate) fn ping_is_not_answered(&mut self) {
        self.send(b"\xc0\x00");
        self.stream.set_read_timeout(Some(Duration::from_millis(5))).expect("a socket");
        let mut byte = [0];
        assert!(self.stream.read(&mut byte).is_err(), "an answer inside of a packet");
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    }

    /// Reads to the end of the stream, which must come; says what came before it.
    #[track_caller]
    pub(crate) fn until_end(&mut self) -> Vec<u8> {
        let mut got = Vec::new();
        match self.stream.read_to_end(&mut got) {
            Ok(_) => got,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => got,
            Err(error) => panic!("it did not end: {error}"),
        }
    }
}

fn head(bytes: &[u8]) -> &[u8] {
    bytes.get(..64).unwrap_or(bytes)
}
