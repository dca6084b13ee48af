//! JSON patch and deltas: no panic, and the laws of difference, application and merging.

#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use downbeat_core::{
    Delta, DeploymentSet, Json, delta,
    patch::{self, Action, Op},
};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

#[derive(Arbitrary, Debug)]
enum Name {
    A,
    B,
    Empty,
    Tilde,
    Slash,
    Zero,
    One,
    Minus,
    Spec,
    Type,
    Any(String),
}

impl Name {
    fn text(&self) -> &str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::Empty => "",
            Self::Tilde => "~1",
            Self::Slash => "x/y",
            Self::Zero => "0",
            Self::One => "1",
            Self::Minus => "-",
            Self::Spec => "spec",
            Self::Type => "type",
            Self::Any(text) => text,
        }
    }
}

#[derive(Arbitrary, Debug)]
enum Tree {
    Null,
    Bool(bool),
    Number(i8),
    Text(Name),
    List(Vec<Tree>),
    Map(Vec<(Name, Tree)>),
    DeltaScope,
}

impl Tree {
    fn json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => json!(value),
            Self::Number(value) => json!(value),
            Self::Text(name) => json!(name.text()),
            Self::List(items) => items.iter().map(Self::json).collect(),
            Self::Map(members) => members
                .iter()
                .map(|(name, value)| (name.text().to_owned(), value.json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            Self::DeltaScope => json!({"scope": "delta"}),
        }
    }
}

#[derive(Arbitrary, Debug)]
struct Change {
    op: u8,
    path: Path,
    value: Option<Tree>,
}

#[derive(Arbitrary, Debug)]
enum Path {
    Names(Vec<Name>),
    Raw(String),
}

impl Change {
    fn action(&self) -> Action {
        let op = [Op::Add, Op::Remove, Op::Replace][usize::from(self.op % 3)];
        let path = match &self.path {
            Path::Names(names) => patch::pointer(names.iter().map(Name::text)),
            Path::Raw(text) => text.clone(),
        };
        Action { op, path, value: self.value.as_ref().map(Tree::json) }
    }
}

#[derive(Arbitrary, Debug)]
struct Input {
    from: Tree,
    to: Tree,
    changes: Vec<Change>,
    modules: Vec<(Name, Vec<(Name, Tree)>)>,
    shared: Vec<(Name, Tree)>,
    deltas: [Changes; 2],
}

#[derive(Arbitrary, Debug)]
struct Changes {
    add: Vec<(Name, Tree)>,
    remove: Vec<Name>,
    update: Vec<(Name, Vec<Change>)>,
    shared: Vec<Change>,
}

impl Changes {
    fn delta(&self) -> Delta {
        let mut delta = Delta::default();
        let modules = &mut delta.modules;
        // A module is named in one of the three only.
        for (name, changes) in &self.update {
            let actions = changes.iter().map(Change::action).collect();
            modules.update.insert(name.text().to_owned(), actions);
        }
        for (name, body) in &self.add {
            modules.update.remove(name.text());
            modules.add.insert(name.text().to_owned(), json!({"spec": {"v": body.json()}}));
        }
        for name in self.remove.iter().map(Name::text) {
            if !modules.add.contains_key(name) && !modules.update.contains_key(name) {
                modules.remove.push(name.to_owned());
            }
        }
        delta.shared = self.shared.iter().map(Change::action).collect();
        delta
    }
}

fuzz_target!(|input: Input| {
    let (from, to) = (input.from.json(), input.to.json());
    let actions = patch::diff(&from, &to);
    assert!(actions.iter().all(|action| action.check().is_ok()));
    assert_eq!(patch::apply_all(&from, &actions), Ok(to));
    for action in input.changes.iter().map(Change::action) {
        let mut target = from.clone();
        let applied = patch::apply(&mut target, &action);
        if applied.is_ok() && action.op != Op::Remove {
            assert!(action.value.is_some());
        }
        if applied.is_err() && action.op != Op::Add {
            assert_eq!(target, from, "a failed operation changed something");
        }
    }

    let modules: BTreeMap<&str, Json> = input
        .modules
        .iter()
        .map(|(name, spec)| {
            let spec: BTreeMap<_, _> =
                spec.iter().map(|(name, value)| (name.text(), value.json())).collect();
            (name.text(), json!({"spec": spec}))
        })
        .collect();
    let shared: BTreeMap<&str, Json> = input
        .shared
        .iter()
        .map(|(name, value)| (name.text(), json!({"type": "dns", "params": {"v": value.json()}})))
        .collect();
    let set =
        DeploymentSet::from_json(json!({"modules": modules, "shared": shared})).expect("a set");
    let [first, second] = input.deltas.each_ref().map(Changes::delta);
    for change in [&first, &second] {
        let _ = change.check();
        let Ok(next) = delta::apply(&set, change) else { continue };
        let back = delta::diff(&next, &set);
        assert!(back.check().is_ok());
        assert_eq!(delta::apply(&next, &back).as_ref(), Ok(&set));
        assert_eq!(DeploymentSet::from_json(next.to_json()).expect("a set"), next);
    }
    // What takes back a part of the other delta does not have a meaning of its own.
    let scoped = |action: &Action| action.is_delta_scoped();
    let takes_back = second.shared.iter().chain(second.modules.update.values().flatten());
    if takes_back.into_iter().any(scoped) {
        let _ = delta::merge(&first, &second);
        return;
    }
    let one_by_one = delta::apply(&set, &first).and_then(|set| delta::apply(&set, &second));
    if let (Ok(expected), Ok(merged)) = (one_by_one, delta::merge(&first, &second)) {
        assert_eq!(delta::apply(&set, &merged), Ok(expected), "{merged:?}");
    }
});
