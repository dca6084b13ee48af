//! What happens in a deployment, while it happens.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use downbeat_api::deployment::DeploymentProgress;

use crate::{
    place::Place,
    report::{Failure, Style, count, paint, say, step},
};

/// Waits until the deployment is over; `look` sees how far it is.
pub(crate) async fn wait(
    place: &Place<'_>,
    id: &str,
    mut look: impl FnMut(&DeploymentProgress),
) -> Result<DeploymentProgress, Failure> {
    let mut pause = Duration::from_millis(10);
    loop {
        let client = place.client();
        let progress = client.deployment_progress(place.org(), place.app, place.env, id).await?;
        look(&progress);
        if matches!(progress.status.as_str(), "succeeded" | "failed") {
            return Ok(progress);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}

/// Says what happens until it is over.
pub(crate) async fn follow(place: &Place<'_>, id: &str) -> Result<DeploymentProgress, Failure> {
    let mut said = Said::default();
    wait(place, id, |progress| said.update(progress)).await
}

/// What was said of a deployment's progress.
#[derive(Default)]
struct Said {
    matched: bool,
    nodes: BTreeMap<String, String>,
}

impl Said {
    fn update(&mut self, progress: &DeploymentProgress) {
        if !self.matched && !progress.nodes.is_empty() {
            self.matched = true;
            let definitions: BTreeSet<&str> =
                progress.nodes.iter().map(|node| node.def_id.as_str()).collect();
            let nodes = count(progress.nodes.len(), "resource");
            step("matched", &format!("{nodes} by {}", count(definitions.len(), "definition")));
        }
        for node in &progress.nodes {
            if !matches!(node.status.as_str(), "ready" | "failed") {
                continue;
            }
            let name = format!("{}.{}#{}", node.r#type, node.class, node.id);
            let before = self.nodes.insert(name.clone(), node.status.clone());
            if before.as_ref() == Some(&node.status) {
                continue;
            }
            if node.status == "ready" {
                let made_by = paint(Style::Dim, &format!("← {}", node.def_id));
                step("created", &format!("{name} {made_by}"));
            } else {
                say(format_args!("{} {name}", paint(Style::Red, "  failed")));
            }
        }
    }
}
