//! The data files: what a row is, and its variants.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One data file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// The protocol of connections whose name does not say otherwise.
    pub(crate) proto: Proto,
    /// Settings of the server for this file.
    #[serde(default)]
    pub(crate) set: BTreeMap<String, String>,
    pub(crate) row: Vec<Row>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Proto {
    Mqtt,
    Sn,
    Coap,
}

/// One hostile input and what must happen.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// The number of the input in the project's list; several rows may share it.
    pub(crate) id: String,
    pub(crate) title: String,
    /// Where it was seen: a CVE, a peer, a section of a specification.
    #[expect(dead_code, reason = "for readers of the data files")]
    pub(crate) source: String,
    /// Texts that take the place of `{}` in the steps, one run of the row each; of `a | b`, `{0}` is a and `{1}` b.
    #[serde(default)]
    pub(crate) each: Vec<String>,
    /// So many connections do every step side by side, and all stay open to the end.
    #[serde(default = "one")]
    pub(crate) sockets: usize,
    /// The server's resident memory may grow by so much while the connections are open.
    #[serde(default = "default_growth")]
    pub(crate) rss_kib: u64,
    pub(crate) steps: Vec<Step>,
    /// So many times, one after the other, with connections of their own each time.
    #[serde(default = "one")]
    pub(crate) repeat: usize,
    /// Servers, beside ours, that are known to do otherwise.
    #[serde(default)]
    pub(crate) differs: Vec<String>,
}

const fn one() -> usize {
    1
}

const fn default_growth() -> u64 {
    4096
}

/// One step. Exactly one of the fields up to `counter` is given.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// Send these bytes (UDP: one datagram). That the server closes meanwhile is no failure of this step.
    pub(crate) send: Option<String>,
    /// Receive exactly these bytes (UDP: one datagram).
    pub(crate) recv: Option<String>,
    /// One of these comes; `close` stands for the end of the connection.
    pub(crate) either: Option<Vec<String>>,
    /// The server ends the connection, after exactly one of these answers.
    pub(crate) closed: Option<Vec<String>>,
    /// Nothing has come, and the server still answers on this connection.
    pub(crate) quiet: Option<bool>,
    /// The server answers on this connection, after whatever else it had to say.
    pub(crate) settle: Option<bool>,
    /// As `settle`, or the connection has been closed.
    pub(crate) survive: Option<bool>,
    /// Made by program: see `generate`.
    pub(crate) generate: Option<String>,
    /// End the connection with RST.
    pub(crate) reset: Option<bool>,
    /// Take what has come (UDP); `datagrams` and `bytes_max` judge it.
    pub(crate) collect: Option<bool>,
    /// A number below `$SYS` of our server has grown since the row began, by `at_least` and `at_most`.
    pub(crate) counter: Option<String>,

    /// The connection: `a` if not given. Names in capitals are shared by all `sockets`; `MQTT…` is TCP in any file.
    /// `name@127.0.0.2` is a socket (UDP) at that address of this host.
    pub(crate) on: Option<String>,
    /// For `send`: `$n` are what this connection captured, instead of the own one.
    pub(crate) captured: Option<String>,
    /// For `send`: so many times, reading away what comes. For `generate`: how many.
    pub(crate) times: Option<usize>,
    /// For `send`: so many times at once, without reading.
    pub(crate) burst: Option<usize>,
    /// For `send`: once for each byte in these ranges, put in the place of `{}`.
    pub(crate) sweep: Option<String>,
    /// For `collect`: how many came, at least and at most.
    pub(crate) datagrams: Option<(usize, usize)>,
    /// For `collect`: their bytes at most.
    pub(crate) bytes_max: Option<usize>,
    /// For `counter`.
    pub(crate) at_least: Option<u64>,
    /// For `counter`.
    pub(crate) at_most: Option<u64>,
    /// The step must be over within this time (from its start).
    pub(crate) within_ms: Option<u64>,
    /// The step must not be over sooner (from its start).
    pub(crate) not_before_ms: Option<u64>,
}

impl File {
    /// Reads a data file; what is wrong with it is an error that names the row.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let file: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        for row in &file.row {
            row.check().map_err(|error| format!("{}: {error}", row.id))?;
        }
        Ok(file)
    }
}

impl Row {
    /// The row once for every text of `each`.
    pub(crate) fn variants(&self) -> Vec<Self> {
        if self.each.is_empty() {
            return vec![self.clone()];
        }
        self.each.iter().map(|text| self.with(text)).collect()
    }

    fn with(&self, text: &str) -> Self {
        let fill = |value: &str| {
            let parts = text.split(" | ").enumerate();
            parts.fold(value.replace("{}", text), |value, (n, part)| value.replace(&format!("{{{n}}}"), part))
        };
        let put = |field: &mut Option<String>| {
            if let Some(value) = field {
                *value = fill(value);
            }
        };
        let mut row = self.clone();
        row.title = format!("{} [{text}]", row.title);
        for step in &mut row.steps {
            put(&mut step.send);
            put(&mut step.recv);
            put(&mut step.generate);
            for list in [&mut step.either, &mut step.closed].into_iter().flatten() {
                for value in list {
                    *value = fill(value);
                }
            }
        }
        row
    }

    fn check(&self) -> Result<(), String> {
        if self.steps.is_empty() || self.sockets == 0 || self.repeat == 0 {
            return Err("nothing is done".into());
        }
        for row in self.variants() {
            for step in &row.steps {
                step.check()?;
            }
        }
        Ok(())
    }
}

impl Step {
    pub(crate) fn connection(&self) -> &str {
        self.on.as_deref().unwrap_or("a")
    }

    /// Shared by all sockets of a row: its name is in capitals.
    pub(crate) fn is_shared(&self) -> bool {
        self.connection().starts_with(|c: char| c.is_ascii_uppercase())
    }

    /// The texts to send: one, or one per byte of the sweep.
    pub(crate) fn sends(&self) -> Result<Vec<String>, String> {
        let Some(text) = &self.send else { return Ok(Vec::new()) };
        let Some(sweep) = &self.sweep else { return Ok(vec![text.clone()]) };
        let byte = |text: &str| u8::from_str_radix(text, 16).map_err(|_| format!("{text:?} is no byte"));
        let mut sends = Vec::new();
        for range in sweep.split_whitespace() {
            let (from, to) = range.split_once('-').unwrap_or((range, range));
            for value in byte(from)?..=byte(to)? {
                sends.push(text.replace("{}", &format!("{value:02X}")));
            }
        }
        Ok(sends)
    }

    fn check(&self) -> Result<(), String> {
        let given = [
            self.send.is_some(),
            self.recv.is_some(),
            self.either.is_some(),
            self.closed.is_some(),
            self.quiet.is_some(),
            self.settle.is_some(),
            self.survive.is_some(),
            self.generate.is_some(),
            self.reset.is_some(),
            self.collect.is_some(),
            self.counter.is_some(),
        ];
        if given.into_iter().filter(|is| *is).count() != 1 {
            return Err("a step does exactly one thing".into());
        }
        if self.collect.is_some() != (self.datagrams.is_some() || self.bytes_max.is_some()) {
            return Err("`collect` wants `datagrams` or `bytes_max`, and only it does".into());
        }
        if self.counter.is_some() != self.at_least.is_some_and(|least| least > 0) {
            return Err("`counter` wants `at_least`, and only it does".into());
        }
        for text in self.sends()? {
            turnstone_tests::notation::parse(&text)?;
        }
        let lists = [&self.either, &self.closed].into_iter().flatten().flatten();
        for text in self.recv.iter().chain(lists).filter(|text| *text != "close") {
            turnstone_tests::notation::parse(text)?;
        }
        Ok(())
    }
}
