use proptest::prelude::*;
use serde_json::json;

use super::{
    ErrorKind, Kind, Limits, Node, Style, fast, parse, parse_all, read::one_of_any_style, to_string,
};
use crate::Json;

fn read(text: &str) -> Json {
    parse(text, &Limits::default()).unwrap_or_else(|error| panic!("{error}\n{text}")).to_json()
}

#[track_caller]
fn refuse(text: &str) -> (ErrorKind, usize, usize) {
    let error = parse(text, &Limits::default()).expect_err(text);
    (error.kind, error.line, error.column)
}

#[test]
fn plain_scalars_are_those_of_go() {
    let check = |text: &str, expected: Json| {
        assert_eq!(read(&format!("a: {text}")), json!({"a": expected}), "{text}");
    };
    for word in [
        "yes",
        "No",
        "on",
        "OFF",
        "y",
        "N",
        "tRUE",
        "nULL",
        "=",
        "<",
        "1.2.3",
        "0x",
        "0xg",
        "1e",
        "e1",
        "--1",
        "+-1",
        "1:30",
        "2001-12-14",
        "2001-12-14t21:59:43.10-05:00",
        "_1",
        "0b2",
        "0o8",
        "+",
        ".",
        "..",
        "._1",
        "1e400",
        "Infinity",
        "inf",
        "nan",
        "-x",
        "a#b",
        "a:b",
        "1a",
    ] {
        check(word, json!(word));
    }
    check("0_x1f", json!(31));
    for word in ["true", "True", "TRUE"] {
        check(word, json!(true));
    }
    for word in ["false", "False", "FALSE"] {
        check(word, json!(false));
    }
    for word in ["", "~", "null", "Null", "NULL"] {
        check(word, Json::Null);
    }
    check("0", json!(0));
    check("-0", json!(0));
    check("+12", json!(12));
    check("1_000", json!(1000));
    check("1_", json!(1));
    check("0x1F", json!(31));
    check("-0x1f", json!(-31));
    check("0o17", json!(15));
    check("017", json!(15));
    check("08", json!(8.0));
    check("0b101", json!(5));
    check("9223372036854775807", json!(i64::MAX));
    check("-9223372036854775808", json!(i64::MIN));
    check("9223372036854775808", json!(9_223_372_036_854_775_808_u64));
    check("18446744073709551616", json!(18_446_744_073_709_551_616_f64));
    check("1.5", json!(1.5));
    check(".5", json!(0.5));
    check("5.", json!(5.0));
    check("-1.5e-3", json!(-0.0015));
    check("1e3", json!(1000.0));
    check("'1'", json!("1"));
    check("\"true\"", json!("true"));
}

#[test]
fn tags() {
    let check = |text: &str, expected: Json| assert_eq!(read(text), expected, "{text}");
    check("!!str 1", json!("1"));
    check("!!str", json!(""));
    check("!!int '0x10'", json!(16));
    check("!!float 1", json!(1.0));
    check("!!bool yes", json!(true));
    check("!!null ''", Json::Null);
    check("!!binary aGk=", json!("aGk="));
    check("!!timestamp 2001-12-14", json!("2001-12-14"));
    check("!local 1", json!("1"));
    check("! 1", json!("1"));
    check("!!map {a: !!seq [1]}", json!({"a": [1]}));
    assert_eq!(refuse("a: !!int x"), (ErrorKind::Value, 1, 10));
    assert_eq!(refuse("!!bool 2").0, ErrorKind::Value);
    assert_eq!(refuse("a: .inf"), (ErrorKind::Value, 1, 4));
    assert_eq!(refuse("- -.Inf").0, ErrorKind::Value);
    assert_eq!(refuse("- .NaN").0, ErrorKind::Value);
}

#[test]
fn documents() {
    assert_eq!(read(""), Json::Null);
    assert_eq!(read("# only\n"), Json::Null);
    assert_eq!(read("---\na: 1\n...\n"), json!({"a": 1}));
    let all = parse_all("a\n---\nb\n---\n", &Limits::default()).unwrap();
    assert_eq!(
        all.iter().map(Node::to_json).collect::<Vec<_>>(),
        [json!("a"), json!("b"), Json::Null]
    );
    assert!(parse_all("", &Limits::default()).unwrap().is_empty());
    assert_eq!(refuse("a\n---\nb\n"), (ErrorKind::Documents, 2, 1));
    // An anchor ends with its document.
    assert_eq!(
        parse_all("&a 1\n---\n*a\n", &Limits::default()).unwrap_err().kind,
        ErrorKind::Alias
    );
}

#[test]
fn collections_and_blocks() {
    let text = "a:\n- 1\n- [x, {y: z}]\nb: |\n  one\n   two\nc: >-\n  folded\n  text\n1: int\ntrue: bool\n? q\n: r\n";
    assert_eq!(
        read(text),
        json!({"a": [1, ["x", {"y": "z"}]], "b": "one\n two\n", "c": "folded text", "1": "int", "true": "bool", "q": "r"})
    );
    assert_eq!(read("a: |\n  no line feed"), json!({"a": "no line feed"}));
    // Found by fuzzing: the spaces behind the indentation are text, with and without a line feed.
    assert_eq!(read("a: |\n  x\n    "), json!({"a": "x\n  "}));
    assert_eq!(read("a: |\n  x\n    \n"), json!({"a": "x\n  \n"}));
    assert_eq!(read("a: |\n  x\n  "), json!({"a": "x\n"}));
    assert_eq!(refuse("? [a]\n: b\n").0, ErrorKind::Value);
}

#[test]
fn aliases_and_merges() {
    assert_eq!(read("a: &x {b: 1}\nc: *x\n"), json!({"a": {"b": 1}, "c": {"b": 1}}));
    assert_eq!(read("a: &x k\n*x : v\n"), json!({"a": "k", "k": "v"}));
    assert_eq!(
        read("d: &d {a: 1, b: 2}\ne: &e {b: 3, c: 4}\nm: {<<: [*d, *e], a: 0}\nn:\n  <<: *e\n"),
        json!({"d": {"a": 1, "b": 2}, "e": {"b": 3, "c": 4}, "m": {"a": 0, "b": 2, "c": 4}, "n": {"b": 3, "c": 4}})
    );
    assert_eq!(read("{'<<': 1}"), json!({"<<": 1}));
    assert_eq!(refuse("a:\n  <<: 1\n"), (ErrorKind::Merge, 2, 7));
    assert_eq!(refuse("a: *nowhere\n"), (ErrorKind::Alias, 1, 4));
    assert_eq!(refuse("a: &a [*a]\n"), (ErrorKind::Alias, 1, 8));
    assert_eq!(refuse("a: 1\nb: 2\na: 3\n"), (ErrorKind::DuplicateKey, 3, 1));
    let many: String = (0..100).map(|index| format!("k{index}: 1\n")).collect();
    assert_eq!(refuse(&format!("{many}k7: 2\n")), (ErrorKind::DuplicateKey, 101, 1));
}

#[test]
fn limits() {
    let bomb: String = (1..12)
        .map(|level| {
            format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(","))
        })
        .collect();
    assert_eq!(refuse(&format!("a0: &a0 x\n{bomb}")).0, ErrorKind::Limit);
    let merges: String = (1..60)
        .map(|level| {
            format!("a{level}: &a{level} {{<<: [*a{0}, *a{0}], k{level}: 1}}\n", level - 1)
        })
        .collect();
    assert_eq!(refuse(&format!("a0: &a0 {{x: 1}}\n{merges}")).0, ErrorKind::Limit);
    let long = "x".repeat(1 << 20);
    let copies = "- *a\n".repeat(10);
    assert_eq!(refuse(&format!("- &a {long}\n{copies}")).0, ErrorKind::Limit);
    assert_eq!(refuse(&"[".repeat(65)).0, ErrorKind::Limit);
    assert_eq!(refuse(&"- ".repeat(100)).0, ErrorKind::Limit);
    assert_eq!(refuse(&"x".repeat((4 << 20) + 1)).0, ErrorKind::Limit);
    // Depth that grows through aliases.
    let tower: String =
        (1..20).map(|level| format!("a{level}: &a{level} [[[[*a{}]]]]\n", level - 1)).collect();
    assert_eq!(refuse(&format!("a0: &a0 x\n{tower}")).0, ErrorKind::Limit);
    let wide = format!("[{}]", "1,".repeat(100));
    let few = Limits { nodes: 50, ..Limits::default() };
    assert_eq!(parse(&wide, &few).unwrap_err().kind, ErrorKind::Limit);
    assert!(parse(&format!("{}1{}", "[".repeat(64), "]".repeat(64)), &Limits::default()).is_ok());
}

#[test]
fn places() {
    let text = "a: one\nb:\n  é: \"two\"\n  c:\n  - 'x y'\n  - {k: |-\n     z}\n";
    assert!(parse(text, &Limits::default()).is_err());
    let text = "a: one\nb:\n  é: \"two\"\n  c:\n  - 'x y'\n  - k: |-\n      z\n      w\nd:\n";
    let node = parse(text, &Limits::default()).unwrap();
    let place = |pointer: &str| {
        let node = node.at(pointer).unwrap();
        (&text[node.span.range()], node.span.line, node.span.column, node.style)
    };
    assert_eq!(place("/a"), ("one", 1, 4, Style::Plain));
    assert_eq!(place("/b/é"), ("\"two\"", 3, 6, Style::Quoted));
    assert_eq!(place("/b/c/0"), ("'x y'", 5, 5, Style::Quoted));
    assert_eq!(place("/b/c/1/k").1, 7);
    assert_eq!(place("/b/c/1/k").3, Style::Block);
    assert_eq!(place("/d"), ("", 9, 2, Style::Plain));
    let Kind::Mapping(entries) = &node.value else { panic!() };
    assert_eq!(&text[entries[1].0.span.range()], "b");
    assert_eq!((entries[1].0.span.line, entries[1].0.span.column), (2, 1));
    assert!(node.at("/b/c/00").is_none() && node.at("/b/c/2").is_none() && node.at("x").is_none());
    assert_eq!(
        parse("{a/b: {c~d: 1}}", &Limits::default()).unwrap().at("/a~1b/c~0d").unwrap().value,
        Kind::Int(1)
    );

    let range = |part: &str| {
        let at = text.find(part).unwrap();
        at..at + part.len()
    };
    assert_eq!(node.overlapping(&[range("wo")]), ["/b/é"]);
    assert_eq!(node.overlapping(&[range("one"), range("z")]), ["/a", "/b/c/1/k"]);
    assert_eq!(node.overlapping(&[range("c:")]), ["/b/c/0", "/b/c/1/k"]);
    assert!(node.overlapping(&[]).is_empty());
}

/// Found by fuzzing: to YAML a carriage return alone ends a line, too.
#[test]
fn lines_are_counted_as_places_are() {
    let text = "a: 1\r\nb: 2\rc: 3\n\rd: 4";
    let counted: Vec<&str> = super::lines(text).collect();
    assert_eq!(counted, ["a: 1\r\n", "b: 2\r", "c: 3\n", "\r", "d: 4"]);
    let node = parse(text, &Limits::default()).unwrap();
    for (name, line) in [("a", 1), ("b", 2), ("c", 3), ("d", 5)] {
        assert_eq!(node.get(name).unwrap().span.line, line, "{name}");
    }
    assert_eq!(super::lines("").count(), 0);
}

#[test]
fn errors_have_a_place_and_a_sentence() {
    let check = |text: &str, line: usize, column: usize, part: &str| {
        let error = parse(text, &Limits::default()).expect_err(text);
        assert_eq!((error.line, error.column), (line, column), "{error}");
        assert!(error.message.contains(part), "{error}");
    };
    check("a: b: c\n", 1, 5, "`:` cannot stand here");
    check("a:\n\tb: 2\n", 2, 2, "tab");
    check("a: \"x\n", 1, 4, "no end");
    check("a:\n  - b\n c\n", 3, 2, "");
    check("a: [1, 2\n", 1, 4, "");
}

#[test]
fn writes() {
    let value = json!({
        "apiVersion": "v1",
        "data": {"plain": "a b", "url": "http://x:80/y?z=1", "flag": "--x=y", "placeholder": "${a.b}",
            "script": "#!/bin/sh\n\techo  \n\nend\n", "strip": "a\nb", "keep": "a\nb\n\n", "space": " a\nb",
            "tab": "\ta", "colon": "a: b", "hash": "a #b", "dash": "- a", "q": "it's \"x\"\\", "nul": "\u{0}\u{7f}\u{85}\u{2028}\u{feff}"},
        "words": ["yes", "No", "on", "y", "true", "null", "~", "", "1", "1.5", "1e3", "0o17", "0x1f", "1_000",
            "1:30", "2001-01-01", "2001-01-01T00:00:00Z", ".5", ".inf", "-.INF", ".NaN", "+1", "=", "<<", "0b1", "10m", "128Mi", "1.2.3", "v1", "...", "---", "@a", "`a", "%a", "*a", "&a", "!a", "|", ">", "{a", "[a", "?", "-", "nan"],
        "numbers": [0, -1, 1.5, 1e300, 1.5e-9, 18_446_744_073_709_551_615_u64, 1000.0, -0.0],
        "empty": {"map": {}, "list": [], "null": null, "bool": true},
        "nested": [[1, [2]], [], {}, {"a": {"b": [{"c": 1, "d": 2}]}, "e": "x\ny\n"}, "l\nm"],
        "<<": 1, "yes": 1, "1": 1, "a: b": 1,
    });
    let text = to_string(&value);
    insta::assert_snapshot!(text);
    assert_eq!(read(&text), value);
    for scalar in
        [json!("a\nb\n"), json!("x"), json!("1"), json!(null), json!([]), json!({}), json!("---")]
    {
        assert_eq!(read(&to_string(&scalar)), scalar);
    }
}

/// In the style of most manifests, with what is just beyond it.
const SIMPLE: &str = "\
# A comment
apiVersion: v1   # and one more
kind: \"Config Map\"
'quoted key': it's
empty:
list:
- 1
- a: b
  c:
  - d
  -   e: [f, {g: h, \"i\": 'j'}, -1]   # flow
      k: {}
- - nested
  - []
deeper:
    more:

      text: |
        one

          two
        # three

# comment
    strip: |-
      x
    url: http://x:80/#y
é: ünï # ü
ü: \"ä\"  
";

/// What the fast reader reads, the parser reads in the same way.
fn agree(text: &str) -> bool {
    let limits = Limits::default();
    let Some(node) = fast::read(text, &limits) else { return false };
    match one_of_any_style(text, &limits) {
        Ok(expected) => assert_eq!(node, expected, "\n{text}"),
        Err(error) => panic!("{error}\n{text}"),
    }
    true
}

#[test]
fn fast_reader_reads_simple_texts() {
    assert!(agree(SIMPLE));
    for text in [
        "a: 1",
        "a:",
        "- a",
        "- a\n",
        "a: |\n  x\n",
        "  a: b\n  c: d\n\n\n",
        "a: [ ]",
        "a: { b: c }\n",
        "a: {\"b\":\"c\",'d':1,\"e\":[{\"f\":{}}]}\n",
    ] {
        assert!(agree(text), "{text}");
    }
    for text in [
        "",
        "a",
        "a: &b c",
        "a: *b",
        "a: !t b",
        "a: >\n x",
        "a: b\n  c",
        "a: \"\\n\"",
        "a: 'b''c'",
        "? a",
        "<<: {}",
        "a: [b,\n c]",
        "a: b\n---\n",
        "---\na: b",
        "%YAML 1.2\n---\na: b",
        "a:\tb",
        "a: b\r\n",
        "- ",
        "a: |+\n  x\n",
        "a: {b}",
        "a: {b:c}",
        "a: {\"b\":}",
        "a: |\n  x",
        "a: |2\n    x\n",
        "a: |\n\n  x\n",
        "a: |\n  x\n   \n",
        "a: |\n  x\n   ",
        "a: \u{feff}b",
        "a: b: c",
        "a: - b",
    ] {
        assert!(fast::read(text, &Limits::default()).is_none(), "{text}");
    }
}

/// Strings with everything that has a meaning somewhere in YAML.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9._/:#${}\\[\\]\\-+~=<>!&*|?@%'\",; \\\\]{0,12}",
        "[-+]?[0-9._:eExXobTfA]{1,10}",
        "(yes|no|on|off|true|null|y|n|~|\\.inf|\\.nan|<<|=|---|\\.\\.\\.)",
        "([ \\ta-z#:-]{0,6}\n){1,4}[ \\ta-z]{0,4}",
        any::<String>(),
        "[\\x00-\\x20\u{7f}\u{85}\u{a0}\u{2028}\u{feff}\u{fffe}é😀a]{0,8}",
        "[a-z]{240,260}",
    ]
}

fn json_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(Json::from),
        text().prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map(text(), inner, 0..6)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_written_is_read(value in json_value()) {
        let text = to_string(&value);
        let node = parse(&text, &Limits::default()).unwrap_or_else(|error| panic!("{error}\n{text}"));
        prop_assert_eq!(node.to_json(), value.clone(), "{}", text);
        prop_assert_eq!(Node::from_json(&value).to_json(), value.clone());
        prop_assert_eq!(node.into_json(), value);
    }

    #[test]
    fn fast_reader_agrees(text in "(( {0,4}|- |  - |    ){1}(a|b|cc|'q'|\"d\"|é|#c|1)?(:|: |: \\|\n| #|: \"x\"| - )?[a-c:\\-\\[\\]{}, #|'\"é~<.]{0,6}\n?){0,8}") {
        agree(&text);
    }

    #[test]
    fn fast_reader_agrees_on_mutations(
        edits in prop::collection::vec((any::<prop::sample::Index>(), "[ a-c\n:\\-\\[\\]{},\"'|#&*é~.]{0,2}", 0..3_usize), 1..4)
    ) {
        let mut text = SIMPLE.to_owned();
        for (at, insert, remove) in edits {
            let at = at.index(text.len());
            let end = (at + remove).min(text.len());
            if text.is_char_boundary(at) && text.is_char_boundary(end) {
                text.replace_range(at..end, &insert);
            }
        }
        agree(&text);
    }

    #[test]
    fn fast_reader_agrees_on_what_is_written(value in json_value()) {
        agree(&to_string(&value));
    }

    #[test]
    fn never_panics(text in "[a-c:\\-\\[\\]{},&*!|>#\"'%@?~<0-9. \\n\\t]{0,60}") {
        if let Ok(nodes) = parse_all(&text, &Limits::default()) {
            for node in nodes {
                let json = node.to_json();
                prop_assert_eq!(read(&to_string(&json)), json);
                let _ = node.overlapping(&[0..3, 5..9]);
            }
        }
    }

    #[test]
    fn spans_are_within_the_text(text in "([a-c]: [a-cé'\"\\[\\]{},]{0,4}\n|- [a-c]\n|  [a-c]: \\|\n| {4}x\n){0,8}") {
        fn visit(node: &Node, text: &str) {
            assert!(text.get(node.span.range()).is_some());
            match &node.value {
                Kind::Sequence(items) => items.iter().for_each(|item| visit(item, text)),
                Kind::Mapping(entries) => entries.iter().for_each(|(key, value)| {
                    assert!(text[key.span.range()].contains(&key.name) || text[key.span.range()].len() >= 2);
                    visit(value, text);
                }),
                _ => {}
            }
        }
        if let Ok(node) = parse(&text, &Limits::default()) {
            visit(&node, &text);
        }
    }
}
