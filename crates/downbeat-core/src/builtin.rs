//! What is part of the product: definitions that a first deployment needs, and drivers that are
//! templates over another driver.

mod alternative;
mod driver;
mod runner;

use std::{borrow::Cow, sync::Arc};

use serde_json::json;

pub use alternative::{Alternative, alternatives};
pub use driver::{ANY_TYPE, Driver, driver, drivers};

use crate::{
    Criteria, Definition, Json, JsonMap,
    definition::{Body, DriverInputs},
    matching::{Index, Tie},
};

/// Adds the built-in definitions to an index. A definition of the organization always wins over
/// these (`is_default`).
///
/// # Errors
/// Never, unless they are there already.
pub fn add_to(index: &mut Index) -> Result<(), Tie> {
    for definition in definitions() {
        let criteria = Criteria { id: format!("{}-any", definition.id), ..Criteria::default() };
        index.insert(&Arc::new(definition), criteria)?;
    }
    Ok(())
}

/// The built-in definitions; each has one criteria, `{}`.
#[must_use]
pub fn definitions() -> Vec<Definition> {
    let echo = |id: &str, resource_type: &str| make(id, resource_type, "humanitec/echo", json!({}));
    vec![
        // No update, no manifests: a workload or environment that nobody taught anything.
        echo("default-workload", "workload"),
        echo("default-base-env", "base-env"),
        echo("default-logging", "logging"),
        make(
            "default-k8s-namespace",
            "k8s-namespace",
            TEMPLATE,
            json!({"templates": {
            "outputs": NAMESPACE}}),
        ),
        make(
            "default-route",
            "route",
            TEMPLATE,
            json!({"res_id": "${context.res.id}",
            "templates": {"init": ROUTE_OWNER, "outputs": ROUTE}}),
        ),
    ]
}

const TEMPLATE: &str = "humanitec/template";

/// A random-looking UUID that stays the same for an environment.
const NAMESPACE: &str = "namespace: {{ substr 0 8 .id }}-{{ substr 8 12 .id }}-\
    {{ substr 12 16 .id }}-{{ substr 16 20 .id }}-{{ substr 20 32 .id }}";

/// The Service of a route is the workload that the route is private to.
const ROUTE_OWNER: &str = r#"{{- if not (hasPrefix "modules." .driver.values.res_id) -}}
{{- fail "a route must be a private resource of the workload that serves it" -}}
{{- end -}}
service: {{ index (splitList "." .driver.values.res_id) 1 | toRawJson }}
"#;

const ROUTE: &str = r#"host: {{ .resource.host | toRawJson }}
path: {{ .resource.path | default "/" | toRawJson }}
port: {{ .resource.port | toRawJson }}
service: {{ .init.service | toRawJson }}
"#;

fn make(id: &str, resource_type: &str, driver_type: &str, values: Json) -> Definition {
    let inputs = DriverInputs { values: Some(object(values)), secret_refs: None };
    let body = Body {
        name: id.to_owned(),
        driver_type: driver_type.to_owned(),
        driver_inputs: Some(inputs),
        ..Body::default()
    };
    let version = "00000000-0000-0000-0000-000000000000";
    let mut definition = Definition::new(id, version, resource_type, body);
    definition.is_default = true;
    definition
}

/// The members of an object written above.
fn object(value: Json) -> JsonMap {
    if let Json::Object(members) = value { members } else { JsonMap::new() }
}

/// Scheme of the address of an agent that stands for no relay: the cluster is reached directly.
pub const DIRECT: &str = "direct://";

/// The one name of a built-in driver that has two.
#[must_use]
pub fn canonical(driver_type: &str) -> Cow<'_, str> {
    match driver_type.strip_prefix("downbeat/") {
        Some(name) => Cow::Owned(format!("humanitec/{name}")),
        None => Cow::Borrowed(driver_type),
    }
}

/// Drivers for what exists already: their inputs are the outputs of the type.
const STATIC: [&str; 9] = [
    "elasticsearch-static",
    "mariadb-static",
    "mongodb-static",
    "mssql-static",
    "mysql-static",
    "postgres-static",
    "rabbitmq-static",
    "redis-static",
    "s3-static",
];

/// Whether this driver runs here and changes nothing in the world: what it makes is gone when its
/// record is.
#[must_use]
pub fn changes_nothing(driver_type: &str) -> bool {
    let name = driver_type.strip_prefix("humanitec/").or(driver_type.strip_prefix("downbeat/"));
    name.is_some_and(|name| {
        const PURE: [&str; 18] = [
            "agent",
            "dns-wildcard",
            "echo",
            "hpa",
            "ingress",
            "k8s-cluster",
            "k8s-cluster-aks",
            "k8s-cluster-eks",
            "k8s-cluster-git",
            "k8s-cluster-gke",
            "k8s-namespace",
            "logging-k8s",
            "newapp-io-dns",
            "static",
            "template",
            "tls-cert",
            "volume-nfs",
            "volume-pvc",
        ];
        PURE.contains(&name) || STATIC.contains(&name)
    })
}

/// Whether this built-in driver runs here.
#[must_use]
pub fn runs_here(driver_type: &str) -> bool {
    let name = driver_type.strip_prefix("humanitec/").or(driver_type.strip_prefix("downbeat/"));
    changes_nothing(driver_type) || matches!(name, Some("container" | "terraform"))
}

/// The inputs for the driver behind a built-in virtual driver; `None` when the driver is not one.
///
/// Expansion happens when a definition is read, before its references are collected: what the
/// templates below refer to becomes part of the graph (spec 06 section 1).
#[must_use]
pub fn expand(body: &Body) -> Option<Body> {
    let inputs = body.driver_inputs.as_ref();
    let given = inputs.and_then(|inputs| inputs.values.clone()).unwrap_or_default();
    let driver_type = body.driver_type.replacen("downbeat/", "humanitec/", 1);
    if let Some(runner) = runner::find(&driver_type) {
        return Some(runner.expand(body));
    }
    if driver_type.strip_prefix("humanitec/").is_some_and(|name| STATIC.contains(&name)) {
        return Some(Body { driver_type: "humanitec/echo".to_owned(), ..body.clone() });
    }
    let values = match driver_type.as_str() {
        "humanitec/agent" => json!({"id": given.get("id"),
            "templates": {"init": AGENT, "secrets": AGENT_URL}}),
        "humanitec/dns-wildcard" | "humanitec/newapp-io-dns" => dns_wildcard(&given),
        "humanitec/ingress" => ingress(&given),
        "humanitec/hpa" => json!({"res_id": "${context.res.id}", "limits": given,
            "templates": {"init": HPA_OWNER, "manifests": HPA}}),
        "humanitec/volume-pvc" => json!({"claim": given,
            "templates": {"outputs": VOLUME_OUTPUTS, "manifests": format!("{VOLUME_PVC}{VOLUME}")}}),
        "humanitec/volume-nfs" => json!({"server": given.get("server"), "path": given.get("path"),
            "templates": {"outputs": VOLUME_OUTPUTS, "manifests": format!("{VOLUME_NFS}{VOLUME}")}}),
        "humanitec/k8s-namespace" => json!({"namespace": given,
            "templates": {"init": NAMESPACE_NAME, "outputs": NAMESPACE_OUTPUTS,
                "manifests": NAMESPACE_OBJECT}}),
        "humanitec/tls-cert" => tls_cert(&given),
        // Logs are read where the cluster keeps them: there is nothing to make.
        "humanitec/logging-k8s" => json!({"templates": {}}),
        _ => return None,
    };
    let mut values = object(values);
    values.retain(|_, value| !value.is_null());
    Some(Body {
        driver_type: TEMPLATE.to_owned(),
        driver_inputs: Some(DriverInputs {
            values: Some(values),
            secret_refs: inputs.and_then(|inputs| inputs.secret_refs.clone()),
        }),
        ..body.clone()
    })
}

/// `host` is the rendered label below the domain. What is random in the label is seeded with the
/// resource's id, so it is rendered alike each time.
fn dns_wildcard(given: &JsonMap) -> Json {
    let missing = "{{ fail \"the driver input values.domain is missing\" }}";
    let domain = given.get("domain").and_then(Json::as_str).unwrap_or(missing);
    let label = given.get("template").and_then(Json::as_str).unwrap_or("{{ trunc 12 .id }}");
    json!({
        "domain": domain,
        // Not a YAML text: a label may begin with `{{-`, which would eat the space behind `host:`.
        "templates": {"outputs": {"host": format!("{label}.{domain}")}},
    })
}

/// A certificate that exists, is entered here, or is asked for from cert-manager.
fn tls_cert(given: &JsonMap) -> Json {
    let host = match (given.get("issuer"), given.get("host")) {
        (None, _) => Json::Null,
        (Some(_), Some(host)) => host.clone(),
        (Some(_), None) => json!("${resources.dns.outputs.host}"),
    };
    json!({
        "tls_secret_name": given.get("tls_secret_name"),
        "issuer": given.get("issuer"),
        "issuer_kind": given.get("issuer_kind"),
        "host": host,
        "templates": {"init": TLS_NAME, "outputs": TLS_OUTPUTS, "manifests": TLS},
    })
}

/// One Ingress with a rule for the host and a path for each route; none without routes.
fn ingress(given: &JsonMap) -> Json {
    // What was a placeholder elsewhere is a text.
    let no_tls = given.get("no_tls").is_some_and(|no| no == true || no == "true");
    let secret = match given.get("tls_secret_name") {
        _ if no_tls => Json::Null,
        Some(name) => name.clone(),
        None => json!("${resources.tls-cert.outputs.tls_secret_name}"),
    };
    json!({
        "host": "${resources.dns.outputs.host}",
        "paths": "${resources.dns<route.outputs.path}",
        "ports": "${resources.dns<route.outputs.port}",
        "services": "${resources.dns<route.outputs.service}",
        "class": given.get("class"),
        "annotations": given.get("annotations"),
        "labels": given.get("labels"),
        "path_type": given.get("path_type").cloned().unwrap_or_else(|| json!("Prefix")),
        "tls_secret_name": secret,
        "templates": {"outputs": "id: {{ .id }}-ingress\n", "manifests": INGRESS},
    })
}

/// Rules come from routes; older definitions give host and rules as inputs of the resource.
const INGRESS: &str = r#"{{- $rules := dig "rules" "http" dict .resource -}}
{{- $host := .resource.host | default .driver.values.host -}}
{{- $secret := .driver.values.tls_secret_name | default .resource.tls_secret_name -}}
{{- if or .driver.values.paths $rules -}}
ingress.yaml:
  location: namespace
  data:
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata:
      name: {{ .id }}-ingress
      {{- if .driver.values.annotations }}
      annotations: {{ .driver.values.annotations | toRawJson }}
      {{- end }}
      {{- if .driver.values.labels }}
      labels: {{ .driver.values.labels | toRawJson }}
      {{- end }}
    spec:
      {{- if .driver.values.class }}
      ingressClassName: {{ .driver.values.class | toRawJson }}
      {{- end }}
      {{- if $secret }}
      tls:
      - hosts: [{{ $host | toRawJson }}]
        secretName: {{ $secret | toRawJson }}
      {{- end }}
      rules:
      - host: {{ $host | toRawJson }}
        http:
          paths:
          {{- range $path, $rule := $rules }}
          - path: {{ $path | toRawJson }}
            pathType: {{ $rule.type | default $.driver.values.path_type | toRawJson }}
            backend:
              service:
                name: {{ $rule.name | toRawJson }}
                port:
                  {{ kindIs "string" $rule.port | ternary "name" "number" }}: {{ $rule.port | toRawJson }}
          {{- end }}
          {{- range $at, $path := .driver.values.paths }}
          - path: {{ $path | toRawJson }}
            pathType: {{ $.driver.values.path_type | toRawJson }}
            backend:
              service:
                name: {{ index $.driver.values.services $at | toRawJson }}
                port:
                  {{- $port := index $.driver.values.ports $at }}
                  {{ kindIs "string" $port | ternary "name" "number" }}: {{ $port | toRawJson }}
          {{- end }}
{{- end }}
"#;

/// An agent is a name here. Without the address of a relay the cluster is reached directly, which
/// the scheme [`DIRECT`] says (`docs/design/drivers.md`).
const AGENT: &str = r#"id: {{ required "the driver input values.id is missing" .driver.values.id | toRawJson }}
"#;

const AGENT_URL: &str = r#"{{- $direct := printf "direct://%v" .driver.values.id -}}
url: {{ .driver.secrets.url | default $direct | toRawJson }}
"#;

const NAMESPACE_NAME: &str = r#"{{- $id := .id -}}
{{- $own := printf "%s-%s-%s-%s-%s" (substr 0 8 $id) (substr 8 12 $id) (substr 12 16 $id) (substr 16 20 $id) (substr 20 32 $id) -}}
name: {{ .driver.values.namespace.name | default $own | toRawJson }}
"#;

const NAMESPACE_OUTPUTS: &str = "namespace: {{ .init.name | toRawJson }}\n";

const NAMESPACE_OBJECT: &str = r"namespace.yaml:
  location: cluster
  data:
    apiVersion: v1
    kind: Namespace
    metadata:
      name: {{ .init.name | toRawJson }}
      {{- if .driver.values.namespace.labels }}
      labels: {{ .driver.values.namespace.labels | toRawJson }}
      {{- end }}
      {{- if .driver.values.namespace.annotations }}
      annotations: {{ .driver.values.namespace.annotations | toRawJson }}
      {{- end }}
";

/// What is to be made needs a name; what exists already has one.
const TLS_NAME: &str = r#"{{- $given := .driver.secrets.certificate -}}
{{- if and $given .driver.values.issuer -}}
{{- fail "both a certificate and an issuer are given; take one of them out" -}}
{{- end -}}
{{- if ne (empty $given) (empty .driver.secrets.key) -}}
{{- fail "secrets.certificate and secrets.key belong together; enter both" -}}
{{- end -}}
{{- if not (or $given .driver.values.issuer .driver.values.tls_secret_name) -}}
{{- fail "no certificate: enter values.tls_secret_name, values.issuer, or secrets.certificate and secrets.key" -}}
{{- end -}}
name: {{ .driver.values.tls_secret_name | default (printf "tls-%s" .id) | toRawJson }}
"#;

const TLS_OUTPUTS: &str = "tls_secret_name: {{ .init.name | toRawJson }}\n";

/// A Secret with what was entered, or a Certificate that cert-manager turns into one.
const TLS: &str = r#"{{- if .driver.secrets.certificate -}}
secret.yaml:
  location: namespace
  data:
    apiVersion: v1
    kind: Secret
    metadata:
      name: {{ .init.name | toRawJson }}
    type: kubernetes.io/tls
    stringData:
      tls.crt: {{ .driver.secrets.certificate | toRawJson }}
      tls.key: {{ .driver.secrets.key | toRawJson }}
{{- else if .driver.values.issuer -}}
certificate.yaml:
  location: namespace
  data:
    apiVersion: cert-manager.io/v1
    kind: Certificate
    metadata:
      name: {{ .init.name | toRawJson }}
    spec:
      secretName: {{ .init.name | toRawJson }}
      dnsNames: [{{ .driver.values.host | toRawJson }}]
      issuerRef:
        name: {{ .driver.values.issuer | toRawJson }}
        kind: {{ .driver.values.issuer_kind | default "ClusterIssuer" | toRawJson }}
{{- end }}
"#;

/// The workload that an autoscaler is private to.
const HPA_OWNER: &str = r#"{{- if not (hasPrefix "modules." .driver.values.res_id) -}}
{{- fail "a horizontal-pod-autoscaler must be a private resource of the workload that it scales" -}}
{{- end -}}
workload: {{ index (splitList "." .driver.values.res_id) 1 | toRawJson }}
"#;

/// What the workload asks for, within the limits of the definition.
const HPA: &str = r#"{{- $most := .driver.values.limits.maxReplicas | default 3 | int -}}
{{- $min := .resource.minReplicas | default (.driver.values.limits.minReplicas | default 2) | int -}}
{{- $max := min (.resource.maxReplicas | default $most | int) $most -}}
hpa.yaml:
  location: namespace
  data:
    apiVersion: autoscaling/v2
    kind: HorizontalPodAutoscaler
    metadata:
      name: {{ .init.workload }}-hpa
    spec:
      scaleTargetRef:
        apiVersion: apps/v1
        kind: Deployment
        name: {{ .init.workload }}
      minReplicas: {{ min $min $max }}
      maxReplicas: {{ $max }}
      metrics:
      - type: Resource
        resource:
          name: cpu
          target:
            type: Utilization
            averageUtilization: {{ .resource.targetCPUUtilizationPercentage | default (.driver.values.limits.targetCPUUtilizationPercentage | default 80) }}
"#;

/// GUResIDs may start with a digit; names of volumes may not be ambiguous: a letter goes in front.
const VOLUME_OUTPUTS: &str = "volumeName: vol-{{ .id }}\npvcName: pvc-{{ .id }}\n";

/// What both volumes give to the workload: its claim, mounted.
const VOLUME: &str = r"volume.yaml:
  location: volumes
  data:
    name: vol-{{ .id }}
    persistentVolumeClaim:
      claimName: pvc-{{ .id }}
";

const VOLUME_PVC: &str = r#"claim.yaml:
  location: namespace
  data:
    apiVersion: v1
    kind: PersistentVolumeClaim
    metadata:
      name: pvc-{{ .id }}
    spec:
      accessModes: [{{ .driver.values.claim.access_modes | default "ReadWriteOnce" | toRawJson }}]
      {{- if .driver.values.claim.storage_class_name }}
      storageClassName: {{ .driver.values.claim.storage_class_name | toRawJson }}
      {{- end }}
      resources:
        requests:
          storage: {{ .driver.values.claim.capacity | default "1Gi" | toRawJson }}
"#;

const VOLUME_NFS: &str = r#"persistent-volume.yaml:
  location: cluster
  data:
    apiVersion: v1
    kind: PersistentVolume
    metadata:
      name: pv-{{ .id }}
    spec:
      accessModes: [ReadWriteMany]
      capacity:
        storage: 1Mi
      nfs:
        server: {{ required "the driver input values.server is missing" .driver.values.server | toRawJson }}
        path: {{ required "the driver input values.path is missing" .driver.values.path | toRawJson }}
claim.yaml:
  location: namespace
  data:
    apiVersion: v1
    kind: PersistentVolumeClaim
    metadata:
      name: pvc-{{ .id }}
    spec:
      accessModes: [ReadWriteMany]
      storageClassName: ""
      volumeName: pv-{{ .id }}
      resources:
        requests:
          storage: 1Mi
"#;
