//! `downbeat deploy`
//!
//! Everything that can be refused is refused before anything is created: files are read, then what
//! is there is looked at, then the application and the environment are made, then it deploys.

mod progress;
mod set_id;
mod summary;

use std::collections::BTreeSet;

use downbeat_api::{
    application::{Application, CreateApplication},
    client::{self, Method, path},
    deployment::{Deployment, DeploymentRequest},
    environment::{CreateEnvironment, Environment},
};
use downbeat_core::{Delta, DeploymentSet, Json, delta::ModuleDeltas, patch};
use serde_json::json;

use crate::{
    cli::Deploy,
    place::Place,
    report::{Failure, Style, choice, count, paint, say, step},
    score_file,
    session::Session,
};

/// How often a deployment is asked for again when another one was faster.
const ATTEMPTS: usize = 5;

pub(crate) async fn run(arguments: Deploy) -> Result<(), Failure> {
    let nothing = arguments.files.is_empty() && arguments.remove.is_empty();
    if nothing && arguments.set.is_none() && arguments.from.is_none() {
        return Err(Failure::usage(
            "nothing to deploy: name Score files, --remove, --set or --from",
        ));
    }
    let files = score_file::read_set(&arguments.files, &arguments.score)?;
    if let Some(name) = arguments.remove.iter().find(|name| files.modules.contains_key(*name)) {
        return Err(Failure::usage(format!(
            "--remove {name}: a Score file that is to be deployed describes this workload"
        )));
    }
    let session = Session::open(&arguments.connection).await?;
    let mut result = Ok(());
    for env in &arguments.env {
        if arguments.env.len() > 1 {
            say(format_args!("{}", paint(Style::Cyan, &format!("environment {env}"))));
        }
        let place = Place { session: &session, app: &arguments.app, env };
        result = Deploying { place, arguments: &arguments }.run(files.clone()).await;
        if result.is_err() {
            break;
        }
    }
    session.close().await;
    result
}

struct Deploying<'a> {
    place: Place<'a>,
    arguments: &'a Deploy,
}

/// What is to be deployed.
enum Change {
    /// Workloads are added, replaced and removed.
    Delta(Delta),
    /// A set as it is.
    Set(String),
    /// The set of a deployment of another environment.
    Copy(String),
}

impl Deploying<'_> {
    async fn run(&self, files: DeploymentSet) -> Result<(), Failure> {
        let application = self.place.application().await?;
        let environment = match application {
            Some(_) => self.place.environment().await?,
            None => None,
        };
        let words = self.words(&files);
        let change = self.change(files, application.as_ref(), environment.as_ref()).await?;
        self.create(application.is_none(), environment.is_none()).await?;
        let request = self.request(&change, &words).await?;
        let created = self.start(&change, &request).await?;
        let progress = progress::follow(&self.place, &created.id).await?;
        summary::print(&self.place, self.arguments, &created.id, &progress).await
    }

    /// Finds out what to deploy, and whether that is possible here.
    async fn change(
        &self,
        files: DeploymentSet,
        application: Option<&Application>,
        environment: Option<&Environment>,
    ) -> Result<Change, Failure> {
        if let Some(reference) = &self.arguments.set {
            if application.is_none() {
                return Err(self.place.missing().await?);
            }
            return Ok(Change::Set(self.set(reference, environment.is_some()).await?));
        }
        if let Some(from) = &self.arguments.from {
            let history = Place { env: from, ..self.place }.history().await?;
            let last = history.into_iter().find(|one| one.status == "succeeded");
            let last = last.ok_or_else(|| {
                Failure::new(format!("nothing was deployed to environment {from:?} yet"))
            })?;
            return Ok(Change::Copy(last.id));
        }
        if !self.arguments.remove.is_empty() {
            match environment {
                Some(environment) => self.check_removed(environment).await?,
                None => return Err(self.place.missing().await?),
            }
        }
        Ok(Change::Delta(delta(files, &self.arguments.remove)))
    }

    /// The whole id of a set that was named by a part of it, or by a deployment.
    async fn set(&self, reference: &str, has_history: bool) -> Result<String, Failure> {
        let (client, org) = (self.place.client(), self.place.org());
        let history = if has_history { self.place.history().await? } else { Vec::new() };
        let sets: Vec<Json> = client
            .send(Method::GET, &path(&["orgs", org, "apps", self.place.app, "sets"]), None)
            .await?;
        let sets = sets.iter().filter_map(|set| set.get("id")?.as_str());
        set_id::find(reference, &history, sets)
    }

    /// Only a workload that is there can be removed.
    async fn check_removed(&self, environment: &Environment) -> Result<(), Failure> {
        let known: BTreeSet<String> = match &environment.from_deploy {
            None => BTreeSet::new(),
            Some(base) => {
                let (client, org) = (self.place.client(), self.place.org());
                let set = client.set(org, self.place.app, &base.set_id).await?;
                set.modules.into_keys().collect()
            }
        };
        match self.arguments.remove.iter().find(|name| !known.contains(*name)) {
            None => Ok(()),
            Some(name) => {
                let env = self.place.env;
                let message = format!("environment {env:?} has no workload {name:?}");
                let names = known.iter().map(String::as_str);
                Err(Failure::not_found(message).hint(choice(name, "workloads", names)))
            }
        }
    }

    /// Creates the application and the environment where they are missing, if that is asked for.
    async fn create(&self, application: bool, environment: bool) -> Result<(), Failure> {
        if !application && !environment {
            return Ok(());
        }
        if !self.arguments.create && self.place.session.local.is_none() {
            let failure = self.place.missing().await?;
            return Err(failure.also("Pass --create to create it"));
        }
        let (client, org) = (self.place.client(), self.place.org());
        let (app, env) = (self.place.app.to_owned(), self.place.env.to_owned());
        if application {
            let new = CreateApplication {
                id: app.clone(),
                name: app.clone(),
                env: None,
                skip_environment_creation: Some(true),
            };
            client.create_application(org, &new).await?;
            step("created", &format!("application {app}"));
        }
        if environment {
            let kind = &self.env_type().await?;
            let new = CreateEnvironment {
                id: env.clone(),
                name: env.clone(),
                r#type: Some(kind.clone()),
                from_deploy_id: None,
            };
            client.create_environment(org, &app, &new).await?;
            step("created", &format!("environment {env} of type {kind}"));
        }
        Ok(())
    }

    /// The type of a new environment: the one asked for, else the one with the environment's own id,
    /// else `development`.
    async fn env_type(&self) -> Result<String, Failure> {
        if let Some(kind) = &self.arguments.env_type {
            return Ok(kind.clone());
        }
        let client = &self.place.session.client;
        let known = client.environment_types(&self.place.session.org).await?;
        let own = known.into_iter().map(|kind| kind.id).find(|id| *id == self.place.env);
        Ok(own.unwrap_or_else(|| "development".to_owned()))
    }

    /// The request for the deployment. A delta is stored first.
    async fn request(&self, change: &Change, words: &str) -> Result<DeploymentRequest, Failure> {
        let comment = self.arguments.message.clone();
        let mut request =
            DeploymentRequest { comment: Some(comment.clone()), ..DeploymentRequest::default() };
        match change {
            Change::Set(set) => {
                step("read", &format!("set {set}"));
                request.set_id = Some(set.clone());
            }
            Change::Copy(deployment) => {
                let from = self.arguments.from.as_deref().unwrap_or_default();
                step("read", &format!("deployment {deployment} of environment {from}"));
            }
            Change::Delta(delta) => {
                let name = if comment.is_empty() { "downbeat deploy" } else { &comment };
                let body = json!({
                    "metadata": {"env_id": self.place.env, "name": name},
                    "modules": delta.modules,
                    "shared": delta.shared,
                });
                let deltas = path(&["orgs", self.place.org(), "apps", self.place.app, "deltas"]);
                let stored: Json =
                    self.place.client().send(Method::POST, &deltas, Some(body)).await?;
                request.delta_id = stored.get("id").and_then(Json::as_str).map(str::to_owned);
                step("read", words);
            }
        }
        Ok(request)
    }

    /// Starts the deployment, after those that are under way.
    async fn start(
        &self,
        change: &Change,
        request: &DeploymentRequest,
    ) -> Result<Deployment, Failure> {
        let waits = self.arguments.wait || self.place.session.local.is_some();
        for _ in 1..ATTEMPTS {
            if waits {
                self.wait_for_others().await?;
            }
            match self.try_to_start(change, request).await {
                Err(error) if error.status() == Some(409) && waits => {}
                Err(error) if error.status() == Some(409) => {
                    return Err(Failure::from(error)
                        .hint("Wait until it has ended, or pass --wait to wait for it"));
                }
                result => return Ok(result?),
            }
        }
        Ok(self.try_to_start(change, request).await?)
    }

    async fn try_to_start(
        &self,
        change: &Change,
        request: &DeploymentRequest,
    ) -> client::Result<Deployment> {
        let Place { app, env, .. } = self.place;
        let (client, org) = (self.place.client(), self.place.org());
        if let Change::Copy(deployment) = change {
            client.rebase_environment(org, app, env, deployment).await?;
        }
        if self.arguments.prune {
            let path = format!("{}?prune=true", self.place.path(&["deploys"]));
            return client.send(Method::POST, &path, Some(json!(request))).await;
        }
        client.deploy(org, app, env, request).await
    }

    /// Waits until no deployment of the environment is under way, such as one that a killed process
    /// left behind.
    async fn wait_for_others(&self) -> Result<(), Failure> {
        let is_over = |one: &Deployment| matches!(one.status.as_str(), "succeeded" | "failed");
        while let Some(other) = self.place.history().await?.into_iter().find(|one| !is_over(one)) {
            step("waiting", &format!("for deployment {}, which is under way", other.id));
            let progress = progress::wait(&self.place, &other.id, |_| {}).await?;
            step("ended", &format!("deployment {}: {}", other.id, progress.status));
        }
        Ok(())
    }

    /// What the Score files and `--remove` ask for, in words.
    fn words(&self, files: &DeploymentSet) -> String {
        let without = self.arguments.remove.join(", ");
        if files.modules.is_empty() {
            return format!("without {without}");
        }
        let names: Vec<&str> = files.modules.keys().map(String::as_str).collect();
        let private: usize = files.modules.values().map(|module| module.externals.len()).sum();
        let mut words = format!(
            "{} ({}), {}",
            count(names.len(), "workload"),
            names.join(", "),
            count(private + files.shared.len(), "resource")
        );
        if !without.is_empty() {
            words.push_str(&format!(", without {without}"));
        }
        words
    }
}

/// The change that Score files and `--remove` ask for.
fn delta(files: DeploymentSet, remove: &[String]) -> Delta {
    let add = files
        .modules
        .into_iter()
        .map(|(name, module)| (name, serde_json::to_value(module).unwrap_or_default()));
    let shared = files.shared.into_iter().map(|(key, resource)| {
        let value = serde_json::to_value(resource).unwrap_or_default();
        patch::Action::add(patch::pointer([key.as_str()]), value)
    });
    Delta {
        modules: ModuleDeltas {
            add: add.collect(),
            remove: remove.to_vec(),
            ..ModuleDeltas::default()
        },
        shared: shared.collect(),
    }
}
