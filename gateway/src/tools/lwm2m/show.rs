//! Answers for people: paths with their names, values with their units.
use lwm2m::catalog::Catalog;
use lwm2m::path::ObjectPath;
use lwm2m::value::DataType;
use serde_json::Value as Json;

use super::names::label;
use crate::tools::terminal::{table, utc};

/// The items of `data.content` as a table: path, name, value with unit.
pub(super) fn items(catalog: &Catalog, answer: &Json) -> String {
    let content = answer.pointer("/data/content").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let rows: Vec<Vec<String>> = content.iter().map(|item| row(catalog, item)).collect();
    let mut out = table(&rows);
    for error in answer.pointer("/data/errors").and_then(Json::as_array).into_iter().flatten() {
        let text = |key: &str| error.get(key).and_then(Json::as_str).unwrap_or("?");
        out.push_str(&table(&[vec![
            text("path").to_owned(),
            format!("{} {}", text("code"), text("codeMsg").replace('_', " ")),
        ]]));
    }
    out
}

fn row(catalog: &Catalog, item: &Json) -> Vec<String> {
    let text = item.get("path").and_then(Json::as_str).unwrap_or("?");
    let path = ObjectPath::parse(text).ok();
    let name = path.map(|path| label(catalog, path)).unwrap_or_default();
    let mut row = vec![text.to_owned(), name, value(catalog, path, item.get("value").unwrap_or(&Json::Null))];
    if let Some(time) = item.get("time").and_then(Json::as_u64) {
        row.push(utc(time));
    }
    row
}

/// A value in words: with its unit; a time as a date too.
fn value(catalog: &Catalog, path: Option<ObjectPath>, value: &Json) -> String {
    let text = match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    let resource = path
        .and_then(|path| path.object_id().zip(path.resource_id()))
        .and_then(|(object, resource)| catalog.resource(object, None, resource));
    let Some(resource) = resource else { return text };
    if resource.data_type() == Some(DataType::Time)
        && let Some(seconds) = value.as_u64()
    {
        return format!("{text} ({})", utc(seconds.saturating_mul(1000)));
    }
    match resource.units() {
        "" => text,
        // The registry's name of percent (RFC 8798).
        "/100" => format!("{text} %"),
        units => format!("{text} {units}"),
    }
}

/// The links of a Discover as a table: path, name, what may be done, attributes.
pub(super) fn links(catalog: &Catalog, answer: &Json) -> String {
    let content = answer.pointer("/data/content").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let rows: Vec<Vec<String>> = content
        .iter()
        .map(|link| {
            let link = link.as_str().unwrap_or("?");
            let (target, attributes) = link.split_once('>').unwrap_or((link, ""));
            let target = target.trim_start_matches('<');
            let path = ObjectPath::parse(target).ok();
            let name = path.map(|path| label(catalog, path)).unwrap_or_default();
            let operations = path
                .and_then(|path| path.object_id().zip(path.resource_id()))
                .and_then(|(object, resource)| catalog.resource(object, None, resource))
                .map(|resource| resource.operations().to_string())
                .unwrap_or_default();
            let attributes = attributes.trim_start_matches(';').replace(';', " ");
            vec![target.to_owned(), name, operations, attributes]
        })
        .collect();
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_have_names_units_and_dates() {
        let answer = json!({"data": {"content": [
            {"path": "/3/0/0", "value": "turnstone sim"},
            {"path": "/3/0/9", "value": 97},
            {"path": "/3/0/13", "value": 1_700_000_000},
            {"path": "/64999/0/1", "value": "\u{1b}[2J"},
        ], "errors": [{"path": "/9/0", "code": "4.04", "codeMsg": "not_found"}]}});
        let shown = items(&Catalog::core(), &answer);
        let lines: Vec<String> =
            shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "/3/0/0 Manufacturer turnstone sim",
                "/3/0/9 Battery Level 97 %",
                "/3/0/13 Current Time 1700000000 (2023-11-14T22:13:20.000Z)",
                "/64999/0/1 \\u{1b}[2J",
                "/9/0 4.04 not found",
            ]
        );
    }

    #[test]
    fn links_say_what_may_be_done() {
        let answer = json!({"data": {"content": ["</3/0>;pmin=10", "</3/0/4>", "</3/0/7>;dim=2;pmin=1"]}});
        let shown = links(&Catalog::core(), &answer);
        let lines: Vec<String> =
            shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            ["/3/0 Device pmin=10", "/3/0/4 Reboot E", "/3/0/7 Power Source Voltage R dim=2 pmin=1"]
        );
    }
}
