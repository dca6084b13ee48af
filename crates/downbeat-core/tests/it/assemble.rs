//! From manifests and workload objects to a target (`downbeat_core::assemble`).

use std::collections::{BTreeMap, BTreeSet};

use downbeat_core::assemble::{
    Error, Input, Object, Origin, assemble, externalize, files, is_cluster_scoped,
};
use downbeat_core::manifest::Location;
use downbeat_core::module::Stage;
use downbeat_core::secret::SecretPart;
use downbeat_core::workload::Scope;
use downbeat_core::{Code, Document, Json, Manifest, SecretExpr, SecretRef, yaml};
use proptest::prelude::*;
use serde_json::json;

const SCOPE: Scope<'static> = Scope { org: "acme", app: "shop", env: "dev", env_type: "test" };

/// What a deployment into namespace `shop-dev` made.
#[derive(Default)]
struct Case {
    resources: Vec<(&'static str, Vec<Manifest>)>,
    workloads: Vec<(&'static str, Stage, Vec<Document>)>,
}

impl Case {
    fn resource(mut self, label: &'static str, manifests: Vec<Manifest>) -> Self {
        self.resources.push((label, manifests));
        self
    }

    fn workload(mut self, id: &'static str, stage: Stage, objects: Vec<Json>) -> Self {
        let documents = objects.into_iter().map(Document::plain).collect();
        self.workloads.push((id, stage, documents));
        self
    }

    fn run(&self) -> Result<Vec<Object>, Vec<Error>> {
        let resources = self.resources.iter();
        let resources =
            resources.map(|(label, list)| ((*label).to_owned(), list.clone())).collect();
        assemble(Input {
            scope: SCOPE,
            namespace: "shop-dev",
            resources,
            workloads: self.workloads.clone(),
        })
    }

    fn objects(&self) -> Vec<Object> {
        self.run().unwrap_or_else(|errors| panic!("{errors:#?}"))
    }

    fn report(&self) -> String {
        report(&self.run().expect_err("mistakes"))
    }
}

fn report(errors: &[Error]) -> String {
    let line = |error: &Error| {
        let hint = error.hint.as_deref().map(|hint| format!("\n  hint: {hint}"));
        format!("{} at {:?}: {error}{}\n", error.code, error.pointer, hint.unwrap_or_default())
    };
    errors.iter().map(line).collect()
}

fn namespaced(name: &str, data: Json) -> Manifest {
    Manifest { name: name.into(), location: Location::Namespace, data: Document::plain(data) }
}

fn cluster(name: &str, data: Json) -> Manifest {
    Manifest { location: Location::Cluster, ..namespaced(name, data) }
}

fn thing(api_version: &str, kind: &str, name: &str) -> Json {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}})
}

fn secret(store: &str, key: &str) -> SecretPart {
    SecretPart::Secret(SecretRef { store: store.into(), key: key.into(), version: None })
}

fn text(text: &str) -> SecretPart {
    SecretPart::Text(text.into())
}

/// One Secret with these secret leaves on top of its plain content.
fn secret_object(mut value: Json, secrets: Vec<(&str, Vec<SecretPart>)>) -> Object {
    merge(&mut value, json!({"apiVersion": "v1", "kind": "Secret"}));
    let mut document = Document::plain(value);
    for (pointer, parts) in secrets {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = document.value.pointer_mut(parent).unwrap();
        parent[key] = Json::Null;
        document.secrets.insert(pointer.into(), SecretExpr::from_parts(parts));
    }
    let manifest =
        Manifest { name: "secret".into(), location: Location::Namespace, data: document };
    let objects = Case::default().resource("db", vec![manifest]).objects();
    objects.into_iter().next().unwrap()
}

fn merge(base: &mut Json, over: Json) {
    match (base, over) {
        (Json::Object(base), Json::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key).or_insert(Json::Null), value);
            }
        }
        (base, over) => *base = over,
    }
}

/// A small deployment with everything in it.
fn deployment() -> Case {
    let mut credentials = thing("v1", "Secret", "db-creds");
    credentials["stringData"] = json!({"password": null});
    let mut credentials = namespaced("creds", credentials);
    credentials
        .data
        .secrets
        .insert("/stringData/password".into(), SecretExpr::from_parts([secret("vault", "db/pw")]));
    Case::default()
        .resource(
            "postgres#modules.web.externals.db",
            vec![
                credentials,
                namespaced("pvc", thing("v1", "PersistentVolumeClaim", "data")),
                namespaced("pv", thing("v1", "PersistentVolume", "data")),
                Manifest {
                    location: Location::Volumes,
                    ..namespaced("volume", json!({"name": "data"}))
                },
            ],
        )
        .resource(
            "k8s-namespace#k8s-namespace",
            vec![
                cluster("role", thing("rbac.authorization.k8s.io/v1", "ClusterRole", "reader")),
                cluster("crd", thing("apiextensions.k8s.io/v1", "CustomResourceDefinition", "x.y")),
                cluster("namespace", thing("v1", "Namespace", "shop-dev")),
            ],
        )
        .resource(
            "dns#shared.site",
            vec![namespaced("ingress", thing("networking.k8s.io/v1", "Ingress", "site"))],
        )
        .workload("late", Stage::After, vec![thing("apps/v1", "Deployment", "late")])
        .workload(
            "web",
            Stage::Deploy,
            vec![
                thing("v1", "ConfigMap", "web-main-env"),
                thing("v1", "Service", "web"),
                thing("apps/v1", "Deployment", "web"),
            ],
        )
        .workload("migrate", Stage::Before, vec![thing("batch/v1", "Job", "migrate")])
}

#[test]
fn the_order_is_one_that_a_cluster_can_accept() {
    let line = |object: &Object| {
        let namespace = object.namespace.as_deref().unwrap_or("-");
        assert_eq!(
            object.document.value["metadata"].get("namespace").and_then(Json::as_str),
            object.namespace.as_deref(),
        );
        format!("{namespace:8} {object}, {}\n", object.origin)
    };
    let order: String = deployment().objects().iter().map(line).collect();
    insta::assert_snapshot!(order, @r"
    -        Namespace `shop-dev`, resource `k8s-namespace#k8s-namespace` (manifest `namespace`)
    -        CustomResourceDefinition `x.y`, resource `k8s-namespace#k8s-namespace` (manifest `crd`)
    -        PersistentVolume `data`, resource `postgres#modules.web.externals.db` (manifest `pv`)
    -        ClusterRole `reader`, resource `k8s-namespace#k8s-namespace` (manifest `role`)
    shop-dev Secret `db-creds`, resource `postgres#modules.web.externals.db` (manifest `creds`)
    shop-dev PersistentVolumeClaim `data`, resource `postgres#modules.web.externals.db` (manifest `pvc`)
    shop-dev Ingress `site`, resource `dns#shared.site` (manifest `ingress`)
    shop-dev Job `migrate`, workload `migrate`
    shop-dev ConfigMap `web-main-env`, workload `web`
    shop-dev Service `web`, workload `web`
    shop-dev Deployment `web`, workload `web`
    shop-dev Deployment `late`, workload `late`
    ");
}

#[test]
fn a_namespace_that_is_there_stays() {
    let mut elsewhere = thing("v1", "ConfigMap", "a");
    elsewhere["metadata"]["namespace"] = json!("other");
    let mut empty = thing("v1", "ConfigMap", "b");
    empty["metadata"]["namespace"] = Json::Null;
    let mut role = thing("rbac.authorization.k8s.io/v1", "ClusterRole", "c");
    role["metadata"]["namespace"] = json!("other");
    let case = Case::default().resource(
        "r",
        vec![
            namespaced("1", elsewhere.clone()),
            namespaced("2", empty),
            namespaced("3", role),
            cluster("4", elsewhere),
            cluster("5", thing("example.org/v1", "Zone", "d")),
        ],
    );
    let mut found = BTreeMap::new();
    for object in case.objects() {
        found.insert(object.name.clone(), object.namespace.clone());
    }
    let expected = [("a", Some("other")), ("b", Some("shop-dev")), ("c", None), ("d", None)];
    let expected = expected.map(|(name, at)| (name.to_owned(), at.map(str::to_owned)));
    assert_eq!(found, BTreeMap::from(expected));
}

#[test]
fn manifests_that_are_no_objects() {
    let mut list = thing("v1", "List", "x");
    list["items"] = json!([]);
    list["metadata"] = json!({});
    let mut hidden = namespaced("hidden", thing("v1", "ConfigMap", "x"));
    hidden.data.value["metadata"]["name"] = Json::Null;
    hidden.data.secrets.insert("/metadata/name".into(), SecretExpr::from_parts([secret("s", "k")]));
    let case = Case::default()
        .resource(
            "s3.default#modules.web.externals.bucket",
            vec![
                namespaced("nothing", Json::Null),
                namespaced("no-kind", json!({"apiVersion": "v1", "metadata": {"name": "x"}})),
                namespaced("no-version", json!({"kind": "ConfigMap", "metadata": {"name": "x"}})),
                namespaced("no-name", json!({"apiVersion": "v1", "kind": "ConfigMap"})),
                namespaced(
                    "number",
                    json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": 1}}),
                ),
                namespaced("blank", json!({"apiVersion": "v1", "kind": " "})),
                namespaced(
                    "generated",
                    json!({"apiVersion": "v1", "kind": "A", "metadata": {"generateName": "x-"}}),
                ),
                cluster("list", list),
                hidden,
            ],
        )
        .workload("web", Stage::Deploy, vec![json!({"apiVersion": "v1", "kind": "A"})]);
    insta::assert_snapshot!(case.report(), @r#"
    RES-105 at "": resource `s3.default#modules.web.externals.bucket` (manifest `nothing`) returned no Kubernetes object: its data is not an object
      hint: a template that renders to nothing leaves `data` empty
    RES-105 at "/kind": resource `s3.default#modules.web.externals.bucket` (manifest `no-kind`) returned no Kubernetes object: `kind` is missing
    RES-105 at "/apiVersion": resource `s3.default#modules.web.externals.bucket` (manifest `no-version`) returned no Kubernetes object: `apiVersion` is missing
    RES-105 at "/metadata/name": resource `s3.default#modules.web.externals.bucket` (manifest `no-name`) returned no Kubernetes object: `metadata.name` is missing
    RES-105 at "/metadata/name": resource `s3.default#modules.web.externals.bucket` (manifest `number`) returned no Kubernetes object: `metadata.name` is not a string
    RES-105 at "/kind": resource `s3.default#modules.web.externals.bucket` (manifest `blank`) returned no Kubernetes object: `kind` is empty
    RES-105 at "/metadata/name": resource `s3.default#modules.web.externals.bucket` (manifest `generated`) returned no Kubernetes object: `metadata.name` is missing
      hint: `generateName` would make a new object at every deployment: build the name from the id of the resource
    RES-105 at "/metadata/name": resource `s3.default#modules.web.externals.bucket` (manifest `list`) returned no Kubernetes object: `metadata.name` is missing
      hint: return each item of the list as its own manifest
    RES-006 at "/metadata/name": resource `s3.default#modules.web.externals.bucket` (manifest `hidden`) returned no Kubernetes object: `metadata.name` holds a secret
    RES-105 at "/metadata/name": workload `web` returned no Kubernetes object: `metadata.name` is missing
    "#);
}

#[test]
fn the_same_object_twice() {
    let config = |value: &str| {
        let mut config = thing("v1", "ConfigMap", "shared");
        config["data"] = json!({"a/b": value});
        namespaced("config", config)
    };
    let same =
        Case::default().resource("one", vec![config("x")]).resource("two", vec![config("x")]);
    let objects = same.objects();
    assert_eq!(objects.len(), 1);
    let first = Origin::Resource { resource: "one".into(), manifest: "config".into() };
    assert_eq!(objects[0].origin, first);

    let different = Case::default()
        .resource("one", vec![config("x")])
        .resource("two", vec![config("y")])
        .workload("web", Stage::Deploy, vec![thing("v1", "ConfigMap", "shared")]);
    insta::assert_snapshot!(different.report(), @r#"
    DEP-007 at "/data/a~1b": ConfigMap `shared` in namespace `shop-dev` is described differently by resource `one` (manifest `config`) and by resource `two` (manifest `config`)
      hint: they differ at `/data/a~1b`; give one of them another name, for example with the id of its resource
    DEP-007 at "/data": ConfigMap `shared` in namespace `shop-dev` is described differently by resource `one` (manifest `config`) and by workload `web`
      hint: they differ at `/data`; give one of them another name, for example with the id of its resource
    "#);

    // Another version is the same object; another group or namespace is not.
    let version = Case::default().resource(
        "r",
        vec![
            namespaced("1", thing("apps/v1", "Deployment", "a")),
            namespaced("2", thing("apps/v1beta1", "Deployment", "a")),
        ],
    );
    assert_eq!(version.run().unwrap_err()[0].code, Code::Duplicate);
    let mut elsewhere = thing("v1", "Service", "a");
    elsewhere["metadata"]["namespace"] = json!("other");
    let apart = Case::default().resource(
        "r",
        vec![
            namespaced("1", thing("v1", "Service", "a")),
            namespaced("2", thing("serving.knative.dev/v1", "Service", "a")),
            namespaced("3", elsewhere),
        ],
    );
    assert_eq!(apart.objects().len(), 3);
}

#[test]
fn the_same_object_with_another_secret_is_different() {
    let with = |key: &str| {
        let mut manifest = namespaced("creds", thing("v1", "Secret", "s"));
        manifest.data.value["stringData"] = json!({"k": null});
        let expr = SecretExpr::from_parts([secret("vault", key)]);
        manifest.data.secrets.insert("/stringData/k".into(), expr);
        manifest
    };
    let case = Case::default().resource("one", vec![with("a")]).resource("two", vec![with("b")]);
    let errors = case.run().unwrap_err();
    assert_eq!((errors[0].code, errors[0].pointer.as_str()), (Code::Duplicate, "/stringData/k"));
}

#[test]
fn an_object_without_secrets_is_itself() {
    let objects = deployment().objects();
    let service = objects.iter().find(|object| object.kind == "Service").unwrap();
    assert_eq!(*externalize(service).unwrap(), service.document.value);
    let mut plain = thing("v1", "Secret", "plain");
    plain["stringData"] = json!({"a": "{{ not a template }}"});
    let plain = Case::default().resource("r", vec![namespaced("m", plain)]).objects();
    assert_eq!(*externalize(&plain[0]).unwrap(), plain[0].document.value);
}

#[test]
fn a_secret_becomes_an_external_secret() {
    let object = secret_object(
        json!({
            "metadata": {
                "name": "db-creds", "labels": {"team": "a"},
                "annotations": {"note": "{{ literally }}"},
            },
            "type": "kubernetes.io/basic-auth",
            "immutable": true,
            "stringData": {"username": "app", "braces": "{{ .x }} {", "both": "string wins"},
            "data": {"plain": "aGVsbG8=", "both": "ZGF0YQ=="},
        }),
        vec![
            ("/stringData/password", vec![secret("vault", "db/pw")]),
            (
                "/stringData/url",
                vec![
                    text("pg://app:{"),
                    secret("vault", "db/pw"),
                    text("}@"),
                    secret("vault", "db/host"),
                ],
            ),
            ("/data/encoded", vec![secret("vault", "db/pw")]),
            ("/data/mixed", vec![text("YQ\"=="), secret("vault", "db/pw")]),
        ],
    );
    insta::assert_snapshot!(yaml::to_string(&externalize(&object).unwrap()), @r#"
    apiVersion: external-secrets.io/v1
    kind: ExternalSecret
    metadata:
      annotations:
        note: "{{ literally }}"
      labels:
        team: a
      name: db-creds
      namespace: shop-dev
    spec:
      data:
      - remoteRef:
          decodingStrategy: Base64
          key: db/pw
        secretKey: s0
      - remoteRef:
          key: db/pw
        secretKey: s1
      - remoteRef:
          key: db/host
        secretKey: s2
      secretStoreRef:
        kind: ClusterSecretStore
        name: vault
      target:
        creationPolicy: Owner
        immutable: true
        name: db-creds
        template:
          data:
            both: string wins
            braces: "{{ \"{{\" }} .x }} {"
            encoded: "{{ .s0 }}"
            mixed: "{{ print \"YQ\\\"==\" .s1 | b64dec }}"
            password: "{{ .s1 }}"
            plain: "{{ \"aGVsbG8=\" | b64dec }}"
            url: pg://app:{{ "{" }}{{ .s1 }}}@{{ .s2 }}
            username: app
          engineVersion: v2
          metadata:
            annotations:
              note: "{{ \"{{\" }} literally }}"
            labels:
              team: a
          type: kubernetes.io/basic-auth
    "#);
}

#[test]
fn several_stores_are_named_one_by_one() {
    let version = SecretRef { store: "aws".into(), key: "token".into(), version: Some("7".into()) };
    let object = secret_object(
        json!({"metadata": {"name": "s"}, "stringData": {}}),
        vec![
            ("/stringData/a", vec![secret("vault", "a")]),
            ("/stringData/b", vec![SecretPart::Secret(version)]),
        ],
    );
    insta::assert_snapshot!(yaml::to_string(&externalize(&object).unwrap()["spec"]), @r#"
    data:
    - remoteRef:
        key: a
      secretKey: s0
      sourceRef:
        storeRef:
          kind: ClusterSecretStore
          name: vault
    - remoteRef:
        key: token
        version: "7"
      secretKey: s1
      sourceRef:
        storeRef:
          kind: ClusterSecretStore
          name: aws
    target:
      creationPolicy: Owner
      name: s
      template:
        data:
          a: "{{ .s0 }}"
          b: "{{ .s1 }}"
        engineVersion: v2
    "#);
}

#[test]
fn secrets_in_other_places() {
    let error = |object: &Object| report(&[externalize(object).unwrap_err()]);
    let mut config = secret_object(
        json!({"metadata": {"name": "c"}, "data": {}}),
        vec![("/data/k", vec![secret("vault", "a")])],
    );
    config.kind = "ConfigMap".into();
    insta::assert_snapshot!(error(&config), @r#"
    RES-006 at "/data/k": ConfigMap `c`, made by resource `db` (manifest `secret`), has a secret at `/data/k`, where it would be readable in clear
      hint: put the secret into an object of kind Secret and refer to that by name (`secretKeyRef`, `secretName`)
    "#);
    let labelled = secret_object(
        json!({"metadata": {"name": "c", "labels": {}}}),
        vec![("/metadata/labels/l", vec![secret("vault", "a")])],
    );
    insta::assert_snapshot!(error(&labelled), @r#"
    RES-006 at "/metadata/labels/l": Secret `c`, made by resource `db` (manifest `secret`), has a secret at `/metadata/labels/l`, where it would be readable in clear
      hint: of a Secret only the values below `stringData` and `data` may be secret
    "#);
    let plain = secret_object(
        json!({"metadata": {"name": "c"}, "stringData": {}, "data": {"x": "not base64"}}),
        vec![("/stringData/l", vec![secret("vault", "a")])],
    );
    insta::assert_snapshot!(error(&plain), @r#"
    RES-105 at "/data/x": `/data/x` of Secret `c`, made by resource `db` (manifest `secret`), is not base64
      hint: write the text itself under `stringData`
    "#);
    let number = secret_object(
        json!({"metadata": {"name": "c"}, "stringData": {"x": 1}}),
        vec![("/stringData/l", vec![secret("vault", "a")])],
    );
    insta::assert_snapshot!(error(&number), @r#"RES-105 at "/stringData/x": `/stringData/x` of Secret `c`, made by resource `db` (manifest `secret`), is not a string"#);
}

#[test]
fn the_layout_of_a_repository() {
    let files = files(&deployment().objects()).unwrap();
    let paths: Vec<_> = files.keys().map(String::as_str).collect();
    insta::assert_snapshot!(paths.join("\n"), @r"
    cluster/clusterrole-reader.yaml
    cluster/customresourcedefinition-x.y.yaml
    cluster/persistentvolume-data.yaml
    kustomization.yaml
    namespace/shop-dev.yaml
    resources/externalsecret-db-creds.yaml
    resources/ingress-site.yaml
    resources/persistentvolumeclaim-data.yaml
    workloads/late/deployment.yaml
    workloads/migrate/job.yaml
    workloads/web/configmap-web-main-env.yaml
    workloads/web/deployment.yaml
    workloads/web/service.yaml
    ");
    insta::assert_snapshot!(files["kustomization.yaml"], @r"
    apiVersion: kustomize.config.k8s.io/v1beta1
    kind: Kustomization
    resources:
    - namespace/shop-dev.yaml
    - cluster/customresourcedefinition-x.y.yaml
    - cluster/persistentvolume-data.yaml
    - cluster/clusterrole-reader.yaml
    - resources/externalsecret-db-creds.yaml
    - resources/persistentvolumeclaim-data.yaml
    - resources/ingress-site.yaml
    - workloads/migrate/job.yaml
    - workloads/web/configmap-web-main-env.yaml
    - workloads/web/service.yaml
    - workloads/web/deployment.yaml
    - workloads/late/deployment.yaml
    sortOptions:
      order: fifo
    ");
    insta::assert_snapshot!(files["workloads/web/deployment.yaml"], @r"
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: web
      namespace: shop-dev
    ");
    assert!(files["resources/externalsecret-db-creds.yaml"].contains("key: db/pw"));
}

#[test]
fn files_that_would_meet_carry_a_hash() {
    let mut elsewhere = thing("v1", "Service", "a");
    elsewhere["metadata"]["namespace"] = json!("other");
    let manifests = vec![
        namespaced("1", thing("v1", "Service", "a")),
        namespaced("2", thing("serving.knative.dev/v1", "Service", "a")),
        namespaced("3", elsewhere),
        namespaced("4", thing("v1", "Service", "b")),
    ];
    let names = |manifests: Vec<Manifest>| -> BTreeSet<String> {
        let objects = Case::default().resource("r", manifests).objects();
        files(&objects).unwrap().into_keys().collect()
    };
    let forward = names(manifests.clone());
    assert_eq!(forward.len(), 5);
    assert!(forward.contains("resources/service-b.yaml"));
    assert!(!forward.contains("resources/service-a.yaml"));
    // The names do not depend on the order.
    assert_eq!(forward, names(manifests.into_iter().rev().collect()));
}

#[test]
fn an_external_secret_that_is_there_already() {
    let mut creds = namespaced("creds", thing("v1", "Secret", "s"));
    creds.data.value["stringData"] = json!({"k": null});
    creds
        .data
        .secrets
        .insert("/stringData/k".into(), SecretExpr::from_parts([secret("vault", "a")]));
    let own = namespaced("own", thing("external-secrets.io/v1", "ExternalSecret", "s"));
    let objects = Case::default().resource("one", vec![creds]).resource("two", vec![own]).objects();
    insta::assert_snapshot!(report(&files(&objects).unwrap_err()), @r#"
    DEP-007 at "": Secret `s`, made by resource `one` (manifest `creds`), and ExternalSecret `s`, made by resource `two` (manifest `own`), would both be the ExternalSecret `s` in the repository
      hint: give one of them another name
    "#);
}

#[test]
fn all_mistakes_of_a_repository_at_once() {
    let mut objects = Vec::new();
    for name in ["a", "b"] {
        objects.push(secret_object(
            json!({"metadata": {"name": name}, "type": ""}),
            vec![("/type", vec![secret("vault", "a")])],
        ));
    }
    assert_eq!(files(&objects).unwrap_err().len(), 2);
}

#[test]
fn cluster_scoped_kinds() {
    for (group, kind) in [
        ("", "Namespace"),
        ("", "PersistentVolume"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("storage.k8s.io", "StorageClass"),
        ("networking.k8s.io", "IngressClass"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("cert-manager.io", "ClusterIssuer"),
    ] {
        assert!(is_cluster_scoped(group, kind), "{group} {kind}");
    }
    assert!(!is_cluster_scoped("apps", "Deployment"));
}

// ---- laws ---------------------------------------------------------------------------------------

/// What the operator makes of a template, with `s0` for the value of `.s0` and so on. Knows only
/// what we write: string constants, fields, `print` and `b64dec` (left as `b64(…)`).
fn rendered(template: &str) -> String {
    let mut result = String::new();
    let mut rest = template;
    while let Some((before, action)) = rest.split_once("{{") {
        result.push_str(before);
        let mut values: Vec<String> = Vec::new();
        let mut chars = action.char_indices();
        let end = loop {
            let (at, c) = chars.next().expect("an action ends");
            match c {
                '"' => {
                    let mut text = String::new();
                    loop {
                        match chars.next().expect("a constant ends").1 {
                            '"' => break,
                            '\\' => match chars.next().unwrap().1 {
                                'u' => {
                                    let digits: String =
                                        chars.by_ref().take(4).map(|c| c.1).collect();
                                    let code = u32::from_str_radix(&digits, 16).unwrap();
                                    text.push(char::from_u32(code).unwrap());
                                }
                                c => text.push(c),
                            },
                            c => text.push(c),
                        }
                    }
                    values.push(text);
                }
                '.' => {
                    let name: String = chars
                        .clone()
                        .map(|c| c.1)
                        .take_while(char::is_ascii_alphanumeric)
                        .collect();
                    values.push(format!("<{name}>"));
                }
                '}' => break at,
                '{' => panic!("a brace in an action: {template}"),
                _ => {}
            }
        };
        let (code, after) = action.split_at(end);
        rest = after.strip_prefix("}}").expect("two braces end an action");
        let value = values.concat();
        result.push_str(&if code.contains("b64dec") { format!("b64({value})") } else { value });
    }
    result + rest
}

fn expression() -> impl Strategy<Value = SecretExpr> {
    let part = prop_oneof![
        3 => "[a{}\" .\\\\\n-]{0,6}".prop_map(SecretPart::Text),
        2 => (0..3u8).prop_map(|n| secret("vault", &format!("k{n}"))),
    ];
    prop::collection::vec(part, 1..6)
        .prop_map(|parts| SecretExpr::from_parts(parts.into_iter().chain([secret("vault", "k0")])))
}

proptest! {
    /// Rendering the template gives back the expression, whatever braces its texts contain.
    #[test]
    fn the_operator_reproduces_every_text(
        secrets in prop::collection::btree_map("[a-z]{1,3}", expression(), 1..4),
        plain in prop::collection::btree_map("[A-Z]{1,3}", "[a{}\" .\\\\\n-]{0,9}", 0..4),
        encoded in any::<bool>(),
    ) {
        let member = if encoded { "data" } else { "stringData" };
        let leaves = secrets.iter().map(|(key, expr)| (format!("/{member}/{key}"), expr));
        let leaves: Vec<_> = leaves.collect();
        let object = secret_object(
            json!({"metadata": {"name": "s"}, "stringData": plain, "data": {}}),
            leaves.iter().map(|(at, expr)| (at.as_str(), expr.parts().to_vec())).collect(),
        );
        let external = externalize(&object).unwrap();
        let data = external.pointer("/spec/data").unwrap().as_array().unwrap();
        let mut keys = BTreeMap::new();
        for entry in data {
            let remote = &entry["remoteRef"];
            let name = entry["secretKey"].as_str().unwrap();
            let decoded = remote.get("decodingStrategy").is_some();
            prop_assert!(keys.insert((remote["key"].as_str().unwrap(), decoded), name).is_none());
        }
        let template = external.pointer("/spec/target/template/data").unwrap();
        for (key, text) in &plain {
            prop_assert_eq!(&rendered(template[key].as_str().unwrap()), text);
        }
        for (key, expr) in &secrets {
            let lone = expr.as_reference().is_some();
            let text: String = expr.parts().iter().map(|part| match part {
                SecretPart::Text(text) => text.clone(),
                SecretPart::Secret(secret) => format!("<{}>", keys[&(secret.key.as_str(), encoded && lone)]),
            }).collect();
            let expected = if encoded && !lone { format!("b64({text})") } else { text };
            prop_assert_eq!(rendered(template[key].as_str().unwrap()), expected);
        }
    }

    /// Whatever objects are called, each gets a file of its own with a harmless path, and the
    /// kustomization names all of them.
    #[test]
    fn paths_are_safe_and_complete(
        names in prop::collection::btree_set("[.a-zA-Z0-9:/_-]{1,4}|\\.\\./[a-z]{1,200}|\\PC{1,5}", 1..6),
        kinds in prop::collection::vec(("[A-Z][a-z]{0,3}|\\.\\.|/", any::<bool>()), 1..4),
    ) {
        let mut case = Case::default();
        let mut manifests = Vec::new();
        for name in names.iter().filter(|name| !name.trim().is_empty()) {
            for (kind, cluster_wide) in &kinds {
                let data = thing("example.org/v1", kind, name);
                manifests.push(if *cluster_wide { cluster("m", data) } else { namespaced("m", data) });
            }
        }
        case = case.resource("r", manifests);
        let objects = case.objects();
        let files = files(&objects).unwrap();
        prop_assert_eq!(files.len(), objects.len() + 1);
        for path in files.keys() {
            let harmless = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.');
            for part in path.split('/') {
                prop_assert!(part.chars().all(harmless) && !part.starts_with('.'), "{path}");
                prop_assert!(!part.is_empty() && part.len() <= 160, "{path}");
            }
            prop_assert!(path == "kustomization.yaml" || files["kustomization.yaml"].contains(path.as_str()));
        }
    }

    /// Stages follow each other, and what resources made comes first.
    #[test]
    fn workloads_come_after_resources(stages in prop::collection::vec(0..3u8, 0..6)) {
        let mut case = deployment();
        case.workloads.clear();
        for (index, stage) in stages.iter().enumerate() {
            let stage = [Stage::Before, Stage::Deploy, Stage::After][usize::from(*stage)];
            case = case.workload("w", stage, vec![thing("apps/v1", "Deployment", &format!("w{index}"))]);
        }
        let stages: Vec<_> = case.objects().iter().map(|object| object.stage).collect();
        // `None` sorts before all stages.
        prop_assert!(stages.is_sorted());
        prop_assert_eq!(case.objects(), case.objects());
    }
}
