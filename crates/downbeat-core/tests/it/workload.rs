//! From a finished workload to Kubernetes objects (`downbeat_core::workload`).

use std::collections::{BTreeMap, BTreeSet};

use downbeat_core::manifest::Location;
use downbeat_core::secret::SecretPart;
use downbeat_core::workload::{self, CHECKSUM, Error, Scope, Workload, objects};
use downbeat_core::{Code, Document, Json, Manifest, SecretExpr, SecretRef, yaml};
use proptest::prelude::*;
use serde_json::json;

const SCOPE: Scope<'static> = Scope { org: "acme", app: "shop", env: "dev", env_type: "test" };

/// A workload `web` under test; everything but the spec has a default.
#[derive(Debug)]
struct Case {
    id: &'static str,
    profile: &'static str,
    spec: Document,
    containers: Vec<Manifest>,
    volumes: Vec<Manifest>,
    mounts: BTreeMap<String, String>,
    autoscaled: bool,
    scale: Option<u32>,
}

fn case(spec: Json) -> Case {
    Case {
        id: "web",
        profile: "humanitec/default-module",
        spec: Document::plain(spec),
        containers: Vec::new(),
        volumes: Vec::new(),
        mounts: BTreeMap::new(),
        autoscaled: false,
        scale: None,
    }
}

impl Case {
    fn profile(mut self, profile: &'static str) -> Self {
        self.profile = profile;
        self
    }

    /// Puts a secret at a place of the spec, which must exist.
    fn secret(mut self, pointer: &str, expr: SecretExpr) -> Self {
        *self.spec.value.pointer_mut(pointer).unwrap() = Json::Null;
        self.spec.secrets.insert(pointer.to_owned(), expr);
        self
    }

    /// A resource with a volume, as the graph delivers it.
    fn volume(mut self, id: &str, volume: Json) -> Self {
        let name = volume["name"].as_str().unwrap().to_owned();
        self.mounts.insert(id.to_owned(), name);
        self.volumes.push(manifest(Location::Volumes, volume));
        self
    }

    fn sidecar(mut self, container: Json) -> Self {
        self.containers.push(manifest(Location::Containers, container));
        self
    }

    fn run(&self) -> Result<Vec<Document>, Vec<Error>> {
        let workload = Workload {
            id: self.id,
            profile: self.profile,
            spec: &self.spec,
            containers: &self.containers,
            volumes: &self.volumes,
            mounts: &self.mounts,
            autoscaled: self.autoscaled,
            scale: self.scale,
        };
        objects(&workload, &SCOPE)
    }

    fn objects(&self) -> Vec<Document> {
        self.run().unwrap_or_else(|errors| panic!("{errors:#?}"))
    }

    /// The object of a kind; there must be one.
    fn object(&self, kind: &str) -> Json {
        let objects = self.objects();
        let found = objects.iter().find(|object| object.value["kind"] == kind);
        found.unwrap_or_else(|| panic!("no {kind} in {objects:#?}")).value.clone()
    }

    /// The pod template of the controller.
    fn pod(&self) -> Json {
        let objects = self.objects();
        let last = &objects.last().unwrap().value;
        let cron = last.pointer("/spec/jobTemplate/spec/template");
        cron.or_else(|| last.pointer("/spec/template")).unwrap().clone()
    }

    fn container(&self) -> Json {
        self.pod()["spec"]["containers"][0].clone()
    }

    fn errors(&self) -> Vec<Error> {
        self.run().expect_err("mistakes")
    }

    /// Code, place and message of all mistakes, with hints; a line each.
    fn report(&self) -> String {
        let line = |error: &Error| {
            let hint = error.hint.as_deref().map(|hint| format!("\n  hint: {hint}"));
            format!("{} at {:?}: {error}{}\n", error.code, error.pointer, hint.unwrap_or_default())
        };
        self.errors().iter().map(line).collect()
    }
}

fn manifest(location: Location, data: Json) -> Manifest {
    Manifest { name: format!("{location:?}").to_lowercase(), location, data: Document::plain(data) }
}

fn reference(key: &str) -> SecretExpr {
    SecretExpr::reference(SecretRef { store: "vault".into(), key: key.into(), version: None })
}

/// All objects as YAML; a secret is shown as `<vault:key>`.
fn show(objects: &[Document]) -> String {
    let text = |object: &Document| {
        let mut value = object.value.clone();
        for (pointer, expr) in &object.secrets {
            let show = |part: &SecretPart| match part {
                SecretPart::Text(text) => text.clone(),
                SecretPart::Secret(secret) => format!("<{}:{}>", secret.store, secret.key),
            };
            let text: String = expr.parts().iter().map(show).collect();
            *value.pointer_mut(pointer).unwrap() = Json::from(text);
        }
        yaml::to_string(&value)
    };
    objects.iter().map(text).collect::<Vec<_>>().join("---\n")
}

/// The smallest spec that works, with members added.
fn with(more: Json) -> Json {
    let mut spec = json!({"containers": {"main": {"image": "reg/web:1"}}});
    merge(&mut spec, more);
    spec
}

/// A spec with one container that has these members.
fn container(members: &Json) -> Json {
    with(json!({"containers": {"main": members}}))
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

/// The example of the concept pages: a Score file with a database, a value, and a volume; its
/// workload definition sets a service account and a pod label.
fn worked_example() -> Case {
    case(json!({
        "annotations": {"humanitec.io/managed-by": "score-humanitec"},
        "containers": {"main": {
            "id": "main",
            "image": "reg/web:1",
            "variables": {"DB": "", "LVL": "info", "ME": "web"},
            "volume_mounts": {"/tmp/x": {"id": "externals.tmp", "sub_path": "", "read_only": false}},
        }},
        "service": {"ports": {"http": {"protocol": "TCP", "service_port": 80, "container_port": 8080}}},
        "serviceAccountName": "web-sa",
        "deployment": {},
        "pod": {"labels": {"team": "a"}},
    }))
    .secret(
        "/containers/main/variables/DB",
        SecretExpr::from_parts([
            SecretPart::Text("pg://".into()),
            SecretPart::Secret(SecretRef {
                store: "vault".into(),
                key: "db/host".into(),
                version: None,
            }),
            SecretPart::Text("/shop".into()),
        ]),
    )
    .volume("externals.tmp", json!({"name": "3c0a-emptydir", "emptyDir": {"sizeLimit": "1024Mi"}}))
}

#[test]
fn the_worked_example() {
    // In this order: what the pod reads, the Service, the Deployment. `DB` mixes text and a secret
    // and is secret as a whole; the mount takes the volume's name from the resource.
    insta::assert_snapshot!(show(&worked_example().objects()), @r"
    apiVersion: v1
    data:
      LVL: info
      ME: web
    kind: ConfigMap
    metadata:
      labels:
        app.kubernetes.io/instance: dev
        app.kubernetes.io/managed-by: downbeat
        app.kubernetes.io/name: web
        app.kubernetes.io/part-of: shop
        humanitec.io/workload: web
      name: web-main-env
    ---
    apiVersion: v1
    kind: Secret
    metadata:
      labels:
        app.kubernetes.io/instance: dev
        app.kubernetes.io/managed-by: downbeat
        app.kubernetes.io/name: web
        app.kubernetes.io/part-of: shop
        humanitec.io/workload: web
      name: web-main-env
    stringData:
      DB: pg://<vault:db/host>/shop
    type: Opaque
    ---
    apiVersion: v1
    kind: Service
    metadata:
      labels:
        app.kubernetes.io/instance: dev
        app.kubernetes.io/managed-by: downbeat
        app.kubernetes.io/name: web
        app.kubernetes.io/part-of: shop
        humanitec.io/workload: web
      name: web
    spec:
      ports:
      - name: http
        port: 80
        protocol: TCP
        targetPort: 8080
      selector:
        app.kubernetes.io/name: web
    ---
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      labels:
        app.kubernetes.io/instance: dev
        app.kubernetes.io/managed-by: downbeat
        app.kubernetes.io/name: web
        app.kubernetes.io/part-of: shop
        humanitec.io/workload: web
      name: web
    spec:
      replicas: 1
      selector:
        matchLabels:
          app.kubernetes.io/name: web
      template:
        metadata:
          annotations:
            downbeat.dev/config-checksum: 9e8b1bbecc9c9ee27d4f740ed874b27a45953c0a49f2fa1de8b526f3bed5f705
            humanitec.io/managed-by: score-humanitec
          labels:
            app.kubernetes.io/instance: dev
            app.kubernetes.io/managed-by: downbeat
            app.kubernetes.io/name: web
            app.kubernetes.io/part-of: shop
            humanitec.io/workload: web
            team: a
        spec:
          containers:
          - env:
            - name: DB
              valueFrom:
                secretKeyRef:
                  key: DB
                  name: web-main-env
            - name: LVL
              valueFrom:
                configMapKeyRef:
                  key: LVL
                  name: web-main-env
            - name: ME
              valueFrom:
                configMapKeyRef:
                  key: ME
                  name: web-main-env
            image: reg/web:1
            name: main
            ports:
            - containerPort: 8080
              name: http
              protocol: TCP
            volumeMounts:
            - mountPath: /tmp/x
              name: 3c0a-emptydir
          serviceAccountName: web-sa
          volumes:
          - emptyDir:
              sizeLimit: 1024Mi
            name: 3c0a-emptydir
    ");
}

#[test]
fn a_job_runs_once() {
    let case = case(with(json!({
        "job": {"backoffLimit": 2, "annotations": {"a": "1"}},
        "service": {},
    })))
    .profile("humanitec/default-job");
    insta::assert_snapshot!(show(&case.objects()), @r#"
    apiVersion: batch/v1
    kind: Job
    metadata:
      annotations:
        a: "1"
      labels:
        app.kubernetes.io/instance: dev
        app.kubernetes.io/managed-by: downbeat
        app.kubernetes.io/name: web
        app.kubernetes.io/part-of: shop
        humanitec.io/workload: web
      name: web
    spec:
      backoffLimit: 2
      template:
        metadata:
          labels:
            app.kubernetes.io/instance: dev
            app.kubernetes.io/managed-by: downbeat
            app.kubernetes.io/name: web
            app.kubernetes.io/part-of: shop
            humanitec.io/workload: web
        spec:
          containers:
          - image: reg/web:1
            name: main
          restartPolicy: Never
    "#);
}

#[test]
fn a_cron_job_for_each_schedule() {
    let case = case(json!({
        "containers": {
            "main": {"image": "reg/web:1", "args": ["all"], "variables": {"A": "1", "B": "2", "C": "3"}},
            "side": {"image": "reg/side:1"},
        },
        "schedules": {
            "late-night": {"schedule": "0 3 * * *", "timeZone": "Europe/Berlin"},
            "often": {"schedule": "@hourly", "containers": {"main": {
                "args": ["some"], "variables": {"B": "two", "C": null, "D": ""},
            }}},
        },
        "cronjob": {"concurrencyPolicy": "Forbid", "labels": {"x": "y"}, "timeZone": "UTC"},
        "job": {"backoffLimit": 0},
        "pod": {"restartPolicy": "OnFailure"},
    }))
    .profile("humanitec/default-cronjob")
    .secret("/schedules/often/containers/main/variables/D", reference("d"));
    insta::assert_snapshot!(show(&case.objects()), @r#"
    apiVersion: v1
    data:
      A: "1"
      B: "2"
      B.0baf365940: two
      C: "3"
    kind: ConfigMap
    metadata:
      labels:
        app.kubernetes.io/instance: dev
        app.kubernetes.io/managed-by: downbeat
        app.kubernetes.io/name: web
        app.kubernetes.io/part-of: shop
        humanitec.io/workload: web
      name: web-main-env
    ---
    apiVersion: v1
    kind: Secret
    metadata:
      labels:
        app.kubernetes.io/instance: dev
        app.kubernetes.io/managed-by: downbeat
        app.kubernetes.io/name: web
        app.kubernetes.io/part-of: shop
        humanitec.io/workload: web
      name: web-main-env
    stringData:
      D.1a168b05d7: "<vault:d>"
    type: Opaque
    ---
    apiVersion: batch/v1
    kind: CronJob
    metadata:
      labels:
        app.kubernetes.io/instance: dev
        app.kubernetes.io/managed-by: downbeat
        app.kubernetes.io/name: web
        app.kubernetes.io/part-of: shop
        humanitec.io/workload: web
        x: "y"
      name: web-late--night
    spec:
      concurrencyPolicy: Forbid
      jobTemplate:
        metadata:
          labels:
            app.kubernetes.io/instance: dev
            app.kubernetes.io/managed-by: downbeat
            app.kubernetes.io/name: web
            app.kubernetes.io/part-of: shop
            humanitec.io/workload: web
        spec:
          backoffLimit: 0
          template:
            metadata:
              annotations:
                downbeat.dev/config-checksum: ae9b799ef0285b768b378b481d114265113730ab8d3d5dbf1eeddfb1aed795eb
              labels:
                app.kubernetes.io/instance: dev
                app.kubernetes.io/managed-by: downbeat
                app.kubernetes.io/name: web
                app.kubernetes.io/part-of: shop
                humanitec.io/workload: web
            spec:
              containers:
              - args:
                - all
                env:
                - name: A
                  valueFrom:
                    configMapKeyRef:
                      key: A
                      name: web-main-env
                - name: B
                  valueFrom:
                    configMapKeyRef:
                      key: B
                      name: web-main-env
                - name: C
                  valueFrom:
                    configMapKeyRef:
                      key: C
                      name: web-main-env
                image: reg/web:1
                name: main
              - image: reg/side:1
                name: side
              restartPolicy: OnFailure
      schedule: 0 3 * * *
      timeZone: Europe/Berlin
    ---
    apiVersion: batch/v1
    kind: CronJob
    metadata:
      labels:
        app.kubernetes.io/instance: dev
        app.kubernetes.io/managed-by: downbeat
        app.kubernetes.io/name: web
        app.kubernetes.io/part-of: shop
        humanitec.io/workload: web
        x: "y"
      name: web-often
    spec:
      concurrencyPolicy: Forbid
      jobTemplate:
        metadata:
          labels:
            app.kubernetes.io/instance: dev
            app.kubernetes.io/managed-by: downbeat
            app.kubernetes.io/name: web
            app.kubernetes.io/part-of: shop
            humanitec.io/workload: web
        spec:
          backoffLimit: 0
          template:
            metadata:
              annotations:
                downbeat.dev/config-checksum: ae9b799ef0285b768b378b481d114265113730ab8d3d5dbf1eeddfb1aed795eb
              labels:
                app.kubernetes.io/instance: dev
                app.kubernetes.io/managed-by: downbeat
                app.kubernetes.io/name: web
                app.kubernetes.io/part-of: shop
                humanitec.io/workload: web
            spec:
              containers:
              - args:
                - some
                env:
                - name: A
                  valueFrom:
                    configMapKeyRef:
                      key: A
                      name: web-main-env
                - name: B
                  valueFrom:
                    configMapKeyRef:
                      key: B.0baf365940
                      name: web-main-env
                - name: D
                  valueFrom:
                    secretKeyRef:
                      key: D.1a168b05d7
                      name: web-main-env
                image: reg/web:1
                name: main
              - image: reg/side:1
                name: side
              restartPolicy: OnFailure
      schedule: "@hourly"
      timeZone: UTC
    "#);
}

#[test]
fn a_stateful_set_has_a_headless_service() {
    let spec = with(json!({
        "service": {"ports": {"sql": {"service_port": 5432}}},
        "statefulset": {"replicas": 3, "podManagementPolicy": "Parallel"},
    }));
    let stateful = case(spec.clone()).profile("downbeat/stateful");
    insta::assert_snapshot!(show(&stateful.objects()), @r"
    apiVersion: v1
    kind: Service
    metadata:
      labels:
        app.kubernetes.io/instance: dev
        app.kubernetes.io/managed-by: downbeat
        app.kubernetes.io/name: web
        app.kubernetes.io/part-of: shop
        humanitec.io/workload: web
      name: web
    spec:
      ports:
      - name: sql
        port: 5432
        protocol: TCP
        targetPort: 5432
      selector:
        app.kubernetes.io/name: web
    ---
    apiVersion: v1
    kind: Service
    metadata:
      labels:
        app.kubernetes.io/instance: dev
        app.kubernetes.io/managed-by: downbeat
        app.kubernetes.io/name: web
        app.kubernetes.io/part-of: shop
        humanitec.io/workload: web
      name: web-headless
    spec:
      clusterIP: None
      ports:
      - name: sql
        port: 5432
        protocol: TCP
        targetPort: 5432
      selector:
        app.kubernetes.io/name: web
    ---
    apiVersion: apps/v1
    kind: StatefulSet
    metadata:
      labels:
        app.kubernetes.io/instance: dev
        app.kubernetes.io/managed-by: downbeat
        app.kubernetes.io/name: web
        app.kubernetes.io/part-of: shop
        humanitec.io/workload: web
      name: web
    spec:
      podManagementPolicy: Parallel
      replicas: 3
      selector:
        matchLabels:
          app.kubernetes.io/name: web
      serviceName: web-headless
      template:
        metadata:
          labels:
            app.kubernetes.io/instance: dev
            app.kubernetes.io/managed-by: downbeat
            app.kubernetes.io/name: web
            app.kubernetes.io/part-of: shop
            humanitec.io/workload: web
        spec:
          containers:
          - image: reg/web:1
            name: main
            ports:
            - containerPort: 5432
              name: sql
              protocol: TCP
    ");

    // Whoever names another governing Service brings it along.
    let mut spec = spec;
    merge(&mut spec, json!({"statefulset": {"serviceName": "mine"}}));
    let own = case(spec).profile("downbeat/stateful");
    assert_eq!(own.object("StatefulSet")["spec"]["serviceName"], "mine");
    assert_eq!(own.objects().len(), 2);
}

#[test]
fn unknown_profiles() {
    let report = |profile| case(with(json!({}))).profile(profile).report();
    insta::assert_snapshot!(report("humanitec/default-modul"), @r#"
    DEP-004 at "": workload `web` has the unknown profile `humanitec/default-modul`
      hint: did you mean `humanitec/default-module`?
    "#);
    insta::assert_snapshot!(report("acme/daemon"), @r#"
    DEP-004 at "": workload `web` has the unknown profile `acme/daemon`
      hint: known profiles: humanitec/default-module, humanitec/default-job, humanitec/default-cronjob, downbeat/stateful
    "#);
}

#[test]
fn variables_become_texts() {
    let spec = container(&json!({"variables": {
        "BOOL": true, "LIST": ["a", 1], "NUMBER": 1.5, "TEXT": "a\nb", "EMPTY": "",
        "with space": "kept", "..dots": "kept",
    }}));
    let case = case(spec);
    let data = case.object("ConfigMap")["data"].clone();
    assert_eq!(data["BOOL"], "true");
    assert_eq!(data["LIST"], r#"["a",1]"#);
    assert_eq!(data["NUMBER"], "1.5");
    assert_eq!(data["TEXT"], "a\nb");
    assert_eq!(data["EMPTY"], "");
    // Names that cannot be keys are kept in the pod; the key is a hash.
    let env = case.container()["env"].clone();
    let odd = env.as_array().unwrap().iter().find(|entry| entry["name"] == "with space").unwrap();
    let key = odd["valueFrom"]["configMapKeyRef"]["key"].as_str().unwrap();
    assert!(key.starts_with("v."), "{key}");
    assert_eq!(data[key], "kept");
}

#[test]
fn raw_env_entries_come_last_and_win() {
    let case = case(container(&json!({
        "variables": {"A": "1", "B": "2"},
        "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "A", "value": "raw"}],
    })));
    insta::assert_snapshot!(yaml::to_string(&case.container()["env"]), @r"
    - name: B
      valueFrom:
        configMapKeyRef:
          key: B
          name: web-main-env
    - name: POD
      valueFrom:
        fieldRef:
          fieldPath: metadata.name
    - name: A
      value: raw
    ");
    assert_eq!(case.object("ConfigMap")["data"], json!({"B": "2"}));
}

#[test]
fn files_are_mounted_one_by_one() {
    let case = case(container(&json!({"files": {
        "/etc/app/app.conf": {"mode": "0640", "value": "level = info\n"},
        "/etc/app/logo.png": {"mode": "", "binary_value": "AAEC"},
        "/etc/app/password": {"mode": "0400", "value": ""},
    }})))
    .secret("/containers/main/files/~1etc~1app~1password/value", reference("pw"));
    insta::assert_snapshot!(show(&case.objects()), @r#"
    apiVersion: v1
    binaryData:
      feb3780fa44ab112fdd263233ae8cf8d: AAEC
    data:
      25b0bbdf19e90c9c34f28e71809534fe: |
        level = info
    kind: ConfigMap
    metadata:
      labels:
        app.kubernetes.io/instance: dev
        app.kubernetes.io/managed-by: downbeat
        app.kubernetes.io/name: web
        app.kubernetes.io/part-of: shop
        humanitec.io/workload: web
      name: web-main-files
    ---
    apiVersion: v1
    kind: Secret
    metadata:
      labels:
        app.kubernetes.io/instance: dev
        app.kubernetes.io/managed-by: downbeat
        app.kubernetes.io/name: web
        app.kubernetes.io/part-of: shop
        humanitec.io/workload: web
      name: web-main-files
    stringData:
      fa708083de58c0f272d818046b74e754: "<vault:pw>"
    type: Opaque
    ---
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      labels:
        app.kubernetes.io/instance: dev
        app.kubernetes.io/managed-by: downbeat
        app.kubernetes.io/name: web
        app.kubernetes.io/part-of: shop
        humanitec.io/workload: web
      name: web
    spec:
      replicas: 1
      selector:
        matchLabels:
          app.kubernetes.io/name: web
      template:
        metadata:
          annotations:
            downbeat.dev/config-checksum: c3ffaa57ca585386eb793352d5cbb19607521f60ecf7d40804e8141f7f48690f
          labels:
            app.kubernetes.io/instance: dev
            app.kubernetes.io/managed-by: downbeat
            app.kubernetes.io/name: web
            app.kubernetes.io/part-of: shop
            humanitec.io/workload: web
        spec:
          containers:
          - image: reg/web:1
            name: main
            volumeMounts:
            - mountPath: /etc/app/app.conf
              name: files-main
              subPath: 25b0bbdf19e90c9c34f28e71809534fe
            - mountPath: /etc/app/logo.png
              name: files-main
              subPath: feb3780fa44ab112fdd263233ae8cf8d
            - mountPath: /etc/app/password
              name: secret-files-main
              subPath: fa708083de58c0f272d818046b74e754
          volumes:
          - configMap:
              items:
              - key: 25b0bbdf19e90c9c34f28e71809534fe
                mode: 416
                path: 25b0bbdf19e90c9c34f28e71809534fe
              - key: feb3780fa44ab112fdd263233ae8cf8d
                path: feb3780fa44ab112fdd263233ae8cf8d
              name: web-main-files
            name: files-main
          - name: secret-files-main
            secret:
              items:
              - key: fa708083de58c0f272d818046b74e754
                mode: 256
                path: fa708083de58c0f272d818046b74e754
              secretName: web-main-files
    "#);
}

#[test]
fn a_schedule_may_change_a_file() {
    let case = case(json!({
        "containers": {"main": {"image": "i", "files": {
            "/a": {"mode": "0600", "value": "base"}, "/b": {"value": "b"}, "/c": {"value": "c"},
        }}},
        "schedules": {"s": {"schedule": "@daily", "containers": {"main": {"files": {
            "/a": {"value": "changed"}, "/b": null, "/c": {"binary_value": "AAEC"},
        }}}}},
    }))
    .profile("humanitec/default-cronjob");
    let config = case.object("ConfigMap");
    let texts: Vec<_> = config["data"].as_object().unwrap().values().collect();
    assert_eq!(texts, ["changed"]);
    assert_eq!(config["binaryData"].as_object().unwrap().len(), 1);
    // The mode stays.
    assert_eq!(case.pod()["spec"]["volumes"][0]["configMap"]["items"][0]["mode"], 0o600);
}

#[test]
fn a_cron_job_mounts_volumes_of_resources() {
    let case = case(json!({
        "containers": {"main": {"image": "i", "volume_mounts": {
            "/data": {"id": "externals.store", "read_only": true}}}},
        "schedules": {"s": {"schedule": "@daily"}},
    }))
    .profile("humanitec/default-cronjob")
    .volume("externals.store", json!({"name": "store", "emptyDir": {}}));
    let job = &case.object("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    assert_eq!(
        job["containers"][0]["volumeMounts"],
        json!([{"name": "store", "mountPath": "/data", "readOnly": true}])
    );
    assert_eq!(job["volumes"], json!([{"name": "store", "emptyDir": {}}]));
}

#[test]
fn a_schedule_may_replace_a_secret_file() {
    let file = |over: Json| {
        let case = case(json!({
            "containers": {"main": {"image": "i", "files": {"/a": {"value": null}}}},
            "schedules": {"s": {"schedule": "@daily", "containers": {"main": {"files": {"/a": over}}}}},
        }))
        .profile("humanitec/default-cronjob")
        .secret("/containers/main/files/~1a/value", reference("k"));
        let objects = case.objects();
        (objects[0].value["kind"].clone(), objects.len())
    };
    assert_eq!(file(json!({"mode": "0400"})), (json!("Secret"), 2));
    assert_eq!(file(json!({"value": "plain"})), (json!("ConfigMap"), 2));
    assert_eq!(file(json!({"binary_value": "AAEC"})), (json!("ConfigMap"), 2));
    assert_eq!(file(Json::Null), (json!("CronJob"), 1));
}

#[test]
fn one_volume_for_all_containers_that_mount_it() {
    let mut case = case(json!({
        "containers": {
            "a": {"image": "i", "volume_mounts": {"/x": {"id": "externals.tmp", "sub_path": "s", "read_only": true}}},
            "b": {"image": "i", "volume_mounts": {
                "/x": {"id": "externals.tmp"}, "/y": {"id": "shared.z", "mountPropagation": "None"},
                "/own": {"id": "volumes.cache"},
            }, "volumeMounts": [{"name": "raw", "mountPath": "/raw"}]},
        },
        "volumes": {"cache": {"emptyDir": {}}},
        "pod": {"volumes": [{"name": "raw", "emptyDir": {}}]},
    }))
    .volume("externals.tmp", json!({"name": "tmp", "emptyDir": {}}))
    .volume("shared.z", json!({"name": "z", "emptyDir": {}}))
    // Never mounted, and there all the same.
    .volume("externals.unused", json!({"name": "u", "emptyDir": {}}));
    // Two workload resources may return the same volume.
    case.volumes.push(case.volumes[0].clone());
    insta::assert_snapshot!(yaml::to_string(&case.pod()["spec"]), @r"
    containers:
    - image: i
      name: a
      volumeMounts:
      - mountPath: /x
        name: tmp
        readOnly: true
        subPath: s
    - image: i
      name: b
      volumeMounts:
      - mountPath: /own
        name: cache
      - mountPath: /x
        name: tmp
      - mountPath: /y
        mountPropagation: None
        name: z
      - mountPath: /raw
        name: raw
    volumes:
    - emptyDir: {}
      name: cache
    - emptyDir: {}
      name: raw
    - emptyDir: {}
      name: tmp
    - emptyDir: {}
      name: z
    - emptyDir: {}
      name: u
    ");
}

#[test]
fn volumes_may_be_the_list_of_the_pod_spec() {
    let case = case(with(json!({"volumes": [{"name": "raw", "emptyDir": {}}]})));
    assert_eq!(case.pod()["spec"]["volumes"], json!([{"name": "raw", "emptyDir": {}}]));
}

#[test]
fn mounts_without_a_volume() {
    let case = case(container(&json!({"volume_mounts": {
        "/a": {"id": "externals.tpm"}, "/b": {"id": "shared.none"}, "/c": {}, "/d": {"id": "volumes.x"},
    }})))
    .volume("externals.tmp", json!({"name": "tmp", "emptyDir": {}}));
    insta::assert_snapshot!(case.report(), @r#"
    DEP-006 at "/containers/main/volume_mounts/~1a/id": container `main` of workload `web` mounts `externals.tpm`, which has no volume
      hint: did you mean `externals.tmp`?
    DEP-006 at "/containers/main/volume_mounts/~1b/id": container `main` of workload `web` mounts `shared.none`, which has no volume
      hint: the resource must be of type `volume`, and its definition must return one manifest with location `volumes`
    DEP-006 at "/containers/main/volume_mounts/~1c": mount `/c` of container `main` names no volume in `id`
    DEP-006 at "/containers/main/volume_mounts/~1d/id": container `main` of workload `web` mounts `volumes.x`, which has no volume
      hint: the resource must be of type `volume`, and its definition must return one manifest with location `volumes`
    "#);
}

#[test]
fn probes() {
    let spec = container(&json!({
        "liveness_probe": {"type": "http", "path": "/live", "port": 8080, "periodSeconds": 30,
            "headers": {"X-B": "2", "X-A": "1"}, "scheme": "HTTPS", "host": "me"},
        "readiness_probe": {"type": "command", "command": ["cat", "/ready"], "failureThreshold": 5},
        "startup_probe": {"type": "grpc", "port": "9090", "service": "health"},
    }));
    let probed = case(spec).container();
    insta::assert_snapshot!(yaml::to_string(&probed), @r#"
    image: reg/web:1
    livenessProbe:
      httpGet:
        host: me
        httpHeaders:
        - name: X-A
          value: "1"
        - name: X-B
          value: "2"
        path: /live
        port: 8080
        scheme: HTTPS
      periodSeconds: 30
    name: main
    readinessProbe:
      exec:
        command:
        - cat
        - /ready
      failureThreshold: 5
    startupProbe:
      grpc:
        port: 9090
        service: health
    "#);

    let one = |probe: Json| case(container(&json!({"liveness_probe": probe})));
    let tcp = one(json!({"type": "tcp", "port": "http"})).container();
    assert_eq!(tcp["livenessProbe"], json!({"tcpSocket": {"port": "http"}}));
    let bare = one(json!({"type": "http", "port": 1})).container();
    assert_eq!(bare["livenessProbe"], json!({"httpGet": {"path": "/", "port": 1}}));
    assert_eq!(one(json!({})).container().get("livenessProbe"), None);
    // Another type was laid over it; what the first one had is not left in the probe.
    let changed = one(json!({"type": "command", "command": ["ls"], "path": "/", "port": 1,
        "headers": {"X": "y"}, "scheme": "HTTP", "host": "h", "service": "s", "periodSeconds": 3}));
    assert_eq!(
        changed.container()["livenessProbe"],
        json!({"exec": {"command": ["ls"]}, "periodSeconds": 3})
    );

    for (probe, pointer, message) in [
        (json!({"type": "htpp"}), "/type", "is of the unknown type `htpp`"),
        (json!({"port": 1}), "", "has no `type`"),
        (json!({"type": "http"}), "", "has no `port`"),
        (json!({"type": "http", "port": 70000}), "/port", "from 1 to 65535, not 70000"),
        (json!({"type": "grpc", "port": "name"}), "/port", "not `name`"),
        (json!({"type": "command"}), "", "has no `command`"),
        (json!({"type": "command", "command": "ls"}), "/command", "must be a list, not a string"),
        (json!([]), "", "must be an object, not a list"),
    ] {
        let errors = one(probe).errors();
        let pointer = format!("/containers/main/liveness_probe{pointer}");
        assert_eq!((errors.len(), &errors[0].pointer), (1, &pointer), "{errors:?}");
        assert!(errors[0].message.contains(message), "{errors:?}");
    }
}

#[test]
fn resources_lose_their_skeleton() {
    let resources = |value| case(container(&json!({"resources": value}))).container();
    let full = resources(json!({"limits": {"cpu": "", "memory": "1Gi"}, "requests": {"cpu": ""}}));
    assert_eq!(full["resources"], json!({"limits": {"memory": "1Gi"}}));
    let empty = resources(json!({"limits": {}, "requests": {"cpu": ""}}));
    assert_eq!(empty.get("resources"), None);
}

#[test]
fn unknown_members_are_kubernetes_fields() {
    let case = case(with(json!({
        "containers": {"main": {
            "securityContext": {"runAsUser": 1}, "command": [], "args": ["a"], "tty": null,
            "envFrom": [{"configMapRef": {"name": "x"}}],
        }},
        "automountServiceAccountToken": false,
        "nodeSelector": {"disk": "ssd"},
        "pod": {"nodeSelector": {"disk": "hdd"}, "initContainers": [{"name": "init"}]},
        "deployment": {
            "annotations": {"d": "1"}, "labels": {"l": 2}, "strategy": {"type": "Recreate"},
        },
        "labels": {"old": "1", "team": "old"},
    })));
    insta::assert_snapshot!(show(&case.objects()), @r#"
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      annotations:
        d: "1"
      labels:
        app.kubernetes.io/instance: dev
        app.kubernetes.io/managed-by: downbeat
        app.kubernetes.io/name: web
        app.kubernetes.io/part-of: shop
        humanitec.io/workload: web
        l: "2"
      name: web
    spec:
      replicas: 1
      selector:
        matchLabels:
          app.kubernetes.io/name: web
      strategy:
        type: Recreate
      template:
        metadata:
          labels:
            app.kubernetes.io/instance: dev
            app.kubernetes.io/managed-by: downbeat
            app.kubernetes.io/name: web
            app.kubernetes.io/part-of: shop
            humanitec.io/workload: web
            old: "1"
            team: old
        spec:
          automountServiceAccountToken: false
          containers:
          - args:
            - a
            envFrom:
            - configMapRef:
                name: x
            image: reg/web:1
            name: main
            securityContext:
              runAsUser: 1
          initContainers:
          - name: init
          nodeSelector:
            disk: ssd
    "#);
}

#[test]
fn labels_of_users_do_not_touch_selection() {
    let hostile = json!({
        "app.kubernetes.io/name": "x", "humanitec.io/workload": "x",
        "app.kubernetes.io/managed-by": "x", "app.kubernetes.io/part-of": "suite",
    });
    let case = case(with(json!({
        "labels": hostile, "pod": {"labels": hostile}, "deployment": {"labels": hostile},
        "service": {"labels": hostile, "ports": {"a": {"service_port": 1}}},
    })));
    let expected = json!({
        "app.kubernetes.io/name": "web", "humanitec.io/workload": "web",
        "app.kubernetes.io/managed-by": "downbeat", "app.kubernetes.io/instance": "dev",
        "app.kubernetes.io/part-of": "suite",
    });
    let deployment = case.object("Deployment");
    assert_eq!(case.object("Service")["metadata"]["labels"], expected);
    assert_eq!(deployment["metadata"]["labels"], expected);
    assert_eq!(deployment["spec"]["template"]["metadata"]["labels"], expected);
    let selector = json!({"app.kubernetes.io/name": "web"});
    assert_eq!(deployment["spec"]["selector"], json!({"matchLabels": selector}));
    assert_eq!(case.object("Service")["spec"]["selector"], selector);
}

#[test]
fn services() {
    let ports = |ports: Json| {
        case(with(json!({"service": {
            "ports": ports, "annotations": {"cloud.google.com/neg": "x"}, "type": "LoadBalancer",
        }})))
    };
    let case = ports(json!({
        "http": {"service_port": "80", "container_port": "8080"},
        "http-alt": {"service_port": 81, "container_port": 8080, "appProtocol": "http"},
        "dns": {"service_port": 53, "protocol": "udp"},
        "a-name-too-long-for-containers": {"service_port": 90, "container_port": 9},
        "named": {"service_port": 91, "container_port": "web"},
    }));
    insta::assert_snapshot!(yaml::to_string(&case.object("Service")["spec"]), @r"
    ports:
    - name: a-name-too-long-for-containers
      port: 90
      protocol: TCP
      targetPort: 9
    - name: dns
      port: 53
      protocol: UDP
      targetPort: 53
    - name: http
      port: 80
      protocol: TCP
      targetPort: 8080
    - appProtocol: http
      name: http-alt
      port: 81
      protocol: TCP
      targetPort: 8080
    - name: named
      port: 91
      protocol: TCP
      targetPort: web
    selector:
      app.kubernetes.io/name: web
    type: LoadBalancer
    ");
    insta::assert_snapshot!(yaml::to_string(&case.container()["ports"]), @r"
    - containerPort: 9
      protocol: TCP
    - containerPort: 53
      name: dns
      protocol: UDP
    - containerPort: 8080
      name: http
      protocol: TCP
    ");
    insta::assert_snapshot!(
        ports(json!({
            "A": {"service_port": 1}, "b": {}, "c": {"service_port": 0},
            "d": {"service_port": 9, "protocol": "TPC"}, "e": 80,
            "f": {"service_port": 7}, "g": {"service_port": 7},
        })).report(), @r#"
    DEP-006 at "/service/ports/A": `A` cannot name a service port: it must be lower-case letters, digits and `-`, start and end with a letter or digit, and have at most 63 characters
    DEP-006 at "/service/ports/b": service port `b` of workload `web` has no `service_port`
    DEP-006 at "/service/ports/c/service_port": `/service/ports/c/service_port` must be a whole number from 1 to 65535, not 0
    DEP-006 at "/service/ports/d/protocol": service port `d` has the unknown protocol `TPC`
      hint: did you mean `TCP`?
    DEP-006 at "/service/ports/e": `/service/ports/e` must be an object, not a number
    DEP-006 at "/service/ports/g/service_port": service port 7/TCP is given twice
    "#);

    // No ports, no Service; a definition may have added annotations all the same.
    let empty = ports(json!({}));
    assert_eq!(empty.objects().len(), 1);
}

#[test]
fn ports_that_a_container_declares_itself_stay() {
    let case = case(with(json!({
        "containers": {"main": {"ports": [{"containerPort": 8080, "name": "web", "hostPort": 1}]}},
        "service": {"ports": {"http": {"service_port": 80, "container_port": 8080}}},
    })));
    let expected = json!([{"containerPort": 8080, "name": "web", "hostPort": 1}]);
    assert_eq!(case.container()["ports"], expected);
}

#[test]
fn replicas() {
    let replicas = |spec: Json, autoscaled: bool, scale: Option<u32>| {
        let case = Case { autoscaled, scale, ..case(with(spec)) };
        case.object("Deployment")["spec"].get("replicas").and_then(Json::as_u64)
    };
    let both = json!({"deployment": {"replicas": 2}, "replicas": 3});
    assert_eq!(replicas(json!({}), false, None), Some(1));
    assert_eq!(replicas(json!({}), false, Some(5)), Some(5));
    assert_eq!(replicas(json!({"replicas": 0}), false, Some(5)), Some(0));
    assert_eq!(replicas(json!({"replicas": "3"}), false, None), Some(3));
    assert_eq!(replicas(both.clone(), false, Some(5)), Some(2));
    assert_eq!(replicas(both, true, Some(5)), None);
    let wrong = case(with(json!({"replicas": -1, "deployment": {"replicas": 1.5}}))).errors();
    let places: Vec<_> = wrong.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(places, ["/deployment/replicas", "/replicas"]);
}

#[test]
fn sidecars_come_after_the_own_containers() {
    let sidecar = json!({"name": "agent", "image": "agent:1"});
    let twice = case(with(json!({}))).sidecar(sidecar.clone()).sidecar(sidecar);
    let names: Vec<_> = twice.pod()["spec"]["containers"].as_array().unwrap().clone();
    assert_eq!(names.len(), 2);
    assert_eq!((&names[0]["name"], &names[1]["name"]), (&json!("main"), &json!("agent")));
}

#[test]
fn injection_that_cannot_work() {
    let mut case = case(with(json!({"volumes": {"v": {"emptyDir": {}}}})))
        .sidecar(json!({"name": "agent", "image": "agent:1"}))
        .sidecar(json!({"name": "agent", "image": "agent:2"}))
        .sidecar(json!({"name": "main", "image": "x"}))
        .sidecar(json!({"image": "x"}))
        .sidecar(json!({"name": "key", "env": [{"name": "K", "value": null}]}))
        .volume("externals.v", json!({"name": "v", "emptyDir": {"medium": "Memory"}}));
    case.containers[4].data.secrets.insert("/env/0/value".into(), reference("k"));
    insta::assert_snapshot!(case.report(), @r#"
    DEP-007 at "": volume `v` of workload `web` is described differently by the workload itself and by manifest `volumes`
      hint: give one of them another name, for example with the id of its resource
    DEP-007 at "": container `agent` of workload `web` is described differently by manifest `containers` and by manifest `containers`
      hint: give one of them another name, for example with the id of its resource
    DEP-007 at "": container `main` of workload `web` is described differently by the workload itself and by manifest `containers`
      hint: give one of them another name, for example with the id of its resource
    RES-105 at "": container manifest `containers`, injected into workload `web`, has no `name`
    RES-006 at "": container manifest `containers`, injected into workload `web`, has a secret at `/env/0/value`, where it would be readable in clear
      hint: return a Secret with location `namespace` too, and refer to it here
    "#);
}

#[test]
fn pods_roll_when_what_they_read_changes() {
    let checksum = |case: &Case| case.pod()["metadata"]["annotations"][CHECKSUM].clone();
    let base = worked_example();
    let sum = checksum(&base);
    assert_eq!(sum.as_str().unwrap().len(), 64);

    let mut value = worked_example();
    value.spec.value["containers"]["main"]["variables"]["LVL"] = json!("debug");
    let moved = worked_example().secret("/containers/main/variables/DB", reference("other"));
    let mut file = worked_example();
    file.spec.value["containers"]["main"]["files"] = json!({"/a": {"value": ""}});
    for changed in [&value, &moved, &file] {
        assert_ne!(checksum(changed), sum);
    }
    let mut label = worked_example();
    label.spec.value["pod"]["labels"]["team"] = json!("b");
    assert_eq!(checksum(&label), sum);

    let nothing = case(with(json!({})));
    assert_eq!(nothing.pod()["metadata"].get("annotations"), None);
}

#[test]
fn secrets_may_stand_in_variables_and_files_only() {
    let spec = json!({
        "containers": {"main": {
            "image": "i", "args": ["x"], "env": [{"name": "A", "value": "x"}],
            "variables": {"OBJECT": {"a": {"b": "x"}}}, "files": {"/f": {"mode": "", "value": ""}},
            "liveness_probe": {"type": "http", "port": 1, "headers": {"Authorization": "x"}},
        }},
        "annotations": {"a": "x"}, "pod": {"labels": {"l": "x"}},
        "imagePullSecrets": [{"name": "x"}], "serviceAccountName": "x",
    });
    let mut case = case(spec);
    for pointer in [
        "/containers/main/image",
        "/containers/main/args/0",
        "/containers/main/env/0/value",
        "/containers/main/variables/OBJECT/a/b",
        "/containers/main/files/~1f/mode",
        "/containers/main/liveness_probe/headers/Authorization",
        "/annotations/a",
        "/pod/labels/l",
        "/imagePullSecrets/0/name",
        "/serviceAccountName",
    ] {
        case = case.secret(pointer, reference("k"));
    }
    insta::assert_snapshot!(case.report(), @r#"
    RES-006 at "/annotations/a": workload `web` has a secret at `/annotations/a`, where it would be readable in clear
      hint: only `variables` and the `value` of `files` of a container may hold secrets
    RES-006 at "/containers/main/args/0": workload `web` has a secret at `/containers/main/args/0`, where it would be readable in clear
      hint: put it under `variables` and write `$(NAME)` here
    RES-006 at "/containers/main/env/0/value": workload `web` has a secret at `/containers/main/env/0/value`, where it would be readable in clear
      hint: put it under `variables` of the container instead of `env`
    RES-006 at "/containers/main/files/~1f/mode": workload `web` has a secret at `/containers/main/files/~1f/mode`, where it would be readable in clear
      hint: only `variables` and the `value` of `files` of a container may hold secrets
    RES-006 at "/containers/main/image": workload `web` has a secret at `/containers/main/image`, where it would be readable in clear
      hint: only `variables` and the `value` of `files` of a container may hold secrets
    RES-006 at "/containers/main/liveness_probe/headers/Authorization": workload `web` has a secret at `/containers/main/liveness_probe/headers/Authorization`, where it would be readable in clear
      hint: only `variables` and the `value` of `files` of a container may hold secrets
    RES-006 at "/containers/main/variables/OBJECT/a/b": workload `web` has a secret at `/containers/main/variables/OBJECT/a/b`, where it would be readable in clear
      hint: the whole value becomes one secret text: refer to the secret itself instead of an object that contains it
    RES-006 at "/imagePullSecrets/0/name": workload `web` has a secret at `/imagePullSecrets/0/name`, where it would be readable in clear
      hint: only `variables` and the `value` of `files` of a container may hold secrets
    RES-006 at "/pod/labels/l": workload `web` has a secret at `/pod/labels/l`, where it would be readable in clear
      hint: only `variables` and the `value` of `files` of a container may hold secrets
    RES-006 at "/serviceAccountName": workload `web` has a secret at `/serviceAccountName`, where it would be readable in clear
      hint: only `variables` and the `value` of `files` of a container may hold secrets
    "#);
}

#[test]
fn mistakes_in_containers() {
    let spec = json!({"containers": {
        "Main": {"image": "i"},
        "a": {"image": "", "command": "ls", "args": ["a", 1]},
        "b": {"image": "."},
        "c": {},
        "d": "nginx",
        "e": {"image": "i", "env": [{"value": "x"}, {"name": "A"}, {"name": "A"}],
              "variables": {"": "x", "A=B": "x", "NULL": null}},
        "f": {"image": "i", "variables": [], "files": {
            "rel": {"value": ""}, "/none": {}, "/text": "x", "/both": {"value": "", "binary_value": ""},
            "/base64": {"binary_value": "äöü"}, "/mode": {"value": "", "mode": "0999"},
            "/number": {"value": "", "mode": 420}, "/x/": {"value": ""}, "/co:lon": {"value": ""},
        }, "volumeMounts": [{"name": "v", "mountPath": "/x"}]},
        "g": {"image": "i", "liveness_probe": {"type": "tcp", "port": 1}, "livenessProbe": {}},
    }});
    insta::assert_snapshot!(case(spec).report(), @r#"
    DEP-006 at "/containers/Main": `Main` cannot name a container: it must be lower-case letters, digits and `-`, start and end with a letter or digit, and have at most 63 characters
    DEP-006 at "/containers/a/image": container `a` of workload `web` has an empty image
      hint: name the image, for example `registry.example.com/web:1.2`
    DEP-006 at "/containers/a/command": `/containers/a/command` must be a list, not a string
    DEP-006 at "/containers/a/args/1": `/containers/a/args/1` must be a string, not a number
    DEP-006 at "/containers/b/image": container `b` of workload `web` still has the image `.`
      hint: `.` stands for the image that was just built: name it when deploying
    DEP-006 at "/containers/c/image": container `c` of workload `web` has no image
      hint: name the image, for example `registry.example.com/web:1.2`
    DEP-006 at "/containers/d": `/containers/d` must be an object, not a string
    DEP-006 at "/containers/e/env/0": entry 0 of `env` of container `e` has no `name`
    DEP-006 at "/containers/e/env/2": `env` of container `e` has `A` twice
    DEP-006 at "/containers/e/variables/": `` cannot name a variable of container `e`: it must be printable ASCII without `=`
    DEP-006 at "/containers/e/variables/A=B": `A=B` cannot name a variable of container `e`: it must be printable ASCII without `=`
    DEP-006 at "/containers/e/variables/NULL": variable `NULL` of container `e` has no value
    DEP-006 at "/containers/f/variables": `/containers/f/variables` must be an object, not a list
    DEP-006 at "/containers/f/files/~1base64/binary_value": `binary_value` of file `/base64` of container `f` is not base64
    DEP-006 at "/containers/f/files/~1both/binary_value": file `/both` of container `f` has both `value` and `binary_value`
    DEP-006 at "/containers/f/files/~1co:lon": mount path `/co:lon` of container `f` must not contain `:`
    DEP-006 at "/containers/f/files/~1mode/mode": `mode` of file `/mode` of container `f` must be an octal string from "0000" to "0777", not "0999"
    DEP-006 at "/containers/f/files/~1none": file `/none` of container `f` has no `value`
    DEP-006 at "/containers/f/files/~1number/mode": `mode` of file `/number` of container `f` must be an octal string from "0000" to "0777", not 420
    DEP-006 at "/containers/f/files/~1text": file `/text` of container `f` must be an object, not a string
      hint: write `{"value": "…"}`
    DEP-006 at "/containers/f/files/rel": mount path `rel` of container `f` must be absolute and below `/`
    DEP-006 at "/containers/f/volumeMounts/0": mount path `/x` of container `f` is there twice
    DEP-006 at "/containers/g/liveness_probe": container `g` gives both `liveness_probe` and `livenessProbe`
    "#);
}

#[test]
fn mistakes_elsewhere() {
    let spec = with(json!({
        "deployment": {"selector": {}, "template": {}, "labels": []},
        "service": {"selector": {}},
        "pod": {"containers": [], "volumes": [{"emptyDir": {}}], "annotations": {"a": {}}},
        "job": {"backoffLimit": 1}, "schedules": {"x": {}}, "statefulset": {"replicas": 1},
        "ingress": {"rules": {"h": {}}},
        "replicas": "many",
    }));
    insta::assert_snapshot!(case(spec).report(), @r#"
    DEP-006 at "/job": `job` has no meaning in workload `web`: its profile is `humanitec/default-module`
      hint: this profile reads `deployment`
    DEP-006 at "/schedules": `schedules` has no meaning in workload `web`: its profile is `humanitec/default-module`
      hint: only `humanitec/default-cronjob` runs on schedules
    DEP-006 at "/statefulset": `statefulset` has no meaning in workload `web`: its profile is `humanitec/default-module`
      hint: this profile reads `deployment`
    DEP-006 at "/ingress": `ingress` of workload `web` is the old way to route traffic and is not supported
      hint: add resources of type `dns` and `route` to the workload instead
    DEP-006 at "/service/selector": `service.selector` of workload `web` cannot be set: it is the workload's own pods
    DEP-006 at "/pod/annotations/a": `/pod/annotations/a` must be a string, not an object
    DEP-006 at "/pod/containers": `pod.containers` of workload `web` cannot be set
      hint: declare containers under `containers`
    DEP-006 at "/pod/volumes/0": entry 0 of `/pod/volumes` has no `name`
    DEP-006 at "/deployment/labels": `/deployment/labels` must be an object, not a list
    DEP-006 at "/deployment/selector": `deployment.selector` of workload `web` cannot be set
      hint: the selector is always the workload's own pods
    DEP-006 at "/deployment/template": `deployment.template` of workload `web` cannot be set
      hint: describe the pod under `pod`
    DEP-006 at "/replicas": `/replicas` must be a whole number from 0 to 2147483647, not `many`
    "#);
    insta::assert_snapshot!(case(json!([])).report(), @r#"DEP-006 at "": the spec of workload `web` must be an object, not a list"#);
    insta::assert_snapshot!(case(json!({})).report(), @r#"DEP-006 at "/containers": workload `web` has no containers"#);
    let id = Case { id: "Web_1", ..case(with(json!({}))) };
    insta::assert_snapshot!(id.report(), @r#"DEP-006 at "": workload id `Web_1` cannot name Kubernetes objects: it must be lower-case letters, digits and `-`, start and end with a letter or digit, and have at most 63 characters"#);
}

#[test]
fn what_says_nothing_disturbs_no_profile() {
    let hollow = json!({"deployment": {"annotations": null, "labels": {}}, "schedules": {}});
    assert_eq!(case(with(hollow)).profile("humanitec/default-job").objects().len(), 1);
    let asked = json!({"deployment": {"annotations": {"a": "b"}}});
    assert_eq!(case(with(asked)).profile("humanitec/default-job").errors().len(), 1);
}

#[test]
fn mistakes_in_schedules() {
    let job = |spec: Json| case(with(spec)).profile("humanitec/default-cronjob");
    insta::assert_snapshot!(job(json!({"schedules": {}})).report(), @r#"
    DEP-006 at "/schedules": cron job `web` has no schedules
      hint: add one, for example `{"nightly": {"schedule": "0 3 * * *"}}`
    "#);
    let spec = json!({
        "schedules": {
            "A_B": {"schedule": "@daily"},
            "empty": {},
            "null": null,
            "short": {"schedule": "0 3 * *"},
            "zone": {"schedule": "CRON_TZ=UTC 0 3 * * *"},
            "who": {"schedule": "@daily", "containers": {"mian": {}, "main": {"image": ""}}},
        },
        "cronjob": {"jobTemplate": {}, "schedule": "@daily"},
        "service": {"ports": {"http": {"service_port": 1}}},
        "replicas": 2,
    });
    insta::assert_snapshot!(job(spec).report(), @r#"
    DEP-006 at "/replicas": `replicas` has no meaning in workload `web`: its profile is `humanitec/default-cronjob`
      hint: a cronjob is not scaled and takes no traffic
    DEP-006 at "/service": `service` has no meaning in workload `web`: its profile is `humanitec/default-cronjob`
      hint: a cronjob is not scaled and takes no traffic
    DEP-006 at "/schedules/A_B": `A_B` cannot name a schedule: it is not a DNS label
    DEP-006 at "/schedules/empty/schedule": schedule `empty` has no cron expression in `schedule`
      hint: minute, hour, day of month, month, day of week: `0 3 * * 1-5`
    DEP-006 at "/schedules/null": schedule `null` is empty
    DEP-006 at "/schedules/short/schedule": schedule `short` has the cron expression `0 3 * *` with 4 fields instead of 5
      hint: minute, hour, day of month, month, day of week: `0 3 * * 1-5`
    DEP-006 at "/schedules/who/containers/mian": schedule `who` changes container `mian`, which workload `web` does not have
      hint: did you mean `main`?
    DEP-006 at "/schedules/who/containers/main/image": container `main` of workload `web` has an empty image
      hint: name the image, for example `registry.example.com/web:1.2`
    DEP-006 at "/schedules/zone/schedule": schedule `zone` sets a time zone in `CRON_TZ=UTC 0 3 * * *`
      hint: write `timeZone` beside `schedule`
    DEP-006 at "/cronjob/jobTemplate": `cronjob.jobTemplate` of workload `web` cannot be set
      hint: describe the job under `job`
    DEP-006 at "/cronjob/schedule": `cronjob.schedule` of workload `web` cannot be set
      hint: name the schedules under `schedules`
    "#);
}

#[test]
fn too_much_for_a_config_map() {
    let big = "x".repeat(600 * 1024);
    let case = case(container(&json!({
        "variables": {"A": big, "B": "small"}, "files": {"/a": {"value": big}, "/b": {"value": big}},
    })));
    insta::assert_snapshot!(case.report(), @r#"DEP-006 at "/containers/main/files": the files of container `main` hold 1228864 bytes; a ConfigMap takes 1048576"#);
}

#[test]
fn names_stay_within_the_limits_of_kubernetes() {
    let long: &'static str = Box::leak("w".repeat(63).into_boxed_str());
    let container = "c".repeat(63);
    let spec = json!({
        "containers": {container.clone(): {"image": "i", "variables": {"A": "1"}, "files": {"/a": {"value": ""}}}},
        "schedules": {"nightly": {"schedule": "@daily"}},
    });
    let case = Case { id: long, ..case(spec) }.profile("humanitec/default-cronjob");
    let job = case.object("CronJob");
    assert_eq!(job["metadata"]["name"].as_str().unwrap().len(), 52);
    assert_eq!(case.pod()["spec"]["volumes"][0]["name"].as_str().unwrap().len(), 63);
    assert_eq!(case.object("ConfigMap")["metadata"]["name"], format!("{long}-{container}-env"));
    assert_eq!(job["metadata"]["labels"][workload::NAME], long);
}

// ---- laws ---------------------------------------------------------------------------------------

const CANARY: &str = "canary-7f3a";

#[derive(Clone, Debug)]
enum Value {
    Plain(Json),
    Secret(Vec<bool>),
}

impl Value {
    fn expr(parts: &[bool]) -> SecretExpr {
        let secret = SecretRef { store: CANARY.into(), key: CANARY.into(), version: None };
        let part = |text: &bool| match text {
            true => SecretPart::Text(CANARY.into()),
            false => SecretPart::Secret(secret.clone()),
        };
        SecretExpr::from_parts(parts.iter().map(part).chain([SecretPart::Secret(secret.clone())]))
    }
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[ -~]{0,12}".prop_map(|text| Value::Plain(Json::from(text))),
        any::<i32>().prop_map(|number| Value::Plain(Json::from(number))),
        any::<bool>().prop_map(|flag| Value::Plain(Json::from(flag))),
        prop::collection::vec(any::<bool>(), 0..3).prop_map(Value::Secret),
    ]
}

type Values = BTreeMap<String, Value>;

/// Workloads without mistakes, with secrets wherever they are allowed.
fn good_case() -> impl Strategy<Value = Case> {
    let variables = || prop::collection::btree_map("[A-Za-z_.~/ -]{1,8}", value(), 0..5);
    let files = || prop::collection::btree_map("/[a-z~/.]{0,6}[a-z]", value(), 0..4);
    let one = (variables(), files());
    let containers = prop::collection::btree_map("[a-z][a-z-]{0,3}[a-z]", one, 1..4);
    let ports = prop::collection::btree_map("[a-z]{1,20}", 1u16.., 0..4);
    let profile = prop::sample::select(vec![
        "humanitec/default-module",
        "humanitec/default-job",
        "humanitec/default-cronjob",
        "downbeat/stateful",
    ]);
    (containers, ports, profile, variables(), any::<bool>()).prop_map(
        |(containers, ports, profile, over, autoscaled)| {
            let mut case = case(json!({"containers": {}})).profile(profile);
            case.autoscaled = autoscaled;
            let first = containers.keys().next().unwrap().clone();
            for (name, (variables, files)) in containers {
                case.spec.value["containers"][&name] = json!({"image": "i"});
                place(&mut case, &format!("/containers/{name}"), "variables", variables, None);
                place(&mut case, &format!("/containers/{name}"), "files", files, Some("value"));
            }
            match profile {
                "humanitec/default-module" | "downbeat/stateful" => {
                    let unique: BTreeMap<u16, String> =
                        ports.into_iter().map(|(name, port)| (port, name)).collect();
                    for (port, name) in unique {
                        case.spec.value["service"]["ports"][name] = json!({"service_port": port});
                    }
                }
                "humanitec/default-cronjob" => {
                    let containers: Json = json!({&first: {}});
                    case.spec.value["schedules"] = json!({
                        "a": {"schedule": "@daily"},
                        "b": {"schedule": "@daily", "containers": containers},
                    });
                    place(
                        &mut case,
                        &format!("/schedules/b/containers/{first}"),
                        "variables",
                        over,
                        None,
                    );
                }
                _ => {}
            }
            case
        },
    )
}

fn place(case: &mut Case, at: &str, member: &str, values: Values, below: Option<&str>) {
    let mut map = json!({});
    for (name, value) in values {
        let mut pointer = format!("{at}/{member}/{}", name.replace('~', "~0").replace('/', "~1"));
        let value = match value {
            Value::Plain(value) => value,
            Value::Secret(parts) => {
                if let Some(below) = below {
                    pointer = format!("{pointer}/{below}");
                }
                case.spec.secrets.insert(pointer, Value::expr(&parts));
                Json::Null
            }
        };
        map[name] = below.map_or_else(|| value.clone(), |below| json!({below: value}));
    }
    case.spec.value.pointer_mut(at).unwrap()[member] = map;
}

/// Pointers of all nulls.
fn nulls(value: &Json, at: String, found: &mut BTreeSet<String>) {
    match value {
        Json::Null => {
            found.insert(at);
        }
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                nulls(item, format!("{at}/{index}"), found);
            }
        }
        Json::Object(members) => {
            for (key, member) in members {
                let key = key.replace('~', "~0").replace('/', "~1");
                nulls(member, format!("{at}/{key}"), found);
            }
        }
        _ => {}
    }
}

/// What any cluster insists on, as far as one can see it in the objects themselves.
fn well_formed(objects: &[Document]) {
    let mut keys = BTreeSet::new();
    let mut names = BTreeSet::new();
    for object in objects {
        let kind = object.value["kind"].as_str().unwrap();
        let name = object.value["metadata"]["name"].as_str().unwrap();
        assert!(object.value["apiVersion"].is_string() && name.len() <= 253);
        assert!(names.insert((kind, name)), "{kind} {name} twice");
        for member in ["data", "binaryData", "stringData"] {
            for key in object.value[member].as_object().into_iter().flat_map(|map| map.keys()) {
                let valid = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
                assert!(key.bytes().all(valid) && !key.starts_with(".."), "{key}");
                keys.insert((kind.to_owned(), name.to_owned(), key.clone()));
            }
        }
        for label in object.value["metadata"]["labels"].as_object().unwrap().values() {
            assert!(label.as_str().unwrap().len() <= 63);
        }
    }
    let exists = |kind: &str, name: &Json, key: &Json| {
        let text = |value: &Json| value.as_str().unwrap().to_owned();
        assert!(keys.contains(&(kind.to_owned(), text(name), text(key))), "{kind} {name} {key}");
    };
    for object in objects {
        let spec = &object.value["spec"];
        let cron = spec.pointer("/jobTemplate/spec/template");
        let Some(pod) = cron.or_else(|| spec.get("template")) else { continue };
        let labels = &pod["metadata"]["labels"];
        for (key, value) in spec["selector"]["matchLabels"].as_object().into_iter().flatten() {
            assert_eq!(&labels[key], value);
        }
        let none = Vec::new();
        let mut volumes = BTreeMap::new();
        for volume in pod["spec"]["volumes"].as_array().unwrap_or(&none) {
            let name = volume["name"].as_str().unwrap();
            assert!(name.len() <= 63);
            assert!(volumes.insert(name, volume).is_none(), "volume {name} twice");
            for item in volume["configMap"]["items"].as_array().unwrap_or(&none) {
                exists("ConfigMap", &volume["configMap"]["name"], &item["key"]);
            }
            for item in volume["secret"]["items"].as_array().unwrap_or(&none) {
                exists("Secret", &volume["secret"]["secretName"], &item["key"]);
            }
        }
        for container in pod["spec"]["containers"].as_array().unwrap() {
            assert!(container["image"].is_string() && container["name"].is_string());
            let mut seen = BTreeSet::new();
            for env in container["env"].as_array().unwrap_or(&none) {
                assert!(seen.insert(env["name"].as_str().unwrap()));
                let from = &env["valueFrom"];
                match (from.get("configMapKeyRef"), from.get("secretKeyRef")) {
                    (Some(at), None) => exists("ConfigMap", &at["name"], &at["key"]),
                    (None, Some(at)) => exists("Secret", &at["name"], &at["key"]),
                    _ => panic!("{env}"),
                }
            }
            let mut targets = BTreeSet::new();
            for mount in container["volumeMounts"].as_array().unwrap_or(&none) {
                assert!(targets.insert(mount["mountPath"].as_str().unwrap()));
                assert!(volumes.contains_key(mount["name"].as_str().unwrap()));
            }
        }
    }
}

proptest! {
    #[test]
    fn secrets_are_never_in_clear(case in good_case()) {
        let objects = case.objects();
        for object in &objects {
            prop_assert!(!object.value.to_string().contains(CANARY));
            let mut found = BTreeSet::new();
            nulls(&object.value, String::new(), &mut found);
            prop_assert_eq!(found, object.secrets.keys().cloned().collect());
            let secret = object.value["kind"] == "Secret";
            prop_assert!(object.secrets.keys().all(|at| secret && at.starts_with("/stringData/")));
            prop_assert_eq!(secret, !object.secrets.is_empty());
        }
    }

    #[test]
    fn objects_are_well_formed(case in good_case()) {
        well_formed(&case.objects());
    }

    #[test]
    fn the_same_workload_gives_the_same_objects(case in good_case()) {
        let copy: Json = serde_json::from_str(&case.spec.value.to_string()).unwrap();
        let again = Case { spec: Document { value: copy, ..case.spec.clone() }, ..self::case(Json::Null) };
        let again = Case { profile: case.profile, autoscaled: case.autoscaled, ..again };
        prop_assert_eq!(case.objects(), again.objects());
    }

    /// Any tree at all: mistakes have a code and point into the spec, nothing panics.
    #[test]
    fn no_spec_is_too_strange(spec in strange(), profile in 0usize..4) {
        let profile = ["humanitec/default-module", "humanitec/default-job",
            "humanitec/default-cronjob", "downbeat/stateful"][profile];
        let case = case(spec).profile(profile);
        for error in case.run().err().into_iter().flatten() {
            prop_assert!(error.code != Code::Internal && !error.message.is_empty());
            let parent = error.pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
            prop_assert!(case.spec.value.pointer(parent).is_some(), "{error:?}");
        }
    }
}

fn strange() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        "[a-z/.{}$]{0,6}".prop_map(Json::from),
    ];
    let key = prop_oneof![
        prop::sample::select(vec![
            "containers",
            "main",
            "variables",
            "files",
            "volume_mounts",
            "service",
            "ports",
            "deployment",
            "pod",
            "job",
            "cronjob",
            "schedules",
            "schedule",
            "volumes",
            "image",
            "env",
            "resources",
            "liveness_probe",
            "type",
            "port",
            "value",
            "mode",
            "labels",
            "annotations",
            "command",
            "id",
            "name",
            "/x",
            "statefulset",
            "replicas",
            "ingress",
        ])
        .prop_map(str::to_owned),
        "[a-zA-Z~/]{0,4}",
    ];
    leaf.prop_recursive(6, 96, 6, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            4 => prop::collection::btree_map(key.clone(), inner, 0..6)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}
