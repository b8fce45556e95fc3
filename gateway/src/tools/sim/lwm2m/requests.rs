//! What the server asks of a device: Read, Write, Execute, Discover, Create, Delete and the composite ones.
use lwm2m::catalog::{Catalog, Operations};
use lwm2m::coap::{CoapOption, Code, Options, Response};
use lwm2m::content::{self, ContentFormat, Context, Entry};
use lwm2m::limits::ContentLimits;
use lwm2m::path::ObjectPath;
use lwm2m::value::DataType;

use super::attributes::Attributes;
use super::objects::{Definitions, INSTANCES_MAX, Resource, Tree, path};
use super::profile::reset_extremes;
use crate::tools::terminal::unix_ms;

/// What a request changed beside the tree.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    /// Values were written.
    Written(Vec<ObjectPath>),
    /// Instances came or went: the registration tells.
    Instances,
    /// The device starts anew.
    Reboot,
    /// The server wants an update.
    Update,
    /// The new firmware is to be run.
    RunFirmware,
}

/// The device's side of one request.
pub(super) struct Desk<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) tree: &'a mut Tree,
    pub(super) attributes: &'a mut Attributes,
    pub(super) effects: Vec<Effect>,
}

/// A request that cannot be done: its code.
type Refusal = Code;

impl Desk<'_> {
    fn definitions(&self) -> Definitions<'_> {
        Definitions(self.catalog)
    }

    /// Answers any request but those of observing.
    pub(super) fn answer(&mut self, method: Code, options: &Options, payload: &[u8]) -> Response {
        let target = match target(options) {
            Some(target) => target,
            None => return Response::new(Code::NOT_FOUND),
        };
        let result = match (method, target.depth()) {
            (Code::GET, _) if options.accept() == Some(ContentFormat::Link.number()) => self.discover(target),
            (Code::GET, 1..) => self.read(target, options.accept()),
            (Code::PUT, 1..=3) if payload.is_empty() && options.has(CoapOption::UriQuery) => {
                self.write_attributes(target, options)
            }
            (Code::PUT, 2..) => self.write(target, options, payload, true),
            (Code::POST, 3) if self.is_executable(target) => self.execute(target),
            (Code::POST, 2..) => self.write(target, options, payload, false),
            (Code::POST, 1) => self.create(target, options, payload),
            (Code::DELETE, 2) => self.delete(target),
            (Code::FETCH, 0) => self.read_composite(options, payload),
            (Code::IPATCH, 0) => self.write_composite(options, payload),
            (_, _) => Err(Code::METHOD_NOT_ALLOWED),
        };
        result.unwrap_or_else(Response::new)
    }

    fn context<'c>(definitions: &'c Definitions<'c>, limits: &'c ContentLimits) -> Context<'c> {
        Context { model: definitions, limits, now_unix_ms: unix_ms(), alternate_path: "" }
    }

    fn operations(&self, at: ObjectPath) -> Option<Operations> {
        self.definitions().operations(at.object_id()?, at.resource_id()?)
    }

    fn is_executable(&self, at: ObjectPath) -> bool {
        self.operations(at).is_some_and(|operations| operations.execute)
    }

    /// Whether the object, instance or resource is there.
    fn exists(&self, at: ObjectPath) -> bool {
        match *at.ids() {
            [object] => self.tree.has_object(object),
            [object, instance] => self.tree.has_instance(object, instance),
            [object, instance, resource] => self.tree.resource(object, instance, resource).is_some(),
            [object, instance, resource, index] => match self.tree.resource(object, instance, resource) {
                Some(Resource::Multiple(values)) => values.contains_key(&index),
                Some(Resource::Single(_)) | None => false,
            },
            _ => true, // the root, and nothing is deeper than four
        }
    }

    pub(super) fn read(&self, at: ObjectPath, accept: Option<u16>) -> Result<Response, Refusal> {
        if at.object_id() == Some(0) {
            return Err(Code::UNAUTHORIZED);
        }
        // Of a resource that exists only to be written or run, there may be no value at all.
        if at.depth() >= 3
            && self.operations(at).is_some_and(|operations| !operations.read)
            && at.ids().get(..2).is_some_and(|ids| self.exists(path(ids)))
        {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        if !self.exists(at) {
            return Err(Code::NOT_FOUND);
        }
        let entries = self.tree.entries(at, self.definitions());
        self.content(at, &entries, accept)
    }

    /// The entries in the format that was asked for, or in the one that fits.
    pub(super) fn content(
        &self,
        at: ObjectPath,
        entries: &[Entry],
        accept: Option<u16>,
    ) -> Result<Response, Refusal> {
        let one = matches!(entries, [entry] if entry.path == at);
        let opaque = at.object_id().zip(at.resource_id()).and_then(|(object, resource)| {
            lwm2m::catalog::Model::data_type(&self.definitions(), object, resource)
        }) == Some(DataType::Opaque);
        let format = match accept {
            Some(number) => ContentFormat::from_number(number).map_err(|_| Code::NOT_ACCEPTABLE)?,
            None if one && opaque => ContentFormat::Opaque,
            None if one => ContentFormat::Text,
            None if at.is_root() => ContentFormat::SenmlCbor,
            None => ContentFormat::Tlv,
        };
        let (definitions, limits) = (self.definitions(), ContentLimits::default());
        let payload = content::encode(format, at, entries, &Self::context(&definitions, &limits))
            .map_err(|_| Code::NOT_ACCEPTABLE)?;
        let options = Options::new().with_uint(CoapOption::ContentFormat, format.number().into());
        Ok(Response::new(Code::CONTENT).with_options(options).with_payload(payload))
    }

    fn decode(&self, base: ObjectPath, options: &Options, payload: &[u8]) -> Result<Vec<Entry>, Refusal> {
        let format = match options.content_format() {
            Some(number) => {
                ContentFormat::from_number(number).map_err(|_| Code::UNSUPPORTED_CONTENT_FORMAT)?
            }
            None if base.depth() >= 3 => ContentFormat::Text,
            None => ContentFormat::Tlv,
        };
        let (definitions, limits) = (self.definitions(), ContentLimits::default());
        content::decode(format, base, payload, &Self::context(&definitions, &limits))
            .map_err(|_| Code::BAD_REQUEST)
    }

    /// Every entry must be writable and of its type, or nothing is written.
    fn check_writable(&self, entries: &[Entry], creating: bool) -> Result<(), Refusal> {
        for entry in entries {
            let operations = self.operations(entry.path).ok_or(Code::NOT_FOUND)?;
            if !(operations.write || creating && operations.read) {
                return Err(Code::METHOD_NOT_ALLOWED);
            }
            let (object, resource) =
                entry.path.object_id().zip(entry.path.resource_id()).ok_or(Code::BAD_REQUEST)?;
            if let Some(data_type) = lwm2m::catalog::Model::data_type(&self.definitions(), object, resource) {
                entry.value.clone().into_type(data_type).map_err(|_| Code::BAD_REQUEST)?;
            }
        }
        Ok(())
    }

    fn write(
        &mut self,
        at: ObjectPath,
        options: &Options,
        payload: &[u8],
        replace: bool,
    ) -> Result<Response, Refusal> {
        let Some((object, instance)) = at.object_id().zip(at.instance_id()) else {
            return Err(Code::METHOD_NOT_ALLOWED);
        };
        if !self.tree.has_instance(object, instance) {
            return Err(Code::NOT_FOUND);
        }
        let entries = self.decode(at, options, payload)?;
        self.check_writable(&entries, false)?;
        // What is being installed can not be changed any more (registry, object 5 resource 3).
        let image = |entry: &Entry| matches!(entry.path.ids(), [5, 0, 0 | 1]);
        if self.tree.integer(5, 0, 3) == Some(3) && entries.iter().any(image) {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        if replace && at.depth() < 4 {
            let old: Vec<u16> = self.tree.resources(object, instance).map(|(id, _)| id).collect();
            let named = at.resource_id();
            for resource in old.into_iter().filter(|id| named.is_none_or(|named| named == *id)) {
                if self.definitions().operations(object, resource).is_some_and(|operations| operations.write)
                {
                    self.tree.clear(object, instance, resource);
                }
            }
        }
        self.store(entries);
        Ok(Response::new(Code::CHANGED))
    }

    fn store(&mut self, entries: Vec<Entry>) {
        let mut written = Vec::new();
        for entry in entries {
            written.push(entry.path);
            self.tree.write(entry.path, entry.value, Definitions(self.catalog));
        }
        self.effects.push(Effect::Written(written));
    }

    fn execute(&mut self, at: ObjectPath) -> Result<Response, Refusal> {
        let &[object, instance, resource] = at.ids() else { return Err(Code::METHOD_NOT_ALLOWED) };
        if !self.tree.has_instance(object, instance) {
            return Err(Code::NOT_FOUND);
        }
        match (object, resource) {
            (1, 8) => self.effects.push(Effect::Update),
            (3, 4 | 5) => self.effects.push(Effect::Reboot),
            (3, 12) => self.tree.set_one(3, 0, 11, 0, lwm2m::value::Value::Integer(0)),
            (5, 2) if self.tree.integer(5, 0, 3) == Some(2) => self.effects.push(Effect::RunFirmware),
            (5, 2) => return Err(Code::METHOD_NOT_ALLOWED),
            (_, 5605) => reset_extremes(self.tree, object, instance),
            (_, _) => {} // nothing that could be seen
        }
        Ok(Response::new(Code::CHANGED))
    }

    fn create(&mut self, at: ObjectPath, options: &Options, payload: &[u8]) -> Result<Response, Refusal> {
        let object = at.object_id().ok_or(Code::METHOD_NOT_ALLOWED)?;
        if object < 10 || !self.definitions().is_multiple_object(object) {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        let used: Vec<u16> = self.tree.instances_of(object).collect();
        let free = (0..=u16::MAX).find(|id| !used.contains(id)).ok_or(Code::BAD_REQUEST)?;
        if used.len() >= INSTANCES_MAX {
            return Err(Code::BAD_REQUEST);
        }
        let fresh = path(&[object, free]);
        let (entries, chosen) = if payload.is_empty() {
            (Vec::new(), None)
        } else {
            // With the id of the instance in it, or, where we choose, without.
            match self.decode(at, options, payload) {
                Ok(entries) => {
                    let named = entries.first().and_then(|entry| entry.path.instance_id());
                    (entries, named)
                }
                Err(_) => (self.decode(fresh, options, payload)?, None),
            }
        };
        let instance = chosen.unwrap_or(free);
        if used.contains(&instance) || entries.iter().any(|entry| entry.path.instance_id() != Some(instance))
        {
            return Err(Code::BAD_REQUEST);
        }
        self.check_writable(&entries, true)?;
        self.tree.create(object, instance);
        self.store(entries);
        self.effects.push(Effect::Instances);
        let mut options = Options::new();
        if chosen.is_none() {
            options.add(CoapOption::LocationPath, object.to_string());
            options.add(CoapOption::LocationPath, instance.to_string());
        }
        Ok(Response::new(Code::CREATED).with_options(options))
    }

    fn delete(&mut self, at: ObjectPath) -> Result<Response, Refusal> {
        let Some((object, instance)) = at.object_id().zip(at.instance_id()) else {
            return Err(Code::METHOD_NOT_ALLOWED);
        };
        if !self.tree.has_instance(object, instance) {
            return Err(Code::NOT_FOUND);
        }
        if object < 10 {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        self.tree.delete(object, instance);
        self.effects.push(Effect::Instances);
        Ok(Response::new(Code::DELETED))
    }

    fn discover(&self, at: ObjectPath) -> Result<Response, Refusal> {
        if at.depth() > 3 || !(self.exists(at) || self.is_executable(at)) {
            return Err(Code::NOT_FOUND);
        }
        let mut links = Vec::new();
        if let &[object] = at.ids() {
            links.push(self.attributes.link(at));
            for instance in self.tree.instances_of(object) {
                links.push(self.attributes.link(path(&[object, instance])));
                self.push_resources(object, instance, &mut links);
            }
        } else if let &[object, instance] = at.ids() {
            links.push(self.attributes.link(at));
            self.push_resources(object, instance, &mut links);
        } else if let &[object, instance, resource] = at.ids() {
            let held = self.tree.resources(object, instance).find(|(id, _)| *id == resource);
            links.push(self.resource_link(at, held.and_then(|(_, values)| values)));
        } else {
            links.extend(
                self.tree.instances().map(|(object, instance)| format!("<{}>", path(&[object, instance]))),
            );
        }
        let options =
            Options::new().with_uint(CoapOption::ContentFormat, ContentFormat::Link.number().into());
        Ok(Response::new(Code::CONTENT).with_options(options).with_payload(links.join(",")))
    }

    /// The links of everything that an instance has: what holds values, and what can be run.
    fn push_resources(&self, object: u16, instance: u16, links: &mut Vec<String>) {
        let mut all: Vec<(u16, Option<usize>)> = self.tree.resources(object, instance).collect();
        let version = Definitions::version(object);
        if let Some(definition) = self.catalog.object(object, Some(version)) {
            let run = definition.resources().filter(|resource| resource.operations().execute);
            all.extend(run.map(|resource| (resource.id(), None)));
        }
        all.sort_unstable();
        for (resource, values) in all {
            links.push(self.resource_link(path(&[object, instance, resource]), values));
        }
    }

    fn resource_link(&self, at: ObjectPath, values: Option<usize>) -> String {
        let link = self.attributes.link(at);
        match values {
            None => link,
            Some(count) => link.replacen('>', &format!(">;dim={count}"), 1),
        }
    }

    fn write_attributes(&mut self, at: ObjectPath, options: &Options) -> Result<Response, Refusal> {
        if !self.exists(at) {
            return Err(Code::NOT_FOUND);
        }
        if self.attributes.write(at, options.query()) {
            Ok(Response::new(Code::CHANGED))
        } else {
            Err(Code::BAD_REQUEST)
        }
    }

    fn read_composite(&self, options: &Options, payload: &[u8]) -> Result<Response, Refusal> {
        let (paths, format) = self.paths(options, payload)?;
        let entries = self.entries_of(&paths);
        self.content(ObjectPath::ROOT, &entries, Some(options.accept().unwrap_or(format)))
    }

    /// The paths that a FETCH names, and the format that they came in.
    pub(super) fn paths(&self, options: &Options, payload: &[u8]) -> Result<(Vec<ObjectPath>, u16), Refusal> {
        let number = options.content_format().ok_or(Code::UNSUPPORTED_CONTENT_FORMAT)?;
        let format = ContentFormat::from_number(number).map_err(|_| Code::UNSUPPORTED_CONTENT_FORMAT)?;
        let (definitions, limits) = (self.definitions(), ContentLimits::default());
        let paths = content::decode_paths(format, payload, &Self::context(&definitions, &limits))
            .map_err(|_| Code::BAD_REQUEST)?;
        Ok((paths, number))
    }

    /// Everything readable at several paths, each once.
    pub(super) fn entries_of(&self, paths: &[ObjectPath]) -> Vec<Entry> {
        let all = self.tree.entries(ObjectPath::ROOT, self.definitions());
        all.into_iter().filter(|entry| paths.iter().any(|path| path.contains(entry.path))).collect()
    }

    fn write_composite(&mut self, options: &Options, payload: &[u8]) -> Result<Response, Refusal> {
        let number = options.content_format().ok_or(Code::UNSUPPORTED_CONTENT_FORMAT)?;
        let format = ContentFormat::from_number(number).map_err(|_| Code::UNSUPPORTED_CONTENT_FORMAT)?;
        let entries = {
            let (definitions, limits) = (self.definitions(), ContentLimits::default());
            content::decode(format, ObjectPath::ROOT, payload, &Self::context(&definitions, &limits))
                .map_err(|_| Code::BAD_REQUEST)?
        };
        self.check_writable(&entries, false)?;
        let known = entries.iter().all(|entry| {
            entry
                .path
                .object_id()
                .zip(entry.path.instance_id())
                .is_some_and(|(object, instance)| self.tree.has_instance(object, instance))
        });
        if !known {
            return Err(Code::NOT_FOUND);
        }
        self.store(entries);
        Ok(Response::new(Code::CHANGED))
    }
}

/// The path that a request names; `None` when it is none of LwM2M's.
pub(super) fn target(options: &Options) -> Option<ObjectPath> {
    let mut text = String::new();
    for segment in options.path() {
        text.push('/');
        text.push_str(std::str::from_utf8(segment).ok()?);
    }
    if text.is_empty() { Some(ObjectPath::ROOT) } else { ObjectPath::parse(&text).ok() }
}

#[cfg(test)]
#[path = "requests_tests.rs"]
mod tests;
