//! Laws that hold for any text: nothing panics, everything ends.

use downbeat_template::{Limits, Options, Template, Value};
use proptest::prelude::*;
use serde_json::json;

const PIECES: &[&str] = &[
    "{{",
    "}}",
    "{{-",
    "-}}",
    "{{ ",
    " }}",
    "if ",
    "else ",
    "end ",
    "range ",
    "with ",
    "define ",
    "template ",
    "block ",
    "break ",
    "continue ",
    "{{ end }}",
    "{{ else }}",
    "{{ if .a }}",
    "{{ range .l }}",
    "{{ with .m }}",
    "{{ $x := 1 }}",
    ".a",
    ".l",
    ".m.k",
    ".n",
    ".s",
    "$",
    "$x",
    "$x := ",
    "$x = ",
    "$i, $v := ",
    "(",
    ")",
    "|",
    " | ",
    " ",
    "\n",
    "1",
    "-1",
    "1.5",
    "0x1p4",
    "'a'",
    "1i",
    "9223372036854775807",
    "-9223372036854775808",
    "\"s\"",
    "`raw`",
    "\"\\x\"",
    "nil",
    "true",
    "/*",
    "*/",
    ",",
    ":=",
    "=",
    "é",
    "世",
    "%d",
    "\u{0}",
    "printf \"%v %d %s %*d %[1]q %x\" ",
    "print ",
    "html ",
    "index ",
    "len ",
    "eq ",
    "lt ",
    "and ",
    "or ",
    "not ",
    "call ",
    "slice ",
    "upper ",
    "trunc ",
    "substr ",
    "repeat ",
    "indent ",
    "wrap ",
    "abbrev ",
    "replace ",
    "split ",
    "splitn ",
    "join ",
    "quote ",
    "snakecase ",
    "camelcase ",
    "title ",
    "b64enc ",
    "b64dec ",
    "b32dec ",
    "toJson ",
    "fromJson ",
    "toYaml ",
    "fromYaml ",
    "tpl ",
    "dict ",
    "list ",
    "set ",
    "merge ",
    "mergeOverwrite ",
    "dig ",
    "keys ",
    "first ",
    "last ",
    "chunk ",
    "until ",
    "untilStep ",
    "seq ",
    "add ",
    "div ",
    "mod ",
    "round ",
    "divf ",
    "mulf ",
    "regexFindAll ",
    "regexReplaceAll ",
    "regexSplit ",
    "semverCompare ",
    "urlParse ",
    "urlJoin ",
    "date ",
    "toDate ",
    "dateModify ",
    "duration ",
    "durationRound ",
    "randAlpha ",
    "uuidv4 ",
    "default ",
    "ternary ",
    "deepCopy ",
    "uniq ",
    "has ",
    "without ",
    "sortAlpha ",
    "typeOf ",
    "kindOf ",
    "now ",
    "initials ",
    "nospace ",
];

fn template_like() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..40).prop_map(|pieces| pieces.concat())
}

/// One well-formed call with random arguments.
fn call() -> impl Strategy<Value = String> {
    let argument = prop::sample::select(vec![
        ".a",
        ".l",
        ".m",
        ".n",
        ".s",
        ".f",
        ".missing",
        "1",
        "-1",
        "0",
        "5",
        "1.5",
        "\"\"",
        "\"a,b\"",
        "\"héé\"",
        "\"2006-01-02\"",
        "\"1.2.3\"",
        "\"[a-z]*\"",
        "\"1h\"",
        "\"{\\\"a\\\":1}\"",
        "nil",
        "true",
        "(list 1 2)",
        "(dict \"a\" 1)",
        "9223372036854775807",
        "-9223372036854775808",
        "now",
        "(semver \"1.2.3\")",
        "(b64dec \"//79\")",
        "(split \",\" \"a,b\")",
        "(int64 5)",
        "(float64 \"nan\")",
        "(float64 \"inf\")",
        "1e300",
    ]);
    let name = prop::sample::select(
        PIECES
            .iter()
            .filter(|piece| piece.ends_with(' ') && piece.trim().len() > 2)
            .copied()
            .collect::<Vec<_>>(),
    );
    (name, prop::collection::vec(argument, 0..5))
        .prop_map(|(name, arguments)| format!("{{{{ {name}{} }}}}", arguments.join(" ")))
}

fn run(text: &str) {
    let Ok(template) = Template::parse("t", text) else { return };
    let data = Value::from(json!({
        "a": "text é", "l": [1, "x", null, [2]], "m": {"k": {"d": 1}}, "n": null, "s": "s", "f": 1.5,
    }));
    let limits =
        Limits { steps: 20_000, output_bytes: 1 << 16, value_bytes: 1 << 16, ..Limits::default() };
    let options = Options { limits, now: Some(1_700_000_000), ..Options::default() };
    if let Ok(output) = template.execute(&data, &options) {
        assert!(output.text.len() <= 3 << 16);
        assert!(output.tainted.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn parsing_never_panics(text in ".{0,200}") {
        let _ = Template::parse("t", &text);
    }

    #[test]
    fn templates_end_within_their_limits(text in template_like()) {
        run(&text);
    }

    #[test]
    fn calls_end_within_their_limits(text in call()) {
        run(&text);
    }

    #[test]
    fn text_without_delimiters_is_itself(text in "[^{]{0,100}") {
        let template = Template::parse("t", &text).unwrap();
        prop_assert_eq!(template.execute(&Value::nil(), &Options::default()).unwrap().text, text);
    }
}
