//! The Service of a workload that takes traffic.

use std::collections::BTreeSet;

use serde_json::json;

use super::mistakes::{At, Mistakes};
use super::{Context, Profile, name, read};
use crate::{Code, Json, JsonMap, suggest};

const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
/// Members of `service` that are not fields of the ServiceSpec.
const MEMBERS: [&str; 4] = ["annotations", "labels", "ports", "selector"];

/// The Services of a workload.
#[derive(Default)]
pub(super) struct Services {
    pub(super) objects: Vec<Json>,
    /// What the Service needs the pod to declare.
    pub(super) container_ports: Vec<Json>,
    /// The headless Service that gives the pods of a StatefulSet their names.
    pub(super) governing: Option<String>,
}

/// Makes the Services of the workload: one when there are ports, and the headless one of a
/// StatefulSet that names no other.
pub(super) fn services(context: &Context<'_>, mistakes: &mut Mistakes) -> Services {
    let mut result = Services::default();
    let serves = matches!(context.profile, Profile::Deployment | Profile::StatefulSet);
    if !serves {
        return result;
    }
    let at = At::ROOT.member("service");
    let empty = JsonMap::new();
    let service = read::object(context.spec.get("service"), &at, mistakes).unwrap_or(&empty);
    if service.contains_key("selector") {
        let message = format!(
            "`service.selector` of workload `{}` cannot be set: it is the workload's own pods",
            context.workload.id
        );
        mistakes.add(Code::Workload, &at.member("selector"), message);
    }
    let ports_at = at.member("ports");
    let map = read::object(service.get("ports"), &ports_at, mistakes).unwrap_or(&empty);
    let mut ports = Vec::new();
    let mut taken = BTreeSet::new();
    for (name, value) in map {
        if let Some(port) = port(context, name, value, &ports_at, &mut taken, mistakes) {
            ports.push(port);
        }
    }
    result.container_ports = container_ports(&ports);

    let mut labels = JsonMap::new();
    let mut annotations = JsonMap::new();
    read::texts(service.get("labels"), &at.member("labels"), &mut labels, mistakes);
    read::texts(service.get("annotations"), &at.member("annotations"), &mut annotations, mistakes);
    let name = name::object_name(context.workload.id);
    if context.profile == Profile::StatefulSet {
        let own = context.spec.get("statefulset").and_then(|set| set.get("serviceName"));
        if own.is_none_or(read::is_empty) {
            let headless = format!("{name}-headless");
            let mut spec = super::members([
                ("clusterIP", Json::from("None")),
                ("selector", Json::Object(name::selector(context))),
            ]);
            if !ports.is_empty() {
                spec.insert("ports".to_owned(), Json::from(ports.clone()));
            }
            let labels = labels.clone();
            let service = object(context, headless.clone(), labels, JsonMap::new(), spec);
            result.objects.push(service);
            result.governing = Some(headless);
        }
    }
    if !ports.is_empty() {
        let mut spec: JsonMap = service
            .iter()
            .filter(|(member, value)| !MEMBERS.contains(&member.as_str()) && !value.is_null())
            .map(|(member, value)| (member.clone(), value.clone()))
            .collect();
        spec.insert("selector".to_owned(), Json::Object(name::selector(context)));
        spec.insert("ports".to_owned(), Json::Array(ports));
        result.objects.insert(0, object(context, name, labels, annotations, spec));
    }
    result
}

fn object(
    context: &Context<'_>,
    name: String,
    labels: JsonMap,
    annotations: JsonMap,
    spec: JsonMap,
) -> Json {
    Json::Object(super::members([
        ("apiVersion", Json::from("v1")),
        ("kind", Json::from("Service")),
        ("metadata", name::metadata(context, Some(name), labels, annotations)),
        ("spec", Json::Object(spec)),
    ]))
}

fn port(
    context: &Context<'_>,
    name: &str,
    value: &Json,
    at: &At<'_>,
    taken: &mut BTreeSet<(u64, &'static str)>,
    mistakes: &mut Mistakes,
) -> Option<Json> {
    let at = at.member(name);
    let members = read::object(Some(value), &at, mistakes)?;
    if !name::is_dns_label(name) {
        let message = format!(
            "`{name}` cannot name a service port: it must be lower-case letters, digits and `-`, \
             start and end with a letter or digit, and have at most 63 characters"
        );
        mistakes.add(Code::Workload, &at, message);
    }
    let protocol_at = at.member("protocol");
    let protocol = match read::string(members.get("protocol"), &protocol_at, mistakes) {
        None => "TCP",
        Some(text) => {
            let known = PROTOCOLS.into_iter().find(|known| known.eq_ignore_ascii_case(text));
            if known.is_none() {
                let message = format!("service port `{name}` has the unknown protocol `{text}`");
                let hint = match suggest::nearest(text, PROTOCOLS) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("expected one of {}", PROTOCOLS.join(", ")),
                };
                mistakes.add(Code::Workload, &protocol_at, message).hint(hint);
            }
            known?
        }
    };
    let service_at = at.member("service_port");
    let service_port = members.get("service_port").filter(|port| !port.is_null());
    if service_port.is_none() {
        let message = format!(
            "service port `{name}` of workload `{}` has no `service_port`",
            context.workload.id
        );
        mistakes.add(Code::Workload, &at, message);
    }
    let number = read::number(service_port, 1..=65535, &service_at, mistakes);
    let container_at = at.member("container_port");
    let target = match members.get("container_port").filter(|port| !port.is_null()) {
        Some(port) => read::port(port, &container_at, mistakes),
        None => number.map(Json::from),
    };
    let (number, target) = (number?, target?);
    if !taken.insert((number, protocol)) {
        let message = format!("service port {number}/{protocol} is given twice");
        mistakes.add(Code::Workload, &service_at, message);
    }
    let mut port: JsonMap = members
        .iter()
        .filter(|(member, value)| {
            !["protocol", "service_port", "container_port"].contains(&member.as_str())
                && !value.is_null()
        })
        .map(|(member, value)| (member.clone(), value.clone()))
        .collect();
    port.insert("name".to_owned(), Json::from(name));
    port.insert("port".to_owned(), Json::from(number));
    port.insert("targetPort".to_owned(), target);
    port.insert("protocol".to_owned(), Json::from(protocol));
    Some(Json::Object(port))
}

/// What a container declares for these ports. Kubernetes does not need it; people and monitoring
/// look for it. Port names in containers are shorter than in Services.
fn container_ports(ports: &[Json]) -> Vec<Json> {
    let mut declared: Vec<Json> = Vec::new();
    for port in ports {
        let (Some(target), Some(protocol)) = (port.get("targetPort"), port.get("protocol")) else {
            continue;
        };
        if !target.is_u64() {
            continue;
        }
        let known = declared.iter().any(|known| {
            known.get("containerPort") == Some(target) && known.get("protocol") == Some(protocol)
        });
        if known {
            continue;
        }
        let mut entry = json!({"containerPort": target, "protocol": protocol});
        let name = port.get("name").and_then(Json::as_str).filter(|name| {
            name.len() <= 15
                && name.contains(|c: char| c.is_ascii_lowercase())
                && !name.contains("--")
        });
        if let (Some(name), Json::Object(entry)) = (name, &mut entry) {
            entry.insert("name".to_owned(), Json::from(name));
        }
        declared.push(entry);
    }
    declared
}
