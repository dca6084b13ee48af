//! YAML: no panic, places inside the text, both readers agree, and what is written is read again.

#![no_main]

use downbeat_core::yaml::{self, ErrorKind, Kind, Limits, Node};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    check(text, &Limits::default());
    let few = Limits { bytes: 200, depth: 5, nodes: 20, alias_expansion: 10 };
    check(text, &few);
});

fn check(text: &str, limits: &Limits) {
    // The reader of several documents has no fast path: what both read has to be the same.
    match (yaml::parse(text, limits), yaml::parse_all(text, limits)) {
        (Ok(node), Ok(all)) => match all.as_slice() {
            [] => assert_eq!(node.value, Kind::Null),
            [only] => assert_eq!(&node, only),
            _ => panic!("one document and several"),
        },
        (Err(one), Err(all)) => assert!(one == all || one.kind == ErrorKind::Documents),
        (Err(error), Ok(_)) => assert_eq!(error.kind, ErrorKind::Documents),
        (Ok(_), Err(error)) => panic!("only the fast reader reads this: {error}"),
    }
    let Ok(all) = yaml::parse_all(text, limits) else { return };
    for node in all {
        let mut nodes = 0;
        visit(&node, text, 0, limits, &mut nodes);
        assert!(nodes <= limits.nodes + limits.alias_expansion);
        let _ = node.overlapping(&[0..3, 5..9]);
        let json = node.to_json();
        assert_eq!(Node::from_json(&json).to_json(), json);
        assert_eq!(node.into_json(), json);
        let written = yaml::to_string(&json);
        let generous = Limits { bytes: 64 << 20, ..Limits::default() };
        match yaml::parse_json(&written, &generous) {
            Ok(read) => assert_eq!(read, json, "{written}"),
            Err(error) => assert_eq!(error.kind, ErrorKind::Limit, "{error}\n{written}"),
        }
    }
}

fn visit(node: &Node, text: &str, depth: usize, limits: &Limits, nodes: &mut usize) {
    *nodes += 1;
    assert!(depth <= limits.depth);
    assert!(text.get(node.span.range()).is_some(), "{:?}", node.span);
    assert!(node.span.line >= 1 && node.span.column >= 1);
    match &node.value {
        Kind::Sequence(items) => {
            for item in items {
                visit(item, text, depth + 1, limits, nodes);
            }
        }
        Kind::Mapping(entries) => {
            for (at, (key, value)) in entries.iter().enumerate() {
                assert!(text.get(key.span.range()).is_some(), "{:?}", key.span);
                let before = entries.iter().take(at.min(50));
                assert!(before.map(|(key, _)| &key.name).all(|name| *name != key.name));
                *nodes += 1;
                visit(value, text, depth + 1, limits, nodes);
            }
        }
        Kind::Float(value) => assert!(value.is_finite()),
        _ => {}
    }
}
