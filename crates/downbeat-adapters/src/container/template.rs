//! Laying the pod template of a definition over the pod of a run.
//!
//! Pure. Objects are merged member by member; lists whose items have names are merged by name; other
//! values, and other lists, are replaced. What would break the contract with the image is refused,
//! never dropped: a platform engineer finds out at once.
//!
//! | of the pod | what the template may say |
//! | --- | --- |
//! | `metadata` | more labels and annotations |
//! | our containers | [`CONTAINER`]; more variables and mounts, none of ours |
//! | other containers | as `initContainers`; they begin before ours |
//! | volumes | more |
//! | the rest of `spec` | everything but [`RESERVED`] |

use downbeat_core::{Json, JsonMap, patch};
use downbeat_engine::DriverError;

use super::job::{JOB, PREPARE, REPORT};
use crate::code::{hinted, invalid, known, wrong_type};

/// How messages begin.
const AT: &str = "pod_template";

/// Members of `spec` that the driver decides on, and where to say them.
const RESERVED: [(&str, &str); 5] = [
    ("activeDeadlineSeconds", "Use `timeout`"),
    ("ephemeralContainers", "They are for running pods"),
    ("restartPolicy", "A run is made again by the next deployment"),
    ("serviceAccount", "Use `service_account`"),
    ("serviceAccountName", "Use `service_account`"),
];

/// Members of our containers that a template may change.
const CONTAINER: &[&str] =
    &["env", "envFrom", "imagePullPolicy", "name", "resources", "securityContext", "volumeMounts"];

/// Lays the template over the pod.
pub(super) fn merge(pod: &mut Json, template: &JsonMap) -> Result<(), DriverError> {
    known(template, AT, &["apiVersion", "kind", "metadata", "spec"])?;
    if let Some(metadata) = members(template, AT, "metadata")? {
        let at = format!("{AT}.metadata");
        known(metadata, &at, &["annotations", "labels"])?;
        for part in ["annotations", "labels"] {
            for (name, value) in members(metadata, &at, part)?.into_iter().flatten() {
                let place = format!("{at}.{part}.{name}");
                let Json::String(_) = value else {
                    return Err(wrong_type(&place, "a text", value));
                };
                let metadata = pod.get_mut("metadata").and_then(|metadata| metadata.get_mut(part));
                let Some(Json::Object(ours)) = metadata else { continue };
                if ours.get(name).is_some_and(|ours| ours != value) {
                    return Err(taken(&place));
                }
                ours.insert(name.clone(), value.clone());
            }
        }
    }
    let Some(spec) = members(template, AT, "spec")? else { return Ok(()) };
    let ours = &mut pod["spec"];
    for (name, value) in spec.iter().filter(|(_, value)| !value.is_null()) {
        let place = format!("{AT}.spec.{name}");
        match name.as_str() {
            "containers" | "initContainers" => {
                for (index, item) in items(value, &place)?.iter().enumerate() {
                    let (called, item) = named(item, &place, index)?;
                    container(ours, name, &format!("{place}[{called}]"), called, item)?;
                }
            }
            "volumes" => {
                for (index, item) in items(value, &place)?.iter().enumerate() {
                    let (called, item) = named(item, &place, index)?;
                    if called.starts_with("downbeat-") {
                        return Err(taken(&format!("{place}[{called}]")));
                    }
                    push(&mut ours["volumes"], Json::Object(item.clone()));
                }
            }
            _ => {
                let reserved = RESERVED.iter().find(|(reserved, _)| reserved == name);
                match reserved {
                    Some(_) if ours.get(name) == Some(value) => {}
                    Some((_, hint)) => return Err(taken(&place).hint(*hint)),
                    None => lay(&mut ours[name], value),
                }
            }
        }
    }
    Ok(())
}

/// One of our containers, or one more.
fn container(
    spec: &mut Json,
    list: &str,
    at: &str,
    name: &str,
    item: &JsonMap,
) -> Result<(), DriverError> {
    if ![PREPARE, JOB, REPORT].contains(&name) {
        if list == "initContainers" {
            let Some(Json::Array(all)) = spec.get_mut("initContainers") else { return Ok(()) };
            // Before ours, behind those that the template named earlier.
            let before = all.iter().position(|one| one["name"] == PREPARE).unwrap_or_default();
            all.insert(before, Json::Object(item.clone()));
            return Ok(());
        }
        let error = invalid(format!("`{at}` is not known: a run ends when all containers have"));
        return Err(error.hint(format!(
            "The containers are {PREPARE}, {JOB} and {REPORT}; others go to `initContainers`, and \
             run beside them with `restartPolicy: Always`"
        )));
    }
    if let Some(unknown) = item.keys().find(|name| !CONTAINER.contains(&name.as_str())) {
        let error = invalid(format!("`{at}.{unknown}` is decided by the driver"));
        return Err(hinted(error, unknown, CONTAINER.iter().copied()));
    }
    for list in ["initContainers", "containers"] {
        let all = spec.get_mut(list).and_then(Json::as_array_mut);
        let Some(ours) = all.into_iter().flatten().find(|one| one["name"] == name) else {
            continue;
        };
        for (member, value) in item.iter().filter(|(_, value)| !value.is_null()) {
            let place = format!("{at}.{member}");
            match member.as_str() {
                "name" => {}
                "env" => {
                    for (index, variable) in items(value, &place)?.iter().enumerate() {
                        let (called, variable) = named(variable, &place, index)?;
                        let list = ours["env"].as_array();
                        if list.into_iter().flatten().any(|one| one["name"] == called)
                            || called.starts_with("DOWNBEAT_")
                        {
                            return Err(taken(&format!("{place}[{called}]")));
                        }
                        push(&mut ours["env"], Json::Object(variable.clone()));
                    }
                }
                "volumeMounts" => {
                    for (index, mount) in items(value, &place)?.iter().enumerate() {
                        let place = format!("{place}[{index}]");
                        let Some(path) = mount.get("mountPath").and_then(Json::as_str) else {
                            return Err(invalid(format!("`{place}` has no `mountPath`")));
                        };
                        let list = ours["volumeMounts"].as_array();
                        let mut paths =
                            list.into_iter().flatten().filter_map(|one| one["mountPath"].as_str());
                        if let Some(near) = paths.find(|near| overlap(near, path)) {
                            return Err(
                                taken(&place).hint(format!("It hides {near}, or lies in it"))
                            );
                        }
                        push(&mut ours["volumeMounts"], mount.clone());
                    }
                }
                _ => lay(&mut ours[member], value),
            }
        }
    }
    Ok(())
}

/// Whether one folder is within the other.
fn overlap(one: &str, other: &str) -> bool {
    let parts = |path: &str| -> Vec<String> {
        let mut parts: Vec<String> = Vec::new();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop();
                }
                part => parts.push(part.to_owned()),
            }
        }
        parts
    };
    let (one, other) = (parts(one), parts(other));
    one.iter().zip(&other).all(|(one, other)| one == other)
}

/// Lays a value over another one.
fn lay(into: &mut Json, value: &Json) {
    match (into, value) {
        (Json::Object(into), Json::Object(members)) => {
            for (name, member) in members {
                lay(into.entry(name.clone()).or_insert(Json::Null), member);
            }
        }
        (Json::Array(into), Json::Array(items))
            if into.iter().chain(items).all(|item| item.get("name").is_some()) =>
        {
            for item in items {
                match into.iter_mut().find(|one| one["name"] == item["name"]) {
                    Some(one) => lay(one, item),
                    None => into.push(item.clone()),
                }
            }
        }
        (_, Json::Null) => {}
        (into, value) => *into = value.clone(),
    }
}

fn push(list: &mut Json, item: Json) {
    match list {
        Json::Array(items) => items.push(item),
        other => *other = Json::Array(vec![item]),
    }
}

fn members<'a>(
    from: &'a JsonMap,
    at: &str,
    name: &str,
) -> Result<Option<&'a JsonMap>, DriverError> {
    match from.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Object(members)) => Ok(Some(members)),
        Some(other) => Err(wrong_type(&format!("{at}.{name}"), "an object", other)),
    }
}

fn items<'a>(value: &'a Json, at: &str) -> Result<&'a [Json], DriverError> {
    match value {
        Json::Array(items) => Ok(items),
        other => Err(wrong_type(at, "a list", other)),
    }
}

fn named<'a>(
    item: &'a Json,
    at: &str,
    index: usize,
) -> Result<(&'a str, &'a JsonMap), DriverError> {
    let Json::Object(members) = item else {
        let message = format!("`{at}[{index}]` is {}, and must be an object", patch::kind(item));
        return Err(invalid(message));
    };
    match members.get("name").and_then(Json::as_str) {
        Some(name) => Ok((name, members)),
        None => Err(invalid(format!("`{at}[{index}]` has no `name`"))),
    }
}

fn taken(place: &str) -> DriverError {
    invalid(format!("`{place}` is decided by the driver"))
}
