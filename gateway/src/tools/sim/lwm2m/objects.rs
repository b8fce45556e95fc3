//! [`Tree`]: the objects of a simulated device, their instances and values.
use std::collections::BTreeMap;

use lwm2m::catalog::{Catalog, Model, Operations, Version};
use lwm2m::content::Entry;
use lwm2m::path::ObjectPath;
use lwm2m::value::{DataType, Value};

/// Instances that a device holds of one object. Reaction: Create is answered 4.00.
pub(super) const INSTANCES_MAX: usize = 16;

/// The values of one resource.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Resource {
    Single(Value),
    Multiple(BTreeMap<u16, Value>),
}

/// Objects, instances and values; what they mean is the catalog's business.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    instances: BTreeMap<(u16, u16), BTreeMap<u16, Resource>>,
}

/// The definitions that the simulator speaks of: the newest version of each object that fits LwM2M 1.1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Definitions<'a>(pub(super) &'a Catalog);

impl Definitions<'_> {
    /// The version that a 1.1 device means when it names none.
    pub(super) fn version(object: u16) -> Version {
        Version::of_unversioned_object(object, Version::V1_1)
    }

    /// What a server may do with a resource; `None` when it does not exist.
    pub(super) fn operations(&self, object: u16, resource: u16) -> Option<Operations> {
        Some(self.0.resource(object, Some(Self::version(object)), resource)?.operations())
    }

    pub(super) fn is_multiple_object(&self, object: u16) -> bool {
        self.0.object(object, Some(Self::version(object))).is_some_and(|object| object.is_multiple())
    }

    pub(super) fn is_multiple_resource(&self, object: u16, resource: u16) -> bool {
        self.0
            .resource(object, Some(Self::version(object)), resource)
            .is_some_and(|resource| resource.is_multiple())
    }
}

impl Model for Definitions<'_> {
    fn data_type(&self, object: u16, resource: u16) -> Option<DataType> {
        self.0.resource(object, Some(Self::version(object)), resource)?.data_type()
    }

    fn is_single_instance(&self, object: u16) -> bool {
        self.0.object(object, Some(Self::version(object))).is_some_and(|object| !object.is_multiple())
    }
}

/// The path of these ids, which are all legal.
pub(super) fn path(ids: &[u16]) -> ObjectPath {
    ObjectPath::from_ids(ids).unwrap_or(ObjectPath::ROOT)
}

impl Tree {
    /// Sets a resource of one value; its instance is made when it is not there.
    pub(super) fn set(&mut self, object: u16, instance: u16, resource: u16, value: Value) {
        self.instances.entry((object, instance)).or_default().insert(resource, Resource::Single(value));
    }

    /// Sets one of the values of a multiple resource.
    pub(super) fn set_one(&mut self, object: u16, instance: u16, resource: u16, index: u16, value: Value) {
        let slot = self
            .instances
            .entry((object, instance))
            .or_default()
            .entry(resource)
            .or_insert_with(|| Resource::Multiple(BTreeMap::new()));
        match slot {
            Resource::Multiple(values) => {
                values.insert(index, value);
            }
            Resource::Single(_) => *slot = Resource::Multiple(BTreeMap::from([(index, value)])),
        }
    }

    /// A value of a resource that has one.
    pub(super) fn get(&self, object: u16, instance: u16, resource: u16) -> Option<&Value> {
        match self.instances.get(&(object, instance))?.get(&resource)? {
            Resource::Single(value) => Some(value),
            Resource::Multiple(_) => None,
        }
    }

    /// A whole number of a resource.
    pub(super) fn integer(&self, object: u16, instance: u16, resource: u16) -> Option<i64> {
        match self.get(object, instance, resource)? {
            Value::Integer(number) | Value::Time(number) => Some(*number),
            Value::Unsigned(number) => i64::try_from(*number).ok(),
            Value::Float(_)
            | Value::Boolean(_)
            | Value::String(_)
            | Value::Opaque(_)
            | Value::Objlnk(..)
            | Value::Corelnk(_)
            | Value::Number(_) => None,
        }
    }

    pub(super) fn has_object(&self, object: u16) -> bool {
        self.instances_of(object).next().is_some()
    }

    pub(super) fn has_instance(&self, object: u16, instance: u16) -> bool {
        self.instances.contains_key(&(object, instance))
    }

    pub(super) fn resource(&self, object: u16, instance: u16, resource: u16) -> Option<&Resource> {
        self.instances.get(&(object, instance))?.get(&resource)
    }

    /// The instances of an object.
    pub(super) fn instances_of(&self, object: u16) -> impl Iterator<Item = u16> {
        self.instances.range((object, 0)..=(object, u16::MAX)).map(|((_, instance), _)| *instance)
    }

    /// Every object instance.
    pub(super) fn instances(&self) -> impl Iterator<Item = (u16, u16)> {
        self.instances.keys().copied()
    }

    /// The resources of an instance, with the number of their values when they are multiple.
    pub(super) fn resources(&self, object: u16, instance: u16) -> impl Iterator<Item = (u16, Option<usize>)> {
        self.instances.get(&(object, instance)).into_iter().flatten().map(|(id, resource)| match resource {
            Resource::Single(_) => (*id, None),
            Resource::Multiple(values) => (*id, Some(values.len())),
        })
    }

    /// Makes an empty instance.
    pub(super) fn create(&mut self, object: u16, instance: u16) {
        self.instances.entry((object, instance)).or_default();
    }

    /// Takes an instance away. False: there was none.
    pub(super) fn delete(&mut self, object: u16, instance: u16) -> bool {
        self.instances.remove(&(object, instance)).is_some()
    }

    /// Takes a resource away.
    pub(super) fn clear(&mut self, object: u16, instance: u16, resource: u16) {
        if let Some(resources) = self.instances.get_mut(&(object, instance)) {
            resources.remove(&resource);
        }
    }

    /// Everything readable at and below a path, in order.
    pub(super) fn entries(&self, at: ObjectPath, definitions: Definitions<'_>) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (&(object, instance), resources) in &self.instances {
            for (&resource, held) in resources {
                let here = path(&[object, instance, resource]);
                let wanted = at.contains(here) || here.contains(at);
                let readable =
                    definitions.operations(object, resource).is_some_and(|operations| operations.read);
                if !wanted || !readable {
                    continue;
                }
                match held {
                    Resource::Single(value) if at.contains(here) => {
                        entries.push(Entry::new(here, value.clone()));
                    }
                    Resource::Single(_) => {}
                    Resource::Multiple(values) => {
                        let all = values.iter().map(|(index, value)| {
                            Entry::new(path(&[object, instance, resource, *index]), value.clone())
                        });
                        entries.extend(all.filter(|entry| at.contains(entry.path)));
                    }
                }
            }
        }
        entries
    }

    /// Writes a value at its path; the instance is there.
    pub(super) fn write(&mut self, at: ObjectPath, value: Value, definitions: Definitions<'_>) {
        if let &[object, instance, resource] = at.ids() {
            if definitions.is_multiple_resource(object, resource) {
                self.set_one(object, instance, resource, 0, value);
            } else {
                self.set(object, instance, resource, value);
            }
        } else if let &[object, instance, resource, index] = at.ids() {
            self.set_one(object, instance, resource, index, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_those_at_and_below_a_path() {
        let catalog = Catalog::core();
        let definitions = Definitions(&catalog);
        let mut tree = Tree::default();
        tree.set(3, 0, 0, Value::String("x".to_owned()));
        tree.set_one(3, 0, 7, 0, Value::Integer(3800));
        tree.set_one(3, 0, 7, 1, Value::Integer(5000));
        tree.set(5, 0, 0, Value::String("not readable".to_owned()));
        tree.set(3303, 1, 5700, Value::Float(21.5.into()));
        let at = |text: &str| -> Vec<String> {
            let path = ObjectPath::parse_composite(text).expect("a path");
            tree.entries(path, definitions).iter().map(|entry| entry.path.to_string()).collect()
        };
        assert_eq!(at("/"), ["/3/0/0", "/3/0/7/0", "/3/0/7/1", "/3303/1/5700"]);
        assert_eq!(at("/3"), ["/3/0/0", "/3/0/7/0", "/3/0/7/1"]);
        assert_eq!(at("/3/0/7"), ["/3/0/7/0", "/3/0/7/1"]);
        assert_eq!(at("/3/0/7/1"), ["/3/0/7/1"]);
        assert_eq!(at("/3/0/0/0"), Vec::<String>::new());
        assert_eq!(tree.instances_of(3303).collect::<Vec<_>>(), [1]);
    }
}
