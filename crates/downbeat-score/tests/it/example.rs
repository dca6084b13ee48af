//! The worked example of the conversion, byte for byte.

use downbeat_core::{Json, json::canonical};
use downbeat_score::Options;

use crate::{convert, delta, set};

const SCORE: &str = r#"apiVersion: score.dev/v1b1
metadata: {name: web}
containers:
  main:
    image: .
    variables: {DB: "pg://${resources.db.host}/${resources.db.name}", LVL: "${resources.env.LEVEL}", ME: "${metadata.name}"}
    volumes: [{source: "${resources.tmp}", target: /tmp/x}]
service: {ports: {http: {port: 80, targetPort: 8080}}}
resources:
  env: {type: environment}
  db: {type: postgres, class: large}
  tmp: {type: volume}
  host: {type: dns, id: site}
  r1: {type: route, params: {host: "${resources.host.host}", path: /, port: 80}}
"#;

const DELTA: &str = r#"{"modules": {"add": {"web": {
  "profile": "humanitec/default-module",
  "spec": {
    "annotations": {"humanitec.io/managed-by": "score-humanitec"},
    "containers": {"main": {"id": "main", "image": "reg/web:1",
      "variables": {"DB": "pg://${externals.db.host}/${externals.db.name}", "LVL": "${values.LEVEL}", "ME": "web"},
      "volume_mounts": {"/tmp/x": {"id": "externals.tmp", "sub_path": "", "read_only": false}}}},
    "service": {"ports": {"http": {"protocol": "TCP", "service_port": 80, "container_port": 8080}}}},
  "externals": {
    "db": {"type": "postgres", "class": "large"},
    "tmp": {"type": "volume", "class": "default"},
    "r1": {"type": "route", "class": "default",
           "params": {"host": "${shared.site.host}", "path": "/", "port": 80}}}}}},
 "shared": [{"op": "add", "path": "/site", "value": {"type": "dns", "class": "default"}}]}"#;

#[test]
fn worked_example() {
    let options = Options {
        image: Some("reg/web:1".to_owned()),
        origin: "score-humanitec".to_owned(),
        ..Options::default()
    };
    let converted = convert(SCORE, &options);
    assert_eq!(converted.warnings, []);
    let expected: Json = serde_json::from_str(DELTA).unwrap();
    assert_eq!(canonical(&delta(&converted)), canonical(&expected));
    assert_eq!(
        canonical(&set(&converted)["shared"]),
        r#"{"site":{"class":"default","type":"dns"}}"#
    );
}
