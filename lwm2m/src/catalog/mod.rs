//! The object catalog: what objects and resources are called, and of which type they are.

mod model;

pub use self::model::{Model, NoModel};
