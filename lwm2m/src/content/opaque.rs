//! Raw bytes, content format 42 (LwM2M 1.0 §6.4.2): one Opaque resource or resource instance.
#![deny(clippy::indexing_slicing)]

use bytes::Bytes;

use super::{ContentError, ContentFormat, Context, Entry, Unfit, check_single_base, single};
use crate::path::ObjectPath;
use crate::value::Value;

/// The bytes of `base`, Opaque whatever the model says.
pub fn decode(base: ObjectPath, bytes: &[u8]) -> Result<Vec<Entry>, ContentError> {
    check_single_base(ContentFormat::Opaque, base)?;
    Ok(vec![Entry::new(base, Value::Opaque(Bytes::copy_from_slice(bytes)))])
}

/// The bytes of the one entry, which must be `base` and Opaque.
pub fn encode(base: ObjectPath, entries: &[Entry], cx: &Context<'_>) -> Result<Vec<u8>, ContentError> {
    let entry = single(ContentFormat::Opaque, base, entries)?;
    match cx.typed(entry)? {
        Value::Opaque(bytes) => Ok(bytes.to_vec()),
        Value::Integer(_)
        | Value::Unsigned(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::String(_)
        | Value::Time(_)
        | Value::Objlnk(..)
        | Value::Corelnk(_)
        | Value::Number(_) => {
            Err(ContentError::Unfit { format: ContentFormat::Opaque, why: Unfit::NoSuchValue })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::fuzz::{Types, context};
    use crate::value::DataType;

    #[test]
    fn bytes_come_back_as_they_are() {
        let types = Types(None);
        let base = ObjectPath::parse("/5/0/0").unwrap();
        let entries = decode(base, &[0, 255]).unwrap();
        assert_eq!(entries, [Entry::new(base, Value::Opaque(Bytes::from_static(&[0, 255])))]);
        assert_eq!(encode(base, &entries, &context(&types)).unwrap(), [0, 255]);
    }

    #[test]
    fn only_opaque_goes_in() {
        let base = ObjectPath::parse("/5/0/0").unwrap();
        let text = [Entry::new(base, Value::String("AP8=".into()))];
        assert!(encode(base, &text, &context(&Types(None))).is_err());
        assert_eq!(encode(base, &text, &context(&Types(Some(DataType::Opaque)))).unwrap(), [0, 255]);
    }
}
