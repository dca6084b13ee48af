//! The drivers that v1 brings along, under the organization `humanitec` (also `downbeat`).
//!
//! Definitions may name all of them; which ones can run is decided by the adapters at deployment.

/// Type of a driver that makes resources of any type.
pub const ANY_TYPE: &str = "*";

/// A driver that is part of the product, or of v1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Driver {
    /// Id without the organization.
    pub id: &'static str,
    /// The type of resource that it makes, or [`ANY_TYPE`].
    pub makes: &'static str,
    /// The types of resource accounts that it takes.
    pub account_types: &'static [&'static str],
}

/// All of them, by id.
#[must_use]
pub fn drivers() -> &'static [Driver] {
    DRIVERS
}

/// The driver behind a reference (`humanitec/template`).
#[must_use]
pub fn driver(reference: &str) -> Option<&'static Driver> {
    let id = reference.strip_prefix("humanitec/").or(reference.strip_prefix("downbeat/"))?;
    let at = DRIVERS.binary_search_by(|driver| driver.id.cmp(id)).ok()?;
    DRIVERS.get(at)
}

const NONE: &[&str] = &[];
const AWS: &[&str] = &["aws", "aws-role"];
const AZURE: &[&str] = &["azure", "azure-identity"];
const GCP: &[&str] = &["gcp", "gcp-identity"];
const CLOUDS: &[&str] = &["aws", "aws-role", "azure", "azure-identity", "gcp", "gcp-identity"];

const DRIVERS: &[Driver] = &[
    make("agent", "agent", NONE),
    make("azure-blob", "azure-blob", AZURE),
    make("azure-service-bus-queue", "azure-service-bus-queue", AZURE),
    make("container", ANY_TYPE, CLOUDS),
    make("container-runner", ANY_TYPE, CLOUDS),
    make("dns-aws-route53", "dns", AWS),
    make("dns-azure", "dns", AZURE),
    make("dns-cloudflare", "dns", NONE),
    make("dns-gcp", "dns", GCP),
    make("dns-wildcard", "dns", NONE),
    make("echo", ANY_TYPE, CLOUDS),
    make("elasticsearch-static", "elasticsearch", NONE),
    make("gcp-pubsub", "gcp-pubsub-topic", GCP),
    make("gcs", "gcs", GCP),
    make("hpa", "horizontal-pod-autoscaler", NONE),
    make("http", ANY_TYPE, CLOUDS),
    make("ingress", "ingress", NONE),
    make("k8s-cluster", "k8s-cluster", NONE),
    make("k8s-cluster-aks", "k8s-cluster", AZURE),
    make("k8s-cluster-eks", "k8s-cluster", AWS),
    make("k8s-cluster-git", "k8s-cluster", NONE),
    make("k8s-cluster-gke", "k8s-cluster", GCP),
    make("k8s-namespace", "k8s-namespace", NONE),
    make("kubernetes-manifest", ANY_TYPE, NONE),
    make("logging-elasticsearch", "logging", NONE),
    make("logging-gcp", "logging", GCP),
    make("logging-k8s", "logging", NONE),
    make("mariadb-cloudsql", "mariadb", GCP),
    make("mariadb-static", "mariadb", NONE),
    make("mongodb-static", "mongodb", NONE),
    make("mssql-static", "mssql", NONE),
    make("mysql-cloudsql", "mysql", GCP),
    make("mysql-cloudsql-static", "mysql", GCP),
    make("mysql-static", "mysql", NONE),
    make("newapp-io-dns", "dns", NONE),
    make("opentofu-container-runner", ANY_TYPE, CLOUDS),
    make("postgres-cloudsql", "postgres", GCP),
    make("postgres-cloudsql-static", "postgres", GCP),
    make("postgres-static", "postgres", NONE),
    make("rabbitmq-static", "amqp", NONE),
    make("redis", "redis", NONE),
    make("redis-static", "redis", NONE),
    make("route", "route", NONE),
    make("s3", "s3", AWS),
    make("s3-static", "s3", AWS),
    make("sqs", "sqs", AWS),
    make("static", ANY_TYPE, CLOUDS),
    make("template", ANY_TYPE, CLOUDS),
    make("terraform", ANY_TYPE, CLOUDS),
    make("terraform-container-runner", ANY_TYPE, CLOUDS),
    make("terraform-runner", ANY_TYPE, CLOUDS),
    make("tls-cert", "tls-cert", NONE),
    make("volume-nfs", "volume", NONE),
    make("volume-pvc", "volume", NONE),
];

const fn make(
    id: &'static str,
    makes: &'static str,
    account_types: &'static [&'static str],
) -> Driver {
    Driver { id, makes, account_types }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_driver_is_found_under_both_names() {
        for known in drivers() {
            assert_eq!(driver(&format!("humanitec/{}", known.id)), Some(known));
            assert_eq!(driver(&format!("downbeat/{}", known.id)), Some(known));
        }
        assert_eq!(driver("humanitec/"), None);
        assert_eq!(driver("acme/echo"), None);
    }
}
