//! The tools against a gateway of this very binary, as a shell sees both.
#![allow(clippy::disallowed_methods)] // a test of the program starts the program

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A gateway on ports of its own, ended with the test.
struct Gateway {
    child: Child,
    mqtt: String,
    sn: String,
    lwm2m: String,
}

impl Gateway {
    fn start() -> Self {
        Gateway::start_with(&[])
    }

    fn start_with(settings: &[&str]) -> Self {
        // Ports that were free a moment ago; another process may take one meanwhile, so it is tried again.
        for _ in 0..5 {
            let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
            let (sn, lwm2m) = (UdpSocket::bind("127.0.0.1:0"), UdpSocket::bind("127.0.0.1:0"));
            let port = tcp.local_addr().expect("an address").port();
            let udp = |socket: std::io::Result<UdpSocket>| {
                socket.expect("a port").local_addr().expect("an address").port().to_string()
            };
            let (sn, lwm2m) = (udp(sn), udp(lwm2m));
            drop(tcp);
            let mut child = turnstone(&[])
                .args(["--set".to_owned(), format!("mqtt.port={port}")])
                .args(["--set".to_owned(), format!("mqtt.sn.port={sn}")])
                .args(["--set".to_owned(), format!("lwm2m.port={lwm2m}")])
                .args(settings.iter().flat_map(|setting| ["--set", setting]))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the gateway starts");
            let until = Instant::now() + Duration::from_secs(20);
            while Instant::now() < until && child.try_wait().expect("a child").is_none() {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Gateway { child, mqtt: port.to_string(), sn, lwm2m };
                }
                std::thread::yield_now();
            }
            let _ = child.kill(); // it may have ended by itself
            let _ = child.wait();
        }
        panic!("no gateway came up");
    }

    /// Starts a tool; `{mqtt}`, `{sn}` and `{lwm2m}` in its arguments are the ports.
    fn tool(&self, arguments: &str) -> Child {
        let words = arguments.replace("{mqtt}", &self.mqtt).replace("{sn}", &self.sn);
        let words = words.replace("{lwm2m}", &self.lwm2m);
        let words: Vec<&str> = words.split(' ').collect();
        turnstone(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the tool starts")
    }

    /// Simulated devices, once the first of these names is there.
    fn devices(&self, endpoint: &str, flags: &str) -> Devices {
        let line = format!("sim lwm2m -p {{lwm2m}} --endpoint {endpoint} --duration 120 --json {flags}");
        let devices = Devices(self.tool(line.trim_end()));
        let until = Instant::now() + Duration::from_secs(30);
        while !ok(self.run("lwm2m ls -p {mqtt} --online")).contains(endpoint) {
            assert!(Instant::now() < until, "{endpoint} never registered");
        }
        devices
    }

    /// Runs a tool to its end: exit code, standard output, standard error.
    fn run(&self, arguments: &str) -> (Option<i32>, String, String) {
        ended(self.tool(arguments))
    }
}

/// A simulator, ended with the test.
struct Devices(Child);

impl Drop for Devices {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn turnstone(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_turnstone"));
    command.args(arguments).env_clear();
    command
}

fn ended(child: Child) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = child.wait_with_output().expect("the tool ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

fn ok(result: (Option<i32>, String, String)) -> String {
    assert_eq!(result.0, Some(0), "{}", result.2);
    result.1
}

#[test]
fn messages_go_from_each_protocol_to_each() {
    let gateway = Gateway::start();
    // Retained, so that the order of the processes does not matter.
    ok(gateway.run("pub -p {mqtt} -t e2e/mqtt -m one -q 2 -r"));
    ok(gateway.run("sn pub -p {sn} -t e2e/sn -m two -q 1 -r"));
    ok(gateway.run("sn pub -p {sn} -t ab -m three -q 2 -r"));
    ok(gateway.run("sn pub -p {sn} -t e2e/minus -m four -q -1 -r --repeat 2 --repeat-delay 0.01"));
    let mut lines: Vec<String> =
        ok(gateway.run("sub -p {mqtt} -v -t # -C 4 -W 20")).lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["ab three", "e2e/minus four", "e2e/mqtt one", "e2e/sn two"]);
    assert_eq!(ok(gateway.run("sn sub -p {sn} -v -t e2e/mqtt -q 1 -C 1 -W 20")), "e2e/mqtt one\n");
    assert_eq!(ok(gateway.run("sn sub -p {sn} -t ab -C 1 -W 20 --sleep 1")), "three\n");
    let (code, out, err) = gateway.run("sub -p {mqtt} -t nothing/here -W 0.2");
    assert_eq!((code, out.as_str()), (Some(4), ""), "{err}");
}

#[test]
fn ping_search_and_status_find_the_gateway() {
    let gateway = Gateway::start();
    let ping = ok(gateway.run("sn ping -p {sn} -C 2 --interval 0.01"));
    assert!(ping.contains("2 of 2 answered"), "{ping}");
    let search = ok(gateway.run("sn search -p {sn} --json"));
    let search: serde_json::Value = serde_json::from_str(&search).expect("JSON");
    assert_eq!(search["gateway_id"], 1);
    let status = ok(gateway.run("status -p {mqtt} --json"));
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    assert!(
        status["$SYS/broker/version"].as_str().is_some_and(|text| text.contains("turnstone")),
        "{status}"
    );
    assert!(ok(gateway.run("status -p {mqtt}")).contains("clients"));
}

#[test]
fn mistakes_have_their_exit_codes_and_one_line() {
    let gateway = Gateway::start();
    let free = UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    for (arguments, code) in [
        ("pub -p {mqtt} -t a/# -m x".to_owned(), 2),
        ("pub -p {mqtt} -m x".to_owned(), 2),
        ("sub -p {mqtt} -t a/#/b".to_owned(), 2),
        ("sub -p {mqtt} -c -t a".to_owned(), 2),
        ("sn pub -p {sn} -T 77 -m x -q 1".to_owned(), 5),
        ("sn sub -p {sn} -t a/#/b".to_owned(), 2),
        ("sn pub -p {sn} --fe xyz -t a -m x".to_owned(), 2),
        (format!("sn ping -p {free}"), 3),
        (format!("pub -p {free} -t a -m x"), 3),
        (format!("sn search -p {free} -W 0.1"), 4),
    ] {
        let (got, out, err) = gateway.run(&arguments);
        assert_eq!((got, out.as_str()), (Some(code), ""), "{arguments}: {err}");
        assert!(err.starts_with("error: ") && err.contains("; try: "), "{arguments}: {err}");
        assert_eq!(err.lines().count(), 1, "{arguments}: {err}");
    }
    let help = ok(gateway.run("sn pub --help"));
    assert!(help.contains("--topic-id") && help.contains("-h, --host"), "{help}");
}

#[test]
fn simulated_devices_live_with_the_gateway() {
    let gateway = Gateway::start();
    let report = ok(gateway.run("sim sn -p {sn} --count 20 --interval 0.2 --duration 1.5 --json"));
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["connects"], 20, "{report}");
    assert!(report["published"].as_u64().is_some_and(|count| count >= 40), "{report}");
    assert_eq!(report["publish_failures"], 0, "{report}");
    let report = ok(gateway.run(
        "sim sn -p {sn} --count 10 --profile sleeper --interval 0.2 --retry 0.3 --loss 0.1 --duplicate 0.1 \
         --reorder 0.2 --duration 2 --json",
    ));
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert!(report["wakes"].as_u64().is_some_and(|count| count >= 10), "{report}");
    assert!(report["datagrams"]["late"].as_u64().is_some_and(|count| count > 0), "{report}");
    let report =
        ok(gateway.run("sim sn -p {sn} --count 5 --profile beacon --interval 0.1 --duration 0.5 --json"));
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert!(report["published"].as_u64().is_some_and(|count| count >= 10), "{report}");
}

/// Starts a trace and waits until the gateway has taken the subscription.
fn tracing(gateway: &Gateway, arguments: &str) -> Child {
    let mut trace = gateway.tool(arguments);
    let stderr = trace.stderr.as_mut().expect("piped");
    let mut line = Vec::new();
    // One byte at a time: what comes later stays in the pipe for whoever collects it.
    while line.last() != Some(&b'\n') {
        let mut byte = [0];
        assert_eq!(stderr.read(&mut byte).expect("a pipe"), 1, "{}", String::from_utf8_lossy(&line));
        line.extend(byte);
    }
    let line = String::from_utf8(line).expect("UTF-8");
    assert!(line.starts_with("tracing "), "{line}");
    trace
}

#[test]
fn a_trace_shows_what_one_device_says_and_hears_and_ends_with_its_reader() {
    let gateway = Gateway::start_with(&["workers=2"]);
    // The device is not there yet, and others are not shown.
    let trace = tracing(&gateway, "trace -p {mqtt} d1 --json --count 6");
    ok(gateway.run("sn pub -p {sn} -i d2 -t ab -m other -q 1"));
    ok(gateway.run("sn pub -p {sn} -i d1 -t ab -m hello -q 1"));
    let out = ok(ended(trace));
    let lines: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let seen: Vec<(&str, &str, Option<&str>)> = lines
        .iter()
        .map(|line| {
            let text = |key: &str| line[key].as_str();
            assert!(text("address").is_some_and(|address| address.starts_with("127.0.0.1:")), "{line}");
            assert!(line["time"].as_u64().is_some_and(|time| time > 1_600_000_000_000), "{line}");
            let message = text("message").expect("a message");
            (text("direction").expect("one"), message.split(' ').next().unwrap_or_default(), text("verdict"))
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("in", "CONNECT", Some("handled")),
            ("out", "CONNACK", None),
            ("in", "PUBLISH", Some("handled")),
            ("out", "PUBACK", None),
            ("in", "DISCONNECT", Some("handled")),
            ("out", "DISCONNECT", None),
        ]
    );
    assert_eq!(lines[1]["hex"], "030500");

    // Nobody reads d1 any more, so a wildcard, which follows nobody, sees d3 first.
    ok(gateway.run("pub -p {mqtt} -t mark -m subscribed -r -q 1"));
    let mut wide = gateway.tool("sub -p {mqtt} -t $SYS/turnstone/trace/+ -t mark -v -C 2 -W 60");
    let mut seen = BufReader::new(wide.stdout.take().expect("piped"));
    let mut line = String::new();
    seen.read_line(&mut line).expect("a pipe");
    assert_eq!(line, "mark subscribed\n");
    ok(gateway.run("sn pub -p {sn} -i d1 -t ab -m hello -q 1"));
    let trace = tracing(&gateway, "trace -p {mqtt} d3 -C 2");
    ok(gateway.run("sn pub -p {sn} -i d3 -t ab -m hello -q 1"));
    let shown = ok(ended(trace));
    assert!(shown.contains(" <- 127.0.0.1:") && shown.contains("  CONNECT \"d3\""), "{shown}");
    assert!(shown.contains("[handled]\n             08 04 04 01"), "{shown}");
    seen.read_line(&mut line).expect("a pipe");
    assert!(line.contains("\n$SYS/turnstone/trace/d3 "), "{line}");
    ok(ended(wide));
}

#[test]
fn a_trace_shows_what_one_endpoint_says_and_hears_over_coap() {
    let gateway = Gateway::start();
    let trace = tracing(&gateway, "trace -p {mqtt} m1 --json --count 4");
    let mut others = gateway.tool("sim lwm2m -p {lwm2m} --endpoint m2 --duration 120 --json");
    let mut device = gateway.tool("sim lwm2m -p {lwm2m} --endpoint m1 --duration 120 --json");
    let until = Instant::now() + Duration::from_secs(30);
    while !ok(gateway.run("lwm2m ls -p {mqtt} --online")).contains("m1") {
        assert!(Instant::now() < until, "the device never registered");
    }
    ok(gateway.run("lwm2m read -p {mqtt} m1 /3/0/0"));
    let out = ok(ended(trace));
    let lines: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let text = |line: usize, key: &str| lines[line][key].as_str().unwrap_or_default().to_owned();
    let begins = ["CON POST /rd?", "ACK 2.01 created mid ", "CON GET /3/0/0 mid ", "ACK 2.05 content mid "];
    for (line, (begin, direction)) in begins.iter().zip(["in", "out", "out", "in"]).enumerate() {
        assert!(text(line, "message").starts_with(begin), "{line}: {out}");
        assert_eq!(text(line, "direction"), direction, "{out}");
        assert_eq!(text(line, "verdict"), if direction == "in" { "handled" } else { "" }, "{out}");
        assert!(text(line, "address").starts_with("127.0.0.1:"), "{out}");
    }
    assert!(text(0, "message").contains("ep=m1") && text(1, "message").contains(" location /rd/"), "{out}");
    assert!(
        text(2, "message").contains(" token ")
            && text(2, "hex").starts_with("48 01".replace(' ', "").as_str())
    );
    // For people: words, and the bytes below.
    let trace = tracing(&gateway, "trace -p {mqtt} m1 -C 2");
    ok(gateway.run("lwm2m read -p {mqtt} m1 /3/0/0"));
    let shown = ok(ended(trace));
    assert!(shown.contains(" -> 127.0.0.1:") && shown.contains("  CON GET /3/0/0 mid "), "{shown}");
    assert!(shown.contains("  [handled]\n             68 45 "), "{shown}");
    for child in [&mut device, &mut others] {
        child.kill().expect("it runs");
        child.wait().expect("a child");
    }
}

#[test]
fn a_trace_ends_with_ctrl_c_and_after_its_time() {
    let gateway = Gateway::start();
    let trace = tracing(&gateway, "trace -p {mqtt} nobody");
    let killed = Command::new("kill").args(["-INT", &trace.id().to_string()]).status().expect("kill");
    assert!(killed.success());
    let (code, out, err) = ended(trace);
    assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");
    let (code, out, err) = gateway.run("trace -p {mqtt} nobody -W 0.2");
    assert_eq!((code, out.as_str()), (Some(4), ""), "{err}");
    assert!(err.contains("nothing was said in time; try: "), "{err}");
    let (code, _, err) = gateway.run("trace -p {mqtt} a/#");
    assert_eq!(code, Some(2), "{err}");
}

#[test]
fn lwm2m_commands_reach_a_simulated_device() {
    let gateway = Gateway::start();
    let mut device = gateway.tool("sim lwm2m -p {lwm2m} --endpoint m1 --interval 0.2 --duration 120 --json");
    let until = Instant::now() + Duration::from_secs(30);
    while !ok(gateway.run("lwm2m ls -p {mqtt} --online")).contains("m1") {
        assert!(Instant::now() < until, "the device never registered");
    }
    let read = ok(gateway.run("lwm2m read -p {mqtt} m1 Device/0/Manufacturer"));
    assert_eq!(read, "/3/0/0  Manufacturer  turnstone sim\n");
    let read = ok(gateway.run("lwm2m read -p {mqtt} m1 /3/0"));
    let battery = read.lines().find(|line| line.contains("Battery Level")).expect("object 3 has a battery");
    // It drains while the device lives, so its value depends on how long the steps before took.
    let percent = battery.rsplit_once("Battery Level").and_then(|(_, value)| value.trim().strip_suffix(" %"));
    assert!(percent.is_some_and(|value| value.parse::<u8>().is_ok_and(|v| v <= 97)), "{battery}");
    assert_eq!(ok(gateway.run("lwm2m write -p {mqtt} m1 /3/0/14 +02:00")), "/3/0/14 written\n");
    assert!(ok(gateway.run("lwm2m read -p {mqtt} m1 /3/0/14")).ends_with("+02:00\n"));
    assert_eq!(ok(gateway.run("lwm2m exec -p {mqtt} m1 /3303/0/5605")), "/3303/0/5605 executed\n");
    assert_eq!(ok(gateway.run("lwm2m create -p {mqtt} m1 3303")), "/3303/1 created\n");
    assert_eq!(ok(gateway.run("lwm2m delete -p {mqtt} m1 /3303/1")), "/3303/1 deleted\n");
    assert!(ok(gateway.run("lwm2m discover -p {mqtt} m1 /3303")).contains("5605"));
    assert_eq!(ok(gateway.run("lwm2m observe -p {mqtt} m1 /3303/0/5700 -C 3")).lines().count(), 3);
    for (arguments, code) in [("m1 /9/0", 1), ("nobody /3", 1), ("m1 /3/x", 2)] {
        let (got, _, err) = gateway.run(&format!("lwm2m read -p {{mqtt}} {arguments}"));
        assert_eq!(got, Some(code), "{arguments}: {err}");
        assert!(err.contains("; try: ") && err.lines().count() == 1, "{err}");
    }
    device.kill().expect("it runs");
    device.wait().expect("a child");
}

#[test]
fn firmware_reaches_devices_that_are_sent_it_and_devices_that_fetch_it() {
    let folder = std::env::temp_dir().join(format!("turnstone-tools-fw-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let image: Vec<u8> = (0..40_000u32).map(|n| (n * 7 % 251) as u8).collect();
    std::fs::write(folder.join("meter-2.1.bin"), image).expect("an image");
    let huge = std::fs::File::create(folder.join("huge.bin")).expect("a file");
    huge.set_len((16 << 20) + 1).expect("a sparse file");
    let setting = format!("lwm2m.firmware_dir={}", folder.display());
    let gateway = Gateway::start_with(&[&setting]);
    let _pushed = gateway.devices("m1", "--delivery push --loss 0.02");
    let _pulled = gateway.devices("m2", "--delivery pull --loss 0.02");
    let _broken = gateway.devices("m3", "--update-result 8");
    let updates: Vec<Child> =
        ["m1", "m2"].map(|name| gateway.tool(&format!("lwm2m fw -p {{mqtt}} {name} meter-2.1.bin"))).into();
    for (name, update) in ["m1", "m2"].iter().zip(updates) {
        let (code, out, err) = ended(update);
        assert_eq!((code, out), (Some(0), format!("{name} updated\n")), "{err}");
        for line in ["downloading 0 %", "downloading 50 %", "downloaded 100 %", "updating"] {
            assert!(err.lines().any(|told| told == line), "{name}: {line}: {err}");
        }
        let version = ok(gateway.run(&format!("lwm2m read -p {{mqtt}} {name} /3/0/3")));
        assert!(version.contains("2.0+"), "{version}");
    }
    let (code, _, err) = gateway.run("lwm2m fw -p {mqtt} m3 meter-2.1.bin --json");
    assert_eq!(code, Some(1));
    assert!(err.contains("update failed"), "{err}");
    for (arguments, text) in [
        ("m3 other.bin", "4.04 not found, other.bin is not in lwm2m.firmware_dir"),
        ("m3 ../meter-2.1.bin", "is not a plain file name in lwm2m.firmware_dir"),
        ("m3 huge.bin", "4.13 request entity too large, huge.bin is larger than 16 MiB"),
        ("m3 https://fw.example/x", "the device does not fetch over https; it knows coap"),
        ("m3 --cancel", "no firmware update of this device runs"),
    ] {
        let (code, out, err) = gateway.run(&format!("lwm2m fw -p {{mqtt}} {arguments}"));
        assert_eq!((code, out.as_str()), (Some(1), ""), "{arguments}: {err}");
        assert!(err.contains(text) && err.lines().count() == 1, "{arguments}: {err}");
    }
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn a_running_update_can_be_cancelled() {
    let folder = std::env::temp_dir().join(format!("turnstone-tools-cancel-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("large.bin"), vec![7; 4 << 20]).expect("an image");
    let setting = format!("lwm2m.firmware_dir={}", folder.display());
    let gateway = Gateway::start_with(&[&setting]);
    let _device = gateway.devices("m1", "--loss 0.05");
    let update = gateway.tool("lwm2m fw -p {mqtt} m1 large.bin");
    let until = Instant::now() + Duration::from_secs(30);
    while gateway.run("lwm2m fw -p {mqtt} m1 --cancel").0 != Some(0) {
        assert!(Instant::now() < until, "never cancelled");
    }
    let (code, out, err) = ended(update);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains("cancelled by a command"), "{err}");
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn a_value_of_200_kib_is_read_in_blocks_when_the_limit_lets_it() {
    for (settings, code) in [(&["lwm2m.max_body_size=256KiB"][..], Some(0)), (&[], Some(1))] {
        let gateway = Gateway::start_with(settings);
        let _device = gateway.devices("m1", "--data 204800");
        let (got, out, err) = gateway.run("lwm2m read -p {mqtt} m1 /19/0/0/0");
        assert_eq!(got, code, "{err}");
        if code == Some(0) {
            // Base 64, with the path and the name before it.
            let value = out.trim_end().rsplit("  ").next().unwrap_or_default();
            assert_eq!(value.len(), 204_800_usize.div_ceil(3) * 4);
        } else {
            assert!(err.contains("4.13") && err.contains("lwm2m.max_body_size"), "{err}");
        }
    }
}

#[test]
fn commands_wait_for_a_sleeping_device_also_over_its_restart() {
    let gateway = Gateway::start_with(&["lwm2m.queue_awake_of=q*=1s"]);
    let sleeper = gateway.devices("q1", "--profile queue --awake 1 --interval 3");
    assert!(ok(gateway.run("lwm2m read -p {mqtt} q1 /3/0/9")).contains("Battery Level"));
    // It sleeps until its next Update: the command waits for that, and comes back once.
    let events = ok(gateway.run("sub -p {mqtt} -t lwm2m/q1/event -C 3 -W 20"));
    assert!(events.contains(r#""event":"asleep""#) && events.contains(r#""event":"awake""#), "{events}");
    assert!(ok(gateway.run("lwm2m read -p {mqtt} q1 /3/0/9 --ttl 30")).contains("Battery Level"));
    // Gone for longer than the command may wait.
    drop(sleeper);
    let (_, _, _) = gateway.run("sub -p {mqtt} -t lwm2m/q1/event -C 9 -W 2.5"); // longer than its awake window
    let (code, _, err) = gateway.run("lwm2m read -p {mqtt} q1 /3/0/9 --ttl 1");
    assert_eq!(code, Some(4), "{err}");
    assert!(err.contains("its time was over before the device could be reached"), "{err}");
    // A device that starts anew gets what waits for it.
    let waiting = gateway.tool("lwm2m read -p {mqtt} q1 /3/0/9 --ttl 60");
    let _again = gateway.devices("q1", "--profile queue --awake 1 --interval 3 --seed 2");
    assert!(ok(ended(waiting)).contains("Battery Level"));
}
