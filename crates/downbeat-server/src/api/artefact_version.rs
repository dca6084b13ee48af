//! `/orgs/{orgId}/artefact-versions`: what a pipeline has built, one by one.
//!
//! A version of a workload holds its Score file. It is converted when it is registered, so a
//! mistake is found then, and what it means does not change afterwards.

use axum::{
    Json,
    extract::{FromRequest as _, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use downbeat_api::{
    artefact::{ArtefactVersion, CreateArtefactVersion},
    score::{ConvertScore, ConvertedScore},
};
use downbeat_core::{Json as Value, yaml};
use downbeat_store::{
    OrgScope, Tx,
    artefact::{self as store, Artefact, ArtefactVersion as Row, Versioned, Wanted, Workload},
};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{common::flag, score};
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::Effect,
    extract::{Body, Path, Query, accepts},
    form::{self, Form},
    problem::short,
    state::new_id,
};

/// The type of a container image.
pub(super) const CONTAINER: &str = "container";
/// The type of a workload.
const WORKLOAD: &str = "workload";
/// Members of a form that are texts; the others are YAML or JSON.
const TEXTS: [&str; 7] = ["type", "name", "version", "ref", "commit", "digest", "image"];
/// Most artefacts of an organization.
const MOST_ARTEFACTS: i64 = 10_000;
/// Most versions of an artefact.
const MOST_VERSIONS: i64 = 20_000;
/// Longest of all texts, in bytes.
const LONGEST: usize = 500;
/// Largest of what a version of a workload holds, in bytes.
const LARGEST_WORKLOAD: usize = 1024 * 1024;

const SET_JSON: &str = "application/x.workload-deployment-set+json";
const SET_YAML: &str = "application/x.workload-deployment-set+x-yaml";
const YAML: &str = "application/x-yaml";

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get))
        .routes(routes!(get_spec))
        .routes(routes!(get_set))
}

/// Which versions to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only those of the artefact with this name.
    name: Option<String>,
    /// Only those of the artefact that this reference to one of its versions names. Not together
    /// with `name`.
    reference: Option<String>,
    /// Lists archived ones as well.
    #[serde(default, deserialize_with = "flag")]
    archived: bool,
    /// Only those of this type: `container` or `workload`.
    r#type: Option<String>,
}

/// Lists the versions of all artefacts, newest first.
#[utoipa::path(
    get, path = "/orgs/{orgId}/artefact-versions", params(Filter),
    operation_id = "listArtefactVersionsInOrg", tag = "ArtefactVersion",
    responses((status = 200, body = Vec<ArtefactVersion>, description = "The versions.")),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
    Query(filter): Query<Filter>,
) -> Result<Json<Vec<ArtefactVersion>>> {
    let scope = caller.scope(&org)?;
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let name = match (given(filter.name), given(filter.reference)) {
        (Some(_), Some(_)) => {
            let message = "The parameters `name` and `reference` do not go together.";
            return Err(Problem::invalid(message)
                .with_hint("Leave one of them out.")
                .at("reference", "not together with `name`"));
        }
        (name, None) => name,
        (None, Some(reference)) => Some(Reference::parse(&reference).name.to_owned()),
    };
    let wanted = Wanted {
        kind: filter.r#type.as_deref().map(singular),
        name: name.as_deref(),
        archived: filter.archived,
    };
    let rows = store::versions(&mut *state.db.read().await?, &scope, wanted).await?;
    Ok(Json(rows.into_iter().map(wire).collect()))
}

/// How to register a version.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct How {
    /// The version control system. With `git`, or without it, `ref` has to begin with `refs/`.
    vcs: Option<String>,
    /// Only checks, and registers nothing.
    #[serde(default, deserialize_with = "flag")]
    dry_run: bool,
}

/// Registers a version of an artefact. The artefact is made when its first version comes.
///
/// With `dry_run`, nothing is kept; `Accept: application/x.workload-deployment-set+json` or
/// `…+x-yaml` asks for what the Score file of a workload is converted to.
#[utoipa::path(
    post, path = "/orgs/{orgId}/artefact-versions", params(How),
    operation_id = "createArtefactVersion", tag = "ArtefactVersion",
    request_body(content(
        (CreateArtefactVersion = "application/json"),
        (CreateArtefactVersion = "multipart/form-data"),
    )),
    responses(
        (
            status = 200, description = "The version, or what a workload is converted to.",
            content(
                (ArtefactVersion = "application/json"),
                (ConvertedScore = "application/x.workload-deployment-set+json"),
                (ConvertedScore = "application/x.workload-deployment-set+x-yaml"),
            ),
        ),
        (status = 204, description = "It could be registered."),
    ),
)]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
    Query(how): Query<How>,
    request: Request,
) -> Result<Response> {
    let scope = caller.scope(&org)?;
    let headers = request.headers().clone();
    let new: CreateArtefactVersion = if form::is_form(&headers) {
        Form::read(request, &state).await?.object(&TEXTS)?
    } else {
        Body::from_request(request, &state).await?.0
    };
    let (new, workload) = checked(new, how.vcs.as_deref())?;
    if how.dry_run {
        let set = workload.map(|workload| workload.deployment_set);
        return Ok(match set {
            Some(set) if accepts(&headers, SET_JSON) => typed(SET_JSON, set.to_string()),
            Some(set) if accepts(&headers, SET_YAML) => typed(SET_YAML, yaml::to_string(&set)),
            _ => StatusCode::NO_CONTENT.into_response(),
        });
    }
    let mut change = caller.change(&state, &scope).await?;
    let row = add(&mut change, &scope, new, workload.as_ref(), state.now(), caller.id()).await?;
    let answer = wire(row);
    change.commit(StatusCode::OK, Effect::created(&answer)).await?;
    Ok(Json(answer).into_response())
}

/// Shows a version of an artefact.
#[utoipa::path(
    get, path = "/orgs/{orgId}/artefact-versions/{artefactVersionId}",
    operation_id = "getArtefactVersion", tag = "ArtefactVersion",
    responses((status = 200, body = ArtefactVersion, description = "The version.")),
)]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
) -> Result<Json<ArtefactVersion>> {
    let scope = caller.scope(&org)?;
    find(&state, &scope, &id).await.map(|row| Json(wire(row)))
}

/// Shows the Score file of a workload, as it was registered.
#[utoipa::path(
    get, path = "/orgs/{orgId}/artefact-versions/{artefactVersionId}/workload-spec",
    operation_id = "getWorkloadArtefactVersionSpec", tag = "Artefact",
    responses((
        status = 200, description = "The Score file.",
        content((Object = "application/json"), (Object = "application/x-yaml")),
    )),
)]
async fn get_spec(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response> {
    let scope = caller.scope(&org)?;
    let workload = find_workload(&state, &scope, &id).await?;
    let spec = workload.content.get("spec").cloned().unwrap_or_default();
    Ok(shown(&headers, &spec))
}

/// Shows what the Score file of a workload was converted to.
#[utoipa::path(
    get, path = "/orgs/{orgId}/artefact-versions/{artefactVersionId}/workload-deployment-set",
    operation_id = "getWorkloadArtefactVersionDeploymentSet", tag = "Artefact",
    responses((
        status = 200, description = "The modules and shared resources.",
        content((ConvertedScore = "application/json"), (ConvertedScore = "application/x-yaml")),
    )),
)]
async fn get_set(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response> {
    let scope = caller.scope(&org)?;
    let workload = find_workload(&state, &scope, &id).await?;
    Ok(shown(&headers, &workload.deployment_set))
}

fn shown(headers: &HeaderMap, json: &Value) -> Response {
    if accepts(headers, YAML) {
        typed(YAML, yaml::to_string(json))
    } else {
        Json(json).into_response()
    }
}

fn typed(kind: &'static str, body: String) -> Response {
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

async fn find(state: &AppState, scope: &OrgScope, id: &str) -> Result<Versioned> {
    if Uuid::parse_str(id).is_err() {
        let shown = short(id);
        return Err(Problem::invalid(format!("`{shown}` is not the id of an artefact version."))
            .with_hint("`GET …/artefact-versions` lists the versions with their ids."));
    }
    let row = store::find_version(&mut *state.db.read().await?, scope, id).await?;
    row.ok_or_else(|| Problem::not_found("artefact version", id))
}

async fn find_workload(state: &AppState, scope: &OrgScope, id: &str) -> Result<Workload> {
    let (artefact, _) = find(state, scope, id).await?;
    let workload = store::workload(&mut *state.db.read().await?, scope, id).await?;
    workload.ok_or_else(|| {
        let kind = artefact.kind;
        Problem::invalid(format!("The artefact version `{id}` is a {kind}, not a {WORKLOAD}."))
    })
}

/// What a version is registered with, after all checks.
pub(super) struct New {
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) version: Option<String>,
    pub(super) git_ref: String,
    pub(super) commit_id: String,
    pub(super) digest: String,
    pub(super) image_id: String,
    pub(super) tags: Vec<String>,
}

fn checked(request: CreateArtefactVersion, vcs: Option<&str>) -> Result<(New, Option<Workload>)> {
    let kind = match request.r#type.as_str() {
        CONTAINER => CONTAINER,
        WORKLOAD => WORKLOAD,
        other => {
            let rule = "use `container` or `workload`";
            let other = short(other);
            return Err(Problem::invalid(format!("`{other}` is not a type of artefacts: {rule}."))
                .at("/type", rule));
        }
    };
    let is_container = kind == CONTAINER;
    check_name(kind, &request.name)?;
    let version = given(request.version);
    if let Some(version) = &version {
        check_word("/version", version)?;
    }
    let git_ref = given(request.r#ref).unwrap_or_default();
    check_word("/ref", &git_ref)?;
    let is_git = matches!(vcs, None | Some("" | "git"));
    if is_git && !git_ref.is_empty() && !git_ref.starts_with("refs/") {
        let rule = "a ref of Git begins with `refs/`, for example `refs/heads/main`";
        let shown = short(&git_ref);
        return Err(
            Problem::invalid(format!("`{shown}` is not valid as `ref`: {rule}.")).at("/ref", rule)
        );
    }
    let commit = given(request.commit).unwrap_or_default();
    check_commit(&commit)?;
    let digest = given(request.digest).filter(|_| is_container).unwrap_or_default();
    check_word("/digest", &digest)?;
    let workload = if is_container {
        None
    } else {
        let asked = ConvertScore {
            spec: request.spec.filter(|spec| !spec.is_null()).ok_or_else(|| {
                Problem::invalid("The Score file of the workload is missing.")
                    .with_hint("Send it as `spec`.")
                    .at("/spec", "missing")
            })?,
            image: request.image,
            overrides: request.overrides,
            property_overrides: request.property_overrides,
            resource_type_aliases: request.resource_type_aliases,
            extensions: request.extensions,
        };
        Some(held(asked)?)
    };
    let new = New {
        kind,
        image_id: if is_container { request.name.clone() } else { String::new() },
        name: request.name,
        version,
        tags: git_ref.strip_prefix("refs/tags/").map(str::to_owned).into_iter().collect(),
        git_ref,
        commit_id: commit,
        digest,
    };
    Ok((new, workload))
}

/// What a version of a workload holds.
fn held(asked: ConvertScore) -> Result<Workload> {
    let content = serde_json::to_value(&asked).map_err(|error| Problem::internal(&error))?;
    let set = score::converted(asked)?;
    let deployment_set = serde_json::to_value(set).map_err(|error| Problem::internal(&error))?;
    if content.to_string().len().max(deployment_set.to_string().len()) > LARGEST_WORKLOAD {
        let rule = format!("at most {LARGEST_WORKLOAD} bytes");
        return Err(
            Problem::invalid(format!("The Score file is too large: {rule}.")).at("/spec", &rule)
        );
    }
    Ok(Workload { content, deployment_set })
}

fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// Checks the name of an artefact.
pub(super) fn check_name(kind: &str, name: &str) -> Result<()> {
    check_word("/name", name)?;
    if name.is_empty() {
        return Err(Problem::invalid("The artefact has no name.").at("/name", "missing"));
    }
    let whole = Reference::parse(name);
    if kind == CONTAINER && (whole.version.is_some() || whole.digest.is_some()) {
        let shown = short(name);
        return Err(Problem::invalid(format!("`{shown}` is not valid as name of an image."))
            .with_hint("Send its tag as `version` and its digest as `digest`.")
            .at("/name", "holds a tag or a digest"));
    }
    Ok(())
}

/// Checks a text without spaces.
fn check_word(at: &str, text: &str) -> Result<()> {
    let is_odd = |letter: char| letter.is_control() || letter.is_whitespace();
    if text.len() <= LONGEST && !text.contains(is_odd) {
        return Ok(());
    }
    let rule = format!("use at most {LONGEST} bytes without spaces");
    Err(Problem::invalid(format!("`{}` at `{at}` is not valid: {rule}.", short(text)))
        .at(at, &rule))
}

/// Checks the id of a commit; none is fine.
fn check_commit(commit: &str) -> Result<()> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_commit = (5..=40).contains(&commit.len()) && commit.bytes().all(is_hex);
    if commit.is_empty() || is_commit {
        return Ok(());
    }
    let rule = "use 5 to 40 hexadecimal digits, in lower case";
    Err(Problem::invalid(format!("`{}` is not valid as commit: {rule}.", short(commit)))
        .at("/commit", rule))
}

/// Stores a version, and its artefact when it is the first one.
pub(super) async fn add(
    tx: &mut Tx,
    scope: &OrgScope,
    new: New,
    workload: Option<&Workload>,
    now: Timestamp,
    by: &str,
) -> Result<Versioned> {
    let mut artefact = match store::find_named(&mut *tx, scope, new.kind, &new.name).await? {
        Some(known) => known,
        None => {
            if store::count(&mut *tx, scope).await? >= MOST_ARTEFACTS {
                return Err(Problem::invalid(format!(
                    "An organization has at most {MOST_ARTEFACTS} artefacts."
                ))
                .with_hint("Delete one that nobody builds any more."));
            }
            let artefact = Artefact {
                id: new_id(now),
                kind: new.kind.to_owned(),
                name: new.name,
                created_at: now,
                created_by: by.to_owned(),
                updated_at: now,
                updated_by: by.to_owned(),
            };
            store::create(tx, scope, &artefact).await?;
            artefact
        }
    };
    let (newest, count) = store::newest_number(&mut *tx, scope, &artefact.id).await?;
    if count >= MOST_VERSIONS {
        let name = short(&artefact.name);
        return Err(Problem::invalid(format!(
            "The artefact `{name}` has {count} versions; {MOST_VERSIONS} are the most."
        ))
        .with_hint("Delete the artefact: its versions go along, and the next one begins anew."));
    }
    let row = Row {
        id: new_id(now),
        artefact_id: artefact.id.clone(),
        number: newest + 1,
        archived: false,
        version: new.version,
        git_ref: new.git_ref,
        commit: new.commit_id,
        digest: new.digest,
        image_id: new.image_id,
        tags: new.tags,
        created_at: now,
        created_by: by.to_owned(),
        updated_at: now,
        updated_by: by.to_owned(),
    };
    store::add_version(tx, scope, &row, workload).await?;
    artefact.updated_at = now;
    by.clone_into(&mut artefact.updated_by);
    Ok((artefact, row))
}

/// The name of a type; clients also write it as many.
pub(super) fn singular(kind: &str) -> &str {
    match kind {
        "containers" => CONTAINER,
        "workloads" => WORKLOAD,
        kind => kind,
    }
}

/// A reference to versions of an artefact: `name:version@digest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    pub(super) name: &'a str,
    pub(super) version: Option<&'a str>,
    pub(super) digest: Option<&'a str>,
}

impl<'a> Reference<'a> {
    /// Reads a reference. A colon before a slash belongs to the name: it is that of a port.
    pub(super) fn parse(text: &'a str) -> Self {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let (name, version) = match rest.rsplit_once(':') {
            Some((name, version)) if !version.contains('/') => (name, Some(version)),
            _ => (rest, None),
        };
        Self { name, version, digest }
    }

    /// Whether the reference names this version.
    pub(super) fn names(&self, (artefact, row): &Versioned) -> bool {
        artefact.name == self.name
            && self.version.is_none_or(|version| row.version.as_deref() == Some(version))
            && self.digest.is_none_or(|digest| row.digest == digest)
    }
}

/// A version as it is shown.
pub(super) fn wire((artefact, row): Versioned) -> ArtefactVersion {
    let is_container = artefact.kind == CONTAINER;
    let shown = |text: String| Some(text).filter(|text| is_container || !text.is_empty());
    ArtefactVersion {
        r#type: artefact.kind,
        id: row.id,
        artefact_id: row.artefact_id,
        name: artefact.name,
        archived: row.archived,
        version: row.version,
        r#ref: shown(row.git_ref),
        commit: shown(row.commit),
        digest: shown(row.digest),
        created_at: row.created_at.into(),
        created_by: row.created_by,
        updated_at: row.updated_at.into(),
        updated_by: row.updated_by,
    }
}

#[cfg(test)]
mod tests {
    use super::Reference;

    #[test]
    fn references_have_three_parts() {
        let check = |text, name, version, digest| {
            assert_eq!(Reference::parse(text), Reference { name, version, digest }, "{text}");
        };
        check("reg/app", "reg/app", None, None);
        check("reg/app:1.0", "reg/app", Some("1.0"), None);
        check("reg:5000/app", "reg:5000/app", None, None);
        check("reg:5000/app:1@sha256:ab", "reg:5000/app", Some("1"), Some("sha256:ab"));
        check("app@sha256:ab", "app", None, Some("sha256:ab"));
        check("", "", None, None);
        check(":", "", Some(""), None);
    }
}
