//! Where resources go, and what placeholders for them become.

use downbeat_core::Json;
use downbeat_score::Options;
use serde_json::json;

use crate::{convert, overlay, score, shown};

/// Converts `resources`, with `use` as a variable; compares externals, shared and the variable.
#[track_caller]
fn check(resources: &str, used: &str, externals: Json, shared: Json, variable: &str, warned: &str) {
    with(&Options::default(), resources, used, externals, shared, variable, warned);
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "a table reads better without references")]
fn with(
    options: &Options,
    resources: &str,
    used: &str,
    externals: Json,
    shared: Json,
    variable: &str,
    warned: &str,
) {
    let text = score(&format!("    variables: {{V: {used:?}}}\n"), resources);
    let converted = convert(&text, options);
    assert_eq!(json!(converted.module.externals), externals, "{resources}");
    assert_eq!(json!(converted.shared), shared, "{resources}");
    let spec = converted.module.spec.unwrap();
    assert_eq!(spec["containers"]["main"]["variables"]["V"], variable, "{resources}");
    let warnings = shown(&converted.warnings);
    assert_eq!(warnings.is_empty(), warned.is_empty(), "{warnings}");
    assert!(warnings.contains(warned), "{warnings}");
}

const ANNOTATED: &str = "metadata: {annotations: {score.humanitec.io/resId: ";

#[test]
fn by_id_annotation_and_name() {
    let dns = json!({"type": "dns", "class": "default"});
    let s3 = |id: Json| json!({"type": "s3", "class": "admin", "id": id});
    let used = "${resources.db.x} ${resources.db}";
    check(
        "  db: {type: dns}\n",
        used,
        json!({"db": dns}),
        json!({}),
        "${externals.db.x} externals.db",
        "",
    );
    check(
        "  db: {type: dns, id: site}\n",
        used,
        json!({}),
        json!({"site": dns}),
        "${shared.site.x} shared.site",
        "",
    );
    check(
        "  db: {type: s3, id: main-s3, class: admin}\n",
        used,
        json!({}),
        json!({"main-s3-class-admin": s3(json!("shared.main-s3"))}),
        "${shared.main-s3-class-admin.x} shared.main-s3-class-admin",
        "",
    );
    // A private resource keeps its key, whatever its class.
    check(
        "  db: {type: s3, class: admin}\n",
        used,
        json!({"db": {"type": "s3", "class": "admin"}}),
        json!({}),
        "${externals.db.x} externals.db",
        "",
    );
    let annotated = |id: &str, externals: Json, shared: Json, variable: &str, warned: &str| {
        let resources = format!("  db: {{type: dns, {ANNOTATED}{id}}}}}}}\n");
        check(&resources, used, externals, shared, variable, warned);
    };
    let nothing = || json!({});
    annotated("externals.my", json!({"my": dns}), nothing(), "${externals.my.x} externals.my", "");
    annotated("shared.my", nothing(), json!({"my": dns}), "${shared.my.x} shared.my", "");
    annotated(
        "modules.web.externals.my",
        json!({"my": dns}),
        nothing(),
        "${externals.my.x} externals.my",
        "",
    );
    annotated(
        "modules.web.externals.a.b",
        json!({"a.b": dns}),
        nothing(),
        "${externals['a.b'].x} externals.a.b",
        "",
    );
    annotated(
        "modules.other.externals.my",
        nothing(),
        nothing(),
        "${modules.other.externals.my.x} modules.other.externals.my",
        "",
    );
    annotated("\"\"", json!({"db": dns}), nothing(), "${externals.db.x} externals.db", "");
    let unchanged = "${resources.db.x} ${resources.db}";
    for invalid in [
        "my",
        "shared.a.b",
        "modules.web.my",
        "a.b.c.d",
        "modules.web.shared.my",
        "other.my",
        "shared.",
    ] {
        annotated(invalid, nothing(), nothing(), unchanged, "is no resource id");
    }
    check(
        &format!("  db: {{type: dns, id: site, {ANNOTATED}externals.my}}}}}}\n"),
        used,
        nothing(),
        json!({"site": dns}),
        "${shared.site.x} shared.site",
        "has no effect",
    );
}

#[test]
fn without_entry() {
    let none = || json!({});
    check(
        "  env: {type: environment}\n",
        "${resources.env.A.b} ${resources.env}",
        none(),
        none(),
        "${values.A.b} values",
        "",
    );
    check(
        "  svc: {type: service}\n",
        "${resources.svc.name}:${resources.svc.port} ${resources.svc}",
        none(),
        none(),
        "${modules.svc.service.name}:${modules.svc.service.port} modules.svc",
        "",
    );
}

#[test]
fn by_scope_of_the_extension() {
    let dns = json!({"type": "dns", "class": "default"});
    let options = |scope: &str| Options {
        extension: Some(overlay("e.yaml", &format!("resources: {{db: {{scope: {scope}}}}}\n"))),
        ..Options::default()
    };
    let used = "${resources.db.x}";
    let deprecated = "is deprecated";
    with(
        &options("shared"),
        "  db: {type: dns}\n",
        used,
        json!({}),
        json!({"db": dns}),
        "${shared.db.x}",
        deprecated,
    );
    for scope in ["externals", "\"\""] {
        with(
            &options(scope),
            "  db: {type: dns}\n",
            used,
            json!({"db": dns}),
            json!({}),
            "${externals.db.x}",
            deprecated,
        );
    }
    let annotated = format!("  db: {{type: dns, {ANNOTATED}externals.my}}}}}}\n");
    with(
        &options("shared"),
        &annotated,
        used,
        json!({"my": dns}),
        json!({}),
        "${externals.my.x}",
        deprecated,
    );
}

#[test]
fn aliases_and_params() {
    let options = Options {
        resource_type_aliases: [("dns".to_owned(), "my-org/dns".to_owned())].into(),
        ..Options::default()
    };
    with(
        &options,
        "  db: {type: dns, params: {}}\n  rt:\n    type: route\n    params:\n      h: ${resources.db.host}\n      ${metadata.name}: {n: 1, t: \"${resources.db.x}\"}\n      list: [\"${resources.db.x}\", {a: \"${resources.db.x}\"}]\n",
        "",
        json!({
            "db": {"type": "my-org/dns", "class": "default"},
            "rt": {"type": "route", "class": "default", "params": {
                "h": "${externals.db.host}",
                "web": {"n": 1, "t": "${externals.db.x}"},
                "list": ["${resources.db.x}", {"a": "${resources.db.x}"}],
            }},
        }),
        json!({}),
        "",
        "",
    );
}

#[test]
fn two_names_of_one_shared_resource() {
    let shared = json!({"site": {"type": "dns", "class": "default", "params": {"a": 1}}});
    check(
        "  aa: {type: dns, id: site}\n  bb: {type: dns, id: site, params: {a: 1}}\n",
        "${resources.aa.x}${resources.bb.x}",
        json!({}),
        shared,
        "${shared.site.x}${shared.site.x}",
        "",
    );
    check(
        "  aa: {type: s3, id: site}\n  bb: {type: s3, id: site, class: admin}\n",
        "",
        json!({}),
        json!({
            "site": {"type": "s3", "class": "default"},
            "site-class-admin": {"type": "s3", "class": "admin", "id": "shared.site"},
        }),
        "",
        "",
    );
}
