//! The pipeline document (spec 10): what it says about itself, and whether it is one.
//!
//! A pipeline is kept as the text that was sent. Reading it finds all mistakes at once, each with
//! its place: what is not known here, of another type, or refers to a job that does not exist.
//! Which actions there are is not checked: a step names any.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Json, suggest,
    yaml::{self, Kind, Node, Span},
};

/// The JSON Schema of the document, for editors.
pub const SCHEMA: &str = include_str!("pipeline/schema.json");
/// The pipeline that every application has from the beginning.
pub const DEFAULT: &str = include_str!("pipeline/default.yaml");

/// Largest document, in bytes.
pub const LARGEST: usize = 256 * 1024;
/// Most mistakes that are told.
const MOST_MISTAKES: usize = 50;
/// Most jobs, steps of a job, and entries of a map.
const MOST: usize = 100;
/// Longest name, in bytes.
const LONGEST: usize = 500;
/// The triggers there are.
const TRIGGERS: [&str; 3] = ["artefact", "deployment_request", "pipeline_call"];

/// What a document says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pipeline {
    /// Its id, when it names one.
    pub id: Option<String>,
    /// Its name for people.
    pub name: String,
    /// More about it.
    pub metadata: Option<BTreeMap<String, String>>,
    /// What starts it, in the order of the document.
    pub triggers: Vec<String>,
    /// The role on the application that its runs need.
    pub application_role: Option<String>,
    /// The environment types that its runs deploy to.
    pub env_types: Vec<String>,
}

/// Something that is wrong in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// JSON pointer to it.
    pub path: String,
    /// Line, from 1; 0 when unknown.
    pub line: u32,
    /// Column, from 1; 0 when unknown.
    pub column: u32,
    /// What is wrong, without a full stop.
    pub message: String,
}

/// Reads a document.
///
/// # Errors
/// With everything that is wrong, in the order of the document; at least one mistake.
pub fn read(text: &str) -> Result<Pipeline, Vec<Mistake>> {
    let limits = yaml::Limits { bytes: LARGEST, depth: 32, nodes: 20_000, alias_expansion: 5_000 };
    let root = yaml::parse(text, &limits).map_err(|error| {
        let place = |number| u32::try_from(number).unwrap_or(0);
        let (line, column) = (place(error.line), place(error.column));
        vec![Mistake { path: String::new(), line, column, message: error.message }]
    })?;
    let mut check = Check::default();
    let pipeline = check.document(&root);
    check.expressions("", &root);
    if check.mistakes.is_empty() {
        return Ok(pipeline);
    }
    check.mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
    check.mistakes.truncate(MOST_MISTAKES);
    Err(check.mistakes)
}

/// The document as JSON. Call it for a text that [`read`] has accepted.
#[must_use]
pub fn to_json(text: &str) -> Json {
    yaml::parse_json(text, &yaml::Limits::default()).unwrap_or_default()
}

#[derive(Default)]
struct Check {
    mistakes: Vec<Mistake>,
}

/// What a member may be.
#[derive(Clone, Copy)]
enum Shape {
    Text,
    Flag,
    Condition,
    Minutes,
    Texts,
    Map,
    Other,
}

/// A member: its name, its shape, and whether it must be there.
type Member = (&'static str, Shape, bool);

impl Check {
    fn wrong(&mut self, path: &str, span: Span, message: impl Into<String>) {
        let (line, column) = (span.line, span.column);
        self.mistakes.push(Mistake {
            path: path.to_owned(),
            line,
            column,
            message: message.into(),
        });
    }

    /// Checks the members of a mapping, and whether it is one.
    fn members(&mut self, path: &str, node: &Node, known: &[Member]) -> bool {
        let Some(entries) = node.entries() else {
            self.wrong(path, node.span, format!("{} is not a map", place(path)));
            return false;
        };
        for (key, value) in entries {
            let at = below(path, &key.name);
            let Some((_, shape, _)) = known.iter().find(|(name, ..)| *name == key.name) else {
                let near = suggest::nearest(&key.name, known.iter().map(|(name, ..)| *name));
                let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                let message = format!("`{}` is not known in {}{near}", cut(&key.name), place(path));
                self.wrong(&at, key.span, message);
                continue;
            };
            self.shape(&at, value, *shape);
        }
        for (name, _, required) in known {
            if *required && node.get(name).is_none() {
                let message = format!("`{name}` is missing in {}", place(path));
                self.wrong(&below(path, name), node.span, message);
            }
        }
        true
    }

    fn shape(&mut self, at: &str, node: &Node, shape: Shape) {
        let expected = match shape {
            Shape::Text => match node.as_str() {
                Some(text) if (1..=LONGEST).contains(&text.len()) => return,
                _ => "a text of 1 to 500 bytes",
            },
            Shape::Flag => match &node.value {
                Kind::Bool(_) => return,
                _ => "`true` or `false`",
            },
            Shape::Condition => match &node.value {
                Kind::Bool(_) | Kind::String(_) => return,
                _ => "an expression",
            },
            Shape::Minutes => match &node.value {
                Kind::Int(1..=525_600) => return,
                _ => "a number of minutes from 1 on",
            },
            Shape::Texts => {
                let items = node.items().filter(|items| items.len() <= MOST);
                match items {
                    Some(items) if items.iter().all(|item| item.as_str().is_some()) => return,
                    _ => "a list of at most 100 texts",
                }
            }
            Shape::Map => match node.entries() {
                Some(entries) if entries.len() <= MOST => return,
                _ => "a map with at most 100 entries",
            },
            Shape::Other => return,
        };
        self.wrong(at, node.span, format!("{} is not valid: use {expected}", place(at)));
    }

    fn document(&mut self, root: &Node) -> Pipeline {
        const KNOWN: [Member; 8] = [
            ("id", Shape::Text, false),
            ("name", Shape::Text, true),
            ("metadata", Shape::Map, false),
            ("on", Shape::Other, true),
            ("timeout-minutes", Shape::Minutes, false),
            ("concurrency", Shape::Other, false),
            ("permissions", Shape::Other, false),
            ("jobs", Shape::Other, true),
        ];
        let mut pipeline = Pipeline::default();
        if !self.members("", root, &KNOWN) {
            return pipeline;
        }
        let text = |name| root.get(name).and_then(Node::as_str).map(str::to_owned);
        pipeline.id = text("id");
        pipeline.name = text("name").unwrap_or_default();
        if let (Some(node), true) = (root.get("name"), pipeline.name.trim().is_empty())
            && !pipeline.name.is_empty()
        {
            self.wrong("/name", node.span, "`name` is not valid: it holds nothing but spaces");
        }
        pipeline.metadata = root.get("metadata").map(|node| self.texts("/metadata", node));
        if let Some(node) = root.get("on") {
            pipeline.triggers = self.triggers(node);
        }
        if let Some(node) = root.get("concurrency") {
            self.members("/concurrency", node, &[("group", Shape::Text, true)]);
        }
        if let Some(node) = root.get("permissions") {
            self.permissions(node, &mut pipeline);
        }
        if let Some(node) = root.get("jobs") {
            self.jobs(node);
        }
        pipeline
    }

    /// A map of texts.
    fn texts(&mut self, path: &str, node: &Node) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        for (key, value) in node.entries().unwrap_or_default() {
            let at = below(path, &key.name);
            match value.as_str() {
                Some(text) if key.name.len() <= LONGEST && text.len() <= LONGEST => {
                    texts.insert(key.name.clone(), text.to_owned());
                }
                _ => self.wrong(&at, value.span, "use a text of at most 500 bytes"),
            }
        }
        texts
    }

    fn triggers(&mut self, node: &Node) -> Vec<String> {
        const ARTEFACT: [Member; 4] = [
            ("type", Shape::Text, true),
            ("include", Shape::Texts, false),
            ("exclude", Shape::Texts, false),
            ("match-ref", Shape::Text, false),
        ];
        let known = TRIGGERS.map(|name| (name, Shape::Other, false));
        if !self.members("/on", node, &known) {
            return Vec::new();
        }
        let entries = node.entries().unwrap_or_default();
        if entries.is_empty() {
            self.wrong("/on", node.span, "`/on` is empty: at least one trigger is needed");
        }
        for (key, value) in entries {
            let at = below("/on", &key.name);
            let is_empty = value.value == Kind::Null;
            match key.name.as_str() {
                "artefact" => {
                    self.members(&at, value, &ARTEFACT);
                    let kind = value.get("type").and_then(|kind| Some((kind, kind.as_str()?)));
                    if let Some((kind, text)) = kind
                        && !matches!(text, "workload" | "container")
                    {
                        let message = "use `workload` or `container`";
                        self.wrong("/on/artefact/type", kind.span, message);
                    }
                }
                "deployment_request" if !is_empty => {
                    self.members(&at, value, &[]);
                }
                "pipeline_call" if !is_empty => self.call(&at, value),
                _ => {}
            }
        }
        entries.iter().map(|(key, _)| key.name.clone()).collect()
    }

    fn call(&mut self, path: &str, node: &Node) {
        const INPUT: [Member; 4] = [
            ("type", Shape::Text, true),
            ("required", Shape::Flag, false),
            ("default", Shape::Other, false),
            ("description", Shape::Other, false),
        ];
        self.members(path, node, &[("inputs", Shape::Map, false)]);
        for (key, value) in node.get("inputs").and_then(Node::entries).unwrap_or_default() {
            let at = below(&below(path, "inputs"), &key.name);
            self.identifier(&at, &key.name, key.span);
            self.members(&at, value, &INPUT);
        }
    }

    fn permissions(&mut self, node: &Node, pipeline: &mut Pipeline) {
        const KNOWN: [Member; 3] = [
            ("application", Shape::Text, false),
            ("env-types", Shape::Map, false),
            ("run-as", Shape::Text, false),
        ];
        let path = "/permissions";
        if !self.members(path, node, &KNOWN) {
            return;
        }
        let one_of = |check: &mut Self, at: &str, node: &Node, words: &[&str]| match node.as_str() {
            Some(text) if words.contains(&text) => Some(text.to_owned()),
            Some(_) => {
                let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
                check.wrong(at, node.span, format!("use {}", words.join(" or ")));
                None
            }
            None => None,
        };
        if let Some(role) = node.get("application") {
            let at = "/permissions/application";
            pipeline.application_role = one_of(self, at, role, &["viewer", "developer", "owner"]);
        }
        let types = node.get("env-types").and_then(Node::entries).unwrap_or_default();
        for (key, role) in types {
            let at = below("/permissions/env-types", &key.name);
            if role.as_str().is_none() {
                self.wrong(&at, role.span, "use `deployer`");
            } else if one_of(self, &at, role, &["deployer"]).is_some() {
                pipeline.env_types.push(key.name.clone());
            }
        }
        if let Some(who) = node.get("run-as") {
            one_of(self, "/permissions/run-as", who, &["inherit"]);
            if node.get("application").or_else(|| node.get("env-types")).is_some() {
                let message = "`run-as` does not go with `application` and `env-types`";
                self.wrong("/permissions/run-as", who.span, message);
            }
        }
    }

    fn jobs(&mut self, node: &Node) {
        let path = "/jobs";
        let Some(jobs) = node.entries() else {
            return self.wrong(path, node.span, "`/jobs` is not a map");
        };
        if !(1..=MOST).contains(&jobs.len()) {
            let message = format!("`/jobs` has {} jobs: use 1 to {MOST}", jobs.len());
            self.wrong(path, node.span, message);
        }
        let ids: BTreeSet<&str> = jobs.iter().map(|(key, _)| key.name.as_str()).collect();
        // Which jobs each one still waits for.
        let mut waiting: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (key, job) in jobs {
            let at = below(path, &key.name);
            self.identifier(&at, &key.name, key.span);
            self.job(&at, job);
            let needs = job.get("needs");
            for need in needs.and_then(Node::items).unwrap_or_default() {
                let Some(name) = need.as_str() else { continue };
                if ids.contains(name) {
                    waiting.entry(&key.name).or_default().insert(name);
                    continue;
                }
                let near = suggest::nearest(name, ids.iter().copied());
                let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                let message = format!("there is no job `{}`{near}", cut(name));
                self.wrong(&below(&at, "needs"), need.span, message);
            }
        }
        // Whatever no round frees is in a circle, or waits for one.
        loop {
            let stuck: BTreeSet<&str> = waiting.keys().copied().collect();
            waiting.retain(|_, needs| needs.iter().any(|need| stuck.contains(need)));
            if waiting.len() == stuck.len() {
                break;
            }
        }
        if let Some((key, job)) = jobs.iter().find(|(key, _)| waiting.contains_key(&*key.name)) {
            let span = job.get("needs").map_or(key.span, |needs| needs.span);
            let names: Vec<_> = waiting.keys().map(|name| format!("`{}`", cut(name))).collect();
            let message = format!("these jobs wait for each other: {}", names.join(", "));
            self.wrong(&below(&below(path, &key.name), "needs"), span, message);
        }
    }

    fn job(&mut self, path: &str, node: &Node) {
        const JOB: [Member; 7] = [
            ("name", Shape::Text, false),
            ("needs", Shape::Texts, false),
            ("if", Shape::Condition, false),
            ("continue-on-error", Shape::Condition, false),
            ("timeout-minutes", Shape::Minutes, false),
            ("outputs", Shape::Map, false),
            ("steps", Shape::Other, true),
        ];
        const STEP: [Member; 7] = [
            ("id", Shape::Text, false),
            ("name", Shape::Text, false),
            ("if", Shape::Condition, false),
            ("uses", Shape::Text, true),
            ("with", Shape::Map, false),
            ("continue-on-error", Shape::Condition, false),
            ("timeout-minutes", Shape::Minutes, false),
        ];
        if !self.members(path, node, &JOB) {
            return;
        }
        let Some(node) = node.get("steps") else { return };
        let path = below(path, "steps");
        let steps = node.items().unwrap_or_default();
        if !(1..=MOST).contains(&steps.len()) {
            let message = format!("{} is not valid: use a list of 1 to {MOST} steps", place(&path));
            return self.wrong(&path, node.span, message);
        }
        let mut ids = BTreeSet::new();
        for (index, step) in steps.iter().enumerate() {
            let at = format!("{path}/{index}");
            if !self.members(&at, step, &STEP) {
                continue;
            }
            if let Some(id) = step.get("id")
                && let Some(text) = id.as_str()
            {
                let at = below(&at, "id");
                self.identifier(&at, text, id.span);
                if !ids.insert(text) {
                    let message = format!("another step of the job has the id `{}`", cut(text));
                    self.wrong(&at, id.span, message);
                }
            }
            if let Some(uses) = step.get("uses")
                && uses.as_str().is_some_and(|text| !is_action(text))
            {
                let message = "use an action, for example `actions/humanitec/deploy@v1`";
                self.wrong(&below(&at, "uses"), uses.span, message);
            }
        }
    }

    /// A name that expressions can use.
    fn identifier(&mut self, at: &str, name: &str, span: Span) {
        let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
        let is_good = name.len() <= 100
            && name.bytes().next().is_some_and(|byte| is_letter(byte) || byte.is_ascii_digit())
            && name.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit() || byte == b'-');
        if !is_good {
            let message = "use up to 100 letters, digits, `-` and `_`, not beginning with `-`";
            self.wrong(at, span, format!("`{}` is not valid as a name: {message}", cut(name)));
        }
    }

    /// Every expression ends.
    fn expressions(&mut self, path: &str, node: &Node) {
        match &node.value {
            Kind::String(text) => {
                let is_open = |part: &str| !part.contains("}}");
                if text.split("${{").skip(1).any(is_open) {
                    self.wrong(path, node.span, "an expression `${{` does not end with `}}`");
                }
            }
            Kind::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.expressions(&format!("{path}/{index}"), item);
                }
            }
            Kind::Mapping(entries) => {
                for (key, value) in entries {
                    self.expressions(&below(path, &key.name), value);
                }
            }
            _ => {}
        }
    }
}

/// Whether a text names an action: `actions/humanitec/<name>`, with `native://` before it or a
/// version behind it.
fn is_action(text: &str) -> bool {
    let text = text.strip_prefix("native://").unwrap_or(text);
    let Some(name) = text.strip_prefix("actions/humanitec/") else { return false };
    let name = name.strip_suffix("@v1").unwrap_or(name);
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

fn below(path: &str, name: &str) -> String {
    format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn place(path: &str) -> String {
    if path.is_empty() { "the document".to_owned() } else { format!("`{}`", cut(path)) }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= 100 {
        return text.to_owned();
    }
    text.chars().take(100).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: &str = "steps: [{uses: actions/humanitec/log@v1, with: {message: hi}}]";

    fn mistakes(text: &str) -> Vec<String> {
        let line =
            |one: Mistake| format!("{}:{} {} {}", one.line, one.column, one.path, one.message);
        read(text).unwrap_err().into_iter().map(line).collect()
    }

    #[test]
    fn the_default_pipeline_is_one() {
        let pipeline = read(DEFAULT).unwrap();
        assert_eq!(pipeline.name, "Default");
        assert_eq!(pipeline.triggers, ["deployment_request"]);
        assert!(serde_json::from_str::<Json>(SCHEMA).unwrap().is_object());
    }

    #[test]
    fn says_what_it_is() {
        let text = format!(
            "id: promote\nname: Promote\nmetadata: {{a/b: c}}\non:\n  pipeline_call:\n  artefact: \
             {{type: workload, include: [web]}}\npermissions: {{application: developer, env-types: \
             {{live: deployer}}}}\njobs:\n  a: {{{STEPS}}}\n  b: {{needs: [a], {STEPS}}}\n"
        );
        let pipeline = read(&text).unwrap();
        assert_eq!(pipeline.id.as_deref(), Some("promote"));
        assert_eq!(pipeline.triggers, ["pipeline_call", "artefact"]);
        assert_eq!(pipeline.metadata.unwrap()["a/b"], "c");
        assert_eq!(pipeline.application_role.as_deref(), Some("developer"));
        assert_eq!(pipeline.env_types, ["live"]);
        assert_eq!(to_json(&text)["name"], "Promote");
    }

    #[test]
    fn mistakes_have_their_place() {
        assert!(mistakes("{").first().unwrap().starts_with("1:"));
        assert_eq!(mistakes("[]"), ["1:1  the document is not a map"]);
        assert_eq!(mistakes("").len(), 1);
        let text = "nmae: X\non: {}\njobs:\n  a: {needs: [b, x], steps: []}\n  b: {needs: [a]}\n";
        assert_eq!(
            mistakes(text),
            [
                "1:1 /nmae `nmae` is not known in the document; did you mean `name`?",
                "1:1 /name `name` is missing in the document",
                "2:5 /on `/on` is empty: at least one trigger is needed",
                "4:14 /jobs/a/needs these jobs wait for each other: `a`, `b`",
                "4:18 /jobs/a/needs there is no job `x`; did you mean `a`?",
                "4:29 /jobs/a/steps `/jobs/a/steps` is not valid: use a list of 1 to 100 steps",
                "5:6 /jobs/b/steps `steps` is missing in `/jobs/b`",
            ]
        );
        let frame = |on: &str, more: &str, step: &str| {
            format!("name: X\non: {on}\n{more}\njobs: {{a: {{steps: [{step}]}}}}\n")
        };
        let log = "{uses: actions/humanitec/log@v1}";
        let good = "{deployment_request: {}}";
        assert!(read(&frame(good, "", log)).is_ok());
        for (text, says) in [
            (frame("{push: {}}", "", log), "`push` is not known in `/on`"),
            (frame("{artefact: {type: x}}", "", log), "use `workload` or `container`"),
            (frame("{artefact: {}}", "", log), "`type` is missing"),
            (frame("{deployment_request: {a: 1}}", "", log), "`a` is not known"),
            (frame("{pipeline_call: {inputs: {x: {}}}}", "", log), "`type` is missing"),
            (frame(good, "permissions: {application: king}", log), "use `viewer` or"),
            (frame(good, "permissions: {env-types: {live: owner}}", log), "use `deployer`"),
            (frame(good, "permissions: {run-as: me}", log), "use `inherit`"),
            (
                frame(good, "permissions: {run-as: inherit, application: viewer}", log),
                "does not go with",
            ),
            (frame(good, "concurrency: {}", log), "`group` is missing"),
            (frame(good, "timeout-minutes: 0", log), "a number of minutes"),
            (frame(good, "metadata: {a: 1}", log), "use a text"),
            (frame(good, "id: ''", log), "a text of 1 to 500 bytes"),
            (frame(good, "", "{uses: x}"), "use an action"),
            (frame(good, "", "{}"), "`uses` is missing"),
            (frame(good, "", &format!("{log}, 1")), "`/jobs/a/steps/1` is not a map"),
            (
                frame(good, "", "{id: a b, uses: actions/humanitec/log}"),
                "`a b` is not valid as a name",
            ),
            (
                frame(
                    good,
                    "",
                    "{id: a, uses: native://actions/humanitec/log@v1}, {id: a, uses: \
                     actions/humanitec/log, if: '${{ x }'}",
                ),
                "another step of the job has the id `a`",
            ),
            (frame(good, "", "{uses: actions/humanitec/log, if: '${{ x }'}"), "does not end"),
        ] {
            let found = mistakes(&text);
            assert!(found.iter().any(|one| one.contains(says)), "{says}: {found:?}");
        }
    }

    #[test]
    fn a_text_that_is_too_large_is_refused() {
        let text = format!("name: {}", "x".repeat(LARGEST));
        assert_eq!(read(&text).unwrap_err().len(), 1);
    }
}
