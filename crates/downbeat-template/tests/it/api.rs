//! The public surface: values, options, errors, purity.

use downbeat_template::{Error, ErrorKind, MissingKey, Options, Output, Template, Value};
use serde_json::json;

fn render(template: &str, data: serde_json::Value) -> Result<Output, Error> {
    Template::parse("t", template)?.execute(&data.into(), &Options::default())
}

#[test]
fn templates_and_values_cross_threads() {
    fn check<T: Send + Sync + Clone>() {}
    check::<Template>();
    check::<Value>();
}

#[test]
fn json_survives_the_round_trip() {
    let data = json!({"i": 1, "f": 1.5, "s": "x", "n": null, "l": [1, {"b": true}], "u": u64::MAX});
    assert_eq!(Value::from(&data).to_json(), data);
}

#[test]
fn maps_are_shared_by_their_handles() {
    let map = Value::map([("a".to_owned(), Value::from(1_i64))]);
    let other = map.clone();
    map.insert("b", "x");
    assert_eq!(other.get("b").unwrap().as_str(), Some("x"));
    assert_eq!(other.to_json(), json!({"a": 1, "b": "x"}));
}

#[test]
fn execution_leaves_the_data_alone() {
    let data = Value::from(json!({"m": {"a": 1}}));
    let template = Template::parse("t", r#"{{ $_ := set .m "b" 2 }}{{ .m }}"#).unwrap();
    for _ in 0..2 {
        assert_eq!(template.execute(&data, &Options::default()).unwrap().text, "map[a:1 b:2]");
    }
    assert_eq!(data.to_json(), json!({"m": {"a": 1}}));
}

#[test]
fn the_seed_decides_every_random_value() {
    let template =
        "{{ randAlphaNum 16 }} {{ uuidv4 }} {{ randInt 0 1000000 }} {{ shuffle `abcdefgh` }}";
    let template = Template::parse("t", template).unwrap();
    let text = |byte| {
        let options = Options { seed: [byte; 32], ..Options::default() };
        template.execute(&Value::nil(), &options).unwrap().text
    };
    assert_eq!(text(1), text(1));
    assert_ne!(text(1), text(2));
    let values = text(1);
    assert_ne!(values.get(..8), values.get(8..16), "each draw differs");
}

#[test]
fn without_a_clock_time_functions_fail() {
    let error = render("{{ now }}", json!({})).unwrap_err();
    let expected = "template: t:1:3: executing \"t\" at <now>: error calling now: \
                    the current time is not available to this template";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn keys_and_certificates_are_refused_when_run() {
    for call in [
        "genPrivateKey `rsa`",
        "genCA `x` 1",
        "bcrypt `x`",
        "htpasswd `a` `b`",
        "encryptAES `a` `b`",
        "derivePassword 1 `a` `b` `c` `d`",
    ] {
        let error = render(&format!("{{{{ {call} }}}}"), json!({})).unwrap_err();
        assert!(error.to_string().contains("cannot be made in templates"), "{error}");
    }
}

#[test]
fn missing_keys_follow_the_option() {
    let template = Template::parse("t", "{{ .a }}").unwrap();
    let run = |missing_key| {
        template.execute(&Value::object(), &Options { missing_key, ..Options::default() })
    };
    assert_eq!(run(MissingKey::Default).unwrap().text, "<no value>");
    assert_eq!(run(MissingKey::Zero).unwrap().text, "<no value>");
    let error = run(MissingKey::Error).unwrap_err();
    assert_eq!(error.message(), "map has no entry for key \"a\"");
}

#[test]
fn errors_say_where() {
    let error = render("a\n  {{ .x.y | upper }}", json!({"x": null})).unwrap_err();
    assert_eq!((error.kind(), error.line(), error.column()), (ErrorKind::Exec, 2, 7));
    assert_eq!((error.template(), error.context()), ("t", Some(".x.y")));
    let error = render("a\n{{ nope }}", json!({})).unwrap_err();
    assert_eq!((error.kind(), error.line(), error.context()), (ErrorKind::Parse, 2, None));
    assert_eq!(error.to_string(), "template: t:2: function \"nope\" not defined");
}

#[test]
fn bytes_that_are_no_text_reach_the_output_as_replacement_characters() {
    let output = render(r#"{{ b64dec "//79" }}|{{ b64dec "//79" | b64enc }}"#, json!({})).unwrap();
    assert_eq!(output.text, "\u{fffd}\u{fffd}\u{fffd}|//79");
}

#[test]
fn deeply_nested_values_are_dropped_without_recursion() {
    let mut value = Value::nil();
    for _ in 0..200_000 {
        value = Value::list([value]);
    }
    drop(value);
    let mut value = Value::nil();
    for _ in 0..200_000 {
        value = Value::map([("k".to_owned(), value)]);
    }
    assert!(value.is_tainted(), "too deep to be sure of");
}
