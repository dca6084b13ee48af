//! What the containers read: ConfigMaps and Secrets for variables and files.
//!
//! Invariant: a value with a secret in it goes to the Secret as a whole, all others to the
//! ConfigMap; the containers refer to single keys, never to the whole object. So any variable name
//! that Kubernetes allows works, and a key that only one schedule uses disturbs no other.

use std::collections::BTreeMap;

use super::mistakes::escape;
use super::{Context, name};
use crate::secret::SecretPart;
use crate::{Document, Json, JsonMap, SecretExpr};
use aws_lc_rs::digest;

/// The most that Kubernetes keeps in one ConfigMap.
pub(super) const LIMIT: usize = 1024 * 1024;

/// Everything that the containers of a workload read, by container.
pub(super) struct Config<'a> {
    workload: &'a str,
    containers: BTreeMap<&'a str, Bundles>,
}

/// The two pairs of objects of one container.
#[derive(Default)]
pub(super) struct Bundles {
    pub(super) env: Bundle,
    pub(super) files: Bundle,
}

/// A ConfigMap and a Secret of the same name.
#[derive(Default)]
pub(super) struct Bundle {
    /// The name of both.
    pub(super) name: String,
    data: BTreeMap<String, String>,
    binary: BTreeMap<String, String>,
    secrets: BTreeMap<String, SecretExpr>,
}

impl Bundle {
    pub(super) fn plain(&mut self, key: &str, text: String) {
        self.data.insert(key.to_owned(), text);
    }

    pub(super) fn binary(&mut self, key: &str, base64: &str) {
        self.binary.insert(key.to_owned(), base64.to_owned());
    }

    pub(super) fn secret(&mut self, key: &str, expr: &SecretExpr) {
        self.secrets.insert(key.to_owned(), expr.clone());
    }

    /// How many bytes the ConfigMap holds, as Kubernetes counts them.
    pub(super) fn size(&self) -> usize {
        let data: usize = self.data.iter().map(|(key, text)| key.len() + text.len()).sum();
        // Base64 needs four characters for three bytes.
        let binary: usize =
            self.binary.iter().map(|(key, text)| key.len() + text.len() / 4 * 3).sum();
        data + binary
    }

    fn digest(&self, context: &mut digest::Context) {
        let mut feed = |tag: u8, text: &str| {
            context.update(&[tag]);
            context.update(&text.len().to_be_bytes());
            context.update(text.as_bytes());
        };
        feed(b'n', &self.name);
        for (tag, map) in [(b'd', &self.data), (b'b', &self.binary)] {
            for (key, value) in map {
                feed(tag, key);
                feed(b'=', value);
            }
        }
        for (key, expr) in &self.secrets {
            feed(b's', key);
            for part in expr.parts() {
                match part {
                    SecretPart::Text(text) => feed(b't', text),
                    SecretPart::Secret(secret) => {
                        feed(b'r', &secret.store);
                        feed(b'k', &secret.key);
                        feed(b'v', secret.version.as_deref().unwrap_or_default());
                    }
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.data.is_empty() && self.binary.is_empty() && self.secrets.is_empty()
    }

    fn into_objects(self, context: &Context<'_>, objects: &mut Vec<Document>) {
        let metadata = |name| name::metadata(context, Some(name), JsonMap::new(), JsonMap::new());
        if !self.data.is_empty() || !self.binary.is_empty() {
            let mut object = super::members([
                ("apiVersion", Json::from("v1")),
                ("kind", Json::from("ConfigMap")),
                ("metadata", metadata(self.name.clone())),
            ]);
            for (member, map) in [("data", self.data), ("binaryData", self.binary)] {
                if !map.is_empty() {
                    object.insert(member.to_owned(), Json::from_iter(map));
                }
            }
            objects.push(Document::plain(Json::Object(object)));
        }
        if !self.secrets.is_empty() {
            let blank: JsonMap = self.secrets.keys().map(|key| (key.clone(), Json::Null)).collect();
            let object = super::members([
                ("apiVersion", Json::from("v1")),
                ("kind", Json::from("Secret")),
                ("type", Json::from("Opaque")),
                ("metadata", metadata(self.name)),
                ("stringData", Json::Object(blank)),
            ]);
            let pointed = |(key, expr): (String, SecretExpr)| {
                let mut pointer = "/stringData/".to_owned();
                escape(&key, &mut pointer);
                (pointer, expr)
            };
            let secrets = self.secrets.into_iter().map(pointed).collect();
            objects.push(Document { value: Json::Object(object), secrets });
        }
    }
}

impl<'a> Config<'a> {
    pub(super) fn new(workload: &'a str) -> Self {
        Self { workload, containers: BTreeMap::new() }
    }

    /// The objects of a container, empty at first.
    pub(super) fn of(&mut self, container: &'a str) -> &mut Bundles {
        self.containers.entry(container).or_insert_with(|| {
            let bundle = |what| Bundle {
                name: name::config_name(self.workload, container, what),
                ..Bundle::default()
            };
            Bundles { env: bundle("env"), files: bundle("files") }
        })
    }

    /// A text that changes whenever something changes that the containers read; none when they
    /// read nothing. Of secrets it covers where they are kept, not their content.
    pub(super) fn checksum(&self) -> Option<String> {
        let mut context = digest::Context::new(&digest::SHA256);
        let mut any = false;
        for bundles in self.containers.values() {
            for bundle in [&bundles.env, &bundles.files] {
                if !bundle.is_empty() {
                    any = true;
                    bundle.digest(&mut context);
                }
            }
        }
        any.then(|| name::hex(context.finish().as_ref()))
    }

    pub(super) fn into_objects(self, context: &Context<'_>) -> Vec<Document> {
        let mut objects = Vec::new();
        for bundles in self.containers.into_values() {
            bundles.env.into_objects(context, &mut objects);
            bundles.files.into_objects(context, &mut objects);
        }
        objects
    }
}

/// Whether the text is base64 with padding, as Kubernetes reads it.
pub(crate) fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    text.len().is_multiple_of(4)
        && text.len() - body.len() <= 2
        && body.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}
