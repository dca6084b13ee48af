//! `/orgs/{orgId}/resources/drivers`: what turns a definition into a resource.

mod built_in;

use axum::{Json, extract::State, http::StatusCode};
use downbeat_api::driver::{CreateResourceDriver, ResourceDriver, UpdateResourceDriver};
use downbeat_core::{Code, Json as Value, JsonMap, builtin, id::Grammar, suggest};
use downbeat_engine::schema::{Schemas, Written};
use downbeat_store::{
    AnyConnection, OrgScope, account, active_resource, definition,
    driver::{self as store, StoredDriver as Row},
};
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    common::{check_grammar, check_schema},
    resource_type,
};
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::Effect,
    extract::{Body, Path},
    problem::short,
};

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, put, delete))
}

/// What the target of a virtual driver begins with.
const VIRTUAL: &str = "driver://";

/// What the column `content` keeps.
#[derive(Serialize, Deserialize)]
struct Content {
    #[serde(flatten)]
    driver: ResourceDriver,
    #[serde(default)]
    is_public: bool,
}

/// Lists the drivers of an organization, and the built-in ones.
#[utoipa::path(
    get, path = "/orgs/{orgId}/resources/drivers",
    operation_id = "listResourceDrivers", tag = "DriverDefinition",
    responses((status = 200, body = Vec<ResourceDriver>, description = "The drivers.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
) -> Result<Json<Vec<ResourceDriver>>> {
    let scope = caller.scope(&org)?;
    let rows = store::list(&mut *state.db.read().await?, &scope).await?;
    let own = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
    Ok(Json(own.into_iter().chain(built_in::all()).collect()))
}

/// Registers a driver.
#[utoipa::path(
    post, path = "/orgs/{orgId}/resources/drivers",
    operation_id = "createResourceDriver", tag = "DriverDefinition",
    request_body = CreateResourceDriver,
    responses(
        (status = 200, body = ResourceDriver, description = "The new driver."),
        (status = 409, body = downbeat_api::ErrorBody, description = "The id is taken."),
    ),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
    Body(new): Body<CreateResourceDriver>,
) -> Result<Json<ResourceDriver>> {
    let scope = caller.scope(&org)?;
    check_grammar(Grammar::Definition, "id of a driver", "/id", &new.id)?;
    let driver = ResourceDriver {
        org_id: org,
        id: new.id,
        r#type: new.r#type,
        account_types: new.account_types,
        inputs_schema: new.inputs_schema,
        target: Some(new.target),
        template: new.template,
    };
    let row = written(&driver, new.is_public)?;
    let mut change = caller.change(&state, &scope).await?;
    check(&mut change, &scope, &driver).await?;
    if store::find(&mut change, &scope, &driver.id).await?.is_some() {
        return Err(Problem::conflict(format!("The driver `{}` exists already.", driver.id)));
    }
    store::create(&mut change, &scope, &row).await?;
    change.commit(StatusCode::OK, Effect::created(&row.content)).await?;
    Ok(Json(driver))
}

/// Shows a driver of the organization, or a built-in one.
#[utoipa::path(
    get, path = "/orgs/{orgId}/resources/drivers/{driverId}",
    operation_id = "getResourceDriver", tag = "DriverDefinition",
    responses((status = 200, body = ResourceDriver, description = "The driver.")),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
) -> Result<Json<ResourceDriver>> {
    let scope = caller.scope(&org)?;
    if let Some(row) = store::find(&mut *state.db.read().await?, &scope, &id).await? {
        return read(&row).map(Json);
    }
    let id = built_in::id(&id);
    let found = built_in::all().find(|driver| driver.id == id);
    found.map(Json).ok_or_else(|| missing(id))
}

/// Replaces a driver.
#[utoipa::path(
    put, path = "/orgs/{orgId}/resources/drivers/{driverId}",
    operation_id = "updateResourceDriver", tag = "DriverDefinition",
    request_body = UpdateResourceDriver,
    responses((status = 200, body = ResourceDriver, description = "The driver as it is now.")),
)]
async fn put(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
    Body(new): Body<UpdateResourceDriver>,
) -> Result<Json<ResourceDriver>> {
    let scope = caller.scope(&org)?;
    let driver = ResourceDriver {
        org_id: org,
        id,
        r#type: new.r#type,
        account_types: new.account_types,
        inputs_schema: new.inputs_schema,
        target: Some(new.target),
        template: new.template,
    };
    let row = written(&driver, new.is_public)?;
    let mut change = caller.change(&state, &scope).await?;
    let before = store::find(&mut change, &scope, &driver.id).await?;
    let before = before.ok_or_else(|| missing(&driver.id))?;
    check(&mut change, &scope, &driver).await?;
    store::update(&mut change, &scope, &row).await?;
    change.commit(StatusCode::OK, Effect::changed(&before.content, &row.content)).await?;
    Ok(Json(driver))
}

/// Removes a driver that no definition and no resource needs.
#[utoipa::path(
    delete, path = "/orgs/{orgId}/resources/drivers/{driverId}",
    operation_id = "deleteResourceDriver", tag = "DriverDefinition",
    responses(
        (status = 204, description = "The driver is gone."),
        (status = 409, body = downbeat_api::ErrorBody, description = "The driver is in use."),
    ),
)]
async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?;
    let reference = format!("{org}/{id}");
    let mut change = caller.change(&state, &scope).await?;
    let users: Vec<String> = definition::list(&mut change, &scope)
        .await?
        .into_iter()
        .filter(|whole| !whole.definition.is_deleted)
        .filter(|whole| whole.content.body.driver_type == reference)
        .map(|whole| whole.definition.id)
        .collect();
    if !users.is_empty() {
        return Err(Problem::conflict(format!("Definitions use the driver `{id}`."))
            .with_hint("Give them another driver or delete them, then delete the driver.")
            .with_detail("resource_definitions", users));
    }
    let stands_for = format!("{VIRTUAL}{reference}");
    let mut virtual_drivers = Vec::new();
    for row in store::list(&mut change, &scope).await? {
        let driver = read(&row)?;
        if driver.target.as_ref() == Some(&stands_for) {
            virtual_drivers.push(driver.id);
        }
    }
    if !virtual_drivers.is_empty() {
        return Err(Problem::conflict(format!("Virtual drivers stand for the driver `{id}`."))
            .with_hint("Give them another target or delete them, then delete the driver.")
            .with_detail("resource_drivers", virtual_drivers));
    }
    if active_resource::any_of_driver(&mut change, &scope, &reference).await? {
        return Err(Problem::conflict(format!("The driver `{id}` made resources that exist."))
            .with_hint("Delete the resources first: the driver is needed for it."));
    }
    let row = store::find(&mut change, &scope, &id).await?.ok_or_else(|| missing(&id))?;
    store::delete(&mut change, &scope, &id).await?;
    change.commit(StatusCode::NO_CONTENT, Effect::deleted(&row.content)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes sure that a definition for this type may name this driver.
///
/// # Errors
/// 400 when there is no such driver, or it makes resources of another type.
pub(super) async fn check_reference(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    driver_type: &str,
    resource_type: &str,
    driver_account: Option<&str>,
) -> Result<()> {
    let Some(driver) = find(&mut *conn, scope, driver_type).await? else {
        return Err(unknown(conn, scope, driver_type).await?);
    };
    if driver.r#type != builtin::ANY_TYPE && driver.r#type != resource_type {
        return Err(Problem::invalid(format!(
            "The driver `{driver_type}` makes resources of type `{}`, not `{}`.",
            driver.r#type,
            short(resource_type)
        ))
        .at("/driver_type", "use a driver for the type of the definition"));
    }
    // An account that does not exist yet may be entered before the next deployment.
    let Some(id) = driver_account.filter(|id| !id.contains("${")) else { return Ok(()) };
    let Some(account) = account::find(conn, scope, id).await? else { return Ok(()) };
    if driver.account_types.contains(&account.r#type) {
        return Ok(());
    }
    let takes = match driver.account_types.is_empty() {
        true => "takes no account".to_owned(),
        false => format!("takes accounts of type {}", driver.account_types.join(", ")),
    };
    Err(Problem::invalid(format!(
        "The account `{id}` is of type `{}`, and the driver `{driver_type}` {takes}.",
        account.r#type
    ))
    .with_code(Code::Account)
    .at("/driver_account", "use an account of a type that the driver takes"))
}

/// Makes sure that inputs can satisfy the schema of their driver, as far as that can be said before
/// their placeholders are resolved.
///
/// # Errors
/// 400 when they cannot.
pub(super) async fn check_inputs(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    body: &downbeat_core::definition::Body,
) -> Result<()> {
    let driver_type = &body.driver_type;
    let inputs = body.driver_inputs.as_ref();
    let Some(driver) = find(conn, scope, driver_type).await? else { return Ok(()) };
    let part = |part: Option<&JsonMap>| Value::Object(part.cloned().unwrap_or_default());
    let inputs = serde_json::json!({
        "values": part(inputs.and_then(|inputs| inputs.values.as_ref())),
        "secrets": part(inputs.and_then(|inputs| inputs.secret_refs.as_ref()))});
    let schema = Value::Object(driver.inputs_schema);
    let wrong = Schemas::default().check_written(driver_type, &schema, &inputs, Written::Part);
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "The inputs do not satisfy the schema of the driver `{driver_type}`: {}.",
        wrong.join("; ")
    ))
    .with_code(Code::DriverInputs)
    .with_hint(format!("`GET …/resources/drivers/{}` shows the schema.", driver.id))
    .at("/driver_inputs", "not what the driver expects"))
}

/// The driver behind a reference: a built-in one, or one of the organization.
async fn find(
    conn: &mut AnyConnection,
    scope: &OrgScope,
    reference: &str,
) -> Result<Option<ResourceDriver>> {
    if let Some(known) = builtin::driver(reference) {
        return Ok(Some(built_in::shown(known)));
    }
    match reference.split_once('/') {
        Some((org, id)) if org == scope.org() => {
            store::find(conn, scope, id).await?.as_ref().map(read).transpose()
        }
        _ => Ok(None),
    }
}

async fn unknown(conn: &mut AnyConnection, scope: &OrgScope, driver_type: &str) -> Result<Problem> {
    let own = store::list(conn, scope).await?;
    let own = own.iter().map(|row| format!("{}/{}", scope.org(), row.id));
    let built_in = built_in::ids().map(|id| format!("{}/{id}", built_in::ORG));
    let known: Vec<String> = own.chain(built_in).collect();
    let nearest = suggest::nearest(driver_type, known.iter().map(String::as_str));
    let hint = match nearest {
        Some(nearest) => format!("Did you mean `{nearest}`?"),
        None => "`GET …/resources/drivers` lists the drivers; name one as `<org>/<id>`.".to_owned(),
    };
    Ok(Problem::invalid(format!("There is no driver `{}`.", short(driver_type)))
        .with_code(Code::UnknownDriver)
        .with_hint(hint)
        .at("/driver_type", "not a known driver"))
}

async fn check(conn: &mut AnyConnection, scope: &OrgScope, driver: &ResourceDriver) -> Result<()> {
    check_target(driver)?;
    check_schema("/inputs_schema", &driver.inputs_schema)?;
    if driver.r#type == builtin::ANY_TYPE {
        return Ok(());
    }
    resource_type::check_reference(conn, scope, &driver.r#type, "/type").await
}

/// Makes sure that a target leads somewhere. Whether it can be called from here is found out by the
/// deployment that needs it.
fn check_target(driver: &ResourceDriver) -> Result<()> {
    let target = driver.target.as_deref().unwrap_or_default();
    let is_named = |reference: &str| match reference.split_once('/') {
        Some((org, id)) => !org.is_empty() && !id.is_empty(),
        None => false,
    };
    let own = format!("{}/{}", driver.org_id, driver.id);
    let wrong = match target.split_once("://") {
        Some(("https" | "http", rest)) if !rest.is_empty() => return Ok(()),
        Some(("driver", reference)) if reference == own => "it stands for itself",
        Some(("driver", reference)) if is_named(reference) => return Ok(()),
        Some(("driver", _)) => "it does not name a driver",
        _ => "it is neither a URL nor a driver",
    };
    Err(Problem::invalid(format!("The target `{}` cannot be called: {wrong}.", short(target)))
        .with_code(Code::DriverTarget)
        .with_hint("Write `https://…` where the driver listens, or `driver://<org>/<id>`.")
        .at("/target", "not a target"))
}

fn written(driver: &ResourceDriver, is_public: Option<bool>) -> Result<Row> {
    let content = Content { driver: driver.clone(), is_public: is_public == Some(true) };
    let content = serde_json::to_value(content).map_err(|error| Problem::internal(&error))?;
    Ok(Row { id: driver.id.clone(), content })
}

fn read(row: &Row) -> Result<ResourceDriver> {
    let content = Content::deserialize(&row.content).map_err(|error| Problem::internal(&error))?;
    Ok(content.driver)
}

fn missing(id: &str) -> Problem {
    Problem::not_found("driver", id)
}
