//! What a git repository may hold of an object.
//!
//! A Secret with secret leaves becomes an `ExternalSecret` of the External Secrets Operator: the
//! repository names the places where the plaintexts are kept, the operator in the cluster reads
//! them and makes the Secret.
//!
//! Invariant: the operator makes exactly the Secret that a direct apply would have made. So every
//! text that does not come from a store is escaped: the operator reads it as a Go template.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{Error, Object};
use crate::secret::SecretPart;
use crate::workload::{is_base64, members};
use crate::{Code, Json, JsonMap, SecretExpr, SecretRef, json};

/// The object as a repository may hold it: itself when it has no secrets, an `ExternalSecret` in
/// the place of a Secret with some.
///
/// The secret store with the id `s` of an expression is the `ClusterSecretStore` named `s`.
///
/// # Errors
/// When a secret stands anywhere but below `stringData` or `data` of a Secret, or when a plain
/// value there is not what Kubernetes accepts.
pub fn externalize(object: &Object) -> Result<Cow<'_, Json>, Error> {
    if object.document.secrets.is_empty() {
        return Ok(Cow::Borrowed(&object.document.value));
    }
    let is_secret = object.api_version == "v1" && object.kind == "Secret";
    for pointer in object.document.secrets.keys() {
        let key = ["/stringData/", "/data/"].iter().find_map(|at| pointer.strip_prefix(at));
        if !is_secret || key.is_none_or(|key| key.contains('/')) {
            return Err(misuse(object, pointer, is_secret));
        }
    }
    external_secret(object).map(Cow::Owned)
}

fn misuse(object: &Object, pointer: &str, is_secret: bool) -> Error {
    let hint = if is_secret {
        "of a Secret only the values below `stringData` and `data` may be secret"
    } else {
        "put the secret into an object of kind Secret and refer to that by name (`secretKeyRef`, \
         `secretName`)"
    };
    Error {
        code: Code::SecretMisuse,
        message: format!(
            "{object}, made by {}, has a secret at `{pointer}`, where it would be readable in clear",
            object.origin
        ),
        origin: object.origin.clone(),
        pointer: pointer.to_owned(),
        hint: Some(hint.to_owned()),
    }
}

fn external_secret(object: &Object) -> Result<Json, Error> {
    let value = &*json::sorted(&object.document.value);
    let mut sources = Sources::of(object);
    let mut template_data = JsonMap::new();
    // In this order: Kubernetes lets `stringData` win.
    for (member, encoded) in [("data", true), ("stringData", false)] {
        let values = value.get(member).and_then(Json::as_object);
        for (key, plain) in values.into_iter().flatten() {
            let pointer = format!("/{member}/{}", key.replace('~', "~0").replace('/', "~1"));
            let text = match (object.document.secrets.get(&pointer), plain) {
                (Some(expr), _) if encoded => sources.decoded(expr),
                (Some(expr), _) => sources.template(expr),
                (None, Json::String(text)) if encoded => literal_base64(object, &pointer, text)?,
                (None, Json::String(text)) => escaped(text, false),
                (None, _) => return Err(not_text(object, pointer)),
            };
            template_data.insert(key.clone(), Json::String(text));
        }
    }

    let mut template = JsonMap::new();
    template.insert("engineVersion".to_owned(), Json::from("v2"));
    if let Some(kind) = value.get("type") {
        template.insert("type".to_owned(), kind.clone());
    }
    template.insert("data".to_owned(), Json::Object(template_data));
    let mut metadata = JsonMap::new();
    for member in ["labels", "annotations"] {
        let texts = value.pointer(&format!("/metadata/{member}")).and_then(Json::as_object);
        let escape = |(key, text): (&String, &Json)| {
            let text =
                text.as_str().map_or_else(|| text.clone(), |text| escaped(text, false).into());
            (key.clone(), text)
        };
        if let Some(texts) = texts.filter(|texts| !texts.is_empty()) {
            metadata
                .insert(member.to_owned(), texts.iter().map(escape).collect::<JsonMap>().into());
        }
    }
    if !metadata.is_empty() {
        template.insert("metadata".to_owned(), Json::Object(metadata));
    }
    let mut target = members([
        ("creationPolicy", "Owner".into()),
        ("name", object.name.as_str().into()),
        ("template", template.into()),
    ]);
    if let Some(Json::Bool(immutable)) = value.get("immutable") {
        target.insert("immutable".to_owned(), Json::Bool(*immutable));
    }

    let mut spec = members([("data", sources.data()), ("target", target.into())]);
    if let Some(store) = sources.only_store() {
        spec.insert("secretStoreRef".to_owned(), store_ref(store));
    }
    Ok(Json::Object(members([
        ("apiVersion", "external-secrets.io/v1".into()),
        ("kind", "ExternalSecret".into()),
        ("metadata", value.get("metadata").cloned().unwrap_or_default()),
        ("spec", spec.into()),
    ])))
}

fn store_ref(store: &str) -> Json {
    members([("kind", "ClusterSecretStore".into()), ("name", store.into())]).into()
}

fn not_text(object: &Object, pointer: String) -> Error {
    Error {
        code: Code::BadManifest,
        message: format!("`{pointer}` of {object}, made by {}, is not a string", object.origin),
        origin: object.origin.clone(),
        pointer,
        hint: None,
    }
}

/// What the operator fetches, each once, under the names `s0`, `s1` and so on.
struct Sources<'a> {
    fetched: Vec<(&'a SecretRef, Encoding)>,
    stores: BTreeSet<&'a str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    AsIs,
    Base64,
}

impl<'a> Sources<'a> {
    fn of(object: &'a Object) -> Self {
        let references = object.document.secrets.values().flat_map(SecretExpr::references);
        let stores = references.map(|secret| secret.store.as_str()).collect();
        Self { fetched: Vec::new(), stores }
    }

    /// The store, when it is the same for all.
    fn only_store(&self) -> Option<&'a str> {
        if self.stores.len() == 1 { self.stores.first().copied() } else { None }
    }

    fn name(&mut self, secret: &'a SecretRef, encoding: Encoding) -> String {
        let known = self.fetched.iter().position(|known| *known == (secret, encoding));
        let index = known.unwrap_or_else(|| {
            self.fetched.push((secret, encoding));
            self.fetched.len() - 1
        });
        format!("s{index}")
    }

    /// The template whose result is the value of the expression.
    fn template(&mut self, expr: &'a SecretExpr) -> String {
        let mut template = String::new();
        let mut parts = expr.parts().iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                SecretPart::Text(text) => template.push_str(&escaped(text, parts.peek().is_some())),
                SecretPart::Secret(secret) => {
                    let name = self.name(secret, Encoding::AsIs);
                    template.push_str(&format!("{{{{ .{name} }}}}"));
                }
            }
        }
        template
    }

    /// The template whose result is the decoded value of an expression that yields base64.
    ///
    /// A lone reference is decoded when it is fetched: that fails loudly when it is not base64.
    fn decoded(&mut self, expr: &'a SecretExpr) -> String {
        if let Some(secret) = expr.as_reference() {
            let name = self.name(secret, Encoding::Base64);
            return format!("{{{{ .{name} }}}}");
        }
        let mut operands = String::new();
        for part in expr.parts() {
            match part {
                SecretPart::Text(text) => operands.push_str(&format!(" {}", quoted(text))),
                SecretPart::Secret(secret) => {
                    let name = self.name(secret, Encoding::AsIs);
                    operands.push_str(&format!(" .{name}"));
                }
            }
        }
        format!("{{{{ print{operands} | b64dec }}}}")
    }

    fn data(&self) -> Json {
        let several = self.stores.len() > 1;
        let entry = |(index, (secret, encoding)): (usize, &(&SecretRef, Encoding))| {
            let mut remote = JsonMap::new();
            remote.insert("key".to_owned(), Json::from(secret.key.as_str()));
            if let Some(version) = &secret.version {
                remote.insert("version".to_owned(), Json::from(version.as_str()));
            }
            if *encoding == Encoding::Base64 {
                remote.insert("decodingStrategy".to_owned(), Json::from("Base64"));
            }
            let mut entry =
                members([("remoteRef", remote.into()), ("secretKey", format!("s{index}").into())]);
            if several {
                let source = members([("storeRef", store_ref(&secret.store))]);
                entry.insert("sourceRef".to_owned(), source.into());
            }
            Json::Object(entry)
        };
        self.fetched.iter().enumerate().map(entry).collect()
    }
}

/// A text that the operator's template engine reproduces. Only `{{` begins an action in a Go
/// template, so runs of two and more braces become string constants; so does a single brace that
/// an action follows, because the two would run together.
fn escaped(text: &str, action_follows: bool) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        let (before, from) = rest.split_at(start);
        let length = from.len() - from.trim_start_matches('{').len();
        let (braces, after) = from.split_at(length);
        result.push_str(before);
        if length > 1 || (after.is_empty() && action_follows) {
            result.push_str(&format!("{{{{ \"{braces}\" }}}}"));
        } else {
            result.push_str(braces);
        }
        rest = after;
    }
    result.push_str(rest);
    result
}

/// A string constant of a Go template.
fn quoted(text: &str) -> String {
    let mut result = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => result.extend(['\\', c]),
            c if c.is_control() => result.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => result.push(c),
        }
    }
    result.push('"');
    result
}

/// A value below `data` that is not secret.
fn literal_base64(object: &Object, pointer: &str, text: &str) -> Result<String, Error> {
    // Kubernetes ignores line breaks in base64.
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    if !is_base64(&text) {
        return Err(Error {
            code: Code::BadManifest,
            message: format!("`{pointer}` of {object}, made by {}, is not base64", object.origin),
            origin: object.origin.clone(),
            pointer: pointer.to_owned(),
            hint: Some("write the text itself under `stringData`".to_owned()),
        });
    }
    Ok(if text.is_empty() { text } else { format!("{{{{ \"{text}\" | b64dec }}}}") })
}

#[cfg(test)]
mod tests {
    use super::{escaped, quoted};

    #[test]
    fn braces_cannot_begin_an_action() {
        for (text, follows, expected) in [
            ("plain { } }} text", false, "plain { } }} text"),
            ("a{{b}}", false, r#"a{{ "{{" }}b}}"#),
            ("{{{{", false, r#"{{ "{{{{" }}"#),
            ("{", false, "{"),
            ("{", true, r#"{{ "{" }}"#),
            ("{a", true, "{a"),
            ("", true, ""),
        ] {
            assert_eq!(escaped(text, follows), expected, "{text}");
        }
    }

    #[test]
    fn string_constants() {
        assert_eq!(quoted("a\"b\\c\nd"), r#""a\"b\\c\u000ad""#);
    }
}
