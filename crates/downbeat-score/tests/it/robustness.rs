//! No text makes the crate panic or work without end.

use downbeat_core::yaml;
use downbeat_score::{Options, Property};
use proptest::{prelude::*, sample::Index};

use crate::{check, overlay, score, shown};

const SAMPLE: &str = include_str!("../data/sixty-lines.yaml");

fn options() -> Options {
    Options {
        overrides: vec![overlay("o.yaml", "containers: {main: {image: null, x: [1]}}")],
        properties: vec![Property::parse("a.b.c=1"), Property::parse("containers.main.args.-1=x")],
        image: Some("i".to_owned()),
        fill_missing_image: true,
        extension: Some(overlay("e.yaml", "spec: {a: $${b}}\nresources: {db: {scope: shared}}")),
        ..Options::default()
    }
}

fn survive(text: &str) {
    for options in [Options::default(), options()] {
        let checked = check(text, &options);
        for diagnostic in &checked.diagnostics {
            assert!(!diagnostic.message.is_empty() && !diagnostic.message.ends_with('.'));
            if diagnostic.file == "score.yaml" && diagnostic.line > 0 {
                let line = yaml::lines(text).nth(diagnostic.line - 1).unwrap_or_default();
                assert!(diagnostic.column <= line.chars().count() + 1, "{diagnostic}\n{text}");
            }
        }
        let failed = checked.errors().next().is_some();
        assert_eq!(checked.converted.is_none(), failed, "{}\n{text}", shown(&checked.diagnostics));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_text(text in any::<String>()) {
        survive(&text);
    }

    #[test]
    fn yaml_like_text(text in "([ ]{0,4}(- )?(apiVersion|metadata|containers|resources|name|image|files|a)?[:\\[{]{0,2} ?[\"'&*|>$]?(\\{resources\\.)?[a-zé.}1-9\\]]{0,4}[\"']?\n){0,10}") {
        survive(&text);
    }

    #[test]
    fn mutated_sample(
        edits in prop::collection::vec((any::<Index>(), "[ a-z\n:\\-\\[\\]{}\"'$é#&*]{0,3}", 0..4_usize), 1..6)
    ) {
        let mut text = SAMPLE.to_owned();
        for (at, insert, remove) in edits {
            let at = at.index(text.len());
            let end = (at + remove).min(text.len());
            if text.is_char_boundary(at) && text.is_char_boundary(end) {
                text.replace_range(at..end, &insert);
            }
        }
        survive(&text);
    }

    #[test]
    fn any_property(path in "[a-c.\\\\0-9-]{0,8}", value in "[a-c:\\[{\"1]{0,4}") {
        let options = Options {
            properties: vec![Property::parse(&format!("{path}={value}")), Property::parse(&path)],
            ..Options::default()
        };
        let _ = check("a: [{b: 1}]\nc: {}", &options);
    }
}

/// Files made to cost the square of their length.
#[test]
fn many_findings_end_somewhere() {
    let many = |entry: &dyn Fn(usize) -> String| (0..3000).map(entry).collect::<String>();
    let texts = [
        many(&|index| format!("unknown{index}: 1\n")),
        score(
            "    variables:\n      A: b\n",
            &many(&|index| format!("  r{index}: {{type: dns, x: 1}}\n")),
        ),
        score(
            &format!(
                "    variables: {{A: \"{}\"}}\n",
                many(&|index| format!("${{resources.x{index}.a}}"))
            ),
            &(0..3000).map(|index| format!("  r{index}: {{type: dns}}\n")).collect::<String>(),
        ),
    ];
    for text in texts {
        let found = check(&text, &options()).diagnostics;
        assert_eq!(found.len(), 201);
        assert!(found[200].message.ends_with("more findings are not shown"), "{}", found[200]);
    }
    let wide: String = (0..30_000).map(|index| format!("{index},")).collect();
    assert!(shown(&check(&format!("a: [{wide}]"), &options()).diagnostics).contains("SCO-002"));
}

#[test]
fn too_much_is_refused_early() {
    let refused = |text: &str, part: &str| {
        let found = check(text, &Options::default()).diagnostics;
        assert_eq!(found.len(), 1, "{}", shown(&found));
        assert_eq!(found[0].code.as_str(), "SCO-002");
        assert!(found[0].message.contains(part), "{}", found[0]);
    };
    refused(&"#".repeat((1 << 20) + 1), "longer than 1048576 bytes");
    refused(&format!("a: {}", "[".repeat(100)), "");
    let bomb: String = (1..10)
        .map(|level| {
            format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(","))
        })
        .collect();
    refused(&format!("a0: &a0 x\n{bomb}"), "aliases");
    let deep = Options {
        properties: vec![Property::parse(&format!("{}=1", vec!["a"; 100_000].join(".")))],
        ..Options::default()
    };
    assert!(shown(&check("{}", &deep).diagnostics).contains("more than 64 names"));
}
