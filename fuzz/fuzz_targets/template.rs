//! Templates: no panic, no hang, limits kept, data left alone, and no secret in plain sight.
//!
//! The input is a template text; behind a NUL byte follows the data as JSON.

#![no_main]

use downbeat_template::{ErrorKind, Limits, Options, Output, Template, Value};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value as Json, json};

/// Two secrets that are alike to whoever does not read them: same length, same kinds of characters
/// in the same places, the same beginning.
const SECRETS: [&str; 2] = ["kQ7xZ3vTn5bHq9wLd", "kQ7xZ8wJm2dRf6sGp"];
/// A piece of a secret that is long enough not to be there by chance.
const PIECE: usize = 8;
/// A piece that the fuzzer can have learned: an input with one says nothing about secrets.
const LEARNED: usize = 3;

/// Names that make a decision of a value. What is written because of a decision is not marked.
const DECIDING: &[&str] = &[
    "all",
    "and",
    "any",
    "break",
    "coalesce",
    "compact",
    "continue",
    "default",
    "dig",
    "else",
    "empty",
    "eq",
    "fromJsonArray",
    "ge",
    "get",
    "gt",
    "has",
    "hasKey",
    "if",
    "index",
    "kindIs",
    "kindOf",
    "le",
    "len",
    "lt",
    "merge",
    "mergeOverwrite",
    "mustCompact",
    "mustHas",
    "mustMerge",
    "mustMergeOverwrite",
    "mustUniq",
    "mustWithout",
    "ne",
    "not",
    "omit",
    "or",
    "pick",
    "range",
    "ternary",
    "typeIs",
    "typeIsLike",
    "typeOf",
    "uniq",
    "unset",
    "with",
    "without",
];

fuzz_target!(|input: &str| {
    let (text, data) = input.split_once('\0').unwrap_or((input, ""));
    let Ok(template) = Template::parse("t", text) else { return };
    let json = serde_json::from_str(data).unwrap_or_else(|_| ordinary());
    let ordinary = Value::from(&json);
    add_secrets(&ordinary, SECRETS[0]);
    let _ = run(&template, &ordinary, SECRETS[0], input);
    // The same again with a secret in every text of the data, and with another one.
    let [one, two] = SECRETS.map(|secret| {
        let data = hide(&json, secret);
        add_secrets(&data, secret);
        run(&template, &data, secret, input)
    });
    if let (Some(one), Some(two)) = (one, two)
        && !decides(text)
    {
        assert_eq!(plain(&one), plain(&two), "what is not marked depends on a secret");
    }
});

/// Data for templates that come without.
fn ordinary() -> Json {
    json!({
        "a": "text é", "b": true, "f": 1.5, "i": 3, "l": [1, "x", null, [2]],
        "m": {"k": {"d": 1}, "s": "v"}, "n": null, "s": "a,b c", "z": -0.0, "big": u64::MAX,
    })
}

/// The data with a secret behind every text.
fn hide(json: &Json, secret: &str) -> Value {
    match json {
        Json::String(text) => Value::from(format!("{text}{secret}").as_str()).tainted(),
        Json::Array(items) => Value::list(items.iter().map(|item| hide(item, secret))),
        Json::Object(members) => {
            Value::map(members.iter().map(|(name, value)| (name.clone(), hide(value, secret))))
        }
        other => Value::from(other),
    }
}

/// Adds secrets to data that are a map: one value, a whole map, and a map with one secret member.
fn add_secrets(data: &Value, secret: &str) {
    let whole = json!({"user": secret, "list": [secret, secret], "map": {"k": secret}});
    data.insert("secret", Value::from(secret).tainted());
    data.insert("secrets", Value::from(&whole).tainted());
    let hidden = ("hidden".to_owned(), Value::from(secret).tainted());
    data.insert("mixed", Value::map([hidden, ("plain".to_owned(), Value::from("p"))]));
}

fn run(template: &Template, data: &Value, secret: &str, input: &str) -> Option<Output> {
    let before = data.to_json();
    let limits = Limits {
        steps: 20_000,
        output_bytes: 1 << 14,
        depth: 50,
        value_bytes: 1 << 14,
        time: None,
    };
    let options = Options { limits, now: Some(1_700_000_000), ..Options::default() };
    let result = template.execute(data, &options);
    assert_eq!(result, template.execute(data, &options), "the same input gives the same output");
    assert_eq!(data.to_json(), before, "the data was changed");

    let pieces = |length| secret.as_bytes().windows(length).map(String::from_utf8_lossy);
    let is_learned = pieces(LEARNED).any(|piece| input.contains(&*piece));
    let reveals = |text: &str| !is_learned && pieces(PIECE).any(|piece| text.contains(&*piece));
    match result {
        Ok(output) => {
            // Bytes that are no text become the sign for them, which is three bytes long.
            let signs = output.text.matches('\u{fffd}').count();
            assert!(output.text.len() - 2 * signs <= options.limits.output_bytes);
            let mut done = 0;
            for range in &output.tainted {
                assert!(range.start < range.end && (done == 0 || range.start > done));
                done = range.end;
            }
            for part in plain(&output) {
                assert!(!reveals(part), "a secret is not marked");
            }
            Some(output)
        }
        Err(error) => {
            assert!(!reveals(&error.to_string()), "a message shows a secret");
            assert!(error.kind() != ErrorKind::Parse);
            None
        }
    }
}

/// The parts of an output that are not marked as secret.
fn plain(output: &Output) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut done = 0;
    for range in &output.tainted {
        parts.push(&output.text[done..range.start]);
        done = range.end;
    }
    parts.push(&output.text[done..]);
    parts
}

fn decides(text: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| DECIDING.contains(&word))
}
