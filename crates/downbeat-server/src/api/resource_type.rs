//! `/orgs/{orgId}/resources/types`: what may be asked for.
//!
//! The built-in types are part of the product and never change; an organization's own are called
//! `<org>/<name>`.

use axum::{Json, extract::State, http::StatusCode};
use downbeat_api::resource_type::{
    CreateResourceType, PatchResourceType, ResourceType, UpdateResourceType,
};
use downbeat_core::{
    Json as Value, JsonMap,
    id::Grammar,
    resource_type::{Catalogue, ResourceType as Core},
};
use downbeat_store::{
    AnyConnection, OrgScope, Tx,
    resource_type::{self as store, StoredType as Row},
};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::common::{check_grammar, check_schema};
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::{Change, Effect},
    extract::{Body, Path},
    problem::short,
};

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(put, patch, delete))
}

/// Lists the resource types that an organization knows, by id.
#[utoipa::path(
    get, path = "/orgs/{orgId}/resources/types",
    operation_id = "listResourceTypes", tag = "ResourceType",
    responses((status = 200, body = Vec<ResourceType>, description = "The types.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
) -> Result<Json<Vec<ResourceType>>> {
    let scope = caller.scope(&org)?;
    let catalogue = catalogue(&mut *state.db.read().await?, &scope).await?;
    Ok(Json(catalogue.iter().map(wire).collect()))
}

/// Creates a resource type.
#[utoipa::path(
    post, path = "/orgs/{orgId}/resources/types",
    operation_id = "createResourceType", tag = "ResourceType",
    request_body = CreateResourceType,
    responses(
        (status = 200, body = ResourceType, description = "The new type."),
        (status = 409, body = downbeat_api::ErrorBody, description = "The type exists already."),
    ),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
    Body(new): Body<CreateResourceType>,
) -> Result<Json<ResourceType>> {
    let scope = caller.scope(&org)?;
    let resource_type = ResourceType {
        r#type: new.r#type,
        name: new.name.unwrap_or_default(),
        category: new.category.unwrap_or_default(),
        r#use: new.r#use,
        inputs_schema: new.inputs_schema.unwrap_or_default(),
        outputs_schema: new.outputs_schema.unwrap_or_default(),
    };
    let name = own_name(&org, &resource_type.r#type)?;
    check_grammar(Grammar::Class, "name of a resource type", "/type", name)?;
    check_use(&resource_type.r#use)?;
    check_schema("/inputs_schema", &resource_type.inputs_schema)?;
    check_schema("/outputs_schema", &resource_type.outputs_schema)?;
    let row = row(&resource_type)?;
    let mut change = caller.change(&state, &scope).await?;
    if store::find(&mut change, &scope, &row.resource_type).await?.is_some() {
        let id = &row.resource_type;
        return Err(Problem::conflict(format!("The resource type `{id}` exists already.")));
    }
    store::create(&mut change, &scope, &row).await?;
    change.commit(StatusCode::OK, Effect::created(&resource_type)).await?;
    Ok(Json(resource_type))
}

/// Replaces a resource type.
#[utoipa::path(
    put, path = "/orgs/{orgId}/resources/types/{typeId}",
    operation_id = "updateResourceType", tag = "ResourceType",
    request_body = UpdateResourceType,
    responses((status = 200, body = ResourceType, description = "The type as it is now.")),
)]
async fn put(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
    Body(new): Body<UpdateResourceType>,
) -> Result<Json<ResourceType>> {
    let scope = caller.scope(&org)?;
    let mut change = caller.change(&state, &scope).await?;
    let old = find_own(&mut change, &scope, &id).await?;
    let resource_type = ResourceType {
        r#type: id,
        name: new.name.unwrap_or_default(),
        category: new.category.unwrap_or_default(),
        r#use: new.r#use,
        inputs_schema: new.inputs_schema.unwrap_or_default(),
        outputs_schema: new.outputs_schema.unwrap_or_default(),
    };
    update(change, &scope, &old, resource_type).await
}

/// Changes parts of a resource type.
#[utoipa::path(
    patch, path = "/orgs/{orgId}/resources/types/{typeId}",
    operation_id = "patchResourceType", tag = "ResourceType",
    request_body = PatchResourceType,
    responses((status = 200, body = ResourceType, description = "The type as it is now.")),
)]
async fn patch(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
    Body(patch): Body<PatchResourceType>,
) -> Result<Json<ResourceType>> {
    let scope = caller.scope(&org)?;
    let mut change = caller.change(&state, &scope).await?;
    let before = find_own(&mut change, &scope, &id).await?;
    let old = before.clone();
    let resource_type = ResourceType {
        r#type: id,
        name: patch.name.unwrap_or(old.name),
        category: patch.category.unwrap_or(old.category),
        r#use: patch.r#use.unwrap_or(old.r#use),
        inputs_schema: patch.inputs_schema.unwrap_or(old.inputs_schema),
        outputs_schema: patch.outputs_schema.unwrap_or(old.outputs_schema),
    };
    update(change, &scope, &before, resource_type).await
}

/// Removes a resource type that no definition is for.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/resources/types/{typeId}",
    operation_id = "deleteResourceType", tag = "ResourceType",
    responses((status = 204, description = "The type is gone.")),
)]
async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?;
    let mut change = caller.change(&state, &scope).await?;
    let old = find_own(&mut change, &scope, &id).await?;
    let definitions = store::definitions(&mut change, &scope, &id).await?;
    if !definitions.is_empty() {
        return Err(Problem::invalid(format!("The resource type `{id}` is in use."))
            .with_hint("Delete its definitions first.")
            .with_detail("resource_definitions", definitions));
    }
    store::delete(&mut change, &scope, &id).await?;
    change.commit(StatusCode::NO_CONTENT, Effect::deleted(&old)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All types that an organization knows.
pub(super) async fn catalogue(conn: &mut AnyConnection, scope: &OrgScope) -> Result<Catalogue> {
    let mut catalogue = Catalogue::default();
    for row in store::list(conn, scope).await? {
        let own = Core::deserialize(&row.content).map_err(|error| Problem::internal(&error))?;
        catalogue.insert(own);
    }
    Ok(catalogue)
}

/// Makes sure that the type exists. `at` is where the request names it.
pub(super) async fn check_reference(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    resource_type: &str,
    at: &str,
) -> Result<()> {
    let catalogue = catalogue(conn, scope).await?;
    if catalogue.find(resource_type).is_some() {
        return Ok(());
    }
    let hint = match catalogue.nearest(resource_type) {
        Some(nearest) => format!("Did you mean `{nearest}`?"),
        None => "`GET …/resources/types` lists the types.".to_owned(),
    };
    Err(Problem::invalid(format!("There is no resource type `{}`.", short(resource_type)))
        .with_code(downbeat_core::Code::UnknownType)
        .with_hint(hint)
        .at(at, "not a known resource type"))
}

async fn find_own(tx: &mut Tx, scope: &OrgScope, id: &str) -> Result<ResourceType> {
    let missing = || Problem::not_found("resource type", id);
    if let Some(row) = store::find(&mut *tx, scope, id).await? {
        return ResourceType::deserialize(&row.content).map_err(|error| Problem::internal(&error));
    }
    if Catalogue::default().find(id).is_some() {
        return Err(Problem::forbidden(format!(
            "The resource type `{id}` is built in and cannot change."
        )));
    }
    Err(missing())
}

async fn update(
    mut change: Change,
    scope: &OrgScope,
    old: &ResourceType,
    resource_type: ResourceType,
) -> Result<Json<ResourceType>> {
    check_use(&resource_type.r#use)?;
    check_schema("/inputs_schema", &resource_type.inputs_schema)?;
    check_schema("/outputs_schema", &resource_type.outputs_schema)?;
    store::update(&mut change, scope, &row(&resource_type)?).await?;
    change.commit(StatusCode::OK, Effect::changed(old, &resource_type)).await?;
    Ok(Json(resource_type))
}

/// The part of a type's id after the organization.
fn own_name<'a>(org: &str, id: &'a str) -> Result<&'a str> {
    let name = id.strip_prefix(org).and_then(|rest| rest.strip_prefix('/'));
    name.ok_or_else(|| {
        let id = short(id);
        Problem::forbidden(format!("`{id}` is not a resource type of the organization `{org}`."))
            .with_hint(format!("Begin the type with `{org}/`."))
    })
}

fn check_use(usage: &str) -> Result<()> {
    match usage {
        "direct" | "indirect" => Ok(()),
        "implicit" => {
            Err(Problem::forbidden("Only built-in resource types can be of use `implicit`.")
                .with_hint("Use `direct` or `indirect`."))
        }
        usage => {
            let rule = "use `direct` or `indirect`";
            let usage = short(usage);
            Err(Problem::invalid(format!("`{usage}` is not a use of a resource type: {rule}."))
                .at("/use", rule))
        }
    }
}

fn row(resource_type: &ResourceType) -> Result<Row> {
    let content = serde_json::to_value(resource_type).map_err(|error| Problem::internal(&error))?;
    Ok(Row { resource_type: resource_type.r#type.clone(), content })
}

fn wire(resource_type: &Core) -> ResourceType {
    let schema = |schema: &Value| schema.as_object().cloned().unwrap_or_else(JsonMap::new);
    ResourceType {
        r#type: resource_type.id.clone(),
        name: resource_type.name.clone(),
        category: resource_type.category.clone(),
        r#use: resource_type.usage.as_str().to_owned(),
        inputs_schema: schema(&resource_type.inputs_schema),
        outputs_schema: schema(&resource_type.outputs_schema),
    }
}
