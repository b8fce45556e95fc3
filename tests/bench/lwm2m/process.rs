//! A process under measurement: the gateway, or a floor played by this very program.
use crate::floor::Floor;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// By then a gateway has read its files.
const SETTLED: Duration = Duration::from_millis(700);

/// A running process, killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// Its MQTT side, or the floor's TCP side.
    pub(crate) tcp: SocketAddr,
    /// Its CoAP side, or the floor's UDP side.
    pub(crate) udp: SocketAddr,
}

impl Process {
    /// The gateway, with further settings, at rest.
    pub(crate) fn gateway(settings: &[&str]) -> io::Result<Process> {
        let process = Process::gateway_at_once(settings)?;
        // It reads its object definitions on a thread, whose work is not what is measured.
        std::thread::sleep(SETTLED);
        Ok(process)
    }

    /// The gateway as soon as it listens.
    pub(crate) fn gateway_at_once(settings: &[&str]) -> io::Result<Process> {
        let (tcp, udp) = (free_tcp()?, free_udp()?);
        let mut command = Command::new(program()?);
        let own = [
            format!("mqtt.port={}", tcp.port()),
            "mqtt.bind=[\"127.0.0.1\"]".into(),
            format!("mqtt.sn.port={}", free_udp()?.port()),
            format!("lwm2m.port={}", udp.port()),
            "lwm2m.bind=[\"127.0.0.1\"]".into(),
        ];
        for setting in own.iter().map(String::as_str).chain(settings.iter().copied()) {
            command.arg("--set").arg(setting);
        }
        Process::spawn(command, tcp, udp)
    }

    /// A floor: what the kernel alone takes for the same datagrams.
    pub(crate) fn floor(floor: Floor) -> io::Result<Process> {
        let (tcp, udp) = (free_tcp()?, free_udp()?);
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--floor", floor.name(), &tcp.to_string(), &udp.to_string()]);
        Process::spawn(command, tcp, udp)
    }

    fn spawn(mut command: Command, tcp: SocketAddr, udp: SocketAddr) -> io::Result<Process> {
        let begun = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut process = Process { child, tcp, udp };
        while begun.elapsed() < Duration::from_secs(10) {
            if TcpStream::connect(tcp).is_ok() {
                return Ok(process);
            }
            if let Some(status) = process.child.try_wait()? {
                return Err(io::Error::other(format!("ended at once: {status}")));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(io::Error::other("does not listen"))
    }

    /// CPU time of all its threads so far, also of those that have ended, nanoseconds.
    pub(crate) fn cpu_ns(&self) -> io::Result<u64> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let mut clock = 0;
        // SAFETY: both calls get a valid pointer to a local.
        let failed = unsafe {
            libc::clock_getcpuclockid(self.child.id() as libc::pid_t, &raw mut clock) != 0
                || libc::clock_gettime(clock, &raw mut time) != 0
        };
        if failed {
            return Err(io::Error::other("the process has no clock"));
        }
        Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
    }

    /// Resident memory, bytes.
    pub(crate) fn rss(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
        kib.map(|k| k * 1024).ok_or_else(|| io::Error::other("no VmRSS"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `target/release/turnstone` beside this bench's own executable.
fn program() -> io::Result<PathBuf> {
    if let Some(path) = std::env::var_os("TURNSTONE_BIN") {
        return Ok(PathBuf::from(path));
    }
    let own = std::env::current_exe()?;
    let found = own.ancestors().map(|dir| dir.join("turnstone")).find(|file| file.is_file());
    found.ok_or_else(|| {
        io::Error::other("no turnstone binary: run `cargo build --release` or set TURNSTONE_BIN")
    })
}

/// A port that was free a moment ago.
fn free_tcp() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn free_udp() -> io::Result<SocketAddr> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
