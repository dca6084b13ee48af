//! Probes: `{"type": "http", …}` becomes `{"httpGet": …}`.

use serde_json::json;

use super::mistakes::{At, Mistakes};
use super::read;
use crate::{Code, Json, JsonMap, suggest};

const TYPES: [&str; 4] = ["http", "tcp", "grpc", "command"];

/// Members that one type or another reads. An extension that gives a probe another type leaves
/// those of the Score file's type behind; Kubernetes has no place for them.
const HANDLED: [&str; 8] =
    ["type", "path", "port", "headers", "scheme", "host", "service", "command"];

/// The Kubernetes probe; nothing when the probe is empty. Members other than those of handlers
/// (`initialDelaySeconds` and the like) are passed on.
pub(super) fn probe(probe: &Json, at: &At<'_>, mistakes: &mut Mistakes) -> Option<Json> {
    let members = read::object(Some(probe), at, mistakes).filter(|members| !members.is_empty())?;
    let type_at = at.member("type");
    let Some(kind) = read::string(members.get("type"), &type_at, mistakes) else {
        if members.get("type").is_none_or(read::is_empty) {
            let message = format!("`{}` has no `type`", at.pointer());
            let hint = format!("expected one of {}", TYPES.join(", "));
            mistakes.add(Code::Workload, at, message).hint(hint);
        }
        return None;
    };
    let reader = &mut Reader { members, at, mistakes };
    let (handler, value) = match kind {
        "http" => ("httpGet", reader.http()),
        "tcp" => ("tcpSocket", reader.tcp()),
        "grpc" => ("grpc", reader.grpc()),
        "command" => ("exec", reader.command()),
        unknown => {
            let hint = match suggest::nearest(unknown, TYPES) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("expected one of {}", TYPES.join(", ")),
            };
            let message = format!("`{}` is of the unknown type `{unknown}`", at.pointer());
            mistakes.add(Code::Workload, &type_at, message).hint(hint);
            return None;
        }
    };
    let mut result = JsonMap::new();
    for (key, value) in members {
        if !HANDLED.contains(&key.as_str()) && !value.is_null() {
            result.insert(key.clone(), value.clone());
        }
    }
    result.insert(handler.to_owned(), Json::Object(value));
    Some(Json::Object(result))
}

struct Reader<'a> {
    members: &'a JsonMap,
    at: &'a At<'a>,
    mistakes: &'a mut Mistakes,
}

impl Reader<'_> {
    fn http(&mut self) -> JsonMap {
        let mut get = JsonMap::new();
        let path = self.text("path").unwrap_or("/");
        get.insert("path".to_owned(), Json::from(path));
        self.port(&mut get, true);
        for member in ["scheme", "host"] {
            if let Some(text) = self.text(member) {
                get.insert(member.to_owned(), Json::from(text));
            }
        }
        let mut headers = JsonMap::new();
        let at = self.at.member("headers");
        read::texts(self.members.get("headers"), &at, &mut headers, self.mistakes);
        if !headers.is_empty() {
            let list = headers.iter().map(|(name, value)| json!({"name": name, "value": value}));
            get.insert("httpHeaders".to_owned(), list.collect());
        }
        get
    }

    fn tcp(&mut self) -> JsonMap {
        let mut socket = JsonMap::new();
        self.port(&mut socket, true);
        if let Some(host) = self.text("host") {
            socket.insert("host".to_owned(), Json::from(host));
        }
        socket
    }

    fn grpc(&mut self) -> JsonMap {
        let mut grpc = JsonMap::new();
        self.port(&mut grpc, false);
        if let Some(service) = self.text("service") {
            grpc.insert("service".to_owned(), Json::from(service));
        }
        grpc
    }

    fn command(&mut self) -> JsonMap {
        let at = self.at.member("command");
        let mut exec = JsonMap::new();
        match read::strings(self.members.get("command"), &at, self.mistakes) {
            Some(command) => {
                exec.insert("command".to_owned(), Json::from(command));
            }
            None if self.members.get("command").is_none_or(read::is_empty) => {
                self.missing("command");
            }
            None => {}
        }
        exec
    }

    fn port(&mut self, into: &mut JsonMap, named: bool) {
        let at = self.at.member("port");
        let port = match self.members.get("port") {
            None | Some(Json::Null) => return self.missing("port"),
            Some(port) if named => read::port(port, &at, self.mistakes),
            Some(port) => read::number(Some(port), 1..=65535, &at, self.mistakes).map(Json::from),
        };
        if let Some(port) = port {
            into.insert("port".to_owned(), port);
        }
    }

    fn text(&mut self, member: &str) -> Option<&str> {
        read::string(self.members.get(member), &self.at.member(member), self.mistakes)
    }

    fn missing(&mut self, member: &str) {
        let message = format!("`{}` has no `{member}`", self.at.pointer());
        self.mistakes.add(Code::Workload, self.at, message);
    }
}
