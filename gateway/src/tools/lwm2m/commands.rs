//! The commands: each is one message of the JSON interface, its answer, and how that is shown.
use std::time::Instant;

use broker_core::QoS;
use lwm2m::catalog::Catalog;
use lwm2m::path::ObjectPath;
use serde_json::{Value as Json, json};

use super::args::{
    CommonArgs, CreateArgs, DeleteArgs, DiscoverArgs, ExecArgs, FwArgs, ObserveArgs, ReadArgs, WriteArgs,
};
use super::ask::{Asker, Heard};
use super::names::{resolve, resolve_below};
use super::{show, values};
use crate::exit::Exit;
use crate::tools::mqtt::sub_tool::seconds;
use crate::tools::terminal::{self, escape, line, utc, write_out};
use crate::tools::{Outcome, ToolError};

pub(super) fn read(arguments: ReadArgs) -> Outcome {
    let catalog = Catalog::core();
    let paths: Vec<ObjectPath> =
        arguments.path.iter().map(|text| resolve(&catalog, text)).collect::<Result<_, _>>()?;
    let (kind, data) = match paths.as_slice() {
        [one] => ("read", json!({"path": one.to_string()})),
        several => {
            let texts: Vec<String> = several.iter().map(ToString::to_string).collect();
            ("read-composite", json!({"paths": texts}))
        }
    };
    let mut asker = Asker::connect(&arguments.target.common, &arguments.target.endpoint)?;
    let answer = asker.ask(kind, data, &arguments.target.patience)?;
    asker.close();
    if arguments.target.common.json {
        line(&terminal::json(&answer))?;
    } else {
        write_out(show::items(&catalog, &answer).as_bytes())?;
    }
    Ok(Exit::Ok)
}

/// `RESOURCE=VALUE` as an item of `content`, its path below `base`.
fn items(
    catalog: &Catalog,
    base: ObjectPath,
    texts: &[String],
    given: Option<lwm2m::value::DataType>,
) -> Result<Vec<(ObjectPath, Json)>, ToolError> {
    let mut items = Vec::with_capacity(texts.len());
    for text in texts {
        let Some((name, value)) = text.split_once('=') else {
            return Err(ToolError::usage(
                format!("{text:?} is no RESOURCE=VALUE, which several values of {base} need"),
                "5701=Cel, or the path of one resource",
            ));
        };
        let path = resolve_below(catalog, base, name)?;
        let (value, data_type) = values::parse(catalog, path, value, given)?;
        let mut item = json!({"value": value});
        if let (Some(data_type), Some(fields)) = (data_type, item.as_object_mut()) {
            fields.insert("type".to_owned(), Json::from(data_type.name()));
        }
        items.push((path, item));
    }
    Ok(items)
}

/// The item with its path written as the ids below `base`.
fn placed(base: ObjectPath, path: ObjectPath, mut item: Json) -> Json {
    let ids: Vec<String> = path.below(base).unwrap_or_default().iter().map(u16::to_string).collect();
    if let Some(fields) = item.as_object_mut() {
        fields.insert("path".to_owned(), Json::from(ids.join("/")));
    }
    item
}

pub(super) fn write(arguments: WriteArgs) -> Outcome {
    let catalog = Catalog::core();
    let path = resolve(&catalog, &arguments.path)?;
    let given = values::data_type(arguments.r#type.as_deref())?;
    let mut data = match (path.depth(), arguments.values.as_slice()) {
        (3 | 4, [one]) => {
            let (value, data_type) = values::parse(&catalog, path, one, given)?;
            let mut data = json!({"path": path.to_string(), "value": value});
            if let (Some(data_type), Some(fields)) = (data_type, data.as_object_mut()) {
                fields.insert("type".to_owned(), Json::from(data_type.name()));
            }
            data
        }
        (2, texts) => {
            let items = items(&catalog, path, texts, given)?;
            let content: Vec<Json> =
                items.into_iter().map(|(place, item)| placed(path, place, item)).collect();
            json!({"basePath": path.to_string(), "content": content})
        }
        (_, _) => {
            return Err(ToolError::usage(
                format!("{path} takes one value as a resource, or RESOURCE=VALUE as an instance"),
                "turnstone lwm2m write EP /3/0/14 +02:00",
            ));
        }
    };
    if arguments.replace
        && let Some(fields) = data.as_object_mut()
    {
        fields.insert("mode".to_owned(), Json::from("replace"));
    }
    let mut asker = Asker::connect(&arguments.target.common, &arguments.target.endpoint)?;
    let answer = asker.ask("write", data, &arguments.target.patience)?;
    asker.close();
    done(&arguments.target.common, &answer, &format!("{path} written"))
}

/// Says that a command without values was done.
fn done(common: &CommonArgs, answer: &Json, text: &str) -> Outcome {
    if common.json {
        line(&terminal::json(answer))?;
    } else {
        line(&escape(text))?;
    }
    Ok(Exit::Ok)
}

pub(super) fn exec(arguments: ExecArgs) -> Outcome {
    let catalog = Catalog::core();
    let path = resolve(&catalog, &arguments.path)?;
    if path.depth() != 3 {
        return Err(ToolError::usage(format!("{path} is no resource"), "/3/0/4, or Device/0/Reboot"));
    }
    let mut asker = Asker::connect(&arguments.target.common, &arguments.target.endpoint)?;
    let data = json!({"path": path.to_string(), "args": arguments.arguments.clone().unwrap_or_default()});
    let answer = asker.ask("execute", data, &arguments.target.patience)?;
    asker.close();
    done(&arguments.target.common, &answer, &format!("{path} executed"))
}

pub(super) fn discover(arguments: DiscoverArgs) -> Outcome {
    let catalog = Catalog::core();
    let path = resolve(&catalog, &arguments.path)?;
    let mut asker = Asker::connect(&arguments.target.common, &arguments.target.endpoint)?;
    let answer = asker.ask("discover", json!({"path": path.to_string()}), &arguments.target.patience)?;
    asker.close();
    if arguments.target.common.json {
        line(&terminal::json(&answer))?;
    } else {
        write_out(show::links(&catalog, &answer).as_bytes())?;
    }
    Ok(Exit::Ok)
}

pub(super) fn create(arguments: CreateArgs) -> Outcome {
    let catalog = Catalog::core();
    let object = resolve(&catalog, &arguments.object)?;
    if object.depth() != 1 {
        return Err(ToolError::usage(format!("{object} is no object"), "3303 --instance 1 5701=Cel"));
    }
    // Where the device chooses the id, paths are relative to the new instance; 0 stands for it here.
    let instance = object
        .child(arguments.instance.unwrap_or(0))
        .map_err(|error| ToolError::usage(error.to_string(), "--instance 1"))?;
    let items = items(&catalog, instance, &arguments.values, None)?;
    let base = if arguments.instance.is_some() { object } else { instance };
    let content: Vec<Json> = items.into_iter().map(|(place, item)| placed(base, place, item)).collect();
    let mut data = json!({"basePath": object.to_string(), "content": content});
    match (arguments.instance, data.as_object_mut()) {
        (None, Some(fields)) => {
            fields.insert("withoutId".to_owned(), Json::Bool(true));
        }
        (Some(id), Some(_)) if arguments.values.is_empty() => {
            return Err(ToolError::usage(
                format!("an empty instance {id} cannot be told from an empty request"),
                "at least one RESOURCE=VALUE, or without --instance",
            ));
        }
        (Some(_), _) | (None, None) => {}
    }
    let mut asker = Asker::connect(&arguments.target.common, &arguments.target.endpoint)?;
    let answer = asker.ask("create", data, &arguments.target.patience)?;
    asker.close();
    let made = answer.pointer("/data/location").and_then(Json::as_str).map(str::to_owned);
    let made = made.unwrap_or_else(|| match arguments.instance {
        Some(_) => instance.to_string(),
        None => format!("an instance of {object}"),
    });
    done(&arguments.target.common, &answer, &format!("{made} created"))
}

pub(super) fn delete(arguments: DeleteArgs) -> Outcome {
    let catalog = Catalog::core();
    let path = resolve(&catalog, &arguments.path)?;
    let mut asker = Asker::connect(&arguments.target.common, &arguments.target.endpoint)?;
    let answer = asker.ask("delete", json!({"path": path.to_string()}), &arguments.target.patience)?;
    asker.close();
    done(&arguments.target.common, &answer, &format!("{path} deleted"))
}

pub(super) fn observe(arguments: ObserveArgs) -> Outcome {
    let catalog = Catalog::core();
    let path = resolve(&catalog, &arguments.path)?;
    let deadline = seconds(arguments.duration)?.map(|limit| Instant::now() + limit);
    let mut asker = Asker::connect(&arguments.target.common, &arguments.target.endpoint)?;
    let data = json!({"path": path.to_string()});
    let report = |message: &Json| -> Result<(), ToolError> {
        if arguments.target.common.json {
            return line(&terminal::json(message));
        }
        let time = utc(terminal::unix_ms());
        let time = time.get(11..23).unwrap_or_default();
        for row in show::items(&catalog, message).lines() {
            line(&format!("{time}  {row}"))?;
        }
        Ok(())
    };
    let answer = asker.ask("observe", data.clone(), &arguments.target.patience)?;
    report(&answer)?;
    let mut reports = 1;
    let mut end = Ok(Exit::Ok);
    while arguments.count.is_none_or(|count| reports < count) {
        match asker.hear(deadline)? {
            Heard::Notify(message) => match asker.check(message) {
                Ok(message) => {
                    reports += 1;
                    report(&message)?;
                }
                // The device has ended it: nothing is left to cancel.
                Err(error) => {
                    asker.close();
                    return Err(error);
                }
            },
            Heard::Answer(_) | Heard::Event(_) => {}
            Heard::Nothing => break,
        }
    }
    if !arguments.keep {
        // Its answer interests nobody any more.
        end = asker.send("cancel-observe", data, None, QoS::AtMostOnce).map(|()| Exit::Ok);
    }
    asker.close();
    end
}

pub(super) fn firmware(arguments: FwArgs) -> Outcome {
    let data = match &arguments.image {
        None => json!({"cancel": true}),
        Some(image) => {
            let key = if image.contains("://") { "uri" } else { "file" };
            let mut data = json!({key: image});
            if let (Some(fields), true) = (data.as_object_mut(), arguments.no_update) {
                fields.insert("update".to_owned(), Json::Bool(false));
            }
            data
        }
    };
    let wait = seconds(Some(arguments.wait))?.unwrap_or_default();
    let mut asker = Asker::connect(&arguments.common, &arguments.endpoint)?;
    asker.send("firmware", data, None, QoS::AtLeastOnce)?;
    let json = arguments.common.json;
    let answer = asker.await_answer(wait, |event| {
        if json {
            return line(&terminal::json(event));
        }
        let text = |key: &str| event.get(key).and_then(Json::as_str).unwrap_or("?");
        let state = text("state");
        // Of the command itself only that it waits is news.
        if text("event") != "firmware" && state != "queued" {
            return Ok(());
        }
        let percent = event.get("percent").map(|percent| format!(" {percent} %")).unwrap_or_default();
        eprintln!("{}{}", escape(state), escape(&percent));
        Ok(())
    });
    if asker.is_interrupted() {
        eprintln!("the update goes on at the gateway");
    }
    let answer = answer?;
    asker.close();
    let what = match (arguments.cancel, arguments.no_update) {
        (true, _) => "does not go on with its update",
        (false, true) => "downloaded",
        (false, false) => "updated",
    };
    done(&arguments.common, &answer, &format!("{} {what}", arguments.endpoint))
}
