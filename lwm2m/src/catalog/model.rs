//! What the content formats need to know of an object definition: the type of a resource.

use super::{Catalog, Version};
use crate::value::DataType;

/// Types of resources, asked by id. The catalog answers for a device's object versions; [`NoModel`] knows
/// nothing, so that values are typed by their format.
pub trait Model {
    /// The type of this resource; `None` when the object or the resource is unknown or is an executable.
    fn data_type(&self, object: u16, resource: u16) -> Option<DataType>;

    /// True when the object is known to have at most one instance (its id is then 0).
    fn is_single_instance(&self, object: u16) -> bool;
}

/// The model of an object that nobody described.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoModel;

impl Model for NoModel {
    fn data_type(&self, _object: u16, _resource: u16) -> Option<DataType> {
        None
    }

    fn is_single_instance(&self, _object: u16) -> bool {
        false
    }
}

/// The catalog seen with the object versions of one device.
#[derive(Clone, Copy, Debug)]
pub struct DeviceModel<'a> {
    /// What is known of objects.
    pub catalog: &'a Catalog,
    /// The `ver` attributes of the device's registration: object and version.
    pub versions: &'a [(u16, Version)],
    /// The device's LwM2M version, which decides for objects registered without `ver`.
    pub lwm2m: Version,
}

impl DeviceModel<'_> {
    /// The version of an object that the device has.
    pub fn version(&self, object: u16) -> Version {
        let registered = self.versions.iter().find(|(id, _)| *id == object);
        match registered {
            Some((_, version)) => *version,
            None => Version::of_unversioned_object(object, self.lwm2m),
        }
    }
}

impl Model for DeviceModel<'_> {
    fn data_type(&self, object: u16, resource: u16) -> Option<DataType> {
        self.catalog.resource(object, Some(self.version(object)), resource)?.data_type()
    }

    fn is_single_instance(&self, object: u16) -> bool {
        self.catalog
            .object(object, Some(self.version(object)))
            .is_some_and(|definition| !definition.is_multiple())
    }
}
