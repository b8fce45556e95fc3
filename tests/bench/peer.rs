//! A broker under measurement: started on a free port, stopped when dropped.
use std::fs;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Ours.
    Turnstone,
    /// Debian's mosquitto.
    Mosquitto,
}

/// A running broker.
pub(crate) struct Peer {
    child: Child,
    scratch: Option<PathBuf>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Where it listens for MQTT-SN, if it does.
    pub(crate) sn: SocketAddr,
    /// From spawn to the first accepted connection.
    pub(crate) start: Duration,
}

impl Peer {
    /// Starts one on a free loopback port.
    pub(crate) fn start(kind: Kind) -> io::Result<Peer> {
        let (port, sn_port) = (free_port()?, free_udp_port()?);
        let mut scratch = None;
        let command = match kind {
            Kind::Turnstone => turnstone(port, sn_port)?,
            Kind::Mosquitto => {
                let file =
                    std::env::temp_dir().join(format!("bench-mosquitto-{}-{port}.conf", std::process::id()));
                let mut conf = fs::File::create(&file)?;
                writeln!(
                    conf,
                    "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_connections -1"
                )?;
                let mut command = Command::new(mosquitto_path());
                command.arg("-c").arg(&file);
                scratch = Some(file);
                command
            }
        };
        Peer::spawn(command, port, sn_port, scratch)
    }

    /// Starts `command`, which will listen on these ports, and waits until it does. `scratch` is removed at the end.
    pub(crate) fn spawn(
        mut command: Command,
        port: u16,
        sn_port: u16,
        scratch: Option<PathBuf>,
    ) -> io::Result<Peer> {
        let [address, sn] = [port, sn_port].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let begun = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut peer = Peer { child, scratch, address, sn, start: Duration::ZERO };
        while begun.elapsed() < Duration::from_secs(10) {
            if TcpStream::connect(address).is_ok() {
                peer.start = begun.elapsed();
                return Ok(peer);
            }
            if let Some(status) = peer.child.try_wait()? {
                return Err(io::Error::other(format!("ended at once: {status}")));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(io::Error::other("does not listen"))
    }

    /// CPU time of all its threads so far, nanoseconds.
    pub(crate) fn cpu_ns(&self) -> io::Result<u64> {
        let mut total = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            total += text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(total)
    }

    /// Resident memory, bytes.
    pub(crate) fn rss(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
        kib.map(|k| k * 1024).ok_or_else(|| io::Error::other("no VmRSS"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(file) = &self.scratch {
            let _ = fs::remove_file(file);
        }
    }
}

fn turnstone(port: u16, sn_port: u16) -> io::Result<Command> {
    let program = match std::env::var_os("TURNSTONE_BIN") {
        Some(path) => PathBuf::from(path),
        None => release_binary()?,
    };
    let mut command = Command::new(program);
    for setting in [
        format!("mqtt.port={port}"),
        "mqtt.bind=[\"127.0.0.1\"]".into(),
        format!("mqtt.sn.port={sn_port}"),
        format!("lwm2m.port={}", free_udp_port()?),
    ] {
        command.arg("--set").arg(setting);
    }
    Ok(command)
}

/// `target/release/turnstone` beside this bench's own executable.
fn release_binary() -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let found = own.ancestors().map(|dir| dir.join("turnstone")).find(|file| file.is_file());
    found.ok_or_else(|| {
        io::Error::other("no turnstone binary: run `cargo build --release` or set TURNSTONE_BIN")
    })
}

fn mosquitto_path() -> &'static str {
    if Path::new("/usr/sbin/mosquitto").exists() { "/usr/sbin/mosquitto" } else { "mosquitto" }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// The same for UDP.
pub(crate) fn free_udp_port() -> io::Result<u16> {
    Ok(UdpSocket::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// As many files as the system lets us have: idle connections count twice, here and there (children inherit it).
pub(crate) fn raise_file_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a valid pointer to a local struct.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}
