//! No template, however hostile, costs more than it is allowed to.

use std::time::{Duration, Instant};

use downbeat_template::{ErrorKind, Limits, Options, Template, Value};
use serde_json::json;

/// Runs on a thread with a small stack, as servers do, and expects a limit to be hit soon.
fn check(template: &str) {
    let text = template.to_owned();
    let run = move || {
        let started = Instant::now();
        let data = Value::from(json!({"l": (0..100).collect::<Vec<_>>(), "m": {"a": {}}}));
        let error = match Template::parse("t", &text) {
            Ok(template) => template.execute(&data, &Options::default()).unwrap_err(),
            Err(error) => error,
        };
        (error, started.elapsed())
    };
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap();
    let (error, elapsed) = thread.join().unwrap();
    assert_eq!(error.kind(), ErrorKind::Limit, "{template}: {error}");
    assert!(elapsed < Duration::from_secs(20), "{template}: {elapsed:?}");
}

#[test]
fn loops_end() {
    check("{{ range until 4000000 }}{{ range $.l }}x{{ end }}{{ end }}");
    check("{{ range 9223372036854775807 }}{{ end }}");
    check(
        "{{ range $.l }}{{ range $.l }}{{ range $.l }}{{ range $.l }}{{ end }}{{ end }}{{ end }}{{ end }}",
    );
}

#[test]
fn values_stay_small() {
    check("{{ repeat 1000000000 `x` }}");
    check("{{ repeat 1000000 `x` | repeat 1000000 }}");
    check("{{ indent 100000000 `x` }}");
    check("{{ nindent 4000000 `x\ny` }}");
    check("{{ until 100000000 }}");
    check("{{ untilStep 0 9223372036854775807 1 }}");
    check("{{ seq 1 1000000000 }}");
    check("{{ printf `%1000000d%1000000d%1000000d%1000000d%1000000d` 1 2 3 4 5 }}");
    check("{{ replace `` (repeat 10000 `y`) (repeat 10000 `x`) }}");
    check("{{ replace `x` (repeat 10000 `y`) (repeat 10000 `x`) }}");
    check("{{ regexReplaceAll `x` (repeat 10000 `x`) (repeat 10000 `y`) }}");
    check("{{ wrapWith 1 (repeat 10000 `y`) (repeat 10000 `x`) }}");
    check("{{ randAlpha 1000000000 }}");
    check("{{ $x := `x` }}{{ range until 100 }}{{ $x = cat $x $x }}{{ end }}");
    check("{{ $x := list 1 }}{{ range until 100 }}{{ $x = concat $x $x }}{{ end }}");
    check("{{ $x := list 1 }}{{ range until 100 }}{{ $x = list $x $x }}{{ end }}{{ $x }}");
    check("{{ $x := list 1 }}{{ range until 100 }}{{ $x = list $x $x }}{{ end }}{{ toJson $x }}");
    check("{{ $x := list 1 }}{{ range until 100 }}{{ $x = list $x $x }}{{ end }}{{ toYaml $x }}");
    check(
        "{{ $x := list 1 }}{{ $y := list 1 }}{{ range until 100 }}{{ $x = list $x $x }}{{ $y = list $y $y }}{{ end }}{{ deepEqual $x $y }}",
    );
    check(
        "{{ $x := dict }}{{ range until 100 }}{{ $x = dict `a` $x `b` $x }}{{ end }}{{ deepCopy $x }}",
    );
    check(
        "{{ $x := dict }}{{ range until 100 }}{{ $x = dict `a` $x `b` $x }}{{ end }}{{ set (dict) `a` $x }}",
    );
    check("{{ $s := repeat 100000 `x` }}{{ range until 100000 }}{{ $s }}{{ end }}");
    check(
        "{{ $l := list }}{{ $s := repeat 1000000 `x` }}{{ range until 100 }}{{ $l = append $l $s }}{{ end }}{{ join `` $l }}",
    );
    check(
        "{{ fromYaml `a: &a [1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f]` }}",
    );
}

#[test]
fn large_arguments_cost() {
    let build = "{{ $s := repeat 4000000 `x` }}{{ range until 1000000 }}";
    for call in [
        "sha256sum $s",
        "contains `y` $s",
        "regexMatch `y` $s",
        "eq $s (cat $s)",
        "b64enc $s | len",
    ] {
        check(&format!("{build}{{{{ $_ := {call} }}}}{{{{ end }}}}"));
    }
    let build = "{{ $x := list 1 }}{{ range until 18 }}{{ $x = list $x $x }}{{ end }}{{ range until 1000000 }}";
    check(&format!("{build}{{{{ $_ := has 1 $x }}}}{{{{ end }}}}"));
    check(
        "{{ $s := repeat 1000000 `x` }}{{ $l := list }}{{ range until 500 }}{{ $l = append $l $s }}{{ end }}{{ sortAlpha $l | len }}",
    );
    check(
        "{{ range until 100000 }}{{ $_ := regexMatch (printf `(\\pL{200}){%d}` .) `x` }}{{ end }}",
    );
}

#[test]
fn recursion_ends() {
    check("{{ define `a` }}{{ template `a` . }}{{ end }}{{ template `a` . }}");
    check(
        "{{ define `a` }}{{ template `b` . }}{{ end }}{{ define `b` }}{{ if true }}{{ template `a` . }}{{ end }}{{ end }}{{ template `a` . }}",
    );
    check("{{ define `a` }}x{{ template `a` (dict `x` .) }}{{ end }}{{ template `a` . }}");
    check("{{ $t := `{{ tpl .t . }}` }}{{ tpl $t (dict `t` $t) }}");
    check("{{ define `a` }}{{ tpl `{{ template \"a\" . }}` . }}{{ end }}{{ template `a` . }}");
}

#[test]
fn nested_values_do_not_overflow_the_stack() {
    let build = "{{ $x := list }}{{ range until 20000 }}{{ $x = list $x }}{{ end }}";
    for tail in ["{{ $x }}", "{{ toJson $x }}", "{{ toYaml $x }}", "{{ printf `%#v` $x }}"] {
        check(&format!("{build}{tail}"));
    }
    let build = "{{ $x := dict }}{{ $y := $x }}{{ range until 500 }}{{ $z := dict }}{{ $_ := set $y `k` $z }}{{ $y = $z }}{{ end }}";
    check(&format!("{build}{{{{ $x }}}}"));
    check(&format!("{build}{{{{ deepEqual $x (deepCopy $x) }}}}{{{{ toPrettyJson $x }}}}"));
}

#[test]
fn maps_cannot_contain_themselves() {
    for template in [
        "{{ $d := dict }}{{ $_ := set $d `d` $d }}{{ $d }}",
        "{{ $d := dict }}{{ $_ := set $d `d` (list (dict `x` $d)) }}{{ $d }}",
        "{{ $d := dict }}{{ $e := dict `d` $d }}{{ $_ := merge $d $e }}{{ $d }}",
    ] {
        let template = Template::parse("t", template).unwrap();
        let error = template.execute(&Value::nil(), &Options::default()).unwrap_err();
        assert!(error.to_string().ends_with("a map cannot contain itself"), "{error}");
    }
}

#[test]
fn nesting_in_the_text_is_bounded() {
    for (open, close) in [("{{ (", ") }}"), ("{{ if true }}", "{{ end }}")] {
        let text = if open == "{{ (" {
            format!("{{{{ {}1{} }}}}", "(".repeat(50_000), ")".repeat(50_000))
        } else {
            open.repeat(50_000) + &close.repeat(50_000)
        };
        let error = Template::parse("t", &text).err().unwrap();
        assert_eq!(error.to_string(), "template: t:1: max expression depth exceeded");
    }
    // What parses also runs, on a small stack.
    let text = "{{ if (((((true))))) }}".repeat(90) + "x" + &"{{ end }}".repeat(90);
    let run = move || {
        let template = Template::parse("t", &text).unwrap();
        template.execute(&Value::nil(), &Options::default()).unwrap().text
    };
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap();
    assert_eq!(thread.join().unwrap(), "x");
}

#[test]
fn time_is_a_limit_too() {
    let limits =
        Limits { time: Some(Duration::from_millis(20)), steps: u64::MAX, ..Limits::default() };
    let template = Template::parse("t", "{{ range 9223372036854775807 }}{{ end }}").unwrap();
    let options = Options { limits, ..Options::default() };
    let error = template.execute(&Value::nil(), &options).unwrap_err();
    assert_eq!(error.message(), "limit exceeded: out of time");
}
