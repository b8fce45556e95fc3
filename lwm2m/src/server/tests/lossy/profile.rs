//! Kinds of clients, after what was captured of them.
use super::body::{Object3, Part};
use super::radio::Store;

/// A client program and the version that it speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Profile {
    Wakaama10,
    Wakaama11,
    Anjay10,
    Anjay11,
    Anjay12,
}

pub(super) const PROFILES: [Profile; 5] =
    [Profile::Wakaama10, Profile::Wakaama11, Profile::Anjay10, Profile::Anjay11, Profile::Anjay12];

/// A request that the server sent, taken apart.
pub(super) struct Asked {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) query: Vec<String>,
    pub(super) accept: Option<u16>,
    pub(super) format: Option<u16>,
    pub(super) payload: Vec<u8>,
}

/// What a client does with a request.
pub(super) enum Answer {
    /// Code, Content-Format, payload.
    Now(u8, Option<u16>, Vec<u8>),
    /// An empty Acknowledgement, and never anything else.
    OnlyAck,
    Reset,
}

fn code(class: u8, detail: u8) -> Answer {
    Answer::Now(class << 5 | detail, None, Vec::new())
}

impl Profile {
    /// The query of its Register.
    pub(super) fn query(self) -> &'static [&'static str] {
        match self {
            Profile::Wakaama10 => &["lwm2m=1.0", "ep=dev", "b=U", "lt=300"],
            Profile::Wakaama11 => &["lwm2m=1.1", "ep=dev", "b=U", "lt=300"],
            Profile::Anjay10 => &["lwm2m=1.0", "ep=dev", "lt=120"],
            Profile::Anjay11 => &["lwm2m=1.1", "ep=dev", "lt=120"],
            Profile::Anjay12 => &["lwm2m=1.2", "ep=dev", "lt=120"],
        }
    }

    pub(super) fn lifetime_s(self) -> u64 {
        if matches!(self, Profile::Wakaama10 | Profile::Wakaama11) { 300 } else { 120 }
    }

    pub(super) fn links(self) -> &'static str {
        match self {
            Profile::Wakaama10 => {
                r#"</>;rt="oma.lwm2m";ct=11543,</1>;ver=1.0,</1/0>,</2/0>,</3/0>,</4/0>,</5/0>"#
            }
            Profile::Wakaama11 => {
                r#"</>;rt="oma.lwm2m";ct=110,</1>;ver=1.1,</1/0>,</2/0>,</3/0>,</4/0>,</5/0>,</31024>;ver=1.0,</31024/10>"#
            }
            Profile::Anjay10 => r#"</1/1>,</2>,</3/0>,</4/0>,</10>;ver="1.1",</10/0>"#,
            Profile::Anjay11 => "</1/1>,</2>,</3/0>,</4/0>,</10>;ver=1.1,</10/0>",
            Profile::Anjay12 => {
                r#"</>;rt="oma.lwm2m";ct=11544,</1/1>,</2>,</3/0>,</4/0>,</10>;ver=1.1,</10/0>"#
            }
        }
    }

    /// Whether its notifications are Confirmable.
    pub(super) fn confirms(self) -> bool {
        matches!(self, Profile::Anjay10 | Profile::Anjay11 | Profile::Anjay12)
    }

    /// The format of a representation, or why there is none.
    fn read_format(self, accept: Option<u16>, single: bool) -> Result<u16, Answer> {
        let refused = |class, detail| Err(code(class, detail));
        match (self, accept) {
            (Profile::Wakaama10, None | Some(11542)) => Ok(11542),
            (Profile::Wakaama10, Some(11543)) => Ok(11543),
            (Profile::Wakaama11, Some(110)) => Ok(110),
            (Profile::Wakaama11, Some(0)) if single => Ok(0),
            (Profile::Wakaama11, None) => refused(5, 0),
            (Profile::Anjay10, None) => Ok(if single { 0 } else { 11542 }),
            (Profile::Anjay10, Some(11542)) => Ok(11542),
            (Profile::Anjay11 | Profile::Anjay12, None) => Ok(if single { 0 } else { 112 }),
            (Profile::Anjay11 | Profile::Anjay12, Some(accept @ (110 | 112))) => Ok(accept),
            (Profile::Anjay12, Some(11544)) => Ok(11544),
            (Profile::Anjay10 | Profile::Anjay11 | Profile::Anjay12, Some(0)) if single => Ok(0),
            (_, Some(_)) => refused(4, 6),
        }
    }

    fn takes(self, format: u16, single: bool) -> bool {
        match self {
            Profile::Wakaama10 => format == 11542 || single && format == 0,
            Profile::Wakaama11 => format == 110 || single && format == 0,
            Profile::Anjay10 => format == 11542 || single && format == 0,
            Profile::Anjay11 => matches!(format, 11542 | 110 | 112) || single && format == 0,
            Profile::Anjay12 => matches!(format, 11542 | 110 | 112 | 11544) || single && format == 0,
        }
    }

    fn speaks_fetch(self) -> bool {
        matches!(self, Profile::Anjay11 | Profile::Anjay12)
    }

    /// Answers a request and does what it says.
    pub(super) fn serve(self, store: &mut Store, asked: &Asked) -> Answer {
        if asked.method == "FETCH" {
            return self.fetch(store, asked);
        }
        let (part, single) = match asked.path.as_str() {
            "/3/0" => (Part::All, false),
            "/3/0/0" => (Part::Maker, true),
            "/3/0/9" => (Part::Battery, true),
            "/3/0/14" => (Part::Offset, true),
            "/3/0/4" => return self.run(store, asked),
            "/4/0/0" => return Answer::Reset, // a client that breaks over it
            _ => return code(4, 4),
        };
        match asked.method {
            "GET" if asked.accept == Some(40) => {
                Answer::Now(0x45, Some(40), b"</3/0>;pmin=10,</3/0/0>,</3/0/9>".to_vec())
            }
            "GET" => self.read(store, asked.accept, part, single),
            "PUT" if asked.payload.is_empty() && !asked.query.is_empty() => {
                store.attributes = asked.query.clone();
                code(2, 4)
            }
            "PUT" | "POST" => self.write(store, asked, single),
            _ => code(4, 5),
        }
    }

    pub(super) fn read(self, store: &Store, accept: Option<u16>, part: Part, single: bool) -> Answer {
        let object = Object3 { maker: "ACME", battery: store.battery, offset: &store.offset };
        match self.read_format(accept, single) {
            Err(answer) => answer,
            Ok(format) => {
                let body = match format {
                    0 => object.text(part).expect("one resource"),
                    11542 => object.tlv(part),
                    11543 => object.json(part),
                    110 => object.senml_json(part),
                    112 => object.senml_cbor(part),
                    _ => object.lwm2m_cbor(part), // 11544, the last
                };
                Answer::Now(0x45, Some(format), body)
            }
        }
    }

    fn run(self, store: &mut Store, asked: &Asked) -> Answer {
        if asked.method != "POST" {
            return code(4, 5);
        }
        store.executed.push(String::from_utf8_lossy(&asked.payload).into_owned());
        code(2, 4)
    }

    /// Texts that are written look like "w17x", which is found in any format.
    fn write(self, store: &mut Store, asked: &Asked, single: bool) -> Answer {
        if !asked.format.is_some_and(|format| self.takes(format, single)) {
            return code(4, if matches!(self, Profile::Wakaama10 | Profile::Wakaama11) { 6 } else { 15 });
        }
        let text = String::from_utf8_lossy(&asked.payload).into_owned();
        let found = text.match_indices('w').find_map(|(start, _)| {
            let rest = text.get(start..)?;
            let end = rest.find('x')?;
            let digits = rest.get(1..end)?;
            (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
                .then(|| rest[..=end].to_owned())
        });
        let Some(found) = found else { return code(4, 0) };
        store.offset.clone_from(&found);
        store.written.push(found);
        code(2, 4)
    }

    fn fetch(self, store: &Store, asked: &Asked) -> Answer {
        match self {
            Profile::Wakaama11 => Answer::OnlyAck,
            _ if self.speaks_fetch() => {
                let named =
                    |path: &str| asked.payload.windows(path.len()).any(|part| part == path.as_bytes());
                let part = if named("/3/0/0") { Part::Maker } else { Part::Battery };
                let accept = asked.accept.filter(|accept| matches!(accept, 110 | 112));
                self.read(store, Some(accept.unwrap_or(112)), part, true)
            }
            _ => code(4, 5),
        }
    }
}
