//! A simulated device against a server that the test plays, on the same kind of endpoint, in virtual time.
use super::*;
use crate::tools::sim::lwm2m::firmware::Delivery;
use lwm2m::coap::Observe;

struct Bench {
    now: Instant,
    origin: Instant,
    device: Lwm2mDevice,
    stats: Stats,
    server: Endpoint<SocketAddr>,
    out: Output<SocketAddr>,
    seen: Vec<Event<SocketAddr>>,
    at: SocketAddr,
}

impl Bench {
    fn new(profile: Profile) -> Bench {
        let at: SocketAddr = "127.0.0.1:5683".parse().expect("an address");
        let habits = Habits {
            profile,
            interval: Duration::from_secs(5),
            lifetime_s: 60,
            awake: Duration::from_secs(3),
            version: "1.1".to_owned(),
            gateway: at,
            catalog: Arc::new(Catalog::core()),
            firmware: FirmwareHabits { delivery: Delivery::Both, result: 1 },
            data_bytes: None,
        };
        let now = Instant::now();
        let config = coap::Config { amplification_guard: false, ..coap::Config::default() };
        Bench {
            now,
            origin: now,
            device: Lwm2mDevice::new("d1".to_owned(), 1, habits, Rng::new(1)),
            stats: Stats::default(),
            server: Endpoint::new(config, [7; 32]),
            out: Output::default(),
            seen: Vec::new(),
            at,
        }
    }

    fn tick(&self) -> Tick {
        Tick::from_millis((self.now - self.origin).as_millis() as u64)
    }

    /// Lets datagrams go back and forth until it is quiet. Requests to `/rd` and `/dp` are answered.
    fn exchange(&mut self, mut wire: Wire) {
        for _ in 0..100 {
            for bytes in wire.drain(..) {
                self.server.handle_datagram(self.tick(), Source::unicast(self.at), &bytes, &mut self.out);
            }
            for event in std::mem::take(&mut self.out.events) {
                if let Event::Request(request) = &event {
                    let mut answer = Response::new(match request.method {
                        Code::DELETE => Code::DELETED,
                        _ if request.options.path().count() == 1 => Code::CREATED,
                        _ => Code::CHANGED,
                    });
                    if answer.code == Code::CREATED {
                        answer.options.add(CoapOption::LocationPath, "rd");
                        answer.options.add(CoapOption::LocationPath, "x7");
                    }
                    self.server.respond(self.tick(), request.id, answer, &mut self.out);
                }
                self.seen.push(event);
            }
            let back: Vec<Vec<u8>> = self.out.outgoing().map(|(_, bytes)| bytes.to_vec()).collect();
            self.out.clear();
            for bytes in &back {
                self.device.handle_datagram(self.now, bytes, &mut wire, &mut self.stats);
            }
            if wire.is_empty() && back.is_empty() {
                return;
            }
        }
        panic!("it never gets quiet");
    }

    fn started(profile: Profile) -> Bench {
        let mut bench = Bench::new(profile);
        let mut wire = Wire::new();
        bench.device.start(bench.now, &mut wire, &mut bench.stats);
        bench.exchange(wire);
        bench
    }

    /// Goes on by so many seconds.
    fn pass(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        while let Some(at) = self.device.next_timeout().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            let mut wire = Wire::new();
            self.device.handle_timeout(self.now, &mut wire, &mut self.stats);
            self.exchange(wire);
        }
        self.now = until;
    }

    fn ask(&mut self, request: Request) -> Option<IncomingResponse<SocketAddr>> {
        self.seen.clear();
        self.server.request(self.tick(), self.at, request, 9, &mut self.out).expect("a request");
        self.exchange(Wire::new());
        self.seen.iter().find_map(|event| match event {
            Event::Response(response) => Some(response.clone()),
            _ => None, // not what is looked for
        })
    }

    /// The requests of the device: path and query.
    fn requests(&mut self) -> Vec<String> {
        let text =
            |parts: Vec<&[u8]>| parts.into_iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join("&");
        std::mem::take(&mut self.seen)
            .iter()
            .filter_map(|event| match event {
                Event::Request(request) => Some(format!(
                    "{} {} {}",
                    request.method,
                    text(request.options.path().collect()),
                    text(request.options.query().collect())
                )),
                _ => None, // not what is looked for
            })
            .collect()
    }
}

fn get(path: &str) -> Request {
    Request::new(Code::GET, Options::new().with_path(path))
}

#[test]
fn a_device_registers_updates_and_says_goodbye() {
    let mut bench = Bench::started(Profile::Meter);
    assert_eq!(bench.requests(), ["0.02 rd ep=d1&lt=60&lwm2m=1.1&b=U"]);
    assert_eq!(bench.stats.registers, 1);
    bench.pass(50);
    assert_eq!(bench.requests(), ["0.02 rd&x7 "]);
    let mut wire = Wire::new();
    bench.device.stop(bench.now, &mut wire, &mut bench.stats);
    bench.exchange(wire);
    assert_eq!(bench.requests(), ["0.04 rd&x7 "]);
    assert!(bench.device.is_stopped());
}

#[test]
fn reads_are_answered_and_changes_are_told_to_observers() {
    let mut bench = Bench::started(Profile::Meter);
    let answer = bench.ask(get("/3/0/0")).expect("an answer");
    assert_eq!((answer.code, &answer.payload[..]), (Code::CONTENT, &b"turnstone sim"[..]));
    let answer = bench.ask(get("/3303/0/5700").with_observe(Observe::Register(None))).expect("an answer");
    assert!(answer.observed.is_some());
    bench.seen.clear();
    bench.pass(30);
    let told: Vec<u32> = bench
        .seen
        .iter()
        .filter_map(|event| match event {
            Event::Notification(notification) => notification.sequence,
            _ => None, // not what is looked for
        })
        .collect();
    assert!(told.len() >= 4 && told.is_sorted(), "{told:?}");
    let token = answer.observed.expect("observed").token;
    bench.ask(get("/3303/0/5700").with_observe(Observe::Cancel(token)));
    bench.seen.clear();
    bench.pass(30);
    assert!(!bench.seen.iter().any(|event| matches!(event, Event::Notification(_))), "cancelled");
}

#[test]
fn a_device_in_queue_mode_is_deaf_between_its_updates() {
    let mut bench = Bench::started(Profile::Queue);
    assert_eq!(bench.requests(), ["0.02 rd ep=d1&lt=60&lwm2m=1.1&b=U&Q"]);
    bench.pass(2);
    assert!(bench.ask(get("/3/0/0")).is_some(), "awake");
    bench.pass(4);
    assert!(bench.ask(get("/3/0/1")).is_none(), "asleep");
    assert_eq!(bench.stats.missed_asleep, 1);
    bench.pass(3);
    assert_eq!(bench.requests(), ["0.02 rd&x7 "]);
    assert!(!bench.device.asleep);
}

#[test]
fn a_new_firmware_runs_after_a_restart() {
    let mut bench = Bench::started(Profile::Light);
    let state = |bench: &Bench| (bench.device.tree.integer(5, 0, 3), bench.device.tree.integer(5, 0, 5));
    let octets = Options::new().with_path("/5/0/0").with_uint(CoapOption::ContentFormat, 42);
    let image = vec![0xa5; 5000];
    let answer = bench.ask(Request::new(Code::PUT, octets).with_payload(image)).expect("an answer");
    assert_eq!(answer.code, Code::CHANGED);
    assert_eq!(state(&bench), (Some(2), Some(0)), "downloaded");
    let run = Request::new(Code::POST, Options::new().with_path("/5/0/2"));
    assert_eq!(bench.ask(run).expect("an answer").code, Code::CHANGED);
    assert_eq!(state(&bench), (Some(3), Some(0)), "updating");
    bench.seen.clear();
    bench.pass(5);
    assert_eq!(state(&bench), (Some(0), Some(1)), "updated");
    assert_eq!(bench.requests(), ["0.02 rd ep=d1&lt=60&lwm2m=1.1&b=U"]);
    assert_eq!(bench.stats.firmware_updates, 1);
}

#[test]
fn a_tracker_sends_its_position() {
    let mut bench = Bench::started(Profile::Tracker);
    bench.pass(12);
    assert!(bench.requests().iter().filter(|request| request.starts_with("0.02 dp")).count() >= 2);
    assert!(bench.stats.sends >= 2);
}

#[test]
fn a_silent_server_is_tried_again_with_growing_pauses() {
    let mut bench = Bench::new(Profile::Meter);
    let mut wire = Wire::new();
    bench.device.start(bench.now, &mut wire, &mut bench.stats);
    let until = bench.now + Duration::from_secs(600);
    while let Some(at) = bench.device.next_timeout().filter(|at| *at <= until) {
        bench.device.handle_timeout(at.max(bench.now), &mut wire, &mut bench.stats);
        bench.now = at.max(bench.now);
    }
    assert!((3..10).contains(&bench.stats.register_failures), "{}", bench.stats.register_failures);
    assert_eq!(bench.stats.registers, 0);
}
