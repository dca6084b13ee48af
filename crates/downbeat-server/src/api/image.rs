//! `/orgs/{orgId}/images`: container artefacts, as v1 showed them before there were artefacts.
//!
//! A build is a version of a container artefact. What is registered here goes by the id in the
//! path; what is registered as artefact, by the name of the artefact.

use axum::{Json, extract::State, http::StatusCode};
use downbeat_api::image::{CreateImageBuild, Image, ImageBuild};
use downbeat_store::artefact::{self as store, Versioned};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::artefact_version::{self, CONTAINER, New, Reference};
use crate::{
    AppState, Problem, Result,
    access::Caller,
    change::Effect,
    extract::{Body, Path},
    problem::short,
};

/// How builds become known.
const SOURCE: &str = "api";
/// Longest id of an image, in bytes.
const LONGEST_ID: usize = 500;
/// Most tags of a build.
const MOST_TAGS: usize = 100;
/// Longest branch and tag, in bytes.
const LONGEST_REF: usize = 400;

/// Operations of this noun.
#[expect(deprecated, reason = "v1 clients still call the old operations")]
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(list_builds, create_build))
}

/// Lists the container images with their builds.
#[utoipa::path(
    get, path = "/orgs/{orgId}/images",
    operation_id = "listDeprecatedImages", tag = "Image",
    responses((status = 200, body = Vec<Image>, description = "The images, by id.")),
)]
#[deprecated = "v1 replaced it by `listArtefacts`"]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
) -> Result<Json<Vec<Image>>> {
    let scope = caller.scope(&org)?;
    Ok(Json(images(store::images(&mut *state.db.read().await?, &scope, None).await?)))
}

/// Shows a container image with its builds.
#[utoipa::path(
    get, path = "/orgs/{orgId}/images/{imageId}",
    operation_id = "getDeprecatedImage", tag = "Image",
    responses((status = 200, body = Image, description = "The image.")),
)]
#[deprecated = "v1 replaced it by `listArtefactVersions`"]
async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
) -> Result<Json<Image>> {
    let scope = caller.scope(&org)?;
    let rows = store::images(&mut *state.db.read().await?, &scope, Some(&id)).await?;
    images(rows).pop().map(Json).ok_or_else(|| Problem::not_found("image", &id))
}

/// Lists the builds of a container image, oldest first.
#[utoipa::path(
    get, path = "/orgs/{orgId}/images/{imageId}/builds",
    operation_id = "listDeprecatedImageBuilds", tag = "Image",
    responses((status = 200, body = Vec<ImageBuild>, description = "The builds.")),
)]
#[deprecated = "v1 replaced it by `listArtefactVersions`"]
async fn list_builds(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
) -> Result<Json<Vec<ImageBuild>>> {
    let scope = caller.scope(&org)?;
    let rows = store::images(&mut *state.db.read().await?, &scope, Some(&id)).await?;
    let image = images(rows).pop().ok_or_else(|| Problem::not_found("image", &id))?;
    Ok(Json(image.builds))
}

/// Registers a build of a container image, as a version of a container artefact.
#[utoipa::path(
    post, path = "/orgs/{orgId}/images/{imageId}/builds",
    operation_id = "createDeprecatedImageBuild", tag = "Image",
    request_body = CreateImageBuild,
    responses((status = 204, description = "The build is registered.")),
)]
#[deprecated = "v1 replaced it by `createArtefactVersion`"]
async fn create_build(
    State(state): State<AppState>,
    caller: Caller,
    Path((org, id)): Path<(String, String)>,
    Body(build): Body<CreateImageBuild>,
) -> Result<StatusCode> {
    let scope = caller.scope(&org)?;
    let new = checked(id, build)?;
    let mut change = caller.change(&state, &scope).await?;
    let row =
        artefact_version::add(&mut change, &scope, new, None, state.now(), caller.id()).await?;
    let effect = Effect::created(&artefact_version::wire(row));
    change.commit(StatusCode::NO_CONTENT, effect).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn checked(id: String, build: CreateImageBuild) -> Result<New> {
    let word = |at: &str, text: &str, longest: usize| {
        let is_odd = |letter: char| letter.is_control() || letter.is_whitespace();
        if !text.is_empty() && text.len() <= longest && !text.contains(is_odd) {
            return Ok(());
        }
        let rule = format!("use 1 to {longest} bytes without spaces");
        let message = format!("`{}` at `{at}` is not valid: {rule}.", short(text));
        Err(Problem::invalid(message).at(at, &rule))
    };
    word("imageId", &id, LONGEST_ID)?;
    let image = build.image.unwrap_or_default();
    word("/image", &image, LONGEST_ID)?;
    let Reference { name, version, digest } = Reference::parse(&image);
    artefact_version::check_name(CONTAINER, name)?;
    let branch = build.branch.filter(|branch| !branch.is_empty());
    if let Some(branch) = &branch {
        word("/branch", branch, LONGEST_REF)?;
    }
    let tags = build.tags.unwrap_or_default();
    if tags.len() > MOST_TAGS {
        let rule = format!("at most {MOST_TAGS} tags");
        return Err(
            Problem::invalid(format!("The build has too many tags: {rule}.")).at("/tags", &rule)
        );
    }
    for tag in &tags {
        word("/tags", tag, LONGEST_REF)?;
    }
    let commit = build.commit.unwrap_or_default();
    if !commit.is_empty() {
        word("/commit", &commit, LONGEST_REF)?;
    }
    let git_ref = match (branch, tags.first()) {
        (Some(branch), _) => format!("refs/heads/{branch}"),
        (None, Some(tag)) => format!("refs/tags/{tag}"),
        (None, None) => String::new(),
    };
    Ok(New {
        kind: CONTAINER,
        name: name.to_owned(),
        version: version.filter(|version| !version.is_empty()).map(str::to_owned),
        digest: digest.unwrap_or_default().to_owned(),
        git_ref,
        commit_id: commit,
        image_id: id,
        tags,
    })
}

/// Builds by image, in the order of their ids.
fn images(rows: Vec<Versioned>) -> Vec<Image> {
    let mut images: Vec<Image> = Vec::new();
    for row in rows {
        let id = row.1.image_id.clone();
        let build = wire(row);
        match images.binary_search_by(|image| image.id.as_str().cmp(&id)) {
            Ok(at) => {
                if let Some(image) = images.get_mut(at) {
                    image.builds.push(build);
                }
            }
            Err(at) => {
                let added_at = build.added_at;
                let source = SOURCE.to_owned();
                images.insert(at, Image { id, source, added_at, builds: vec![build] });
            }
        }
    }
    images
}

fn wire((artefact, row): Versioned) -> ImageBuild {
    let mut image = artefact.name;
    if let Some(version) = row.version {
        image.push(':');
        image.push_str(&version);
    }
    if !row.digest.is_empty() {
        image.push('@');
        image.push_str(&row.digest);
    }
    ImageBuild {
        image,
        commit: row.commit,
        branch: row.git_ref.strip_prefix("refs/heads/").unwrap_or_default().to_owned(),
        tags: row.tags,
        added_at: row.created_at.into(),
    }
}
