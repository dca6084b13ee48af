//! `/orgs/{orgId}/resources/defs`: when and how resources are made.
//!
//! A change never edits: it writes a version and puts it into use, unless the version is only
//! proposed. Id and type are fixed from the start.

mod changes;
mod criteria;
mod inputs;
mod provision;
mod version;

use axum::{Json, extract::State, http::StatusCode};
use downbeat_api::{
    active_resource::ActiveResource,
    definition::{
        CreateResourceDefinition, PatchResourceDefinition, ResourceDefinition,
        ResourceDefinitionChange, UpdateResourceDefinition,
    },
};
use downbeat_core::{Criteria, definition::Body as Core, id::Grammar};
use downbeat_store::{
    AnyConnection, OrgScope, Tx, active_resource as resources,
    definition::{self as store, Content, StoredDefinition, Version, Whole},
};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::inputs::Sealer;
use super::{
    active_resource,
    common::{check_grammar, flag},
    driver, resource_type,
};
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::{Change, Effect},
    extract::{Body, Path, Query},
    problem::short,
    state::new_id,
};

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, put, patch, delete))
        .routes(routes!(list_resources))
        .merge(criteria::routes())
        .merge(version::routes())
}

/// Whether deleted definitions count.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Deleted {
    /// Shows deleted definitions as well.
    #[serde(default, deserialize_with = "flag")]
    deleted: bool,
}

/// Whether to delete what is in use.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Force {
    /// Deletes even what resources were made from; they are matched again at the next deployment.
    #[serde(default, deserialize_with = "flag")]
    force: bool,
}

/// Which definitions to list: those that could match. What is absent is not looked at.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Application.
    app: Option<String>,
    /// Environment.
    env: Option<String>,
    /// Environment type.
    env_type: Option<String>,
    /// Resource id.
    res: Option<String>,
    /// Resource type.
    res_type: Option<String>,
    /// Resource class.
    class: Option<String>,
    /// Lists deleted definitions as well.
    #[serde(default, deserialize_with = "flag")]
    deleted: bool,
}

impl Filter {
    /// The best rank of the criteria that could match; nothing when none could. A definition
    /// without criteria is listed only when nothing but its type is asked for.
    fn rank(&self, whole: &Whole) -> Option<u8> {
        let given = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
        let Whole { definition, criteria, .. } = whole;
        if definition.is_deleted && !self.deleted {
            return None;
        }
        if given(&self.res_type).is_some_and(|wanted| wanted != definition.resource_type) {
            return None;
        }
        let fields = [
            (given(&self.res), 8),
            (given(&self.env), 4),
            (given(&self.app), 2),
            (given(&self.env_type), 1),
        ];
        let class = given(&self.class);
        let anything = class.is_none() && fields.iter().all(|(wanted, _)| wanted.is_none());
        let rank = |criteria: &Criteria| {
            let set = [&criteria.res_id, &criteria.env_id, &criteria.app_id, &criteria.env_type];
            let mut rank = 0;
            for (set, (wanted, weight)) in set.into_iter().zip(&fields) {
                match (set, wanted) {
                    (Some(set), Some(wanted)) if set != wanted => return None,
                    (Some(_), _) => rank += weight,
                    (None, _) => {}
                }
            }
            class.as_ref().is_none_or(|class| class == criteria.class()).then_some(rank)
        };
        criteria.iter().filter_map(rank).max().or(anything.then_some(0))
    }
}

/// Lists the definitions that could match, grouped by type, best match first.
#[utoipa::path(
    get, path = "/orgs/{orgId}/resources/defs", params(Filter),
    operation_id = "listResourceDefinitions", tag = "ResourceDefinition",
    responses((status = 200, body = Vec<ResourceDefinition>, description = "The definitions.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
    Query(filter): Query<Filter>,
) -> Result<Json<Vec<ResourceDefinition>>> {
    let scope = caller.scope(&org)?;
    let all = store::list(&mut *state.db.read().await?, &scope).await?;
    let ranked = all.into_iter().filter_map(|whole| Some((filter.rank(&whole)?, whole)));
    let mut ranked: Vec<_> = ranked.collect();
    // A stable sort: what ranks alike stays in the order of ids.
    ranked.sort_by(|(rank_a, a), (rank_b, b)| {
        let types = a.definition.resource_type.cmp(&b.definition.resource_type);
        types.then(rank_b.cmp(rank_a))
    });
    Ok(Json(ranked.into_iter().map(|(_, whole)| wire(&org, whole)).collect()))
}

/// Creates a definition.
#[utoipa::path(
    post, path = "/orgs/{orgId}/resources/defs",
    operation_id = "createResourceDefinition", tag = "ResourceDefinition",
    request_body = CreateResourceDefinition,
    responses(
        (status = 200, body = ResourceDefinition, description = "The new definition."),
        (
            status = 409, body = downbeat_api::ErrorBody,
            description = "The id is taken, or a definition of the type has one of the criteria.",
        ),
    ),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
    Body(new): Body<CreateResourceDefinition>,
) -> Result<Json<ResourceDefinition>> {
    let scope = caller.scope(&org)?;
    check_grammar(Grammar::Definition, "id of a definition", "/id", &new.id)?;
    let inputs = new.driver_inputs.map(inputs::read).transpose()?;
    let mut content = Content {
        body: Core {
            name: new.name,
            driver_type: new.driver_type,
            driver_account: new.driver_account,
            driver_inputs: None,
            provision: new.provision.map(provision::read).transpose()?,
            in_place_driver_change: new.in_place_driver_change.unwrap_or(false),
        },
        ..Content::default()
    };
    let mut change = caller.change(&state, &scope).await?;
    resource_type::check_reference(&mut change, &scope, &new.r#type, "/type").await?;
    check(&mut change, &scope, &content, &new.r#type).await?;
    if let Some(known) = store::find(&mut change, &scope, &new.id).await?
        && !known.definition.is_deleted
    {
        return Err(Problem::conflict(format!("The definition `{}` exists already.", new.id))
            .with_hint(format!("Change it with `PUT …/resources/defs/{}`.", new.id)));
    }
    let mut sealer = Sealer { state: &state, tx: &mut change, scope: &scope, definition: &new.id };
    inputs::replace(&mut sealer, &mut content, inputs).await?;
    driver::check_inputs(&mut change, &scope, &content.body).await?;
    let now = state.now();
    let version = version("created", &new.id, content, &caller, now);
    let definition = StoredDefinition {
        id: new.id,
        resource_type: new.r#type,
        active_version_id: version.id.clone(),
        is_deleted: false,
        created_at: now,
        created_by: caller.id().to_owned(),
        updated_at: now,
        updated_by: caller.id().to_owned(),
    };
    store::create(&mut change, &scope, &definition, &version).await?;
    for (place, wanted) in (0..).zip(new.criteria.unwrap_or_default()) {
        let (id, resource_type) = (&definition.id, &definition.resource_type);
        let criteria = criteria::read(wanted, criteria::id(now, place));
        criteria::add(&mut change, &scope, id, resource_type, &criteria).await?;
    }
    let whole = find(&mut change, &scope, &definition.id, false).await?;
    let answer = wire(&org, whole);
    change.commit(StatusCode::OK, Effect::created(&answer)).await?;
    Ok(Json(answer))
}

/// Shows a definition.
#[utoipa::path(
    get, path = "/orgs/{orgId}/resources/defs/{defId}", params(Deleted),
    operation_id = "getResourceDefinition", tag = "ResourceDefinition",
    responses((status = 200, body = ResourceDefinition, description = "The definition.")),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
    Query(Deleted { deleted }): Query<Deleted>,
) -> Result<Json<ResourceDefinition>> {
    let scope = caller.scope(&org)?;
    let whole = find(&mut *state.db.read().await?, &scope, &id, deleted).await?;
    Ok(Json(wire(&org, whole)))
}

/// Replaces what a definition says. What is absent is cleared; only the driver stays.
#[utoipa::path(
    put, path = "/orgs/{orgId}/resources/defs/{defId}",
    operation_id = "updateResourceDefinition", tag = "ResourceDefinition",
    request_body = UpdateResourceDefinition,
    responses((status = 200, body = ResourceDefinition, description = "The definition as it is.")),
)]
async fn put(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
    Body(new): Body<UpdateResourceDefinition>,
) -> Result<Json<ResourceDefinition>> {
    let scope = caller.scope(&org)?;
    let inputs = new.driver_inputs.map(inputs::read).transpose()?;
    let mut change = caller.change(&state, &scope).await?;
    let before = find(&mut change, &scope, &id, false).await?;
    let Whole { definition, mut content, .. } = before.clone();
    content.body = Core {
        name: new.name,
        driver_type: new.driver_type.unwrap_or(content.body.driver_type),
        driver_account: new.driver_account,
        driver_inputs: None,
        provision: new.provision.map(provision::read).transpose()?,
        in_place_driver_change: new.in_place_driver_change.unwrap_or(false),
    };
    check(&mut change, &scope, &content, &definition.resource_type).await?;
    let mut sealer = Sealer { state: &state, tx: &mut change, scope: &scope, definition: &id };
    inputs::replace(&mut sealer, &mut content, inputs).await?;
    driver::check_inputs(&mut change, &scope, &content.body).await?;
    let version = version("updated", &id, content, &caller, state.now());
    let version = save(&mut change, &scope, version, new.proposed == Some(true)).await?;
    answer(&scope, change, before, version).await
}

/// Changes parts of what a definition says.
#[utoipa::path(
    patch, path = "/orgs/{orgId}/resources/defs/{defId}",
    operation_id = "patchResourceDefinition", tag = "ResourceDefinition",
    request_body = PatchResourceDefinition,
    responses((status = 200, body = ResourceDefinition, description = "The definition as it is.")),
)]
async fn patch(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
    Body(patch): Body<PatchResourceDefinition>,
) -> Result<Json<ResourceDefinition>> {
    let scope = caller.scope(&org)?;
    let inputs = patch.driver_inputs.map(inputs::read).transpose()?;
    let mut change = caller.change(&state, &scope).await?;
    let before = find(&mut change, &scope, &id, false).await?;
    let Whole { definition, mut content, .. } = before.clone();
    let body = &mut content.body;
    if let Some(name) = patch.name {
        body.name = name;
    }
    if let Some(account) = patch.driver_account {
        body.driver_account = Some(account);
    }
    if let Some(map) = patch.provision {
        body.provision = Some(provision::read(map)?);
    }
    if let Some(keep) = patch.in_place_driver_change {
        body.in_place_driver_change = keep;
    }
    check(&mut change, &scope, &content, &definition.resource_type).await?;
    if let Some(inputs) = inputs {
        let mut sealer = Sealer { state: &state, tx: &mut change, scope: &scope, definition: &id };
        inputs::merge(&mut sealer, &mut content, inputs).await?;
        driver::check_inputs(&mut change, &scope, &content.body).await?;
    }
    let version = version("updated", &id, content, &caller, state.now());
    let version = save(&mut change, &scope, version, patch.proposed == Some(true)).await?;
    answer(&scope, change, before, version).await
}

/// Deletes a definition. Nothing matches it any more; its versions stay for what was made from it.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/resources/defs/{defId}", params(Force),
    operation_id = "deleteResourceDefinition", tag = "ResourceDefinition",
    responses(
        (status = 204, description = "The definition is deleted."),
        (
            status = 409, body = Vec<ResourceDefinitionChange>,
            description = "These resources would match another definition, or none.",
        ),
    ),
)]
async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
    Query(Force { force }): Query<Force>,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?;
    let mut change = caller.change(&state, &scope).await?;
    let before = find(&mut change, &scope, &id, false).await?;
    if !force {
        changes::refuse(&mut change, &scope, &id, None).await?;
    }
    let now = state.now();
    let version = version("deleted", &id, before.content.clone(), &caller, now);
    save(&mut change, &scope, version, false).await?;
    store::delete(&mut change, &scope, &id, now, caller.id()).await?;
    change.commit(StatusCode::NO_CONTENT, Effect::deleted(&wire(&org, before))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the resources that were made from a definition.
#[utoipa::path(
    get, path = "/orgs/{orgId}/resources/defs/{defId}/resources",
    operation_id = "listActiveResourceByDefinition", tag = "ActiveResource",
    responses((status = 200, body = Vec<ActiveResource>, description = "The resources.")),
)]
async fn list_resources(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
) -> Result<Json<Vec<ActiveResource>>> {
    let scope = caller.scope(&org)?;
    let mut conn = state.db.read().await?;
    find(&mut conn, &scope, &id, true).await?;
    let rows = resources::list_by_definition(&mut conn, &scope, &id).await?;
    Ok(Json(rows.into_iter().map(|row| active_resource::wire(&org, row)).collect()))
}

/// The definition of this id.
async fn find(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    id: &str,
    deleted: bool,
) -> Result<Whole> {
    let found = store::find(conn, scope, id).await?;
    found
        .filter(|whole| deleted || !whole.definition.is_deleted)
        .ok_or_else(|| Problem::not_found("definition", id))
}

/// Makes sure that what a definition names is there and fits.
async fn check(
    tx: &mut Tx,
    scope: &OrgScope,
    content: &Content,
    resource_type: &str,
) -> Result<()> {
    let body = &content.body;
    let account = body.driver_account.as_deref();
    driver::check_reference(&mut *tx, scope, &body.driver_type, resource_type, account).await?;
    match &content.body.driver_account {
        Some(account) if !account.contains("${") && !Grammar::Definition.accepts(account) => {
            let rule = "use the id of a resource account, or a placeholder for one";
            let account = short(account);
            Err(Problem::invalid(format!("`{account}` is not valid as driver account: {rule}."))
                .at("/driver_account", rule))
        }
        _ => Ok(()),
    }
}

fn version(
    action: &str,
    def_id: &str,
    content: Content,
    caller: &Caller,
    now: Timestamp,
) -> Version {
    Version {
        id: new_id(now),
        def_id: def_id.to_owned(),
        action: action.to_owned(),
        proposed: false,
        archived: false,
        content,
        created_at: now,
        created_by: caller.id().to_owned(),
    }
}

/// Writes a version, and puts it into use unless it is only proposed.
async fn save(
    tx: &mut Tx,
    scope: &OrgScope,
    mut version: Version,
    proposed: bool,
) -> Result<Version> {
    version.proposed = proposed;
    store::add_version(tx, scope, &version).await?;
    if !proposed {
        let Version { def_id, id, created_at, created_by, .. } = &version;
        store::activate(tx, scope, def_id, id, *created_at, created_by).await?;
    }
    Ok(version)
}

/// Commits and answers the definition as it is now. Where only a version was proposed, that is what
/// the audit log shows.
async fn answer(
    scope: &OrgScope,
    mut change: Change,
    before: Whole,
    version: Version,
) -> Result<Json<ResourceDefinition>> {
    let after = find(&mut change, scope, &before.definition.id, false).await?;
    let effect = if version.proposed {
        Effect::created(&version::wire(scope.org(), &after.definition, version))
    } else {
        Effect::changed(&wire(scope.org(), before), &wire(scope.org(), after.clone()))
    };
    change.commit(StatusCode::OK, effect).await?;
    Ok(Json(wire(scope.org(), after)))
}

/// A definition as it is shown.
pub(super) fn wire(org: &str, whole: Whole) -> ResourceDefinition {
    let Whole { definition, content, criteria } = whole;
    ResourceDefinition {
        org_id: org.to_owned(),
        driver_inputs: inputs::show(&content),
        provision: provision::show(&content),
        name: content.body.name,
        driver_type: content.body.driver_type,
        driver_account: content.body.driver_account,
        in_place_driver_change: content.body.in_place_driver_change,
        criteria: criteria.into_iter().map(criteria::wire).collect(),
        id: definition.id,
        r#type: definition.resource_type,
        active_version_id: definition.active_version_id,
        is_default: false,
        is_deleted: definition.is_deleted,
        created_at: definition.created_at.into(),
        created_by: definition.created_by,
        updated_at: Some(definition.updated_at.into()),
        updated_by: Some(definition.updated_by),
    }
}
