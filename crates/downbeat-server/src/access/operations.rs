//! What every operation needs: the table `operations.tsv`, by method and path.

use std::{collections::HashMap, sync::LazyLock};

use axum::http::Method;
use downbeat_access::Action;

/// Method, path and action, with tabs between.
const TABLE: &str = include_str!("operations.tsv");

/// What whoever asks for an operation has to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// A token; the operation decides itself about what.
    Token,
    /// This action, on the organization, application and environment in the path.
    Action(Action),
}

impl Needs {
    /// The word in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "self",
            Self::Action(action) => action.name(),
        }
    }
}

/// The rows of the table: method, path, and what is needed.
pub fn rows() -> impl Iterator<Item = (&'static str, &'static str, Option<Needs>)> {
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut columns = line.split('\t');
        let (method, path, needs) = (columns.next()?, columns.next()?, columns.next()?);
        let needs = match needs {
            "self" => Some(Needs::Token),
            action => Action::parse(action).map(Needs::Action),
        };
        Some((method, path, needs))
    })
}

static BY_PATH: LazyLock<HashMap<&'static str, Vec<(&'static str, Needs)>>> = LazyLock::new(|| {
    let mut paths: HashMap<_, Vec<_>> = HashMap::new();
    for (method, path, needs) in rows() {
        if let Some(needs) = needs {
            paths.entry(path).or_default().push((method, needs));
        }
    }
    paths
});

/// What the operation needs; none for one that the table does not know, which nobody may ask for.
pub(super) fn needs(method: &Method, path: &str) -> Option<Needs> {
    // `HEAD` is answered by what answers `GET`.
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    BY_PATH.get(path)?.iter().find(|(known, _)| *known == method).map(|(_, needs)| *needs)
}
