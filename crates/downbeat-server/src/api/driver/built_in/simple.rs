//! The inputs of built-in drivers whose inputs are flat (spec 06).
//!
//! They describe: what a driver cannot do without, it says itself at deployment, because other
//! members may be there for templates, and a v1 client may store an incomplete definition.

use downbeat_core::{Json, JsonMap, builtin};
use serde_json::json;

/// What a member may be. What stands for a placeholder is a text everywhere.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Texts,
    Number,
    Flag,
    Object,
    Any,
}

impl Kind {
    fn schema(self) -> Json {
        match self {
            Self::Text => json!({ "type": "string" }),
            Self::Texts => json!({ "type": ["object", "string"],
                "additionalProperties": { "type": ["string", "number", "boolean"] } }),
            Self::Number => json!({ "type": ["integer", "string"] }),
            Self::Flag => json!({ "type": ["boolean", "string"] }),
            Self::Object => json!({ "type": ["object", "string"] }),
            Self::Any => json!({}),
        }
    }
}

type Members = &'static [(&'static str, Kind, &'static str)];

const LOADBALANCER: (&str, Kind, &str) =
    ("loadbalancer", Kind::Text, "address that DNS records point to");
const AGENT: (&str, Kind, &str) =
    ("agent_url", Kind::Text, "kept for agents, which are not there yet");

/// Plain and secret members of a driver's inputs; none for a driver with inputs of another shape.
fn members(driver: &str) -> Option<(Members, Members)> {
    use Kind::{Any, Flag, Number, Object, Text, Texts};
    Some(match driver {
        "agent" => (
            &[("id", Text, "needed: name of the agent")],
            &[("url", Text, "address of a relay to the cluster; reached directly without one")],
        ),
        "dns-wildcard" => (
            &[
                ("domain", Text, "needed: what the label is put in front of"),
                ("template", Text, "a template of the label; 12 digits of the id without one"),
            ],
            &[],
        ),
        "newapp-io-dns" => (
            &[
                ("domain", Text, "needed: a domain of your own takes the place of the vendor's"),
                ("template", Text, "a template of the label; 12 digits of the id without one"),
            ],
            &[],
        ),
        "hpa" => (
            &[
                ("minReplicas", Number, "fewest replicas, 2 without it"),
                ("maxReplicas", Number, "most replicas that a workload may ask for, 3 without it"),
                ("targetCPUUtilizationPercentage", Number, "load that is aimed at, 80 without it"),
            ],
            &[],
        ),
        "ingress" => (
            &[
                ("class", Text, "name of the ingress class"),
                ("annotations", Texts, "annotations of the Ingress"),
                ("labels", Texts, "labels of the Ingress"),
                ("path_type", Text, "`Prefix` without it"),
                ("no_tls", Flag, "`true`: no certificate"),
                ("tls_secret_name", Text, "a Secret with a certificate; else that of `tls-cert`"),
                ("api_version", Text, "read and ignored: it is `networking.k8s.io/v1`"),
            ],
            &[],
        ),
        "k8s-cluster" => (
            &[
                ("name", Text, "a name for people"),
                LOADBALANCER,
                ("cluster_data", Object, "needed: the `cluster` of a kubeconfig"),
            ],
            &[("credentials", Object, "the `user` of a kubeconfig"), AGENT],
        ),
        "k8s-cluster-aks" => (
            &[
                ("name", Text, "needed: name of the cluster"),
                ("resource_group", Text, "needed: its resource group"),
                ("subscription_id", Text, "needed: its subscription"),
                ("server_app_id", Text, "application of the API server"),
                LOADBALANCER,
            ],
            &[("credentials", Any, "a service principal, or the driver account"), AGENT],
        ),
        "k8s-cluster-eks" => (
            &[
                ("name", Text, "needed: name of the cluster"),
                ("region", Text, "needed: its region"),
                LOADBALANCER,
                ("loadbalancer_hosted_zone", Text, "hosted zone of the load balancer"),
            ],
            &[("credentials", Any, "an access key, or the driver account"), AGENT],
        ),
        "k8s-cluster-git" => (
            &[
                ("url", Text, "address of the repository; without it the one of this server"),
                ("branch", Text, "branch that is written to"),
                ("path", Text, "folder of the environment in it"),
                LOADBALANCER,
            ],
            &[("credentials", Object, "`ssh_key` or `password` of the repository")],
        ),
        "k8s-cluster-gke" => (
            &[
                ("name", Text, "needed: name of the cluster"),
                ("zone", Text, "needed: its zone or region"),
                ("project_id", Text, "needed: its project"),
                LOADBALANCER,
            ],
            &[("credentials", Any, "a service account key, or the driver account"), AGENT],
        ),
        "k8s-namespace" => (
            &[
                ("name", Text, "name of the namespace; one of its own for each id without it"),
                ("labels", Texts, "labels of the Namespace"),
                ("annotations", Texts, "annotations of the Namespace"),
            ],
            &[],
        ),
        "tls-cert" => (
            &[
                ("tls_secret_name", Text, "name of the Secret; alone: one that exists"),
                ("issuer", Text, "name of an issuer of cert-manager: a Certificate is made"),
                ("issuer_kind", Text, "`ClusterIssuer` without it"),
                ("host", Text, "name in the Certificate; that of `dns` without it"),
            ],
            &[
                ("certificate", Text, "chain of certificates in PEM: a Secret is made"),
                ("key", Text, "its private key in PEM"),
            ],
        ),
        "template" => (
            &[("templates", Object, "`init`, `outputs`, `secrets`, `manifests`, `cookie`")],
            &[
                ("templates", Object, "older form: `outputs` are the secret outputs"),
                ("account", Any, "the credentials of the driver account"),
            ],
        ),
        "volume-nfs" => (
            &[
                ("server", Text, "needed: name or address of the server"),
                ("path", Text, "needed: exported folder"),
            ],
            &[],
        ),
        "volume-pvc" => (
            &[
                ("access_modes", Text, "`ReadWriteOnce` without it"),
                ("capacity", Text, "size of the claim, `1Gi` without it"),
                ("storage_class_name", Text, "the cluster's own choice without it"),
            ],
            &[],
        ),
        "logging-k8s" => (&[], &[]),
        "echo" | "static" => (&[], &[]),
        name if name.ends_with("-static") && builtin::runs_here(&format!("humanitec/{name}")) => {
            (&[], &[])
        }
        _ => return None,
    })
}

/// JSON Schema of the inputs of a driver that this module knows.
pub(super) fn inputs(driver: &str) -> Option<JsonMap> {
    let (values, secrets) = members(driver)?;
    let part = |members: Members| {
        let member = |(name, kind, description): &(&str, Kind, &str)| {
            let mut schema = kind.schema();
            if let Some(schema) = schema.as_object_mut() {
                schema.insert("description".to_owned(), Json::String((*description).to_owned()));
            }
            ((*name).to_owned(), schema)
        };
        let properties: JsonMap = members.iter().map(member).collect();
        json!({ "type": "object", "properties": properties })
    };
    let schema = json!({ "type": "object", "properties": {
        "values": part(values), "secrets": part(secrets) } });
    schema.as_object().cloned()
}
