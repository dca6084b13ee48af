//! What would become of existing resources if a definition or criteria went away.

use downbeat_api::definition::ResourceDefinitionChange;
use downbeat_core::matching::Context;
use downbeat_store::{
    OrgScope, Tx,
    active_resource::{self, ActiveResource},
    definition as store,
};
use serde_json::json;

use crate::{Problem, Result};

/// Refuses to remove a definition, or one criteria of it, that resources were made from.
///
/// # Errors
/// 409 with the bare list of v1: each resource with the definition that would make it.
pub(super) async fn refuse(
    tx: &mut Tx,
    scope: &OrgScope,
    def: &str,
    criteria: Option<&str>,
) -> Result<()> {
    let made = active_resource::list_by_definition(&mut *tx, scope, def).await?;
    let concerned =
        |resource: &ActiveResource| criteria.is_none_or(|id| resource.criteria_id == id);
    let concerned: Vec<_> = made.into_iter().filter(concerned).collect();
    if concerned.is_empty() {
        return Ok(());
    }
    let mut left = store::list(&mut *tx, scope).await?;
    match criteria {
        None => left.retain(|whole| whole.definition.id != def),
        Some(id) => {
            for whole in &mut left {
                whole.criteria.retain(|known| known.id != id);
            }
        }
    }
    let index = store::index(left);
    let change = |resource: ActiveResource| {
        let (app, env) = (resource.app_id.as_str(), resource.env_id.as_str());
        let context = Context { org: scope.org(), app, env, env_type: &resource.env_type };
        let entry = index.find(&resource.key(), &context);
        let to_def = entry.map(|entry| entry.definition.id.to_string()).unwrap_or_default();
        ResourceDefinitionChange {
            to_def,
            app_id: resource.app_id,
            env_id: resource.env_id,
            res_id: resource.res_id,
            from_def: resource.def_id,
        }
    };
    let changes: Vec<_> = concerned
        .into_iter()
        .map(change)
        .filter(|change| criteria.is_none() || change.from_def != change.to_def)
        .collect();
    if changes.is_empty() {
        return Ok(());
    }
    Err(Problem::conflict("Resources were made from this definition.").with_body(json!(changes)))
}
