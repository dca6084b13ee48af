//! What resources there can be, and how they are made.

use super::{Client, Result};
use crate::{
    active_resource::ActiveResource,
    definition::{
        CreateMatchingCriteria, CreateResourceDefinition, MatchingCriteria,
        PatchResourceDefinition, ResourceDefinition, ResourceDefinitionVersion,
        UpdateResourceDefinition,
    },
    driver::ResourceDriver,
    resource_class::ResourceClass,
    resource_type::{CreateResourceType, ResourceType},
};

#[expect(clippy::missing_errors_doc, reason = "each fails as `send` does")]
impl Client {
    /// Lists the definitions of an organization, grouped by type.
    pub async fn definitions(&self, org: &str) -> Result<Vec<ResourceDefinition>> {
        self.get(&["orgs", org, "resources", "defs"]).await
    }

    /// Creates a definition.
    pub async fn create_definition(
        &self,
        org: &str,
        new: &CreateResourceDefinition,
    ) -> Result<ResourceDefinition> {
        self.post(&["orgs", org, "resources", "defs"], new).await
    }

    /// Shows a definition.
    pub async fn definition(&self, org: &str, id: &str) -> Result<ResourceDefinition> {
        self.get(&["orgs", org, "resources", "defs", id]).await
    }

    /// Replaces what a definition says.
    pub async fn put_definition(
        &self,
        org: &str,
        id: &str,
        change: &UpdateResourceDefinition,
    ) -> Result<ResourceDefinition> {
        self.put(&["orgs", org, "resources", "defs", id], change).await
    }

    /// Changes parts of what a definition says.
    pub async fn patch_definition(
        &self,
        org: &str,
        id: &str,
        change: &PatchResourceDefinition,
    ) -> Result<ResourceDefinition> {
        self.patch(&["orgs", org, "resources", "defs", id], change).await
    }

    /// Deletes a definition that no resource was made from.
    pub async fn delete_definition(&self, org: &str, id: &str) -> Result<()> {
        self.delete(&["orgs", org, "resources", "defs", id]).await
    }

    /// Replaces all matching criteria of a definition.
    pub async fn put_criteria(
        &self,
        org: &str,
        definition: &str,
        all: &[CreateMatchingCriteria],
    ) -> Result<Vec<MatchingCriteria>> {
        self.put(&["orgs", org, "resources", "defs", definition, "criteria"], &all).await
    }

    /// Lists the versions of a definition, newest first.
    pub async fn definition_versions(
        &self,
        org: &str,
        definition: &str,
    ) -> Result<Vec<ResourceDefinitionVersion>> {
        self.get(&["orgs", org, "resources", "defs", definition, "versions"]).await
    }

    /// Lists the resources that were made from a definition.
    pub async fn definition_resources(
        &self,
        org: &str,
        definition: &str,
    ) -> Result<Vec<ActiveResource>> {
        self.get(&["orgs", org, "resources", "defs", definition, "resources"]).await
    }

    /// Lists the resource types that an organization knows.
    pub async fn resource_types(&self, org: &str) -> Result<Vec<ResourceType>> {
        self.get(&["orgs", org, "resources", "types"]).await
    }

    /// Creates a resource type.
    pub async fn create_resource_type(
        &self,
        org: &str,
        new: &CreateResourceType,
    ) -> Result<ResourceType> {
        self.post(&["orgs", org, "resources", "types"], new).await
    }

    /// Lists the registered classes of all resource types.
    pub async fn resource_classes(&self, org: &str) -> Result<Vec<ResourceClass>> {
        self.get(&["orgs", org, "resources", "classes"]).await
    }

    /// Lists the drivers that an organization knows.
    pub async fn drivers(&self, org: &str) -> Result<Vec<ResourceDriver>> {
        self.get(&["orgs", org, "resources", "drivers"]).await
    }
}
