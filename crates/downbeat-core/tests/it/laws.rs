//! Laws that hold for every input.

use std::collections::{BTreeMap, BTreeSet};

use downbeat_core::{DeploymentSet, Json, delta, patch, placeholder};
use proptest::prelude::*;
use serde_json::json;

use crate::graph;

/// JSON values with the keys that make pointers hard, and with nulls.
fn values() -> impl Strategy<Value = Json> {
    let key = prop::sample::select(vec!["a", "b", "x/y", "~", "", "0", "ü"]);
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (-3i64..3).prop_map(Json::from),
        "[a-c]{0,2}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
            prop::collection::btree_map(key.clone(), inner, 0..4).prop_map(|members| {
                members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            }),
        ]
    })
}

fn sets() -> impl Strategy<Value = DeploymentSet> {
    let name = || prop::sample::select(vec!["api", "web", "x/y", "~w"]);
    let kind = prop::sample::select(vec!["dns", "postgres"]);
    let spec = prop::collection::btree_map(name(), values(), 0..3);
    let module = (spec, prop::option::of(name())).prop_map(|(spec, profile)| {
        let mut module = json!({"spec": spec});
        if let Some(profile) = profile {
            module["profile"] = json!(profile);
        }
        module
    });
    let resource =
        (kind, values()).prop_map(|(kind, extra)| json!({"type": kind, "params": {"p": extra}}));
    (
        prop::collection::btree_map(name(), module, 0..4),
        prop::collection::btree_map(name(), resource, 0..4),
    )
        .prop_map(|(modules, shared)| {
            DeploymentSet::from_json(json!({"modules": modules, "shared": shared})).unwrap()
        })
}

proptest! {
    #[test]
    fn a_patch_brings_one_value_to_the_other(from in values(), to in values()) {
        let actions = patch::diff(&from, &to);
        prop_assert_eq!(patch::apply_all(&from, &actions), Ok(to.clone()));
        prop_assert_eq!(patch::diff(&to, &to), vec![]);
    }

    #[test]
    fn a_diff_brings_one_set_to_the_other(from in sets(), to in sets()) {
        let change = delta::diff(&from, &to);
        let reached = delta::apply(&from, &change).unwrap();
        prop_assert_eq!(&reached, &to);
        prop_assert_eq!(reached.id(), to.id());
        prop_assert!(delta::diff(&to, &to).is_empty());
    }

    #[test]
    fn a_merged_delta_is_its_parts_in_order(a in sets(), b in sets(), c in sets()) {
        let (first, second) = (delta::diff(&a, &b), delta::diff(&b, &c));
        let merged = delta::merge(&first, &second).unwrap();
        prop_assert_eq!(delta::apply(&a, &merged).unwrap(), c);
    }

    #[test]
    fn a_set_is_named_by_its_content(a in sets(), b in sets()) {
        prop_assert_eq!(a == b, a.id() == b.id());
        let read_back = DeploymentSet::from_json(a.to_json()).unwrap();
        prop_assert_eq!(read_back.id(), a.id());
    }

    #[test]
    fn splitting_a_text_loses_nothing(text in r"[a${}\\.\[\]'x ]{0,24}") {
        if let Ok(segments) = placeholder::segments(&text) {
            let mut joined = String::new();
            for segment in &segments {
                match segment {
                    placeholder::Segment::Text(text) => joined.push_str(text),
                    placeholder::Segment::Placeholder(found) => {
                        joined.push_str("${");
                        joined.push_str(found.text);
                        joined.push('}');
                    }
                }
            }
            // An escape inside a placeholder is part of its name.
            prop_assert_eq!(joined.replace("$\\{", "${"), text.replace("$\\{", "${"));
        }
        if placeholder::is_literal(&text) {
            let segments = placeholder::segments(&text).unwrap();
            prop_assert!(segments.len() <= 1);
        }
    }

    /// Resources that name each other at random: either an order in which everything stands behind
    /// what it needs, or a cycle that really is one.
    #[test]
    fn the_order_respects_every_edge(edges in prop::collection::btree_set((0usize..7, 0usize..7), 0..14)) {
        let mut definitions = Vec::new();
        let names: Vec<String> = (0..7).map(|n| format!("c{n}")).collect();
        for (from, name) in names.iter().enumerate() {
            let references: BTreeMap<String, String> = edges
                .iter()
                .filter(|(source, _)| *source == from)
                .map(|(_, to)| (format!("v{to}"), format!("${{resources['config.c{to}'].outputs.x}}")))
                .collect();
            definitions.push((name.as_str(), "config", json!({"class": name}),
                json!({"driver_inputs": {"values": references}})));
        }
        let shared: BTreeMap<&String, Json> = names
            .iter()
            .map(|name| (name, json!({"type": "config", "class": name, "id": "shared.one"})))
            .collect();
        match graph::build(json!({"shared": shared}), &graph::index(&definitions)) {
            Ok(graph) => {
                for (at, node) in graph.nodes.iter().enumerate() {
                    for (needed, _) in &node.depends_on {
                        prop_assert!((*needed as usize) < at);
                    }
                }
                prop_assert!(!has_cycle(&edges));
            }
            Err(errors) => {
                prop_assert_eq!(errors.len(), 1);
                prop_assert_eq!(errors[0].code, downbeat_core::Code::Cycle);
                prop_assert!(has_cycle(&edges));
            }
        }
    }
}

fn has_cycle(edges: &BTreeSet<(usize, usize)>) -> bool {
    let mut left: BTreeSet<usize> = (0..7).collect();
    loop {
        let free = left
            .iter()
            .copied()
            .find(|&node| !edges.iter().any(|(from, to)| *from == node && left.contains(to)));
        match free {
            Some(node) => left.remove(&node),
            None => return !left.is_empty(),
        };
    }
}
