//! What the content formats need to know of an object definition: the type of a resource.

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
