//! What the documentation of the library says of its entities, and whether it is so.
//!
//! The files in `tests/expected` were written from the pages and comments of the library and from
//! what types and drivers promise, not from what came out. There is one for each folder of the
//! library; it has a member for each file, which is either one case or
//!
//! ```yaml
//! applies: [{app: my-app}]       # contexts in which it wins, beside the others of its folder
//! not: [{}]                      # contexts in which it does not apply, or does not win
//! cases: []
//! ```
//!
//! A context has `app`, `env`, `env_type`, `class` and `res_id`; what it leaves out is as in
//! [`Setting`]. A case says what is there, and what comes of it:
//!
//! ```yaml
//! context: {app: my-app}         # as above, and `org`
//! beside: [other.yaml]           # what else is loaded: files or folders; else, the whole folder
//! also: []                       # and definitions that the library does not have
//! change: {id: {name: new}}      # merged into the definition of this id
//! replace: {file: {old: new}}    # texts in a file of the library
//! modules: {web: {}}             # the set; else, one plain workload `web`
//! shared: {}
//! score: score.yaml              # for an extension: the Score file, by name or as a text
//! values: {KEY: text}            # shared values; `{store, ref}` for a secret one
//! given: {dns: {values: {}}}     # outputs of what no definition here makes
//! stored: {path: text}           # what is in secret stores, by reference
//! accounts: {id: {type: aws, credentials: {}}}
//! resource: dns#shared.site      # what is looked at; a class that is left out is `default`
//! twice: false                   # deployed again, it may be another
//! unknown: {uid: "####"}         # parts that nobody promises: `#` is a digit, `*` is any text
//!
//! outputs: {}                    # exactly these; what is left out has to be empty
//! secrets: {/url: text}          # exactly these, by path; or `{store, ref}`
//! manifests: []                  # exactly these: `location` with `data`, or with paths in `has`
//! graph: {dns#shared.site: {by: id, needs: []}}   # null: it is not there
//! objects: {Service web: {/spec/ports: []}}       # null: there is none
//! asked: {values: {}, secrets: {}, account: id, run: {}}  # instead of outputs
//! fails: {code: RES-102, says: text}              # likewise
//! ```
//!
//! In texts, `%guresid%` is the permanent id of the resource, `%guresid of D%` that of another, and
//! `%uid%` something unknown, which is the same wherever it is named.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use downbeat_core::{
    Descriptor, Json, JsonMap, ResourceKey,
    yaml::{self, Limits},
};
use serde_json::json;

/// What is expected of a file.
#[derive(Default)]
pub(super) struct Expected {
    /// Contexts in which it is used.
    pub(super) applies: Vec<Context>,
    /// Contexts in which it is not.
    pub(super) not: Vec<Context>,
    /// What comes of it.
    pub(super) cases: Vec<Case>,
}

/// Where a definition may apply.
pub(super) struct Context {
    pub(super) org: String,
    pub(super) app: String,
    pub(super) env: String,
    pub(super) env_type: String,
    pub(super) class: String,
    pub(super) res_id: String,
}

/// A case.
pub(super) struct Case {
    /// Which one it is, for messages.
    pub(super) name: String,
    pub(super) setting: Setting,
    pub(super) promise: Promise,
}

/// What is there.
pub(super) struct Setting {
    pub(super) context: Context,
    pub(super) beside: Option<Vec<String>>,
    pub(super) also: Vec<JsonMap>,
    pub(super) change: JsonMap,
    pub(super) replace: JsonMap,
    pub(super) modules: Json,
    pub(super) shared: Json,
    pub(super) score: Option<String>,
    pub(super) values: JsonMap,
    pub(super) given: JsonMap,
    pub(super) stored: BTreeMap<String, String>,
    pub(super) accounts: JsonMap,
    pub(super) resource: Option<ResourceKey>,
    pub(super) twice: bool,
}

/// What comes of it.
pub(super) struct Promise {
    pub(super) unknown: BTreeMap<String, String>,
    pub(super) outputs: Json,
    pub(super) secrets: JsonMap,
    pub(super) manifests: Vec<Json>,
    pub(super) graph: JsonMap,
    pub(super) objects: JsonMap,
    pub(super) asked: Option<JsonMap>,
    pub(super) fails: Option<JsonMap>,
}

/// The key that a descriptor names; without a class, that of the class `default`.
pub(super) fn key(text: &str) -> ResourceKey {
    let descriptor = Descriptor::parse(text).unwrap();
    descriptor.relative_to(&ResourceKey::new("", "", ""))
}

/// All expectations, by path in the library.
pub(super) fn read() -> BTreeMap<String, Expected> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expected");
    let mut found = BTreeMap::new();
    collect(&root, &root, &mut found);
    found
}

fn collect(root: &Path, path: &Path, found: &mut BTreeMap<String, Expected>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(root, &entry.unwrap().path(), found);
        }
        return;
    }
    let text = fs::read_to_string(path).unwrap();
    let folder = path.with_extension("");
    let folder = folder.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
    let document = yaml::parse(&text, &Limits::default());
    let document = document.unwrap_or_else(|error| panic!("{folder}: {error}"));
    for (file, told) in object(document.into_json()) {
        let path = format!("{folder}/{file}");
        found.insert(path.clone(), Members(path, object(told)).expected());
    }
}

fn object(value: Json) -> JsonMap {
    match value {
        Json::Object(members) => members,
        other => panic!("not a map: {other}"),
    }
}

/// Members that are taken out one by one; none may be left.
struct Members(String, JsonMap);

impl Members {
    fn take(&mut self, name: &str) -> Option<Json> {
        self.1.remove(name)
    }

    fn map(&mut self, name: &str) -> JsonMap {
        self.take(name).map(object).unwrap_or_default()
    }

    fn list(&mut self, name: &str) -> Vec<Json> {
        self.take(name).map(|list| list.as_array().unwrap().clone()).unwrap_or_default()
    }

    fn text(&mut self, name: &str) -> Option<String> {
        self.take(name).map(|text| text.as_str().unwrap().to_owned())
    }

    fn texts(&mut self, name: &str) -> BTreeMap<String, String> {
        let texts = self.map(name).into_iter();
        texts.map(|(name, text)| (name, text.as_str().unwrap().to_owned())).collect()
    }

    fn end(self) {
        let left: Vec<&String> = self.1.keys().collect();
        assert!(left.is_empty(), "{}: nobody knows {left:?}", self.0);
    }

    fn expected(mut self) -> Expected {
        let path = self.0.clone();
        let context = |one| Self(path.clone(), object(one)).context();
        let applies = self.list("applies").into_iter().map(context).collect();
        let not = self.list("not").into_iter().map(context).collect();
        let cases = match self.1.contains_key("cases") {
            true => {
                let cases = self.list("cases");
                self.end();
                cases.into_iter().map(object).collect()
            }
            false => vec![self.1],
        };
        let case = |(number, members)| Self(format!("{path} ({number})"), members).case();
        Expected { applies, not, cases: (1..).zip(cases).map(case).collect() }
    }

    fn context(mut self) -> Context {
        let mut or = |name: &str, other: &str| self.text(name).unwrap_or_else(|| other.to_owned());
        let context = Context {
            org: or("org", "acme"),
            app: or("app", "shop"),
            env: or("env", "dev"),
            env_type: or("env_type", "development"),
            class: or("class", "default"),
            res_id: or("res_id", "modules.web.externals.it"),
        };
        self.end();
        context
    }

    fn case(mut self) -> Case {
        let name = self.0.clone();
        let context = Self(name.clone(), self.map("context")).context();
        let beside = self.take("beside").map(|list| {
            let texts = list.as_array().unwrap().iter();
            texts.map(|text| text.as_str().unwrap().to_owned()).collect()
        });
        let asked = self.take("asked").map(object);
        let mut accounts = self.map("accounts");
        if let Some(Json::String(id)) = asked.as_ref().and_then(|asked| asked.get("account")) {
            accounts.entry(id.clone()).or_insert(json!({"type": "aws", "credentials": {}}));
        }
        let setting = Setting {
            context,
            beside,
            also: self.list("also").into_iter().map(object).collect(),
            change: self.map("change"),
            replace: self.map("replace"),
            modules: self.take("modules").unwrap_or_else(|| json!({"web": {}})),
            shared: Json::Object(self.map("shared")),
            score: self.text("score"),
            values: self.map("values"),
            given: self.map("given"),
            stored: self.texts("stored"),
            accounts,
            resource: self.text("resource").map(|text| key(&text)),
            twice: self.take("twice").is_none_or(|twice| twice == true),
        };
        let promise = Promise {
            unknown: self.texts("unknown"),
            outputs: Json::Object(self.map("outputs")),
            secrets: self.map("secrets"),
            manifests: self.list("manifests"),
            graph: self.map("graph"),
            objects: self.map("objects"),
            asked,
            fails: self.take("fails").map(object),
        };
        self.end();
        Case { name, setting, promise }
    }
}

/// Compares what was found with what is expected, and remembers what was unknown.
#[derive(Clone, Default)]
pub(super) struct Comparison {
    /// What names stand for, once it is known.
    pub(super) known: BTreeMap<String, String>,
    /// The shapes of what is unknown.
    pub(super) unknown: BTreeMap<String, String>,
    /// What is not as expected.
    pub(super) deviations: Vec<String>,
}

impl Comparison {
    fn differs(&mut self, at: &str, expected: &Json, found: Option<&Json>) {
        let found = found.map_or_else(|| "nothing".to_owned(), Json::to_string);
        self.deviations.push(format!("{at}: expected {expected}, found {found}"));
    }

    /// Both are equal, apart from what is unknown.
    pub(super) fn equal(&mut self, at: &str, expected: &Json, found: &Json) {
        match (expected, found) {
            (Json::Object(expected), Json::Object(found)) => {
                let names: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
                for name in names {
                    let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                    match (expected.get(name), found.get(name)) {
                        (Some(expected), Some(found)) => self.equal(&at, expected, found),
                        (Some(expected), None) => self.differs(&at, expected, None),
                        (None, Some(found)) => {
                            self.deviations.push(format!("{at}: nobody promised {found}"));
                        }
                        (None, None) => {}
                    }
                }
            }
            (Json::Array(items), Json::Array(others)) if items.len() == others.len() => {
                for (number, (item, other)) in items.iter().zip(others).enumerate() {
                    self.equal(&format!("{at}/{number}"), item, other);
                }
            }
            (Json::String(pattern), Json::String(text)) => match self.read(pattern, text) {
                Some(known) => self.known = known,
                None => self.differs(at, expected, Some(found)),
            },
            _ if expected == found => {}
            _ => self.differs(at, expected, Some(found)),
        }
    }

    /// What is at each path is equal to what is expected; `null` says that there is nothing.
    pub(super) fn has(&mut self, at: &str, expected: &JsonMap, found: &Json) {
        for (path, expected) in expected {
            let at = format!("{at}{path}");
            let path = self.filled(path);
            match (expected, find(found, &path)) {
                (Json::Null, None | Some(Json::Null)) => {}
                (expected, Some(found)) => self.equal(&at, expected, found),
                (expected, None) => self.differs(&at, expected, None),
            }
        }
    }

    /// Both have the same items, in whatever order.
    pub(super) fn manifests(&mut self, expected: &[Json], found: &[Json]) {
        let mut left: Vec<&Json> = found.iter().collect();
        for (number, expected) in expected.iter().enumerate() {
            let at = format!("manifests/{number}");
            let mut nearest: Option<Self> = None;
            let compared = left.iter().position(|found| {
                let mut tried = Self { deviations: Vec::new(), ..self.clone() };
                tried.equal(&at, &expected["location"], &found["location"]);
                match expected.get("has") {
                    Some(Json::Object(has)) => tried.has(&at, has, &found["data"]),
                    _ => tried.equal(&at, &expected["data"], &found["data"]),
                }
                let is_equal = tried.deviations.is_empty();
                let fewest = nearest.as_ref().map_or(usize::MAX, |near| near.deviations.len());
                if tried.deviations.len() < fewest {
                    nearest = Some(tried);
                }
                is_equal
            });
            match (compared, nearest) {
                (Some(position), Some(tried)) => {
                    left.remove(position);
                    self.known = tried.known;
                }
                (_, Some(near)) => self.deviations.extend(near.deviations),
                (_, None) => self.differs(&at, expected, None),
            }
        }
        for found in left {
            self.deviations.push(format!("manifests: nobody promised {found}"));
        }
    }

    /// Objects, by kind and name.
    pub(super) fn objects(&mut self, expected: &JsonMap, found: &BTreeMap<String, Json>) {
        for (title, expected) in expected {
            let at = format!("objects/{title}");
            let matches = |name: &str| match title.contains(' ') {
                true => self.read(title, name),
                false => name.starts_with(&format!("{title} ")).then(BTreeMap::new),
            };
            let object = found.iter().find_map(|(name, found)| Some((matches(name)?, name, found)));
            match (expected, object) {
                (Json::Null, None) => {}
                (Json::Null, Some((_, name, _))) => {
                    self.deviations.push(format!("{at}: there is {name}"));
                }
                (Json::Object(has), Some((known, _, object))) => {
                    self.known.extend(known);
                    self.has(&at, has, object);
                }
                _ => {
                    let names: Vec<&String> = found.keys().collect();
                    self.deviations.push(format!("{at}: there are only {names:?}"));
                }
            }
        }
    }

    /// Puts in what is known.
    fn filled(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.known {
            text = text.replace(&format!("%{name}%"), value);
        }
        text
    }

    /// What is known once `pattern` was found to stand for `text`; none when it does not.
    fn read(&self, pattern: &str, text: &str) -> Option<BTreeMap<String, String>> {
        let pattern = self.filled(pattern);
        let next = self.unknown.iter().filter_map(|(name, shape)| {
            let (before, after) = pattern.split_once(&format!("%{name}%"))?;
            Some((before.len(), name, shape, after.len()))
        });
        let Some((before, name, shape, after)) = next.min() else {
            return (pattern == text).then(|| self.known.clone());
        };
        let rest = text.strip_prefix(&pattern[..before])?;
        let ends = rest.char_indices().map(|(end, _)| end).chain([rest.len()]);
        ends.filter(|end| fits(shape, &rest[..*end])).find_map(|end| {
            let mut bound = self.clone();
            bound.known.insert(name.clone(), rest[..end].to_owned());
            bound.unknown.remove(name);
            let pattern = bound.filled(&pattern[pattern.len() - after..]);
            bound.read(&pattern, &rest[end..])
        })
    }
}

/// Whether a text has a shape.
fn fits(shape: &str, text: &str) -> bool {
    shape == "*"
        || (shape.len() == text.len()
            && shape.chars().zip(text.chars()).all(|(shape, found)| match shape {
                '#' => found.is_ascii_digit(),
                other => other == found,
            }))
}

/// What is at a path. Items of lists are found by number, `name` or `mountPath`.
fn find<'a>(value: &'a Json, path: &str) -> Option<&'a Json> {
    let mut value = value;
    for token in path.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        value = match value {
            Json::Object(members) => members.get(&token)?,
            Json::Array(items) => {
                let is_it = |item: &&Json| item["name"] == token || item["mountPath"] == token;
                let by_path = items.iter().find(|item| item["mountPath"] == token);
                let number = || items.get(token.parse::<usize>().ok()?);
                by_path.or_else(|| items.iter().find(is_it)).or_else(number)?
            }
            _ => return None,
        };
    }
    Some(value)
}

/// What comparing two texts finds out, and whether they differ.
fn compared(unknown: &[(&str, &str)], pairs: &[(Json, Json)]) -> Result<Vec<String>, usize> {
    let unknown = unknown.iter().map(|(name, shape)| ((*name).to_owned(), (*shape).to_owned()));
    let mut comparison = Comparison { unknown: unknown.collect(), ..Comparison::default() };
    for (expected, found) in pairs {
        comparison.equal("", expected, found);
    }
    match comparison.deviations.len() {
        0 => Ok(comparison.known.into_values().collect()),
        many => Err(many),
    }
}

#[test]
fn deviations_are_seen() {
    let one = |expected: Json, found: Json| compared(&[], &[(expected, found)]);
    assert_eq!(one(json!({"a": [1, null]}), json!({"a": [1, null]})), Ok(vec![]));
    for (expected, found, many) in [
        (json!({"a": 1}), json!({"a": 2}), 1),
        (json!({"a": 1}), json!({}), 1),
        (json!({}), json!({"a": null}), 1),
        (json!({"a": 1, "b": "x"}), json!({"a": "1", "b": 1}), 2),
        (json!([1]), json!([1, 2]), 1),
        (json!(null), json!({}), 1),
    ] {
        assert_eq!(one(expected.clone(), found.clone()), Err(many), "{expected} {found}");
    }
    let number = [("n", "##-#")];
    let text = |pattern: &str, text: &str| (json!(pattern), json!(text));
    assert_eq!(compared(&number, &[text("a-%n%", "a-12-3")]), Ok(vec!["12-3".to_owned()]));
    assert_eq!(compared(&number, &[text("a-%n%", "a-12-x")]), Err(1));
    assert_eq!(compared(&number, &[text("%n%", "12-3"), text("b%n%", "b12-4")]), Err(1));
    let any = [("a", "*"), ("b", "*")];
    let parts = compared(&any, &[text("%a%=%b%;", "x=y=z;")]);
    assert_eq!(parts, Ok(vec!["x".to_owned(), "y=z".to_owned()]));

    let manifest = |name: &str| json!({"location": "namespace", "data": {"name": name}});
    let manifests = |expected: &[Json], found: &[Json]| {
        let mut comparison = Comparison::default();
        comparison.manifests(expected, found);
        comparison.deviations.len()
    };
    assert_eq!(manifests(&[manifest("a"), manifest("b")], &[manifest("b"), manifest("a")]), 0);
    assert_eq!(manifests(&[manifest("a"), manifest("a")], &[manifest("a"), manifest("b")]), 2);
    assert_eq!(manifests(&[], &[manifest("a")]), 1);

    let objects = BTreeMap::from([("Service web".to_owned(), json!({"a": 1}))]);
    let objects = |expected: Json| {
        let mut comparison = Comparison::default();
        comparison.objects(expected.as_object().unwrap(), &objects);
        comparison.deviations.len()
    };
    assert_eq!(objects(json!({"Service web": {"/a": 1, "/b": null}, "Deployment": null})), 0);
    assert_eq!(objects(json!({"Service web": {"/a": null}})), 1);
    assert_eq!(objects(json!({"Service": null})), 1);
    assert_eq!(objects(json!({"Service api": {}})), 1);
}
