//! Operations as CoAP requests (1.1.1 Transport §6.4.4; FETCH and iPATCH: RFC 8132).
use super::formats::{Choice, Use};
use crate::catalog::Version;
use crate::coap::{Code, Observe, Options, Request, Token};
use crate::command::{Operation, WriteMode};
use crate::content::{self, ContentFormat, Context, Entry};
use crate::device::Device;
use crate::path::ObjectPath;
use crate::value::Value;
use coap_lite::CoapOption;

/// What an operation needs a format for; `None`: there is no choice.
pub(super) fn format_use(operation: &Operation, version: Version) -> Option<Use> {
    match operation {
        Operation::Read { path, .. } | Operation::Observe { path } | Operation::CancelObserve { path } => {
            Some(if path.depth() >= 3 { Use::ReadOne } else { Use::ReadMany })
        }
        Operation::Write { path, entries, .. } => match entries.as_slice() {
            // LwM2M 1.0 cannot name a resource instance in a request: it goes inside of its resource, as TLV.
            [entry] if entry.path == *path && !(path.depth() == 4 && version == Version::V1_0) => {
                Some(Use::WriteOne { opaque: matches!(entry.value, Value::Opaque(_)) })
            }
            _ => Some(Use::WriteMany), // several values, or one below the path
        },
        Operation::Create { entries, .. } => (!entries.is_empty()).then_some(Use::WriteMany),
        Operation::ReadComposite { .. }
        | Operation::WriteComposite { .. }
        | Operation::ObserveComposite { .. }
        | Operation::CancelObserveComposite { .. } => Some(Use::Composite),
        Operation::Discover { .. }
        | Operation::WriteAttributes { .. }
        | Operation::Execute { .. }
        | Operation::Delete { .. }
        | Operation::Deregister
        | Operation::Firmware(_) => None,
    }
}

/// What a request depends on beside its operation.
pub(super) struct Target<'a> {
    pub(super) cx: &'a Context<'a>,
    pub(super) device: &'a Device,
    /// The format to use.
    pub(super) choice: Choice,
    /// The observation to renew, issue again or cancel.
    pub(super) token: Option<Token>,
}

/// A GET with the asker's query.
fn asking(mut options: Options, query: Option<&str>) -> Request {
    for argument in query.unwrap_or_default().split('&').filter(|argument| !argument.is_empty()) {
        options.add(CoapOption::UriQuery, argument);
    }
    Request::new(Code::GET, options)
}

impl Target<'_> {
    fn at(&self, path: ObjectPath) -> Options {
        let options = Options::new().with_path(&self.device.registration.objects.root);
        if path.is_root() { options } else { options.with_path(&path.to_string()) }
    }

    fn accepting(&self, path: ObjectPath) -> Options {
        match self.choice {
            Some(format) => self.at(path).with_uint(CoapOption::Accept, u32::from(format)),
            None => self.at(path),
        }
    }

    fn format(&self) -> Result<ContentFormat, String> {
        let number = self.choice.ok_or("a value needs a content format")?;
        ContentFormat::from_number(number).map_err(|error| error.to_string())
    }

    fn writing(
        &self,
        method: Code,
        at: ObjectPath,
        base: ObjectPath,
        entries: &[Entry],
    ) -> Result<Request, String> {
        let format = self.format()?;
        let payload = match (format, entries) {
            // An image is shared by all devices that get it.
            (ContentFormat::Opaque, [Entry { value: Value::Opaque(bytes), .. }]) => bytes.clone(),
            _ => content::encode(format, base, entries, self.cx).map_err(|error| error.to_string())?.into(),
        };
        let options = self.at(at).with_uint(CoapOption::ContentFormat, u32::from(format.number()));
        Ok(Request::new(method, options).with_payload(payload))
    }

    fn fetching(&self, paths: &[ObjectPath]) -> Result<Request, String> {
        let format = self.format()?;
        let payload = content::encode_paths(format, paths, self.cx).map_err(|error| error.to_string())?;
        let options =
            self.accepting(ObjectPath::ROOT).with_uint(CoapOption::ContentFormat, u32::from(format.number()));
        Ok(Request::new(Code::FETCH, options).with_payload(payload))
    }

    fn creating(
        &self,
        object: ObjectPath,
        instance: Option<u16>,
        entries: &[Entry],
    ) -> Result<Request, String> {
        if entries.is_empty() {
            let Some(id) = instance else { return Ok(Request::new(Code::POST, self.at(object))) };
            // 1.0 §6.4.3: an object instance TLV of length 0.
            let [high, low] = id.to_be_bytes();
            let payload = if high == 0 { vec![0x00, low] } else { vec![0x20, high, low] };
            let format = u32::from(ContentFormat::Tlv.number());
            let options = self.at(object).with_uint(CoapOption::ContentFormat, format);
            return Ok(Request::new(Code::POST, options).with_payload(payload));
        }
        if instance.is_some() {
            return self.writing(Code::POST, object, object, entries);
        }
        let relative = object.child(0).map_err(|error| error.to_string())?;
        if self.choice == Some(ContentFormat::Tlv.number()) {
            return self.writing(Code::POST, object, relative, entries);
        }
        // Only TLV can leave the id out; the other formats get the lowest that the device has not registered.
        let id = self.device.registration.objects.free_instance(object);
        let mut named = Vec::with_capacity(entries.len());
        for entry in entries {
            let below = entry.path.below(relative).unwrap_or_default();
            let ids: Vec<u16> =
                object.ids().iter().copied().chain([id]).chain(below.iter().copied()).collect();
            let path = ObjectPath::from_ids(&ids).map_err(|error| error.to_string())?;
            named.push(Entry { path, ..entry.clone() });
        }
        self.writing(Code::POST, object, object, &named)
    }

    fn observe(&self, request: Request) -> Request {
        request.with_observe(Observe::Register(self.token))
    }

    fn cancel(&self, request: Request) -> Request {
        match self.token {
            Some(token) => request.with_observe(Observe::Cancel(token)),
            // Nothing is observed there for this asker alone: it gets the value, nobody loses anything.
            None => request,
        }
    }

    /// The request; an error when the values cannot be written in this format.
    pub(super) fn compose(&self, operation: &Operation) -> Result<Request, String> {
        let get = |path| Request::new(Code::GET, self.accepting(path));
        let request = match operation {
            Operation::Read { path, query } => asking(self.accepting(*path), query.as_deref()),
            Operation::Discover { path, query } => {
                let link_format = u32::from(ContentFormat::Link.number());
                asking(self.at(*path).with_uint(CoapOption::Accept, link_format), query.as_deref())
            }
            Operation::Write { path, mode, entries } => {
                let method = match mode {
                    WriteMode::Replace => Code::PUT,
                    WriteMode::Update => Code::POST,
                };
                if path.depth() == 4 && self.device.registration.version == Version::V1_0 {
                    let resource = path.ancestor(3);
                    self.writing(Code::POST, resource, resource, entries)?
                } else {
                    self.writing(method, *path, *path, entries)?
                }
            }
            Operation::WriteAttributes { path, attributes } => {
                let mut options = self.at(*path);
                for attribute in attributes {
                    // A name alone unsets.
                    let argument = match &attribute.value {
                        Some(value) => format!("{}={value}", attribute.name),
                        None => attribute.name.to_owned(),
                    };
                    options.add(CoapOption::UriQuery, argument);
                }
                Request::new(Code::PUT, options)
            }
            Operation::Execute { path, arguments } if arguments.is_empty() => {
                Request::new(Code::POST, self.at(*path))
            }
            Operation::Execute { path, arguments } => {
                let options = self.at(*path).with_uint(CoapOption::ContentFormat, 0);
                Request::new(Code::POST, options).with_payload(arguments.clone())
            }
            Operation::Create { object, instance, entries } => self.creating(*object, *instance, entries)?,
            Operation::Delete { path } => Request::new(Code::DELETE, self.at(*path)),
            Operation::Observe { path } => self.observe(get(*path)),
            Operation::CancelObserve { path } => self.cancel(get(*path)),
            Operation::ReadComposite { paths } => self.fetching(paths)?,
            Operation::ObserveComposite { paths } => self.observe(self.fetching(paths)?),
            Operation::CancelObserveComposite { paths } => self.cancel(self.fetching(paths)?),
            Operation::WriteComposite { entries, .. } => {
                self.writing(Code::IPATCH, ObjectPath::ROOT, ObjectPath::ROOT, entries)?
            }
            Operation::Deregister | Operation::Firmware(_) => {
                return Err("this is no single request".to_owned());
            }
        };
        Ok(Request { trusted: self.device.validated, ..request })
    }
}
