//! The extension file (`humanitec.score.yaml`): a profile, more spec, the rollout.

use downbeat_core::{
    Code,
    module::{DeployCondition, Stage, Success},
    suggest::nearest,
    yaml::{Key, Kind, Node},
};

use crate::{
    describe,
    diagnostic::{Path, Report},
};

/// An extension without what is wrong in it.
#[derive(Default)]
pub(crate) struct Extension {
    pub(crate) profile: Option<String>,
    /// A map.
    pub(crate) spec: Option<Node>,
    pub(crate) deploy: Option<DeployCondition>,
    /// Deprecated: names of resources with their scope.
    pub(crate) scopes: Vec<(Key, Scope)>,
}

/// Where a resource goes, in the deprecated form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Private,
    Shared,
}

pub(crate) fn read(node: Node, report: &mut Report<'_>) -> Extension {
    const KNOWN: [&str; 5] = ["apiVersion", "profile", "spec", "deploy", "resources"];
    const VERSION: &str = "humanitec.org/v1b1";
    let mut extension = Extension::default();
    let Kind::Mapping(entries) = node.value else { return extension };
    let root = Path::ROOT;
    for (key, value) in entries {
        let path = &root.member(&key.name);
        match (key.name.as_str(), &value.value) {
            ("apiVersion", Kind::String(version)) => {
                if version != VERSION {
                    let found = describe::text(version);
                    let message = format!("expected `{VERSION}`, found {found}");
                    report.warn(Code::ScoreValue, value.span, path, message, None);
                }
            }
            ("profile", Kind::String(profile)) => {
                extension.profile = Some(profile.clone()).filter(|profile| !profile.is_empty());
            }
            ("spec", Kind::Mapping(_)) => extension.spec = Some(value),
            ("deploy", Kind::Mapping(_)) => extension.deploy = Some(deploy(&value, path, report)),
            ("resources", Kind::Mapping(_)) => extension.scopes = scopes(value, path, report),
            // A section with nothing below it says nothing.
            ("profile" | "spec" | "deploy" | "resources", Kind::Null) => {}
            ("apiVersion" | "profile", _) => wrong(&value, path, "a string", report),
            ("spec" | "deploy" | "resources", _) => wrong(&value, path, "a map", report),
            (name, _) => {
                let hint = match nearest(name, KNOWN) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => format!("expected {}", describe::choice(&KNOWN)),
                };
                let message = format!("{} is not known here", describe::text(name));
                report.error(Code::ScoreUnknown, key.span, path, message, Some(hint));
            }
        }
    }
    extension
}

fn wrong(node: &Node, path: &Path<'_>, expected: &str, report: &mut Report<'_>) {
    let message = format!("expected {expected}, found {}", describe::kind(node));
    report.error(Code::ScoreValue, node.span, path, message, None);
}

fn deploy(node: &Node, path: &Path<'_>, report: &mut Report<'_>) -> DeployCondition {
    const KNOWN: [&str; 3] = ["when", "success", "timeout"];
    const STAGES: [(&str, Stage); 3] =
        [("before", Stage::Before), ("deploy", Stage::Deploy), ("after", Stage::After)];
    const SUCCESSES: [(&str, Success); 3] = [
        ("deploy", Success::Deploy),
        ("available", Success::Available),
        ("complete", Success::Complete),
    ];
    let mut condition = DeployCondition::default();
    for (key, value) in node.entries().unwrap_or_default() {
        let path = &path.member(&key.name);
        match (key.name.as_str(), &value.value) {
            (_, Kind::Null) if KNOWN.contains(&key.name.as_str()) => {}
            ("when", _) => condition.when = choose(value, &STAGES, path, report),
            ("success", _) => condition.success = choose(value, &SUCCESSES, path, report),
            ("timeout", Kind::Int(seconds)) if *seconds >= 0 => {
                condition.timeout = Some(seconds.unsigned_abs());
            }
            ("timeout", _) => wrong(value, path, "a number of seconds", report),
            (name, _) => {
                let hint = match nearest(name, KNOWN) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => format!("expected {}", describe::choice(&KNOWN)),
                };
                let message = format!("{} is not known here", describe::text(name));
                report.error(Code::ScoreUnknown, key.span, path, message, Some(hint));
            }
        }
    }
    condition
}

fn choose<T: Copy>(
    node: &Node,
    choices: &[(&str, T)],
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<T> {
    let chosen = choices.iter().find(|(name, _)| node.as_str() == Some(*name));
    if chosen.is_none() {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        let found = node.as_str().map_or_else(|| describe::kind(node).to_owned(), describe::text);
        let message = format!("expected {}, found {found}", describe::choice(&names));
        let hint = node.as_str().and_then(|text| nearest(text, names.iter().copied()));
        let hint = hint.map(|name| format!("did you mean `{name}`?"));
        report.error(Code::ScoreValue, node.span, path, message, hint);
    }
    chosen.map(|(_, value)| *value)
}

fn scopes(node: Node, path: &Path<'_>, report: &mut Report<'_>) -> Vec<(Key, Scope)> {
    let Kind::Mapping(entries) = node.value else { return Vec::new() };
    let mut scopes = Vec::new();
    for (key, value) in entries {
        let member = path.member(&key.name);
        let path = &member.member("scope");
        let hint = "give the resource an `id` in the Score file instead".to_owned();
        let message = "`resources` of an extension is deprecated";
        report.warn(Code::ScoreUnknown, key.span, &member, message, Some(hint));
        let scope = match value.get("scope") {
            None => Scope::Private,
            Some(scope) if matches!(scope.as_str(), Some("" | "external")) => Scope::Private,
            Some(scope) => {
                let choices = [("shared", Scope::Shared), ("externals", Scope::Private)];
                // A wrong scope is no reason to say that the resource does not exist.
                choose(scope, &choices, path, report).unwrap_or(Scope::Private)
            }
        };
        scopes.push((key, scope));
    }
    scopes
}
