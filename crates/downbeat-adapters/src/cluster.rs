//! The `k8s-cluster` family: how to reach the cluster of an environment.
//!
//! These drivers connect, they do not create. Outputs are the inputs plus `cluster_type`, which
//! chooses the [target](downbeat_engine::Target). Without `credentials` those of the driver account
//! open the cluster.

use downbeat_core::{Code, Json};
use downbeat_engine::{DriverError, PureDriver, Request, Response, SecretOutput};

use crate::echo::passed_on;

/// The secret output that opens the cluster.
const CREDENTIALS: &str = "/credentials";
/// The secret input that stands in for it.
const ACCOUNT: &str = "/account";

/// A driver for one kind of cluster.
#[derive(Clone, Copy, Debug)]
pub struct Cluster {
    /// The kind, as put out in `cluster_type`.
    pub kind: &'static str,
    /// Inputs without which the cluster cannot be reached.
    pub required: &'static [&'static str],
}

/// Driver reference and driver of each kind (spec 06 section 6).
pub const CLUSTERS: [(&str, Cluster); 5] = [
    ("humanitec/k8s-cluster", Cluster { kind: "k8s", required: &["cluster_data"] }),
    ("humanitec/k8s-cluster-git", Cluster { kind: "git", required: &[] }),
    ("humanitec/k8s-cluster-eks", Cluster { kind: "eks", required: &["name", "region"] }),
    (
        "humanitec/k8s-cluster-gke",
        Cluster { kind: "gke", required: &["name", "zone", "project_id"] },
    ),
    (
        "humanitec/k8s-cluster-aks",
        Cluster { kind: "aks", required: &["name", "resource_group", "subscription_id"] },
    ),
];

impl PureDriver for Cluster {
    fn opens_secrets(&self) -> bool {
        false
    }

    fn takes_account(&self) -> bool {
        true
    }

    fn compute(&self, request: &Request<'_>) -> Result<Response, DriverError> {
        let mut response = passed_on(request)?;
        let is_given =
            |at: &String| at == CREDENTIALS || at.starts_with(&format!("{CREDENTIALS}/"));
        if !response.secrets.keys().any(is_given) {
            for (at, text) in request.secret_texts {
                if let Some(member) = at.strip_prefix(ACCOUNT) {
                    let output = SecretOutput::Text(text.clone());
                    response.secrets.insert(format!("{CREDENTIALS}{member}"), output);
                }
            }
        }
        let missing: Vec<&str> = self
            .required
            .iter()
            .filter(|name| !response.values.contains_key(**name))
            .copied()
            .collect();
        if !missing.is_empty() {
            let message = format!("the driver input {} is missing", missing.join(", "));
            return Err(DriverError::new(Code::DriverInputs, message));
        }
        response.values.insert("cluster_type".to_owned(), Json::String(self.kind.to_owned()));
        Ok(response)
    }
}
