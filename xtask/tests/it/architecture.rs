//! The arrows between crates are those that `ARCHITECTURE.md` allows.

use std::collections::{BTreeMap, BTreeSet};

use crate::repository::{crates, files, read};

type Names = BTreeSet<String>;

/// What a crate may name, and what its tests may name on top.
struct Allowed {
    code: Names,
    tests: Names,
}

/// The rows of the table between `<!-- {name}:begin -->` and `<!-- {name}:end -->`, as cells.
fn table(name: &str) -> Vec<Vec<String>> {
    let text = read("ARCHITECTURE.md");
    let begin = format!("<!-- {name}:begin -->");
    let end = format!("<!-- {name}:end -->");
    let (_, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("there is no {begin}"));
    let (table, _) = rest.split_once(&end).unwrap_or_else(|| panic!("there is no {end}"));
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(2);
    let cells = |row: &str| {
        let row = row.trim_matches('|');
        row.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
    };
    rows.map(cells).collect()
}

/// The names in backticks of a cell.
fn names(cell: &str) -> Names {
    let names: Names = cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(!names.is_empty() || cell == "–", "{cell:?} is neither names nor –");
    names
}

fn arrows() -> BTreeMap<String, Allowed> {
    let mut arrows = BTreeMap::new();
    for row in table("arrows") {
        let [crate_name, _, code, tests] = row.as_slice() else {
            panic!("not four cells: {row:?}")
        };
        let name = names(crate_name).pop_first().unwrap();
        let allowed = Allowed { code: names(code), tests: names(tests) };
        assert!(arrows.insert(name, allowed).is_none(), "{crate_name} stands twice");
    }
    arrows
}

#[test]
fn the_table_has_every_crate_once() {
    let known: Names = crates().into_iter().map(|one| one.name).collect();
    let arrows = arrows();
    assert_eq!(arrows.keys().cloned().collect::<Names>(), known);
    for (name, allowed) in &arrows {
        for other in allowed.code.iter().chain(&allowed.tests) {
            assert!(
                known.contains(other),
                "the row of {name} allows {other}, which does not exist"
            );
        }
    }
}

#[test]
fn arrows_are_those_of_the_table() {
    let arrows = arrows();
    let mut forbidden = Vec::new();
    for one in crates() {
        let Some(allowed) = arrows.get(&one.name) else { continue };
        for (other, in_tests) in &one.names {
            let is_ours = arrows.contains_key(other);
            let is_allowed =
                allowed.code.contains(other) || (*in_tests && allowed.tests.contains(other));
            if is_ours && !is_allowed {
                let place = if *in_tests { " in its tests" } else { "" };
                forbidden.push(format!("{} names {other}{place}", one.name));
            }
        }
    }
    assert!(
        forbidden.is_empty(),
        "ARCHITECTURE.md does not allow these arrows:\n{}",
        forbidden.join("\n")
    );
}

#[test]
fn the_table_has_no_circle() {
    let mut left = arrows();
    while !left.is_empty() {
        let is_free = |allowed: &Allowed| allowed.code.iter().all(|name| !left.contains_key(name));
        let free: Names = left
            .iter()
            .filter(|(_, allowed)| is_free(allowed))
            .map(|(name, _)| name.clone())
            .collect();
        assert!(!free.is_empty(), "a circle goes through {:?}", left.keys().collect::<Vec<_>>());
        left.retain(|name, _| !free.contains(name));
    }
}

#[test]
fn libraries_stay_where_they_belong() {
    let mut forbidden = Vec::new();
    let crates = crates();
    for row in table("libraries") {
        let [library, users, _] = row.as_slice() else { panic!("not three cells: {row:?}") };
        let library = names(library).pop_first().unwrap();
        let users = names(users);
        for one in &crates {
            let names_it = one.names.iter().any(|(name, in_tests)| *name == library && !in_tests);
            if names_it && !users.contains(&one.name) {
                forbidden.push(format!("{} names {library}", one.name));
            }
        }
    }
    assert!(
        forbidden.is_empty(),
        "ARCHITECTURE.md keeps these libraries elsewhere:\n{}",
        forbidden.join("\n")
    );
}

#[test]
fn guards_of_invariants_exist() {
    let mut sources = files("crates", ".rs");
    sources.extend(files("xtask", ".rs"));
    let known: Names = crates().into_iter().map(|one| one.name).collect();
    let exists = |name: &str| {
        let function = format!("fn {name}(");
        let module = format!("/{name}.rs");
        sources.iter().any(|path| path.ends_with(&module) || read(path).contains(&function))
    };
    let mut missing = Vec::new();
    for row in table("invariants") {
        let [number, _, guards] = row.as_slice() else { panic!("not three cells: {row:?}") };
        let guards = guards.split('`').skip(1).step_by(2);
        for guard in guards.filter(|guard| !known.contains(*guard) && !guard.contains(' ')) {
            let is_test = guard.rsplit("::").next().is_some_and(exists);
            if !is_test {
                missing.push(format!("{number}: {guard}"));
            }
        }
    }
    assert!(missing.is_empty(), "there are no such tests:\n{}", missing.join("\n"));
}
