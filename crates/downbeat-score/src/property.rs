//! One property of the Score file, set or deleted from outside.

use downbeat_core::{
    Json,
    yaml::{self, Limits},
};

/// A value for one place of the Score file.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// Where: names joined by dots, `containers.main.image`. `\.` is a dot within a name and `\\`
    /// a backslash; in a list the name is an index, and `-1` appends.
    pub path: String,
    /// The value; nothing and `null` delete.
    pub value: Option<Json>,
}

impl Property {
    /// Reads `path=value`, or `path` alone, which deletes. The value is read as YAML, and taken as
    /// a string when it is none.
    ///
    /// ```
    /// use downbeat_score::Property;
    ///
    /// assert_eq!(Property::parse("a.b=80").value, Some(80.into()));
    /// assert_eq!(Property::parse("a.b=[x").value, Some("[x".into()));
    /// assert_eq!(Property::parse("a.b").value, None);
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (path, value) = match text.split_once('=') {
            Some((path, value)) => {
                let json = yaml::parse_json(value, &Limits::default());
                (path, Some(json.unwrap_or_else(|_| Json::String(value.to_owned()))))
            }
            None => (text, None),
        };
        Self { path: path.to_owned(), value: value.filter(|value| !value.is_null()) }
    }

    /// The names of the path; nothing when one of them is empty.
    pub(crate) fn names(&self) -> Option<Vec<String>> {
        let mut names = vec![String::new()];
        let mut chars = self.path.chars().peekable();
        while let Some(c) = chars.next() {
            if c == '.' {
                names.push(String::new());
                continue;
            }
            let escaped = match chars.peek() {
                Some(&next @ ('.' | '\\')) if c == '\\' => {
                    chars.next();
                    next
                }
                _ => c,
            };
            if let Some(name) = names.last_mut() {
                name.push(escaped);
            }
        }
        names.iter().all(|name| !name.is_empty()).then_some(names)
    }
}
