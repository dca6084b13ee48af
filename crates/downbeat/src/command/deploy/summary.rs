//! What came of a deployment, and what to do next.

use downbeat_api::{
    client::Method,
    deployment::{Delivery, Deployment, DeploymentProgress},
};
use downbeat_core::Json;

use crate::{
    cli::{Deploy, Output},
    graph_tree,
    place::Place,
    report::{Failure, Style, count, out, paint, say, step},
    shell,
};

/// Environments to suggest, one of which is not there yet.
const SUGGESTED: [&str; 2] = ["staging", "production"];

/// Prints the result of a deployment that is over; a failure when it failed.
pub(crate) async fn print(
    place: &Place<'_>,
    arguments: &Deploy,
    id: &str,
    progress: &DeploymentProgress,
) -> Result<(), Failure> {
    let deployment: Json =
        place.client().send(Method::GET, &place.path(&["deploys", id]), None).await?;
    if arguments.output == Output::Json {
        out(&format!("{deployment:#}\n"))?;
    }
    if progress.status == "failed" {
        return Err(failed(place, id).await?);
    }
    let Some(delivery) = &progress.delivery else { return Ok(()) };
    let files = count(usize::try_from(delivery.files).unwrap_or(usize::MAX), "file");
    if delivery.changed {
        let commit: String = delivery.commit.iter().flat_map(|id| id.chars()).take(12).collect();
        let branch = delivery.branch.as_deref().unwrap_or_default();
        step("deployed", &format!("{files}, commit {commit} on {branch}"));
    } else {
        step("deployed", &format!("{files}, nothing has changed"));
    }
    if arguments.output == Output::Json {
        return Ok(());
    }
    let deployment: Deployment = serde_json::from_value(deployment).map_err(Failure::internal)?;
    let mut text = graph(place, &deployment).await?;
    let folder = delivery.path.as_deref().unwrap_or_default();
    let whose = if is_local(place, delivery) || !is_path(delivery) { "" } else { " on the server" };
    text.push_str(&format!("\nManifests   {}{whose}, folder {folder}\n", delivery.location));
    text.push_str(&format!("Deployment  {id}\nSet         {}\n\nNext\n", deployment.set_id));
    for (why, command) in next(place, arguments, &deployment, delivery).await? {
        text.push_str(&format!("  {}\n      {command}\n", paint(Style::Dim, why)));
    }
    out(&text)
}

/// Whether the manifests are in a folder of some machine.
fn is_path(delivery: &Delivery) -> bool {
    delivery.location.starts_with('/')
}

/// Whether the manifests are in a folder of this machine.
fn is_local(place: &Place<'_>, delivery: &Delivery) -> bool {
    place.session.local.is_some() && is_path(delivery)
}

/// Says what went wrong.
async fn failed(place: &Place<'_>, id: &str) -> Result<Failure, Failure> {
    let errors = place.client().deployment_errors(place.org(), place.app, place.env, id).await?;
    for error in &errors {
        let code = paint(Style::Red, &format!("{:>8}", error.code));
        say(format_args!("{code} {} {}: {}", error.scope, error.object_id, error.message));
    }
    let message = format!(
        "deployment {id} failed; nothing was given to the target, the last good state stands"
    );
    Ok(Failure::new(message).code(errors.first().map_or("", |error| &error.code)))
}

async fn graph(place: &Place<'_>, deployment: &Deployment) -> Result<String, Failure> {
    let Some(id) = deployment.dependency_graph_id.as_deref().filter(|id| !id.is_empty()) else {
        return Ok(String::new());
    };
    let path = place.path(&["resources", "graphs", id]);
    let graph: Json = place.client().send(Method::GET, &path, None).await?;
    let nodes = graph.get("nodes").and_then(Json::as_array);
    let tree = graph_tree::draw(nodes.map_or(&[][..], Vec::as_slice));
    Ok(format!("\nResource graph\n{tree}"))
}

/// Commands that make sense now, each with what it is for.
async fn next(
    place: &Place<'_>,
    arguments: &Deploy,
    deployment: &Deployment,
    delivery: &Delivery,
) -> Result<Vec<(&'static str, String)>, Failure> {
    let flags = shell::flags(&arguments.connection);
    let app = shell::quote(place.app);
    let env = shell::quote(place.env);
    let mut next = Vec::new();
    if is_local(place, delivery) {
        let folder = delivery.path.as_deref().unwrap_or_default();
        let manifests = shell::quote(&format!("{}/{folder}", delivery.location));
        let repository = shell::quote(&delivery.location);
        next.push(("what was generated", format!("ls {manifests}")));
        next.push(("what each deployment changed", format!("git -C {repository} log --stat")));
    }
    let resources = place.path(&["resources"]);
    next.push(("what exists, and its outputs", format!("downbeat api get {resources}{flags}")));
    if let Some(set) = before(place, deployment).await? {
        let undo = format!("downbeat deploy --app {app} --env {env} --set {set}{flags}");
        next.push(("back to the deployment before", undo));
    }
    if let Some((other, kind)) = free_environment(place).await? {
        let create = if place.session.local.is_some() { "" } else { " --create" };
        let again =
            format!("downbeat deploy --app {app} --env {other}{kind} --from {env}{create}{flags}");
        next.push(("the same in another environment", again));
    }
    Ok(next)
}

/// The set that this deployment took the place of, when it did.
async fn before(place: &Place<'_>, deployment: &Deployment) -> Result<Option<String>, Failure> {
    let history = place.history().await?;
    let before = history.into_iter().find(|one| one.id == deployment.from_id);
    Ok(before.map(|one| one.set_id).filter(|set| *set != deployment.set_id))
}

/// An environment that could be next, and the flag for its type.
async fn free_environment(place: &Place<'_>) -> Result<Option<(&'static str, String)>, Failure> {
    let Some(application) = place.application().await? else { return Ok(None) };
    let is_free = |id: &&str| application.envs.iter().all(|known| known.id != **id);
    let Some(id) = SUGGESTED.into_iter().find(is_free) else { return Ok(None) };
    let types = place.client().environment_types(place.org()).await?;
    let has_type = types.iter().any(|known| known.id == id);
    let kind = if has_type { format!(" --env-type {id}") } else { String::new() };
    Ok(Some((id, kind)))
}
