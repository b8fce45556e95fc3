//! A registration as bytes in its session's memo: versioned, bounded, and read totally, since a store is a file.
use super::bytes::{Reader, Writer};
use super::{Lifetime, Location, ObjectLink, ObjectList, Registration, Terms};
use crate::catalog::Version;
use crate::coap::Token;
use crate::command::{Asker, Channel, FirmwareSource, Form};
use crate::limits::OBSERVATIONS_PER_DEVICE_MAX;
use crate::path::ObjectPath;
use crate::server::firmware::{SavedFirmware, Stage};
use broker_core::frontend::{Address, ListenerId};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// First byte of a memo.
const FORMAT: u8 = 1;
/// The same of one that ends with the address in the device's topics.
const FORMAT_WITH_HOST: u8 = 2;

/// Room for the memo of a device of which nothing is observed.
const MEMO_USUAL_BYTES: usize = 96;

/// Who hears of an observation, and under which id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SavedAsker {
    /// Somebody who sent a command.
    Asker(Asker),
    /// Nobody: an automatic observation.
    Automatic,
    /// The firmware update that runs.
    Firmware,
}

/// An observation as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedObservation {
    /// One path, or several of a composite observation.
    pub paths: Vec<ObjectPath>,
    /// A composite one.
    pub composite: bool,
    /// Its token at the device.
    pub token: Token,
    /// The Accept that the device answered to.
    pub accept: Option<u16>,
    /// At most one for each channel and one for nobody.
    pub askers: Vec<SavedAsker>,
}

/// All that a restart must find again of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memo {
    /// What it registered.
    pub registration: Registration,
    /// Where it finds its registration.
    pub location: Location,
    /// Where it was last.
    pub address: Address,
    /// It has shown that it receives there.
    pub validated: bool,
    /// Content-Formats that it answered to, by [`crate::server::formats::Learned`].
    pub learned: u32,
    /// What is observed.
    pub observations: Vec<SavedObservation>,
    /// A firmware update that runs.
    pub firmware: Option<SavedFirmware>,
    /// The IP address in its topics, if it is there.
    pub host: Option<Box<str>>,
}

/// The parts of a memo where they lie.
pub(crate) struct MemoParts<'a, I> {
    pub(crate) registration: &'a Registration,
    pub(crate) location: Location,
    pub(crate) address: Address,
    pub(crate) validated: bool,
    pub(crate) learned: u32,
    pub(crate) observations: I,
    pub(crate) firmware: Option<&'a SavedFirmware>,
    pub(crate) host: Option<&'a str>,
}

impl<'a, I: ExactSizeIterator<Item = &'a SavedObservation>> MemoParts<'a, I> {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut w = Writer(Vec::with_capacity(MEMO_USUAL_BYTES));
        w.u8(if self.host.is_some() { FORMAT_WITH_HOST } else { FORMAT });
        self.registration.terms.write(&mut w);
        w.0.extend_from_slice(self.location.as_bytes());
        write_address(&mut w, &self.address);
        w.u8(u8::from(self.validated));
        w.number(self.learned);
        w.number(self.observations.len() as u64);
        self.observations.for_each(|observation| observation.write(&mut w));
        w.u8(u8::from(self.firmware.is_some()));
        if let Some(firmware) = self.firmware {
            write_firmware(&mut w, firmware);
        }
        if let Some(host) = self.host {
            w.text(host);
        }
        w.0
    }
}

impl Memo {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        MemoParts {
            registration: &self.registration,
            location: self.location,
            address: self.address,
            validated: self.validated,
            learned: self.learned,
            observations: self.observations.iter(),
            firmware: self.firmware.as_ref(),
            host: self.host.as_deref(),
        }
        .encode()
    }

    /// Reads them back; `None` when they are not what [`Memo::encode`] wrote. The name is the session's.
    pub fn decode(endpoint: Arc<str>, bytes: &[u8]) -> Option<Memo> {
        let mut r = Reader(bytes);
        let format = r.u8()?;
        if format != FORMAT && format != FORMAT_WITH_HOST {
            return None;
        }
        let memo = Memo {
            registration: Registration { endpoint, terms: Arc::new(Terms::read(&mut r)?) },
            location: Location::from_bytes(&r.array::<{ super::LOCATION_LEN }>()?)?,
            address: read_address(&mut r)?,
            validated: r.bool()?,
            learned: r.number()?,
            observations: r.list(SavedObservation::read)?,
            firmware: if r.bool()? { Some(read_firmware(&mut r)?) } else { None },
            host: if format == FORMAT_WITH_HOST { Some(r.text()?.into()) } else { None },
        };
        (r.0.is_empty() && memo.observations.len() <= OBSERVATIONS_PER_DEVICE_MAX).then_some(memo)
    }
}

// Bits of a registration's first byte.
const SHORT_VERSION: u8 = 1;
const QUEUE: u8 = 1 << 1;
const INFINITE: u8 = 1 << 2;
/// The lifetime asked for stands behind the one granted.
const ASKED: u8 = 1 << 3;
const BINDING: u8 = 1 << 4;
const SMS: u8 = 1 << 5;
const EXTRAS: u8 = 1 << 6;

impl Terms {
    fn write(&self, w: &mut Writer) {
        let seconds = match self.lifetime {
            Lifetime::Seconds(seconds) => seconds,
            Lifetime::Infinite => 0,
        };
        let asked = self.lifetime_asked != u64::from(seconds);
        w.u8([
            (SHORT_VERSION, self.version_is_short),
            (QUEUE, self.queue),
            (INFINITE, self.lifetime == Lifetime::Infinite),
            (ASKED, asked),
            (BINDING, self.binding.is_some()),
            (SMS, self.sms.is_some()),
            (EXTRAS, !self.extras.is_empty()),
        ]
        .into_iter()
        .fold(0, |flags, (flag, set)| if set { flags | flag } else { flags }));
        write_version(w, self.version);
        w.number(seconds);
        if asked {
            w.number(self.lifetime_asked);
        }
        [&self.binding, &self.sms].into_iter().flatten().for_each(|text| w.text(text));
        if !self.extras.is_empty() {
            w.list(&self.extras, |w, (name, value)| {
                w.text(name);
                w.text(value);
            });
        }
        w.text(&self.objects.root);
        w.list(&self.objects.formats, |w, format| w.number(*format));
        w.list(&self.objects.links, write_link);
    }

    fn read(r: &mut Reader<'_>) -> Option<Terms> {
        let flags = r.u8()?;
        let has = |flag: u8| flags & flag != 0;
        let version = read_version(r)?;
        let seconds: u32 = r.number()?;
        let lifetime_asked = if has(ASKED) { r.number()? } else { u64::from(seconds) };
        let mut text = |flag| if has(flag) { r.text().map(|text| Some(Box::from(text))) } else { Some(None) };
        Some(Terms {
            version,
            version_is_short: has(SHORT_VERSION),
            lifetime: if has(INFINITE) { Lifetime::Infinite } else { Lifetime::Seconds(seconds) },
            lifetime_asked,
            queue: has(QUEUE),
            binding: text(BINDING)?,
            sms: text(SMS)?,
            extras: if has(EXTRAS) {
                r.list(|r| Some((r.text()?.into(), r.text()?.into())))?.into()
            } else {
                Box::default()
            },
            objects: Arc::new(ObjectList::new(r.text()?, r.list(Reader::number)?, r.list(read_link)?)),
        })
    }
}

/// The object's id with two flags, instance and version if they are there.
fn write_link(w: &mut Writer, link: &ObjectLink) {
    let (object, instance) = match link.path.ids() {
        [object, instance, ..] => (*object, Some(*instance)),
        [object] => (*object, None),
        [] => (0, None), // no list has it
    };
    let flags = u32::from(instance.is_some()) | u32::from(link.version.is_some()) << 1;
    w.number(u32::from(object) << 2 | flags);
    instance.into_iter().for_each(|instance| w.number(instance));
    link.version.into_iter().for_each(|version| write_version(w, version));
}

fn read_link(r: &mut Reader<'_>) -> Option<ObjectLink> {
    let first: u32 = r.number()?;
    let mut path = ObjectPath::object(u16::try_from(first >> 2).ok()?);
    if first & 1 != 0 {
        path = path.child(r.number()?).ok()?;
    }
    let version = if first & 2 != 0 { Some(read_version(r)?) } else { None };
    Some(ObjectLink { path, version })
}

impl SavedObservation {
    fn write(&self, w: &mut Writer) {
        w.list(&self.paths, |w, path| write_path(w, *path));
        w.u8(u8::from(self.composite));
        w.bytes(self.token.as_bytes());
        w.number(self.accept.map_or(0, |accept| u32::from(accept) + 1));
        w.list(&self.askers, write_asker);
    }

    fn read(r: &mut Reader<'_>) -> Option<SavedObservation> {
        Some(SavedObservation {
            paths: r.list(read_path)?,
            composite: r.bool()?,
            token: Token::new(r.bytes()?)?,
            accept: match r.number::<u32>()? {
                0 => None,
                accept => Some(u16::try_from(accept - 1).ok()?),
            },
            askers: r.list(read_asker)?,
        })
    }
}

fn write_firmware(w: &mut Writer, firmware: &SavedFirmware) {
    write_asker(w, &SavedAsker::Asker(firmware.asker.clone()));
    match &firmware.source {
        FirmwareSource::File(name) => {
            w.u8(0);
            w.text(name);
        }
        FirmwareSource::Uri(uri) => {
            w.u8(1);
            w.text(uri);
        }
    }
    w.u8(u8::from(firmware.update));
    w.u8(firmware.stage as u8);
    w.0.extend_from_slice(firmware.token.as_bytes());
    w.number(firmware.deadline_unix_ms);
}

fn read_firmware(r: &mut Reader<'_>) -> Option<SavedFirmware> {
    let SavedAsker::Asker(asker) = read_asker(r)? else { return None };
    let source = match (r.u8()?, r.text()?.to_owned()) {
        (0, name) => FirmwareSource::File(name),
        (1, uri) => FirmwareSource::Uri(uri),
        (2..=u8::MAX, _) => return None,
    };
    Some(SavedFirmware {
        asker,
        source,
        update: r.bool()?,
        stage: Stage::from_u8(r.u8()?)?,
        token: Location::from_bytes(&r.array::<{ super::LOCATION_LEN }>()?)?,
        deadline_unix_ms: r.number()?,
    })
}

fn write_version(w: &mut Writer, version: Version) {
    w.number(version.major);
    w.number(version.minor);
}

fn read_version(r: &mut Reader<'_>) -> Option<Version> {
    Some(Version::new(r.number()?, r.number()?))
}

fn write_path(w: &mut Writer, path: ObjectPath) {
    w.u8(path.depth() as u8);
    path.ids().iter().for_each(|id| w.number(*id));
}

fn read_path(r: &mut Reader<'_>) -> Option<ObjectPath> {
    let mut path = ObjectPath::ROOT;
    for _ in 0..r.u8()? {
        path = path.child(r.number()?).ok()?;
    }
    Some(path)
}

fn write_asker(w: &mut Writer, saved: &SavedAsker) {
    let asker = match saved {
        SavedAsker::Automatic => return w.u8(0),
        SavedAsker::Firmware => return w.u8(5),
        SavedAsker::Asker(asker) => asker,
    };
    w.u8(match (asker.channel, asker.form) {
        (Channel::Command, Form::A) => 1,
        (Channel::Command, Form::B) => 2,
        (Channel::Downlink, Form::A) => 3,
        (Channel::Downlink, Form::B) => 4,
    });
    w.list(&asker.echo, |w, (name, raw)| {
        w.text(name);
        w.text(raw);
    });
    w.optional(asker.request_path.as_deref());
}

fn read_asker(r: &mut Reader<'_>) -> Option<SavedAsker> {
    let (channel, form) = match r.u8()? {
        0 => return Some(SavedAsker::Automatic),
        1 => (Channel::Command, Form::A),
        2 => (Channel::Command, Form::B),
        3 => (Channel::Downlink, Form::A),
        4 => (Channel::Downlink, Form::B),
        5 => return Some(SavedAsker::Firmware),
        6..=u8::MAX => return None,
    };
    let echo = r.list(|r| Some((r.text()?.into(), r.text()?.into())))?;
    let request_path = r.optional()?.map(Box::from);
    Some(SavedAsker::Asker(Asker { channel, form, echo, request_path, data: None }))
}

fn write_ip(w: &mut Writer, ip: IpAddr) {
    match ip {
        IpAddr::V4(v4) => {
            w.u8(4);
            w.0.extend_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => {
            w.u8(6);
            w.0.extend_from_slice(&v6.octets());
        }
    }
}

fn read_ip(r: &mut Reader<'_>) -> Option<IpAddr> {
    match r.u8()? {
        4 => Some(IpAddr::V4(Ipv4Addr::from(r.array::<4>()?))),
        6 => Some(IpAddr::V6(Ipv6Addr::from(r.array::<16>()?))),
        _ => None, // not an enum
    }
}

fn write_address(w: &mut Writer, address: &Address) {
    write_ip(w, address.remote.ip());
    w.u16(address.remote.port());
    if let SocketAddr::V6(v6) = address.remote {
        w.number(v6.scope_id());
    }
    w.u8(u8::from(address.local.is_some()));
    if let Some(local) = address.local {
        write_ip(w, local);
    }
    w.number(address.listener.0);
}

fn read_address(r: &mut Reader<'_>) -> Option<Address> {
    let (ip, port) = (read_ip(r)?, r.u16()?);
    let remote = match ip {
        IpAddr::V4(_) => SocketAddr::new(ip, port),
        IpAddr::V6(v6) => SocketAddr::V6(std::net::SocketAddrV6::new(v6, port, 0, r.number()?)),
    };
    let local = if r.bool()? { Some(read_ip(r)?) } else { None };
    Some(Address { remote, local, listener: ListenerId(r.number()?) })
}
