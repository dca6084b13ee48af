//! Virtual drivers of an organization: the inputs of the driver that they stand for, rendered from
//! those that a definition gives (spec 06 section 1).
//!
//! This happens once for a definition, not for each resource: templates see no id, no inputs of the
//! resource and no cookie. What they pass on of placeholders is resolved later. Secrets are the
//! references of the definition; where one of them ends up outside of `secrets`, the template is
//! refused.

use std::ops::Range;

use downbeat_core::{
    Code, Json, JsonMap,
    definition::DriverInputs,
    id::sha256_hex,
    patch::{self, push_token},
    yaml,
};
use downbeat_engine::{DriverError, Expand, Expansion};
use downbeat_template::{Limits, Options, Template, Value};

/// Most bytes that all templates of one definition may put out.
const BYTES: usize = 1024 * 1024;

/// Expands with Go templates.
#[derive(Clone, Copy, Debug)]
pub struct GoTemplates;

impl Expand for GoTemplates {
    fn expand(&self, expansion: &Expansion<'_>) -> Result<DriverInputs, DriverError> {
        let mut run = Run { data: data(expansion), expansion, bytes_left: BYTES };
        let mut inputs = match expansion.template {
            Json::String(text) => run.whole(text)?,
            Json::Object(members) => run.members(members)?,
            other => {
                let message = format!(
                    "its template is {}, and must be a text or an object of texts",
                    patch::kind(other)
                );
                return Err(DriverError::new(Code::Template, message));
            }
        };
        let mut part = |name: &str| match inputs.remove(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::Object(members)) => Ok(Some(members)),
            Some(other) => {
                let kind = patch::kind(&other);
                let message =
                    format!("its template makes {name:?} {kind}, and it must be an object");
                Err(DriverError::new(Code::Template, message))
            }
        };
        let values = part(VALUES)?;
        let mut secret_refs = None;
        for name in SECRETS {
            if let Some(members) = part(name)? {
                secret_refs.get_or_insert_with(JsonMap::new).extend(members);
            }
        }
        match inputs.keys().next() {
            None => Ok(DriverInputs { values, secret_refs }),
            Some(other) => {
                let message = format!(
                    "its template makes {other:?}: the inputs of a driver are \"values\" and \
                     \"secrets\""
                );
                Err(DriverError::new(Code::Template, message))
            }
        }
    }
}

const VALUES: &str = "values";
/// Two names of the same: that of the protocol and that of definitions.
const SECRETS: [&str; 2] = ["secrets", "secret_refs"];

fn data(expansion: &Expansion<'_>) -> Value {
    let part =
        |members: &Option<JsonMap>| Value::from(&Json::Object(members.clone().unwrap_or_default()));
    let driver = Value::map([
        (VALUES.to_owned(), part(&expansion.inputs.values)),
        ("secrets".to_owned(), part(&expansion.inputs.secret_refs).tainted()),
    ]);
    Value::map([
        ("type".to_owned(), Value::from(&Json::String(expansion.resource_type.to_owned()))),
        ("driver".to_owned(), driver),
    ])
}

struct Run<'a> {
    expansion: &'a Expansion<'a>,
    data: Value,
    bytes_left: usize,
}

impl Run<'_> {
    /// A template of everything.
    fn whole(&mut self, text: &str) -> Result<JsonMap, DriverError> {
        let (text, tainted) = self.render("template", text)?;
        let node = parse("template", &text)?;
        for at in node.overlapping(&tainted) {
            let top = at.split('/').nth(1).unwrap_or_default();
            if !SECRETS.contains(&top) {
                return Err(misplaced(&at));
            }
        }
        object("template", node.into_json())
    }

    /// A template for each member: a text is that of the whole member, else its leaves are.
    fn members(&mut self, members: &JsonMap) -> Result<JsonMap, DriverError> {
        let mut inputs = JsonMap::new();
        for (name, template) in members {
            let is_secret = SECRETS.contains(&name.as_str());
            let made = match template {
                Json::String(text) => {
                    let (text, tainted) = self.render(name, text)?;
                    if !is_secret && !tainted.is_empty() {
                        return Err(misplaced(&format!("/{name}")));
                    }
                    parse(name, &text)?.into_json()
                }
                tree => {
                    let mut at = format!("/{name}");
                    self.leaves(tree, is_secret, &mut at)?
                }
            };
            inputs.insert(name.clone(), made);
        }
        Ok(inputs)
    }

    fn leaves(
        &mut self,
        template: &Json,
        is_secret: bool,
        at: &mut String,
    ) -> Result<Json, DriverError> {
        let length = at.len();
        Ok(match template {
            Json::String(text) => {
                let (text, tainted) = self.render(at.trim_start_matches('/'), text)?;
                if !is_secret {
                    if !tainted.is_empty() {
                        return Err(misplaced(at));
                    }
                    return Ok(Json::String(text));
                }
                // A secret is an object that refers to it; what is not becomes a text of its own.
                match parse(at, &text)?.into_json() {
                    tree @ Json::Object(_) => tree,
                    _ => Json::Object(JsonMap::from_iter([("value".to_owned(), text.into())])),
                }
            }
            Json::Array(items) => {
                let mut made = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    push_token(at, &index.to_string());
                    made.push(self.leaves(item, is_secret, at)?);
                    at.truncate(length);
                }
                Json::Array(made)
            }
            Json::Object(members) if is_secret && is_reference(members) => {
                Json::Object(members.clone())
            }
            Json::Object(members) => {
                let mut made = JsonMap::new();
                for (name, member) in members {
                    push_token(at, name);
                    made.insert(name.clone(), self.leaves(member, is_secret, at)?);
                    at.truncate(length);
                }
                Json::Object(made)
            }
            other => other.clone(),
        })
    }

    fn render(
        &mut self,
        name: &str,
        text: &str,
    ) -> Result<(String, Vec<Range<usize>>), DriverError> {
        let failed = |error: downbeat_template::Error| {
            DriverError::new(Code::Template, error.to_string())
                .hint("docs/concepts/drivers.md says what the template of a virtual driver sees")
        };
        let limits = Limits {
            output_bytes: Limits::default().output_bytes.min(self.bytes_left),
            ..Limits::default()
        };
        // What is random in it must not change from deployment to deployment.
        let mut seed = [0; 32];
        let digest = sha256_hex(self.expansion.driver_type.as_bytes());
        for (to, from) in seed.iter_mut().zip(digest.as_bytes()) {
            *to = *from;
        }
        let options = Options { seed, limits, ..Options::default() };
        let template = Template::parse(name, text).map_err(failed)?;
        let output = template.execute(&self.data, &options).map_err(failed)?;
        self.bytes_left = self.bytes_left.saturating_sub(output.text.len());
        Ok((output.text, output.tainted))
    }
}

/// Where a secret is kept, written out in the template itself.
fn is_reference(members: &JsonMap) -> bool {
    members.contains_key("store") && members.contains_key("ref")
}

fn parse(name: &str, text: &str) -> Result<yaml::Node, DriverError> {
    yaml::parse(text, &yaml::Limits::default()).map_err(|error| {
        // The result is not quoted: there may be secrets in it.
        let message = format!(
            "the result of template {name:?} is not YAML: line {}, column {} of the result",
            error.line, error.column
        );
        DriverError::new(Code::Template, message)
    })
}

fn object(name: &str, tree: Json) -> Result<JsonMap, DriverError> {
    match tree {
        Json::Null => Ok(JsonMap::new()),
        Json::Object(members) => Ok(members),
        other => {
            let kind = patch::kind(&other);
            let message = format!("the result of its {name} is {kind}, and must be an object");
            Err(DriverError::new(Code::Template, message))
        }
    }
}

fn misplaced(at: &str) -> DriverError {
    let message = format!("its template puts a secret at {at}, where everybody can see it");
    DriverError::new(Code::SecretMisuse, message).hint("Pass secrets on below `secrets`")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn expand(template: &Json) -> Result<Json, String> {
        let inputs: DriverInputs = serde_json::from_value(json!({
            "values": {"size": 3, "name": "x-${context.app.id}", "tags": {"a": [1]}},
            "secret_refs": {"password": {"store": "vault", "ref": "pg/pw", "version": "2"},
                "token": {"value": "t0p-${resources.s3.outputs.key}"}}}))
        .unwrap();
        let expansion =
            Expansion { driver_type: "o/v", resource_type: "s3", template, inputs: &inputs };
        let made = GoTemplates.expand(&expansion).map_err(|error| error.message)?;
        Ok(json!({"values": made.values, "secrets": made.secret_refs}))
    }

    #[test]
    fn a_text() {
        let template = r"values:
  {{- range $k, $v := .driver.values.tags }}
  {{ $k }}: {{ $v | toRawJson }}
  {{- end }}
  kind: {{ .type }}
  name: {{ .driver.values.name | toRawJson }}
  host: ${resources['config.default#runner'].outputs.host}
secrets:
  pw: {{ .driver.secrets.password | toRawJson }}
";
        let made = expand(&json!(template)).unwrap();
        let expected = json!({
            "values": {"a": [1], "kind": "s3", "name": "x-${context.app.id}",
                "host": "${resources['config.default#runner'].outputs.host}"},
            "secrets": {"pw": {"store": "vault", "ref": "pg/pw", "version": "2"}}});
        assert_eq!(made, expected);
        assert_eq!(expand(&json!(" ")).unwrap(), json!({"values": null, "secrets": null}));
    }

    #[test]
    fn an_object_of_texts() {
        let made = expand(&json!({
            "values": "size: {{ mul 2 .driver.values.size }}",
            "secrets": "{{ .driver.secrets | toRawJson }}"}))
        .unwrap();
        assert_eq!(made["values"], json!({"size": 6}));
        assert_eq!(made["secrets"]["token"], json!({"value": "t0p-${resources.s3.outputs.key}"}));
        let made = expand(&json!({
            "values": {"size": "{{ .driver.values.size }}", "on": true, "list": ["{{ .type }}"]},
            "secrets": {"pw": "{{ .driver.secrets.password | toRawJson }}",
                "url": "pg://{{ .driver.secrets.token.value }}@h",
                "own": {"store": "s", "ref": "r"}}}))
        .unwrap();
        assert_eq!(made["values"], json!({"size": "3", "on": true, "list": ["s3"]}));
        assert_eq!(made["secrets"]["pw"]["ref"], "pg/pw");
        assert_eq!(
            made["secrets"]["url"],
            json!({"value": "pg://t0p-${resources.s3.outputs.key}@h"})
        );
        assert_eq!(made["secrets"]["own"], json!({"store": "s", "ref": "r"}));
    }

    #[test]
    fn what_is_refused() {
        let said = |template: Json| expand(&template).unwrap_err();
        assert!(said(json!("values: {{ fail \"no\" }}")).contains("no"));
        assert!(said(json!("{{ nonsense }}")).contains("nonsense"));
        assert!(said(json!("[]")).contains("must be an object"));
        assert!(said(json!("value: 1")).contains("\"values\" and"));
        assert!(said(json!({"values": "1"})).contains("must be an object"));
        assert!(said(json!(1)).contains("a text or an object"));
        for leak in [
            json!("values: {a: {{ .driver.secrets.token.value | quote }}}"),
            json!({"values": "a: {{ .driver.secrets.token.value | quote }}"}),
            json!({"values": {"a": "{{ .driver.secrets.token.value }}"}}),
        ] {
            let said = said(leak);
            assert!(said.contains("puts a secret at /values"), "{said}");
            assert!(!said.contains("t0p"), "{said}");
        }
    }
}
