//! The device's object 3 in every content format, written by hand from the specifications' tables.

/// What the device holds: manufacturer, battery level (below 24), UTC offset (texts below 24 bytes).
pub(super) struct Object3<'a> {
    pub(super) maker: &'a str,
    pub(super) battery: u8,
    pub(super) offset: &'a str,
}

/// A resource of it, or all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    Maker,
    Battery,
    Offset,
    All,
}

impl Object3<'_> {
    /// The resources of a part: id, and its text or its number.
    fn values(&self, part: Part) -> Vec<(u8, Result<&str, u8>)> {
        let all = [
            (Part::Maker, 0, Ok(self.maker)),
            (Part::Battery, 9, Err(self.battery)),
            (Part::Offset, 14, Ok(self.offset)),
        ];
        all.into_iter()
            .filter(|(which, _, _)| part == Part::All || part == *which)
            .map(|(_, id, value)| (id, value))
            .collect()
    }

    pub(super) fn text(&self, part: Part) -> Option<Vec<u8>> {
        match self.values(part).as_slice() {
            [(_, Ok(text))] => Some(text.as_bytes().to_vec()),
            [(_, Err(number))] => Some(number.to_string().into_bytes()),
            _ => None,
        }
    }

    pub(super) fn tlv(&self, part: Part) -> Vec<u8> {
        let mut out = Vec::new();
        for (id, value) in self.values(part) {
            let bytes = value.map_or_else(|number| vec![number], |text| text.as_bytes().to_vec());
            match bytes.len() {
                short @ 0..8 => out.extend([0xc0 | short as u8, id]),
                long => out.extend([0xc8, id, long as u8]),
            }
            out.extend(bytes);
        }
        out
    }

    /// `{"bn":"/3/0/","e":[…]}` of 1.0.
    pub(super) fn json(&self, part: Part) -> Vec<u8> {
        let elements: Vec<String> = self
            .values(part)
            .into_iter()
            .map(|(id, value)| match value {
                Ok(text) => format!(r#"{{"n":"{id}","sv":"{text}"}}"#),
                Err(number) => format!(r#"{{"n":"{id}","v":{number}}}"#),
            })
            .collect();
        format!(r#"{{"bn":"/3/0/","e":[{}]}}"#, elements.join(",")).into_bytes()
    }

    pub(super) fn senml_json(&self, part: Part) -> Vec<u8> {
        let mut base = r#""bn":"/3/0/","#;
        let mut records = Vec::new();
        for (id, value) in self.values(part) {
            let value = match value {
                Ok(text) => format!(r#""vs":"{text}""#),
                Err(number) => format!(r#""v":{number}"#),
            };
            records.push(format!(r#"{{{base}"n":"{id}",{value}}}"#));
            base = "";
        }
        format!("[{}]", records.join(",")).into_bytes()
    }

    /// As Anjay writes it: `n` begins with "/".
    pub(super) fn senml_cbor(&self, part: Part) -> Vec<u8> {
        let values = self.values(part);
        let mut out = vec![0x80 | values.len() as u8];
        for (place, (id, value)) in values.into_iter().enumerate() {
            if place == 0 {
                out.push(0xa3);
                out.push(0x21); // bn
                out.extend(cbor_text("/3/0"));
            } else {
                out.push(0xa2);
            }
            out.push(0x00); // n
            out.extend(cbor_text(&format!("/{id}")));
            match value {
                Ok(text) => {
                    out.push(0x03); // vs
                    out.extend(cbor_text(text));
                }
                Err(number) => out.extend([0x02, number]),
            }
        }
        out
    }

    /// `{[3,0]: {…}}`, of indefinite length as Anjay writes maps, or `{[3,0,id]: value}`.
    pub(super) fn lwm2m_cbor(&self, part: Part) -> Vec<u8> {
        let values = self.values(part);
        let mut out = vec![0xbf];
        if let [(id, value)] = values.as_slice() {
            out.extend([0x83, 3, 0, *id]);
            out.extend(cbor_value(value));
        } else {
            out.extend([0x82, 3, 0, 0xa0 | values.len() as u8]);
            for (id, value) in values {
                out.push(id);
                out.extend(cbor_value(&value));
            }
        }
        out.push(0xff);
        out
    }
}

fn cbor_text(text: &str) -> Vec<u8> {
    assert!(text.len() < 24);
    [&[0x60 | text.len() as u8][..], text.as_bytes()].concat()
}

fn cbor_value(value: &Result<&str, u8>) -> Vec<u8> {
    match value {
        Ok(text) => cbor_text(text),
        Err(number) => vec![*number],
    }
}
