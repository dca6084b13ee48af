//! Placeholders of Score (`${resources.db.host}`) to placeholders of the orchestrator.
//!
//! The scanner is the regular expression `\$(\$|{([a-zA-Z0-9.\-_\[\]"'#]+)})` by hand: `$$` is a
//! `$`, `${...}` with these characters is a placeholder, everything else passes untouched.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use downbeat_core::{
    Json, JsonMap,
    yaml::{Kind, Node},
};

/// What the resources of a workload are called in the deployment set.
#[derive(Default)]
pub(crate) struct Names<'d> {
    metadata: Option<&'d Node>,
    resources: BTreeMap<&'d str, Target>,
    /// Resources without a name in the set; that was reported already.
    broken: BTreeSet<&'d str>,
}

/// What a Score resource is called in the deployment set.
pub(crate) struct Target {
    /// As a plain string, for `${resources.db}`: `externals.db`.
    pub(crate) bare: String,
    /// Before `.<property>}` in a placeholder.
    pub(crate) prefix: String,
}

impl Target {
    /// `<root>.<key>`; a key with dots is written so that the orchestrator reads it as one key.
    pub(crate) fn new(root: &str, key: &str) -> Self {
        let bare = format!("{root}.{key}");
        let prefix = if key.contains('.') { format!("{root}['{key}']") } else { bare.clone() };
        Self { bare, prefix }
    }
}

impl<'d> Names<'d> {
    pub(crate) fn new(metadata: Option<&'d Node>) -> Self {
        Self { metadata, ..Self::default() }
    }

    pub(crate) fn insert_broken(&mut self, resource: &'d str) {
        self.broken.insert(resource);
    }

    /// Whether the reference names a resource that is there, but wrong.
    pub(crate) fn is_broken(&self, reference: &str) -> bool {
        let name = reference.strip_prefix("resources.").and_then(|rest| rest.split('.').next());
        name.is_some_and(|name| self.broken.contains(name))
    }

    pub(crate) fn insert(&mut self, resource: &'d str, target: Target) {
        self.resources.insert(resource, target);
    }

    pub(crate) fn resources(&self) -> impl Iterator<Item = &'d str> {
        self.resources.keys().copied()
    }

    /// The text that takes the place of `${reference}`.
    fn resolve(&self, reference: &str) -> Option<String> {
        let (root, rest) = reference.split_once('.')?;
        match root {
            "metadata" => metadata(self.metadata?, rest),
            "resources" => {
                let (name, property) = match rest.split_once('.') {
                    Some((name, property)) => (name, Some(property)),
                    None => (rest, None),
                };
                let target = self.resources.get(name)?;
                Some(match property {
                    None => target.bare.clone(),
                    Some(property) => format!("${{{}.{property}}}", target.prefix),
                })
            }
            _ => None,
        }
    }

    /// Translates all placeholders; calls `unknown` with each that stays as it is.
    pub(crate) fn translate<'t>(
        &self,
        text: &'t str,
        unknown: &mut dyn FnMut(&str),
    ) -> Cow<'t, str> {
        replace(text, |found| match found {
            Found::Dollar => Some(Cow::Borrowed("$")),
            Found::Placeholder(reference) => {
                let resolved = self.resolve(reference);
                if resolved.is_none() {
                    unknown(reference);
                }
                resolved.map(Cow::Owned)
            }
        })
    }

    /// Translates the keys and the string values of a map and of the maps in it. Lists, and all
    /// that is in them, stay as they are: so does the reference converter.
    pub(crate) fn translate_map(
        &self,
        node: &Node,
        unknown: &mut dyn FnMut(&Node, &str),
    ) -> JsonMap {
        let mut map = JsonMap::new();
        for (key, value) in node.entries().unwrap_or_default() {
            let name = self.translate(&key.name, &mut |reference| {
                let place = Node { span: key.span, ..Node::new(Kind::Null) };
                unknown(&place, reference);
            });
            let value = match &value.value {
                Kind::String(text) => {
                    let text = self.translate(text, &mut |reference| unknown(value, reference));
                    Json::String(text.into_owned())
                }
                Kind::Mapping(_) => Json::Object(self.translate_map(value, unknown)),
                _ => value.to_json(),
            };
            map.insert(name.into_owned(), value);
        }
        map
    }
}

/// Content that nothing may expand: `${x}` becomes `$\{x}`, `$$` stays.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    replace(text, |found| match found {
        Found::Dollar => None,
        Found::Placeholder(reference) => Some(Cow::Owned(format!("$\\{{{reference}}}"))),
    })
}

enum Found<'t> {
    Dollar,
    Placeholder(&'t str),
}

/// Replaces what the regular expression matches; nothing leaves the match as it is.
fn replace<'t>(
    text: &'t str,
    mut by: impl FnMut(Found<'t>) -> Option<Cow<'t, str>>,
) -> Cow<'t, str> {
    let mut out = String::new();
    // Everything before `done` is in `out`, unless nothing was replaced yet.
    let (mut done, mut from) = (0, 0);
    while let Some(at) = text.get(from..).and_then(|rest| rest.find('$')).map(|at| from + at) {
        let rest = text.get(at + 1..).unwrap_or_default();
        let found = if rest.starts_with('$') {
            Some((Found::Dollar, 2))
        } else {
            rest.strip_prefix('{').and_then(|inner| {
                let length = inner.bytes().take_while(|byte| is_inner(*byte)).count();
                let closed = length > 0 && inner.as_bytes().get(length) == Some(&b'}');
                let reference = inner.get(..length).filter(|_| closed)?;
                Some((Found::Placeholder(reference), length + 3))
            })
        };
        let Some((found, length)) = found else {
            from = at + 1;
            continue;
        };
        from = at + length;
        if let Some(replacement) = by(found) {
            out.push_str(text.get(done..at).unwrap_or_default());
            out.push_str(&replacement);
            done = from;
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(out)
}

fn is_inner(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'.' | b'-' | b'_' | b'[' | b']' | b'"' | b'\'' | b'#')
}

/// The value of a key of the metadata. Keys may hold dots: the longest key that exists goes first.
fn metadata(node: &Node, path: &str) -> Option<String> {
    fn find<'n>(node: &'n Node, path: &str) -> Option<&'n Node> {
        if let Some(value) = node.get(path) {
            return Some(value);
        }
        path.rmatch_indices('.').find_map(|(at, _)| {
            let child = node.get(path.get(..at)?)?;
            find(child, path.get(at + 1..)?)
        })
    }
    match &find(node, path)?.value {
        Kind::Null => None,
        Kind::String(text) => Some(text.clone()),
        _ => find(node, path).map(|value| value.to_json().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use downbeat_core::yaml::{self, Limits};

    use super::{Names, Target, escape};

    #[test]
    fn translates() {
        let metadata = yaml::parse(
            "{name: web, port: 80, tags: [a, b], nothing: null, a.b: dotted, \
             annotations: {x: y, example.com: z}, a: {c: nested}}",
            &Limits::default(),
        )
        .unwrap();
        let mut names = Names::new(Some(&metadata));
        names.insert("db", Target::new("externals", "db"));
        names.insert("site", Target::new("shared", "my.site"));
        names.insert("env", Target { bare: "values".into(), prefix: "values".into() });
        names.insert(
            "svc",
            Target { bare: "modules.svc".into(), prefix: "modules.svc.service".into() },
        );
        let check = |text: &str, expected: &str, left: &[&str]| {
            let mut unknown = Vec::new();
            let got = names.translate(text, &mut |reference| unknown.push(reference.to_owned()));
            assert_eq!(got, expected, "{text}");
            assert_eq!(unknown, left, "{text}");
        };
        check("", "", &[]);
        check("plain", "plain", &[]);
        check("${resources.db.host}", "${externals.db.host}", &[]);
        check(
            "a${resources.db.host}b${resources.db.a.b}",
            "a${externals.db.host}b${externals.db.a.b}",
            &[],
        );
        check("${resources.db}", "externals.db", &[]);
        check("${resources.site.host}", "${shared['my.site'].host}", &[]);
        check("${resources.site}", "shared.my.site", &[]);
        check("${resources.env.KEY}", "${values.KEY}", &[]);
        check("${resources.env}", "values", &[]);
        check("${resources.svc.name}", "${modules.svc.service.name}", &[]);
        check("${resources.svc}", "modules.svc", &[]);
        check("${metadata.name}:${metadata.port}", "web:80", &[]);
        check("${metadata.a.b}", "dotted", &[]);
        check("${metadata.a.c}", "nested", &[]);
        check("${metadata.annotations.example.com}", "z", &[]);
        check("${metadata.tags}", "[\"a\",\"b\"]", &[]);
        check("${metadata.nothing}", "${metadata.nothing}", &["metadata.nothing"]);
        check("${metadata}", "${metadata}", &["metadata"]);
        check("${resources}", "${resources}", &["resources"]);
        check("${foo.bar}", "${foo.bar}", &["foo.bar"]);
        check("${resources.bd.host}", "${resources.bd.host}", &["resources.bd.host"]);
        check("${resources.db.}", "${externals.db.}", &[]);
        check("$$", "$", &[]);
        check("$$$", "$$", &[]);
        check("$${resources.db.host}", "${resources.db.host}", &[]);
        check("$$${resources.db.host}", "$${externals.db.host}", &[]);
        check("$$$${x}", "$${x}", &[]);
        check("$x ${} ${ x } ${a>b} ${a${metadata.name}}", "$x ${} ${ x } ${a>b} ${aweb}", &[]);
        check("${resources.db.host", "${resources.db.host", &[]);
        check("é${metadata.name}é$", "éwebé$", &[]);
    }

    #[test]
    fn escapes() {
        assert_eq!(escape("a ${b.c} $$ ${} ${ d } $e $${f}"), "a $\\{b.c} $$ ${} ${ d } $e $${f}");
    }
}
