//! The server under test as a process of its own, and what the system knows of it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::rows::Proto;

const START_LIMIT: Duration = Duration::from_secs(10);
const STOP_LIMIT: Duration = Duration::from_secs(6);
const TRIES: usize = 3;
/// Nothing announces a change in /proc, nor a port that opens: it is looked at in these intervals.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Ours, started here; or a peer that `TURNSTONE_TEST_PEER=host:port` names (`TURNSTONE_TEST_PEER_PID` its process),
/// against which the rows themselves are tried.
pub(crate) struct Server {
    process: Option<Child>,
    pid: Option<u32>,
    mqtt: SocketAddr,
    sn: SocketAddr,
    coap: SocketAddr,
    folder: tempfile::TempDir,
}

impl Server {
    /// A server that somebody else started.
    pub(crate) fn peer(mqtt: SocketAddr, pid: Option<u32>) -> Result<Self, String> {
        Ok(Self { process: None, pid, mqtt, sn: mqtt, coap: mqtt, folder: folder()? })
    }

    pub(crate) fn start(settings: &BTreeMap<String, String>) -> Result<Self, String> {
        if let Ok(peer) = std::env::var("TURNSTONE_TEST_PEER") {
            let mqtt = peer.parse().map_err(|_| "TURNSTONE_TEST_PEER is no address")?;
            let pid = std::env::var("TURNSTONE_TEST_PEER_PID").ok().and_then(|pid| pid.parse().ok());
            return Self::peer(mqtt, pid);
        }
        let mut last = String::new();
        for _ in 0..TRIES {
            match Self::try_start(settings) {
                Ok(server) => return Ok(server),
                Err(error) => last = error, // a port that was free a moment ago may be taken
            }
        }
        Err(last)
    }

    fn try_start(settings: &BTreeMap<String, String>) -> Result<Self, String> {
        let (mqtt, sn, coap) = (free_tcp()?, free_udp()?, free_udp()?);
        let folder = folder()?;
        let log = std::fs::File::create(folder.path().join("log")).map_err(|e| e.to_string())?;
        let errors = log.try_clone().map_err(|e| e.to_string())?;
        let mut command = Command::new(program());
        command.arg("run").current_dir(folder.path()).stdin(Stdio::null()).stdout(log).stderr(errors);
        for (key, port) in [("mqtt.port", mqtt), ("mqtt.sn.port", sn), ("lwm2m.port", coap)] {
            command.args(["--set", &format!("{key}={}", port.port())]);
        }
        for (key, value) in settings {
            command.args(["--set", &format!("{key}={value}")]);
        }
        let process = command.spawn().map_err(|e| format!("{}: {e}", program().display()))?;
        let mut server = Self { pid: Some(process.id()), process: Some(process), mqtt, sn, coap, folder };
        let end = Instant::now() + START_LIMIT;
        while Instant::now() < end {
            if TcpStream::connect_timeout(&server.mqtt, START_LIMIT).is_ok() {
                return Ok(server);
            }
            if let Some(process) = &mut server.process
                && let Ok(Some(status)) = process.try_wait()
            {
                return Err(format!("the server ended at its start: {status}\n{}", server.log()));
            }
            sleep(LOOK_AGAIN);
        }
        Err(format!("the server does not listen after {START_LIMIT:?}\n{}", server.log()))
    }

    pub(crate) fn address(&self, proto: Proto) -> SocketAddr {
        match proto {
            Proto::Mqtt => self.mqtt,
            Proto::Sn => self.sn,
            Proto::Coap => self.coap,
        }
    }

    /// True when this is not the program of this project.
    pub(crate) fn is_peer(&self) -> bool {
        self.process.is_none()
    }

    /// The end of the server's own log.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n")
    }

    /// Resident memory in KiB.
    pub(crate) fn rss_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid?)).ok()?;
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse().ok())
    }

    /// Open file descriptors.
    pub(crate) fn fds(&self) -> Option<usize> {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid?)).ok().map(Iterator::count)
    }

    /// Waits until the server has at most `base` descriptors open again.
    pub(crate) fn wait_for_fds(&self, base: usize) -> Result<(), String> {
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            let now = self.fds().unwrap_or(base);
            if now <= base {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!("{now} descriptors are open, {base} before the row"));
            }
            sleep(LOOK_AGAIN);
        }
    }

    /// Ends the server as an operator would, and says what was wrong with its end.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        let pid = process.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status().map_err(|e| e.to_string())?;
        if !asked.success() {
            return Err(format!("the server was gone: {:?}\n{}", process.try_wait(), self.log()));
        }
        let end = Instant::now() + STOP_LIMIT;
        loop {
            match process.try_wait().map_err(|e| e.to_string())? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("the server ended with {status}\n{}", self.log())),
                None if Instant::now() > end => {
                    let _ = process.kill();
                    let _ = process.wait();
                    return Err(format!("the server did not end within {STOP_LIMIT:?} of SIGTERM"));
                }
                None => sleep(LOOK_AGAIN),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// `TURNSTONE_BIN`, or the program that cargo built beside this test.
fn program() -> PathBuf {
    if let Some(program) = std::env::var_os("TURNSTONE_BIN") {
        return program.into();
    }
    let here = std::env::current_exe().expect("a test knows its own file");
    here.ancestors().nth(2).expect("tests are built in target/*/deps").join("turnstone")
}

fn folder() -> Result<tempfile::TempDir, String> {
    tempfile::tempdir().map_err(|e| e.to_string())
}

fn free_tcp() -> Result<SocketAddr, String> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|probe| probe.local_addr())
        .map_err(|e| e.to_string())
}

fn free_udp() -> Result<SocketAddr, String> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|probe| probe.local_addr()).map_err(|e| e.to_string())
}
