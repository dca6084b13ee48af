//! Resource keys, and the descriptors and selectors that name them (spec 04).

use std::{fmt, sync::Arc};

use crate::module::DEFAULT_CLASS;

/// The identity of a resource inside one environment. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceKey {
    /// Resource type.
    pub resource_type: Arc<str>,
    /// Class; never empty.
    pub class: Arc<str>,
    /// Resource id, for example `modules.web.externals.db`.
    pub id: Arc<str>,
}

impl ResourceKey {
    /// A key; an empty class means `default`.
    #[must_use]
    pub fn new(resource_type: &str, class: &str, id: &str) -> Self {
        let class = if class.is_empty() { DEFAULT_CLASS } else { class };
        Self { resource_type: resource_type.into(), class: class.into(), id: id.into() }
    }
}

impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}#{}", self.resource_type, self.class, self.id)
    }
}

/// `type[.class][#id]` as written in a definition. Missing parts are taken from the resource that
/// the definition is used for (the propagation rule).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Descriptor {
    /// Resource type.
    pub resource_type: Arc<str>,
    /// Class, when written.
    pub class: Option<Arc<str>>,
    /// Resource id, when written.
    pub id: Option<Arc<str>>,
}

/// Why a descriptor, selector or placeholder cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a resource descriptor: {reason}")]
pub struct Error {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Descriptor {
    /// Reads a descriptor: the id is all after the first `#`, the class all after the first `.` of
    /// the rest. `@` as class or id means "the current one", as if it were left out.
    ///
    /// # Errors
    /// When the type, or a class or id that is announced, is empty.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let failed = |reason| Error { text: text.to_owned(), reason };
        let (head, id) = match text.split_once('#') {
            Some((_, "")) => return Err(failed("the id after '#' is empty")),
            Some((head, id)) => (head, Some(id)),
            None => (text, None),
        };
        let (resource_type, class) = match head.split_once('.') {
            Some((_, "")) => return Err(failed("the class after '.' is empty")),
            Some((resource_type, class)) => (resource_type, Some(class)),
            None => (head, None),
        };
        if resource_type.is_empty() {
            return Err(failed("the type is empty"));
        }
        if text.contains(['<', '>', ' ', '$', '{', '}']) {
            return Err(failed("it holds a character that cannot be part of a type, class or id"));
        }
        let written = |part: Option<&str>| part.filter(|part| *part != "@").map(Arc::from);
        Ok(Self { resource_type: resource_type.into(), class: written(class), id: written(id) })
    }

    /// The key that is meant when the definition is used for `current`.
    #[must_use]
    pub fn relative_to(&self, current: &ResourceKey) -> ResourceKey {
        ResourceKey {
            resource_type: Arc::clone(&self.resource_type),
            class: Arc::clone(self.class.as_ref().unwrap_or(&current.class)),
            id: Arc::clone(self.id.as_ref().unwrap_or(&current.id)),
        }
    }

    /// Whether `key` has this type and, where written, this class and id.
    #[must_use]
    pub fn accepts(&self, key: &ResourceKey) -> bool {
        *self.resource_type == *key.resource_type
            && self.class.as_ref().is_none_or(|class| **class == *key.class)
            && self.id.as_ref().is_none_or(|id| **id == *key.id)
    }
}

impl fmt::Display for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.resource_type)?;
        if let Some(class) = &self.class {
            write!(f, ".{class}")?;
        }
        if let Some(id) = &self.id {
            write!(f, "#{id}")?;
        }
        Ok(())
    }
}

/// Direction of one step of a selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// `A>B`: resources of type B that A depends on.
    DependsOn,
    /// `A<B`: resources of type B that depend on A.
    DependedOnBy,
}

/// `anchor(<|>)filter...`: all resources found by walking edges from the anchor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selector {
    /// Where the walk starts.
    pub anchor: Descriptor,
    /// The steps, in order; a class or id that a filter leaves out means any.
    pub steps: Vec<(Direction, Descriptor)>,
}

/// What stands between `resources[` and `]` in a placeholder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// One resource.
    One(Descriptor),
    /// All resources that a selector finds.
    Many(Selector),
}

impl Target {
    /// Reads a descriptor or selector.
    ///
    /// # Errors
    /// See [`Descriptor::parse`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut parts = text.split_inclusive(['<', '>']).peekable();
        let mut steps = Vec::new();
        let mut anchor = None;
        let mut direction = None;
        while let Some(part) = parts.next() {
            let (body, next) = match part.strip_suffix('>') {
                Some(body) => (body, Some(Direction::DependsOn)),
                None => match part.strip_suffix('<') {
                    Some(body) => (body, Some(Direction::DependedOnBy)),
                    None => (part, None),
                },
            };
            if next.is_some() && parts.peek().is_none() {
                let reason = "nothing follows the last '<' or '>'";
                return Err(Error { text: text.to_owned(), reason });
            }
            let descriptor = Descriptor::parse(body)?;
            match direction {
                None => anchor = Some(descriptor),
                Some(direction) => steps.push((direction, descriptor)),
            }
            direction = next;
        }
        match (anchor, steps.is_empty()) {
            (None, _) => Err(Error { text: text.to_owned(), reason: "it is empty" }),
            (Some(descriptor), true) => Ok(Self::One(descriptor)),
            (Some(anchor), false) => Ok(Self::Many(Selector { anchor, steps })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_table_of_the_specification() {
        let check = |text: &str, expected: (&str, Option<&str>, Option<&str>)| {
            let found = Descriptor::parse(text).unwrap();
            let (resource_type, class, id) = expected;
            assert_eq!(
                (&*found.resource_type, found.class.as_deref(), found.id.as_deref()),
                (resource_type, class, id),
                "{text}"
            );
        };
        check("my-org/dns", ("my-org/dns", None, None));
        check("aws-policy.s3-admin", ("aws-policy", Some("s3-admin"), None));
        check("dns#shared.a.b", ("dns", None, Some("shared.a.b")));
        check("s3.x#modules.w.externals.y", ("s3", Some("x"), Some("modules.w.externals.y")));
        check(
            "k8s-cluster#k8s-cluster-runtime",
            ("k8s-cluster", None, Some("k8s-cluster-runtime")),
        );
        check("config.@#@", ("config", None, None));
        for bad in ["", "s3.", "s3.#x", "#x", ".a", "s3#", "a b"] {
            assert!(Descriptor::parse(bad).is_err(), "{bad:?} is accepted");
        }
    }

    #[test]
    fn propagates_class_and_id() {
        let current = ResourceKey::new("s3", "one", "modules.w.externals.b");
        let check = |text: &str, expected: &str| {
            let key = Descriptor::parse(text).unwrap().relative_to(&current);
            assert_eq!(key.to_string(), expected);
        };
        check("config", "config.one#modules.w.externals.b");
        check("config#example", "config.one#example");
        check("config.default", "config.default#modules.w.externals.b");
        check("config.default#app", "config.default#app");
        check("k8s-namespace#k8s-namespace", "k8s-namespace.one#k8s-namespace");
    }

    #[test]
    fn parses_selectors() {
        let Target::Many(selector) =
            Target::parse("gcs.default<workload>k8s-service-account").unwrap()
        else {
            panic!("not a selector");
        };
        assert_eq!(selector.anchor.to_string(), "gcs.default");
        let steps: Vec<_> = selector.steps.iter().map(|(d, f)| (*d, f.to_string())).collect();
        assert_eq!(
            steps,
            [
                (Direction::DependedOnBy, "workload".to_owned()),
                (Direction::DependsOn, "k8s-service-account".to_owned())
            ]
        );
        assert!(Target::parse("dns<").is_err());
        assert!(Target::parse("<dns").is_err());
        assert!(Target::parse("a<>b").is_err());
    }
}
