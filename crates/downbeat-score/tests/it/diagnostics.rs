//! What is said about mistakes, and where.

use downbeat_score::{Options, Overlay, Property};
use serde_json::json;

use crate::{check, convert, files, overlay, score, shown};

#[track_caller]
fn says(text: &str, options: &Options, expected: &str) {
    assert_eq!(shown(&check(text, options).diagnostics), expected, "\n{text}");
}

#[test]
fn five_mistakes_are_five_diagnostics() {
    let text = "\
apiVersion: score.dev/v1b1
metadata:
  name: Web_App
service:
  ports:
    http: {port: 80800}
containers:
  main:
    image: nginx
    comand: [sh]
    variables:
      DEBUG: true
      DB: ${resources.bd.host}
    livenessProbe:
      httpGet: {path: /}
resources:
  db:
    type: postgres
";
    let checked = check(text, &Options::default());
    assert_eq!(
        shown(&checked.diagnostics),
        "score.yaml:3:9: error[SCO-005]: `Web_App` is not a workload name: expected 2 to 63 lower-case letters, digits and `-`, no `-` at the ends (`web-app` would be one)\n\
         score.yaml:6:18: error[SCO-005]: expected a port number from 1 to 65535, found `80800`\n\
         score.yaml:10:5: error[SCO-004]: `comand` is not known here (did you mean `command`?)\n\
         score.yaml:12:14: error[SCO-005]: expected a string, found a boolean (write it in quotes)\n\
         score.yaml:13:11: warning[SCO-006]: `${resources.bd.host}` names no resource of this workload (did you mean `db`?)\n\
         score.yaml:15:7: error[SCO-003]: `port` is missing\n",
    );
    let places: Vec<_> = checked
        .diagnostics
        .iter()
        .map(|found| (found.line, found.column, found.length, found.pointer.as_str()))
        .collect();
    assert_eq!(
        places,
        [
            (3, 9, 7, "/metadata/name"),
            (6, 18, 5, "/service/ports/http/port"),
            (10, 5, 6, "/containers/main/comand"),
            (12, 14, 4, "/containers/main/variables/DEBUG"),
            (13, 11, 20, "/containers/main/variables/DB"),
            (15, 7, 7, "/containers/main/livenessProbe/httpGet"),
        ]
    );
    // The placeholder is a warning, the rest are errors.
    assert_eq!(checked.errors().count(), 5);
    assert!(!checked.is_ok());
}

#[test]
fn text_that_is_not_yaml() {
    let none = Options::default();
    says("", &none, "score.yaml:1:1: error[SCO-005]: expected a map, found nothing\n");
    says("a: [", &none, "score.yaml:1:4: error[SCO-001]: unclosed bracket '['\n");
    says("a: 1\na: 2\n", &none, "score.yaml:2:1: error[SCO-001]: the key `a` stands twice\n");
    says(
        "{}",
        &none,
        "score.yaml:1:1: error[SCO-003]: `apiVersion` is missing\n\
         score.yaml:1:1: error[SCO-003]: `metadata` is missing\n\
         score.yaml:1:1: error[SCO-003]: `containers` is missing\n",
    );
}

#[test]
fn mistakes_in_containers() {
    let says = |container: &str, expected: &str| {
        says(&score(container, ""), &Options::default(), expected);
    };
    says(
        "    comand: [a]\n",
        "score.yaml:6:5: error[SCO-004]: `comand` is not known here (did you mean `command`?)\n",
    );
    says(
        "    volumes: 1\n",
        "score.yaml:6:14: error[SCO-005]: expected a map by target, found a number\n",
    );
    says(
        "    volumes: {/a: {}, /b: 1}\n",
        "score.yaml:6:15: error[SCO-003]: `source` is missing\n\
         score.yaml:6:27: error[SCO-005]: expected a map, found a number\n",
    );
    says(
        "    files: {/a: {}, /b: {content: x, source: y}, /c: {content: x, target: /d}}\n",
        "score.yaml:6:13: error[SCO-003]: expected one of `content`, `binaryContent` or `source`, found none\n\
         score.yaml:6:38: error[SCO-005]: expected only one of `content`, `binaryContent` and `source`\n\
         score.yaml:6:67: error[SCO-004]: `target` is known only in the list form; here the key is the target\n",
    );
    says("    files: [{content: x}]\n", "score.yaml:6:13: error[SCO-003]: `target` is missing\n");
    says(
        "    files: {/a: {content: x, mode: 644}, /b: {content: x, mode: \"0999\"}}\n",
        "score.yaml:6:36: error[SCO-005]: expected a string, found a number (write it in quotes)\n\
         score.yaml:6:65: error[SCO-005]: expected three octal digits such as `0644`, found `0999`\n",
    );
    says(
        "    files: {/a: {binaryContent: \"x y\"}}\n",
        "score.yaml:6:33: error[SCO-005]: expected base64, found something else\n",
    );
    says(
        "    resources: {limits: {cpu: 1, memory: 1GB, disk: x}}\n",
        "score.yaml:6:31: error[SCO-005]: expected a string, found a number (write it in quotes)\n\
         score.yaml:6:42: error[SCO-005]: expected bytes such as `128M`, `256Mi` or `1.5Gi`, found `1GB`\n\
         score.yaml:6:47: error[SCO-004]: `disk` is not known here (expected `cpu` or `memory`)\n",
    );
    says(
        "    livenessProbe: {}\n",
        "score.yaml:6:5: error[SCO-003]: expected `httpGet` or `exec`, found neither\n",
    );
    says(
        "    livenessProbe: {httpGet: {path: /, port: 1, scheme: HTTPS, host: h}}\n",
        "score.yaml:6:49: warning[SCO-004]: `scheme` of a probe has no effect\n\
         score.yaml:6:64: warning[SCO-004]: `host` of a probe has no effect\n",
    );
    says(
        "    before: {b1: {ready: helthy}}\n",
        "score.yaml:6:5: warning[SCO-004]: `before` has no effect: the order of containers cannot be set (start containers that must come first as init containers, in an extension file)\n\
         score.yaml:6:26: error[SCO-005]: expected `started`, `healthy` or `complete`, found `helthy` (did you mean `healthy`?)\n",
    );
    says(
        "    files: [{target: /a, content: [x, \"y\"]}, {target: /a, content: z}]\n    volumes: []\n",
        "score.yaml:6:35: warning[SCO-005]: a list of lines is an old spelling of `content` (write one string, for example a block (`content: |`))\n\
         score.yaml:6:46: warning[SCO-005]: the target `/a` stands twice; the last one counts\n",
    );
    says(
        "    variables: {\"A=B\": x, \"\": y}\n",
        "score.yaml:6:17: error[SCO-005]: `A=B` is no variable name: expected at least one character and no `=`\n\
         score.yaml:6:27: error[SCO-005]: `` is no variable name: expected at least one character and no `=`\n",
    );
}

#[test]
fn placeholders() {
    let says = |container: &str, expected: &str| {
        says(&score(container, "  db: {type: postgres}\n"), &Options::default(), expected);
    };
    says(
        "    variables:\n      A: \"é ${resources.bd.host}\"\n      B: |\n        x\n        y ${foo.bar} ${foo.bar}\n      C: ${metadata.nmae} ${HOME} $${HOME} ${resource.db.x}\n",
        "score.yaml:7:13: warning[SCO-006]: `${resources.bd.host}` names no resource of this workload (did you mean `db`?)\n\
         score.yaml:10:11: warning[SCO-006]: `${foo.bar}` names nothing that a placeholder can name; the deployment will fail (write `$\\{` for `${` in text that nothing shall replace)\n\
         score.yaml:11:10: warning[SCO-006]: `${metadata.nmae}` names nothing in the metadata\n\
         score.yaml:11:44: warning[SCO-006]: `${resource.db.x}` names nothing that a placeholder can name; the deployment will fail (did you mean `resources`?)\n",
    );
    says("    variables: {A: \"${values.X} ${context.app.id} ${shared.s.x}\"}\n", "");
    says("    command: [\"${resources.bd.host}\"]\n", "");
    says("    files: {/a: {content: \"${resources.bd.host}\", noExpand: true}}\n", "");
    says(
        "    volumes: {/a: {source: db}}\n",
        "score.yaml:6:28: warning[SCO-005]: expected a resource such as `${resources.data}`, found `db` (did you mean `${resources.db}`?)\n",
    );
}

#[test]
fn a_wrong_resource_is_one_mistake() {
    says(
        &score("    variables: {A: \"${resources.db.host}\"}\n", "  db: {typ: postgres}\n"),
        &Options::default(),
        "score.yaml:8:8: error[SCO-004]: `typ` is not known here (did you mean `type`?)\n",
    );
}

#[test]
fn resources() {
    let says = |resources: &str, expected: &str| {
        says(&score("", resources), &Options::default(), expected);
    };
    says(
        "  Db: {type: postgres}\n",
        "score.yaml:7:3: error[SCO-005]: `Db` is not a resource name: expected 2 to 63 lower-case letters, digits and `-`, no `-` at the ends (`db` would be one)\n",
    );
    says(
        "  db: {type: my/type, id: A, class: 1}\n",
        "score.yaml:7:14: error[SCO-005]: expected 2 to 63 letters, digits and `-`, no `-` at the ends, found `my/type`\n\
         score.yaml:7:27: error[SCO-005]: expected 2 to 63 lower-case letters, digits, `-` and `.`, found `A`\n\
         score.yaml:7:37: error[SCO-005]: expected a string, found a number (write it in quotes)\n",
    );
    says(
        "  db: {typ: postgres}\n",
        "score.yaml:7:8: error[SCO-004]: `typ` is not known here (did you mean `type`?)\n",
    );
    says("  db: {}\n", "score.yaml:7:3: error[SCO-003]: `type` is missing\n");
    says(
        "  db: {type: workload}\n",
        "score.yaml:7:14: warning[SCO-005]: the type `workload` is reserved and may get another meaning\n",
    );
    says(
        "  aa: {type: dns, id: site}\n  bb: {type: s3, id: site}\n",
        "score.yaml:8:3: error[SCO-005]: another resource of `web` is `shared.site` as well, with other type or class\n",
    );
}

#[test]
fn mistakes_name_the_text_they_are_in() {
    let text = score("", "");
    let overridden = Options {
        overrides: vec![
            overlay("over.yaml", "containers:\n  main:\n    variables: {A: 1}\n"),
            Overlay::Json(json!({"containers": {"main": {"args": "x"}}})),
        ],
        properties: vec![Property::parse("containers.main.command=x"), Property::parse("a..b=1")],
        ..Options::default()
    };
    says(
        &text,
        &overridden,
        "over.yaml:3:20: error[SCO-005]: expected a string, found a number (from the override) (write it in quotes)\n\
         override: error[SCO-005]: expected a list, found a string (from the override)\n\
         property `containers.main.command`: error[SCO-005]: expected a list, found a string (from the property `containers.main.command`)\n\
         property `a..b`: error[SCO-008]: the path has an empty name (from the property `a..b`) (a path is names joined by dots, `containers.main.image`)\n",
    );
    let broken = Options {
        overrides: vec![
            overlay("o.yaml", "a: [\n"),
            overlay("p.yaml", "- 1\n"),
            overlay("empty.yaml", ""),
        ],
        properties: vec![
            Property::parse("metadata.name.x=1"),
            Property::parse("containers.main.args.0=1"),
        ],
        extension: Some(overlay(
            "e.yaml",
            "spce: {}\nprofile: 1\ndeploy: {when: never, timeout: x, foo: 1}\napiVersion: x\nspec: {a: \"${resources.x.y}\"}\nresources: {nope: {scope: sharde}}\n",
        )),
        ..Options::default()
    };
    says(
        &score("    args: []\n", ""),
        &broken,
        "o.yaml:1:4: error[SCO-001]: unclosed bracket '[' (from the override)\n\
         p.yaml:1:1: error[SCO-008]: expected a map, found a list (from the override)\n\
         property `metadata.name.x`: error[SCO-008]: there is nothing below a string (from the property `metadata.name.x`)\n\
         property `containers.main.args.0`: error[SCO-008]: `0` is no index of a list of 0 (from the property `containers.main.args.0`)\n\
         e.yaml:1:1: error[SCO-004]: `spce` is not known here (from the extension) (did you mean `spec`?)\n\
         e.yaml:2:10: error[SCO-005]: expected a string, found a number (from the extension)\n\
         e.yaml:3:16: error[SCO-005]: expected `before`, `deploy` or `after`, found `never` (from the extension)\n\
         e.yaml:3:32: error[SCO-005]: expected a number of seconds, found a string (from the extension)\n\
         e.yaml:3:35: error[SCO-004]: `foo` is not known here (from the extension) (expected `when`, `success` or `timeout`)\n\
         e.yaml:4:13: warning[SCO-005]: expected `humanitec.org/v1b1`, found `x` (from the extension)\n\
         e.yaml:5:12: warning[SCO-006]: `${resources.x.y}` names no resource of this workload (from the extension) (declare it under `resources`)\n\
         e.yaml:6:13: warning[SCO-004]: `resources` of an extension is deprecated (from the extension) (give the resource an `id` in the Score file instead)\n\
         e.yaml:6:13: warning[SCO-004]: the Score file has no resource `nope` (from the extension)\n\
         e.yaml:6:27: error[SCO-005]: expected `shared` or `externals`, found `sharde` (from the extension) (did you mean `shared`?)\n",
    );
}

#[test]
fn files_that_cannot_be_read() {
    let text = score("    files: {/a: {source: a.txt}, /b: {source: b.bin}}\n", "");
    says(
        &text,
        &Options::default(),
        "score.yaml:6:26: error[SCO-007]: cannot read `a.txt`: files cannot be read here (use `content`, or convert where the file is)\n\
         score.yaml:6:47: error[SCO-007]: cannot read `b.bin`: files cannot be read here (use `content`, or convert where the file is)\n",
    );
    let mut files = files(&[("a.txt", "x ${resources.no.x}")]);
    files.insert("b.bin".to_owned(), vec![0xff]);
    let source = downbeat_score::Source { name: "score.yaml", text: &text };
    let checked = downbeat_score::check(&source, &Options::default(), &files);
    assert_eq!(
        shown(&checked.diagnostics),
        "score.yaml:6:26: warning[SCO-006]: `${resources.no.x}` in `a.txt` names no resource of this workload (declare it under `resources`)\n\
         score.yaml:6:47: error[SCO-007]: cannot read `b.bin`: it is not UTF-8 (use `binaryContent` for binary data)\n",
    );
    assert!(convert(&score("", ""), &Options::default()).warnings.is_empty());
}
