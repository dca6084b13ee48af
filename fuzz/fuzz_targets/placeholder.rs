//! Placeholders: no panic, splitting loses nothing, an escaped text means itself, and a secret stays
//! an expression.
//!
//! The input is one string. An input that is JSON is resolved as a tree.

#![no_main]

use downbeat_core::{
    Json, SecretExpr, SecretRef,
    placeholder::{self, Placeholder, ROOTS, Segment},
    resolve::{self, Error, Lookup, Resolved, Secrets},
};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

/// `values.secret…` is a secret, everything else is its own path.
struct Paths {
    in_names: bool,
}

impl Lookup for Paths {
    fn lookup(&self, placeholder: &Placeholder<'_>) -> Result<Resolved, Error> {
        assert!(!placeholder.tokens.is_empty());
        let _ = placeholder.target();
        let key = placeholder.key_after_root();
        Ok(match &*key {
            "secret" => Resolved::Secret(SecretExpr::reference(SecretRef {
                store: "s".into(),
                key: "k".into(),
                version: None,
            })),
            "object" => Resolved::Plain(json!({"a": [1, "b"]})),
            "null" => Resolved::Plain(Json::Null),
            _ => Resolved::Plain(Json::String(placeholder.tokens.join("."))),
        })
    }

    fn in_names(&self) -> bool {
        self.in_names
    }
}

fuzz_target!(|text: &str| {
    split(text);
    escaped(text);
    let tree: Json = serde_json::from_str(text).unwrap_or_else(|_| json!({"a": [text], text: 1}));
    for in_names in [false, true] {
        for secrets in [Secrets::Allowed, Secrets::Refused] {
            if let Ok(document) = resolve::tree(&tree, &Paths { in_names }, secrets) {
                for at in document.secrets.keys() {
                    assert_eq!(document.value.pointer(at), Some(&Json::Null), "{at}");
                }
                assert!(secrets == Secrets::Allowed || document.secrets.is_empty());
            }
        }
    }
    if let Json::Object(refs) = &tree {
        let _ = resolve::secret_refs(refs, &Paths { in_names: false });
    }
    let mut seen = 0;
    placeholder::visit_strings_and_names(&tree, &mut |at, found| {
        assert!(tree.pointer(at).is_some(), "{at}");
        assert!(!placeholder::is_literal(found));
        seen += 1;
    });
    placeholder::visit_strings(&tree, &mut |_, _| seen -= 1);
    assert!(seen >= 0);
});

fn split(text: &str) {
    let Ok(segments) = placeholder::segments(text) else {
        assert!(!placeholder::is_literal(text));
        return;
    };
    let mut joined = String::new();
    for segment in &segments {
        match segment {
            Segment::Text(text) => {
                assert!(!text.is_empty());
                joined.push_str(text);
            }
            Segment::Placeholder(found) => {
                // More than one name, or a name that is known.
                assert!(found.tokens.len() > 1 || ROOTS.contains(&found.root()), "{found:?}");
                joined.push_str("${");
                joined.push_str(found.text);
                joined.push('}');
            }
        }
    }
    assert_eq!(joined.replace("$\\{", "${"), text.replace("$\\{", "${"));
    if placeholder::is_literal(text) {
        assert!(segments.len() <= 1 && joined == text);
    }
}

/// The advice that messages give: with every `${` written as `$\{`, a text means itself.
fn escaped(text: &str) {
    if text.contains("$\\{") {
        return;
    }
    let written = text.replace("${", "$\\{");
    assert_eq!(
        resolve::string(&written, &Paths { in_names: false }),
        Ok(Resolved::Plain(Json::String(text.to_owned()))),
    );
}
