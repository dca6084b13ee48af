//! `downbeat deploy`

use std::{collections::BTreeMap, time::Duration};

use downbeat_api::client::{Client, Method, path};
use downbeat_core::{Delta, Json, delta::ModuleDeltas, patch};
use downbeat_score::Converted;
use serde_json::json;

use crate::{
    cli::{Deploy, Output},
    graph_tree,
    report::{Failure, Style, out, paint},
    score_file,
    session::Session,
};

pub(crate) async fn run(arguments: Deploy) -> Result<(), Failure> {
    let nothing = arguments.files.is_empty() && arguments.remove.is_empty();
    if nothing && arguments.set.is_none() && arguments.from.is_none() {
        return Err(Failure::Usage(
            "nothing to deploy: name Score files, --remove, --set or --from".to_owned(),
        ));
    }
    let converted = score_file::convert_all(&arguments.files, &arguments.score)?;
    let session = Session::open(&arguments.connection).await?;
    let result = Deployment { session: &session, arguments: &arguments }.run(converted).await;
    session.close().await;
    result
}

struct Deployment<'a> {
    session: &'a Session,
    arguments: &'a Deploy,
}

fn step(word: &str, text: &str) {
    eprintln!("{} {text}", paint(Style::Green, &format!("{word:>8}")));
}

fn text<'a>(value: &'a Json, member: &str) -> &'a str {
    value.get(member).and_then(Json::as_str).unwrap_or_default()
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

impl Deployment<'_> {
    fn client(&self) -> &Client {
        &self.session.client
    }

    fn app(&self, rest: &[&str]) -> String {
        path(&[&["orgs", &self.session.org, "apps", &self.arguments.app], rest].concat())
    }

    fn env(&self, rest: &[&str]) -> String {
        self.app(&[&["envs", &self.arguments.env], rest].concat())
    }

    async fn run(&self, converted: Vec<Converted>) -> Result<(), Failure> {
        self.ensure_environment().await?;
        let request = self.request(converted).await?;
        let created: Json =
            self.client().send(Method::POST, &self.env(&["deploys"]), Some(request)).await?;
        let id = text(&created, "id").to_owned();
        let progress = self.follow(&id).await?;
        self.finish(&id, &progress).await
    }

    /// The application and the environment, created when that is asked for.
    async fn ensure_environment(&self) -> Result<(), Failure> {
        let missing = |error: &downbeat_api::client::Error| error.status() == Some(404);
        let may_create = self.arguments.create || self.session.local.is_some();
        let (app, env) = (&self.arguments.app, &self.arguments.env);
        match self.client().send::<Json>(Method::GET, &self.app(&[]), None).await {
            Ok(_) => {}
            Err(error) if missing(&error) && may_create => {
                let body = json!({"id": app, "name": app, "skip_environment_creation": true});
                let apps = path(&["orgs", &self.session.org, "apps"]);
                let _: Json = self.client().send(Method::POST, &apps, Some(body)).await?;
                step("created", &format!("application {app}"));
            }
            Err(error) if missing(&error) => {
                return Err(Failure::with_hint(
                    format!("there is no application {app:?}"),
                    "Pass --create to create it",
                ));
            }
            Err(error) => return Err(error.into()),
        }
        match self.client().send::<Json>(Method::GET, &self.env(&[]), None).await {
            Ok(_) => Ok(()),
            Err(error) if missing(&error) && may_create => {
                let body = json!({"id": env, "name": env, "type": self.arguments.env_type});
                let envs = self.app(&["envs"]);
                let _: Json = self.client().send(Method::POST, &envs, Some(body)).await?;
                step("created", &format!("environment {env} of type {}", self.arguments.env_type));
                Ok(())
            }
            Err(error) if missing(&error) => Err(Failure::with_hint(
                format!("application {app:?} has no environment {env:?}"),
                "Pass --create to create it",
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// The body of the deployment request.
    async fn request(&self, converted: Vec<Converted>) -> Result<Json, Failure> {
        let comment = &self.arguments.message;
        if let Some(set) = &self.arguments.set {
            step("read", &format!("set {}", short(set)));
            return Ok(json!({"set_id": set, "comment": comment}));
        }
        if let Some(from) = &self.arguments.from {
            let other: Json =
                self.client().send(Method::GET, &self.app(&["envs", from]), None).await?;
            let last = other.get("last_deploy").filter(|last| !last.is_null());
            let last = last.map(|last| text(last, "id").to_owned()).ok_or_else(|| {
                Failure::new(format!("nothing was deployed to environment {from:?} yet"))
            })?;
            let place = self.env(&["from_deploy_id"]);
            let () = self.client().send(Method::PUT, &place, Some(json!(last))).await?;
            step("read", &format!("deployment {last} of environment {from}"));
            return Ok(json!({"comment": comment}));
        }
        let (delta, words) = self.delta(converted);
        let name = if comment.is_empty() { "downbeat deploy" } else { comment.as_str() };
        let body = json!({
            "metadata": {"env_id": self.arguments.env, "name": name},
            "modules": delta.modules,
            "shared": delta.shared,
        });
        let delta: Json =
            self.client().send(Method::POST, &self.app(&["deltas"]), Some(body)).await?;
        step("read", &words);
        Ok(json!({"delta_id": text(&delta, "id"), "comment": comment}))
    }

    /// The change that the Score files and `--remove` ask for, and what they say in words.
    fn delta(&self, converted: Vec<Converted>) -> (Delta, String) {
        let workloads: Vec<String> = converted.iter().map(|one| one.name.clone()).collect();
        let resources: usize =
            converted.iter().map(|one| one.module.externals.len() + one.shared.len()).sum();
        let mut shared = BTreeMap::new();
        let mut add = BTreeMap::new();
        for one in converted {
            shared.extend(one.shared);
            add.insert(one.name, serde_json::to_value(&one.module).unwrap_or_default());
        }
        let shared = shared.into_iter().map(|(key, resource)| {
            let value = serde_json::to_value(&resource).unwrap_or_default();
            patch::Action::add(patch::pointer([key.as_str()]), value)
        });
        let mut words = format!(
            "{} ({}), {}",
            count(workloads.len(), "workload"),
            workloads.join(", "),
            count(resources, "resource")
        );
        if workloads.is_empty() {
            words = format!("without {}", self.arguments.remove.join(", "));
        } else if !self.arguments.remove.is_empty() {
            words.push_str(&format!(", without {}", self.arguments.remove.join(", ")));
        }
        let modules =
            ModuleDeltas { add, remove: self.arguments.remove.clone(), ..ModuleDeltas::default() };
        (Delta { modules, shared: shared.collect() }, words)
    }

    /// Prints what happens until it is over.
    async fn follow(&self, id: &str) -> Result<Json, Failure> {
        let place = self.env(&["deploys", id, "progress"]);
        let mut shown = Shown::default();
        let mut wait = Duration::from_millis(10);
        loop {
            let progress: Json = self.client().send(Method::GET, &place, None).await?;
            shown.update(&progress);
            if matches!(text(&progress, "status"), "succeeded" | "failed") {
                return Ok(progress);
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_millis(500));
        }
    }

    async fn finish(&self, id: &str, progress: &Json) -> Result<(), Failure> {
        let deployment: Json =
            self.client().send(Method::GET, &self.env(&["deploys", id]), None).await?;
        if self.arguments.output == Output::Json {
            out(&format!("{deployment:#}\n"))?;
        }
        if text(progress, "status") == "failed" {
            let errors: Vec<Json> = self
                .client()
                .send(Method::GET, &self.env(&["deploys", id, "errors"]), None)
                .await?;
            for error in &errors {
                eprintln!(
                    "{} {} {}: {}",
                    paint(Style::Red, &format!("{:>8}", text(error, "code"))),
                    text(error, "scope"),
                    text(error, "object_id"),
                    text(error, "message")
                );
            }
            let code = errors.first().map(|error| text(error, "code")).unwrap_or_default();
            return Err(Failure::Failed {
                message: format!(
                    "deployment {id} failed; nothing was given to the target, the last good state \
                     stands"
                ),
                hint: (!code.is_empty())
                    .then(|| format!("docs/errors/{code}.md explains the code")),
            });
        }
        let delivery = progress.get("delivery").cloned().unwrap_or_default();
        let files = delivery.get("files").and_then(Json::as_u64).unwrap_or(0);
        let files = count(usize::try_from(files).unwrap_or(0), "file");
        let branch = text(&delivery, "branch");
        if delivery.get("changed").and_then(Json::as_bool).unwrap_or(false) {
            let commit = short(text(&delivery, "commit")).to_owned();
            step("deployed", &format!("{files}, commit {commit} on {branch}"));
        } else {
            step("deployed", &format!("{files}, nothing has changed"));
        }
        if self.arguments.output == Output::Text {
            self.summary(id, &deployment, &delivery).await?;
        }
        Ok(())
    }

    async fn summary(&self, id: &str, deployment: &Json, delivery: &Json) -> Result<(), Failure> {
        let mut lines = String::new();
        let graph = text(deployment, "dependency_graph_id");
        if !graph.is_empty() {
            let place = self.env(&["resources", "graphs", graph]);
            let graph: Json = self.client().send(Method::GET, &place, None).await?;
            let nodes = graph.get("nodes").and_then(Json::as_array);
            lines.push_str("\nResource graph\n");
            lines.push_str(&graph_tree::draw(nodes.map_or(&[][..], Vec::as_slice)));
        }
        let (location, folder) = (text(delivery, "location"), text(delivery, "path"));
        let set = short(text(deployment, "set_id"));
        lines.push_str(&format!("\nManifests   {location}, folder {folder}\n"));
        lines.push_str(&format!("Deployment  {id}, set {set}\n\nNext\n"));
        let (org, app, env) = (&self.session.org, &self.arguments.app, &self.arguments.env);
        let mut next = Vec::new();
        if location.starts_with('/') {
            next.push((format!("ls {location}/{folder}"), "what was generated"));
            next.push((format!("git -C {location} log --stat"), "what each deployment changed"));
        }
        let place = format!("/orgs/{org}/apps/{app}/envs/{env}/resources");
        next.push((format!("downbeat api get {place}"), "what exists, and its outputs"));
        let other = if env == "staging" { "production" } else { "staging" };
        let again = format!("downbeat deploy --app {app} --env {other} --from {env}");
        next.push((again, "the same in another environment"));
        for (command, why) in next {
            lines.push_str(&format!("  {}\n      {command}\n", paint(Style::Dim, why)));
        }
        out(&lines)
    }
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// What was printed of a deployment's progress.
#[derive(Default)]
struct Shown {
    matched: bool,
    nodes: BTreeMap<String, String>,
}

impl Shown {
    fn update(&mut self, progress: &Json) {
        let nodes = progress.get("nodes").and_then(Json::as_array);
        let nodes = nodes.map_or(&[][..], Vec::as_slice);
        if !self.matched && !nodes.is_empty() {
            self.matched = true;
            let definitions: std::collections::BTreeSet<&str> =
                nodes.iter().map(|node| text(node, "def_id")).collect();
            step(
                "matched",
                &format!(
                    "{} by {}",
                    count(nodes.len(), "resource"),
                    count(definitions.len(), "definition")
                ),
            );
        }
        for node in nodes {
            let status = text(node, "status");
            if !matches!(status, "ready" | "failed") {
                continue;
            }
            let name =
                format!("{}.{}#{}", text(node, "type"), text(node, "class"), text(node, "id"));
            if self.nodes.insert(name.clone(), status.to_owned()).as_deref() == Some(status) {
                continue;
            }
            if status == "ready" {
                step(
                    "created",
                    &format!(
                        "{name} {}",
                        paint(Style::Dim, &format!("← {}", text(node, "def_id")))
                    ),
                );
            } else {
                eprintln!("{} {name}", paint(Style::Red, "  failed"));
            }
        }
    }
}
