//! Commands that people send over MQTT, and the answers they get: both JSON generations at once.
//!
//! ```text
//!   lwm2m/<ep>/command   {"CmdID":…,"Command":…}   form A ─┐                  ┌─► …/response   form A
//!   lwm2m/<ep>/command   {"reqID":…,"msgType":…}   form B ─┼─► Command ─► … ──┼─► …/response   form B
//!   lwm2m/<ep>/dn/#      {"reqID":…,"msgType":…}   form B ─┘                  └─► …/up/resp    form B
//! ```
//! The topic a command arrives on decides the topic of its answers; on `…/command` the keys decide the form. What
//! cannot be read is answered at once, in the form that it had as far as it could be told.
#![deny(clippy::indexing_slicing)]
mod answer;
mod envelope;
mod form_a;
mod form_b;
mod members;
#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test may panic")]
mod tests;

use crate::content::Entry;
use crate::path::ObjectPath;
use crate::value::DataType;

pub(crate) use answer::item_json;
pub use answer::{Answer, Content, Item, PathFailure, code_message};
pub use envelope::{Asker, Channel, Form};

/// A command that could be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// How and where to answer.
    pub asker: Asker,
    /// What to do.
    pub operation: Operation,
    /// Seconds that it may wait for a sleeping device; `None`: the default. 0: try now, don't keep.
    pub ttl: Option<u64>,
    /// Seconds to wait for the device's answer; `None`: the default.
    pub timeout: Option<u64>,
    /// Content-Format to ask for; `None`: the device's own choice.
    pub accept: Option<u16>,
}

/// How a Write treats what it does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// PUT: everything else goes.
    Replace,
    /// POST: everything else stays.
    Update,
}

/// An attribute of Write-Attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeChange {
    /// One of [`ATTRIBUTES`].
    pub name: &'static str,
    /// New value, or `None` to unset.
    pub value: Option<String>,
}

/// Attributes that Write-Attributes knows: LwM2M 1.0 to 1.2 (1.2.1 Core §7.3).
pub const ATTRIBUTES: [&str; 10] =
    ["pmin", "pmax", "gt", "lt", "st", "epmin", "epmax", "edge", "con", "hqmax"];

/// Where a firmware image comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirmwareSource {
    /// A plain file name within the firmware folder.
    File(String),
    /// A URI that the device fetches from by itself.
    Uri(String),
}

/// What is to be done about a device's firmware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirmwareOrder {
    /// Bring it to the device.
    Load {
        /// Where from.
        source: FirmwareSource,
        /// Also install it.
        update: bool,
    },
    /// Stop the update that runs.
    Cancel,
}

/// What a command asks for. Paths are absolute and without the device's alternate path.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Read an object, instance, resource or resource instance.
    Read {
        /// Of what.
        path: ObjectPath,
        /// Uri-Query options, unseparated ("a=b&c"), as the asker wrote them.
        query: Option<String>,
    },
    /// List links and attributes.
    Discover {
        /// Below what.
        path: ObjectPath,
        /// As for Read; 1.2 knows `depth=N`.
        query: Option<String>,
    },
    /// Write one or more resources below `path`.
    Write {
        /// Of what.
        path: ObjectPath,
        /// PUT or POST.
        mode: WriteMode,
        /// The values, with absolute paths.
        entries: Vec<Entry>,
    },
    /// Change notification attributes.
    WriteAttributes {
        /// Of what.
        path: ObjectPath,
        /// In the order given.
        attributes: Vec<AttributeChange>,
    },
    /// Run an executable resource.
    Execute {
        /// Which.
        path: ObjectPath,
        /// Argument text, possibly empty (LwM2M 1.0 §5.4.5).
        arguments: String,
    },
    /// Make an object instance, or several.
    Create {
        /// Of which object.
        object: ObjectPath,
        /// The id of the first; `None` leaves the choice to the device.
        instance: Option<u16>,
        /// Values, absolute; below instance 0 when the device chooses.
        entries: Vec<Entry>,
    },
    /// Remove an object instance.
    Delete {
        /// Which.
        path: ObjectPath,
    },
    /// Begin to observe.
    Observe {
        /// What.
        path: ObjectPath,
    },
    /// End this topic's interest in an observation.
    CancelObserve {
        /// What.
        path: ObjectPath,
    },
    /// Read several paths at once.
    ReadComposite {
        /// Which.
        paths: Vec<ObjectPath>,
    },
    /// Write several paths at once.
    WriteComposite {
        /// The values.
        entries: Vec<Entry>,
        /// Never split into single writes.
        atomic: bool,
    },
    /// Observe several paths as one.
    ObserveComposite {
        /// Which.
        paths: Vec<ObjectPath>,
    },
    /// End this topic's interest in a composite observation.
    CancelObserveComposite {
        /// Which.
        paths: Vec<ObjectPath>,
    },
    /// Drop the registration.
    Deregister,
    /// Bring firmware to object 5.
    Firmware(FirmwareOrder),
}

impl Operation {
    /// The path in the request, as logs name it: the root for operations on several paths.
    pub fn path(&self) -> ObjectPath {
        match self {
            Operation::Read { path, .. }
            | Operation::Discover { path, .. }
            | Operation::Write { path, .. }
            | Operation::WriteAttributes { path, .. }
            | Operation::Execute { path, .. }
            | Operation::Delete { path }
            | Operation::Observe { path }
            | Operation::CancelObserve { path } => *path,
            Operation::Create { object, .. } => *object,
            Operation::ReadComposite { .. }
            | Operation::WriteComposite { .. }
            | Operation::ObserveComposite { .. }
            | Operation::CancelObserveComposite { .. }
            | Operation::Deregister => ObjectPath::ROOT,
            Operation::Firmware(_) => ObjectPath::object(5),
        }
    }

    /// Whether answers name "/" as their path.
    pub fn is_composite(&self) -> bool {
        match self {
            Operation::ReadComposite { .. }
            | Operation::WriteComposite { .. }
            | Operation::ObserveComposite { .. }
            | Operation::CancelObserveComposite { .. } => true,
            Operation::Read { .. }
            | Operation::Discover { .. }
            | Operation::Write { .. }
            | Operation::WriteAttributes { .. }
            | Operation::Execute { .. }
            | Operation::Create { .. }
            | Operation::Delete { .. }
            | Operation::Observe { .. }
            | Operation::CancelObserve { .. }
            | Operation::Deregister
            | Operation::Firmware(_) => false,
        }
    }

    /// Whether doing it twice is harmless, so that a command whose device fell silent may be tried again.
    pub fn may_repeat(&self) -> bool {
        match self {
            Operation::Read { .. }
            | Operation::Discover { .. }
            | Operation::Write { .. }
            | Operation::WriteAttributes { .. }
            | Operation::Delete { .. }
            | Operation::Observe { .. }
            | Operation::CancelObserve { .. }
            | Operation::ReadComposite { .. }
            | Operation::WriteComposite { .. }
            | Operation::ObserveComposite { .. }
            | Operation::CancelObserveComposite { .. }
            | Operation::Deregister
            | Operation::Firmware(_) => true,
            Operation::Execute { .. } | Operation::Create { .. } => false,
        }
    }
}

/// Types of the resources that a device has, asked by the path of a resource.
pub type TypeOf<'a> = &'a dyn Fn(ObjectPath) -> Option<DataType>;

/// Reads a command. `Err` holds the one answer that it gets.
pub fn read(channel: Channel, payload: &[u8], type_of: TypeOf<'_>) -> Result<Command, Box<Answer>> {
    let (asker, fields) = envelope::open(channel, payload)?;
    match asker.form {
        Form::A => form_a::read(asker, &fields, type_of),
        Form::B => form_b::read(asker, &fields, type_of),
    }
}

/// Who asks, as far as the payload tells it; for answers to commands that are refused whatever they say.
pub fn asker(channel: Channel, payload: &[u8]) -> Asker {
    match envelope::open(channel, payload) {
        Ok((asker, _)) => asker,
        Err(answer) => answer.asker,
    }
}
