//! From a Score file to a deployment.

use super::{Client, Result, level};
use crate::{
    active_resource::ActiveResource,
    delta::{Delta, DeltaRequest, PlainDelta},
    deployment::{Deployment, DeploymentError, DeploymentProgress, DeploymentRequest},
    graph::{DependencyGraph, RequestedResource},
    score::{ConvertScore, ConvertedScore},
    set::{ResourceInputs, Set},
};

#[expect(clippy::missing_errors_doc, reason = "each fails as `send` does")]
impl Client {
    /// Converts a Score file.
    pub async fn convert_score(&self, org: &str, request: &ConvertScore) -> Result<ConvertedScore> {
        self.post(&["orgs", org, "artefact-versions", "convert-score"], request).await
    }

    /// Lists the deltas of an application that are not archived.
    pub async fn deltas(&self, org: &str, app: &str) -> Result<Vec<Delta>> {
        self.get(&["orgs", org, "apps", app, "deltas"]).await
    }

    /// Creates a delta.
    pub async fn create_delta(&self, org: &str, app: &str, new: &DeltaRequest) -> Result<Delta> {
        self.post(&["orgs", org, "apps", app, "deltas"], new).await
    }

    /// Shows a delta.
    pub async fn delta(&self, org: &str, app: &str, id: &str) -> Result<Delta> {
        self.get(&["orgs", org, "apps", app, "deltas", id]).await
    }

    /// Merges deltas on top of a delta.
    pub async fn patch_delta(
        &self,
        org: &str,
        app: &str,
        id: &str,
        more: &[DeltaRequest],
    ) -> Result<Delta> {
        self.patch(&["orgs", org, "apps", app, "deltas", id], &more).await
    }

    /// Shows a set; `0` is the empty one.
    pub async fn set(&self, org: &str, app: &str, id: &str) -> Result<Set> {
        self.get(&["orgs", org, "apps", app, "sets", id]).await
    }

    /// Shows the delta that turns the set `from` into the set `to`.
    pub async fn diff_sets(
        &self,
        org: &str,
        app: &str,
        from: &str,
        to: &str,
    ) -> Result<PlainDelta> {
        self.get(&["orgs", org, "apps", app, "sets", to, "diff", from]).await
    }

    /// Applies a delta to a set and answers the id of the set that it gives.
    pub async fn apply_delta(
        &self,
        org: &str,
        app: &str,
        set: &str,
        delta: &DeltaRequest,
    ) -> Result<String> {
        self.post(&["orgs", org, "apps", app, "sets", set], delta).await
    }

    /// Lists the resources that a set asks for.
    pub async fn set_resources(
        &self,
        org: &str,
        app: &str,
        set: &str,
    ) -> Result<Vec<ResourceInputs>> {
        self.get(&["orgs", org, "apps", app, "sets", set, "resources"]).await
    }

    /// Deploys.
    pub async fn deploy(
        &self,
        org: &str,
        app: &str,
        env: &str,
        request: &DeploymentRequest,
    ) -> Result<Deployment> {
        self.post(&level(org, app, Some(env), &["deploys"]), request).await
    }

    /// Lists the deployments of an environment, newest first.
    pub async fn deployments(&self, org: &str, app: &str, env: &str) -> Result<Vec<Deployment>> {
        self.get(&level(org, app, Some(env), &["deploys"])).await
    }

    /// Shows a deployment.
    pub async fn deployment(
        &self,
        org: &str,
        app: &str,
        env: &str,
        id: &str,
    ) -> Result<Deployment> {
        self.get(&level(org, app, Some(env), &["deploys", id])).await
    }

    /// Lists what went wrong in a deployment.
    pub async fn deployment_errors(
        &self,
        org: &str,
        app: &str,
        env: &str,
        id: &str,
    ) -> Result<Vec<DeploymentError>> {
        self.get(&level(org, app, Some(env), &["deploys", id, "errors"])).await
    }

    /// Shows how far a deployment is.
    pub async fn deployment_progress(
        &self,
        org: &str,
        app: &str,
        env: &str,
        id: &str,
    ) -> Result<DeploymentProgress> {
        self.get(&level(org, app, Some(env), &["deploys", id, "progress"])).await
    }

    /// Lists the resources of an environment.
    pub async fn active_resources(
        &self,
        org: &str,
        app: &str,
        env: &str,
    ) -> Result<Vec<ActiveResource>> {
        self.get(&level(org, app, Some(env), &["resources"])).await
    }

    /// Builds the graph of the requested resources.
    pub async fn build_graph(
        &self,
        org: &str,
        app: &str,
        env: &str,
        requested: &[RequestedResource],
    ) -> Result<DependencyGraph> {
        self.post(&level(org, app, Some(env), &["resources", "graphs"]), &requested).await
    }

    /// Shows a graph.
    pub async fn graph(
        &self,
        org: &str,
        app: &str,
        env: &str,
        id: &str,
    ) -> Result<DependencyGraph> {
        self.get(&level(org, app, Some(env), &["resources", "graphs", id])).await
    }
}
