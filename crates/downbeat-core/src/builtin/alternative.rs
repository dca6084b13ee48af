//! What takes the place of drivers of v1 that do not run here.
//!
//! Definitions may name these drivers and are stored as they are, so that a platform can be moved
//! one definition at a time. Only a deployment that needs one of them fails, and says what is here.

/// A driver that can take the place of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alternative {
    /// The driver.
    pub driver: &'static str,
    /// How to do with it what the other one did: what follows a colon.
    pub how: &'static str,
}

/// What to use in place of a driver of v1, best first; empty when we know of nothing.
///
/// Whether an alternative runs in this installation is for the caller to find out.
#[must_use]
pub fn alternatives(driver_type: &str) -> &'static [Alternative] {
    let name = driver_type.strip_prefix("humanitec/").or(driver_type.strip_prefix("downbeat/"));
    match name.unwrap_or_default() {
        "container"
        | "container-runner"
        | "opentofu-container-runner"
        | "terraform-container-runner"
        | "terraform-runner" => &[SAME_CODE, OUTSIDE],
        "terraform" => &[OUTSIDE],
        "s3" | "sqs" => &[AWS, OUTSIDE],
        "azure-blob" | "azure-service-bus-queue" => &[AZURE, OUTSIDE],
        "gcs"
        | "gcp-pubsub"
        | "mariadb-cloudsql"
        | "mysql-cloudsql"
        | "mysql-cloudsql-static"
        | "postgres-cloudsql"
        | "postgres-cloudsql-static" => &[GCP, OUTSIDE],
        "dns-aws-route53" | "dns-azure" | "dns-cloudflare" | "dns-gcp" => &[WILDCARD],
        "http" => &[OWN],
        "kubernetes-manifest" => &[MANIFESTS],
        "logging-elasticsearch" | "logging-gcp" => &[LOGGING],
        "redis" => &[REDIS],
        "route" => &[ROUTE],
        _ => &[],
    }
}

const fn with(driver: &'static str, how: &'static str) -> Alternative {
    Alternative { driver, how }
}

const AWS: Alternative =
    with("humanitec/terraform", "write it as Terraform code with the provider `hashicorp/aws`");
const AZURE: Alternative =
    with("humanitec/terraform", "write it as Terraform code with the provider `hashicorp/azurerm`");
const GCP: Alternative =
    with("humanitec/terraform", "write it as Terraform code with the provider `hashicorp/google`");
const LOGGING: Alternative =
    with("humanitec/echo", "or delete the definition, logs are read where the cluster keeps them");
const MANIFESTS: Alternative =
    with("humanitec/template", "the objects become `templates.manifests`");
const OUTSIDE: Alternative = with(
    "humanitec/echo",
    "make the resource outside, and enter its outputs as `values` and its credentials as \
     `secret_refs`",
);
const OWN: Alternative = with(
    "humanitec/echo",
    "enter the outputs as `values`, or register the service as a driver of your own with `POST \
     …/resources/drivers`",
);
const REDIS: Alternative = with(
    "humanitec/template",
    "the starter definition `redis` runs one in the namespace of the environment",
);
const ROUTE: Alternative =
    with("humanitec/template", "or delete the definition, routes are made without one");
const SAME_CODE: Alternative = with(
    "humanitec/terraform",
    "`files`, `variables`, `credentials_config` and `source` stay as they are (with `rev` for its \
     `ref`), what describes the runner and its cluster goes",
);
const WILDCARD: Alternative = with(
    "humanitec/dns-wildcard",
    "one wildcard record for a domain, and a `template` for the name below it",
);
