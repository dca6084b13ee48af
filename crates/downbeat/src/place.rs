//! An environment of an application, as commands name it.

use downbeat_api::{
    application::Application,
    client::{self, Client, path},
    deployment::Deployment,
    environment::Environment,
};

use crate::{
    report::{Failure, choice},
    session::Session,
};

/// Where something is, or shall be, deployed.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) session: &'a Session,
    pub(crate) app: &'a str,
    pub(crate) env: &'a str,
}

impl Place<'_> {
    pub(crate) fn client(&self) -> &Client {
        &self.session.client
    }

    pub(crate) fn org(&self) -> &str {
        &self.session.org
    }

    /// A path below the environment.
    pub(crate) fn path(&self, rest: &[&str]) -> String {
        path(&[&["orgs", self.org(), "apps", self.app, "envs", self.env], rest].concat())
    }

    /// The application, if it exists.
    pub(crate) async fn application(&self) -> Result<Option<Application>, Failure> {
        if_there(self.client().application(self.org(), self.app).await)
    }

    /// The environment, if it exists.
    pub(crate) async fn environment(&self) -> Result<Option<Environment>, Failure> {
        if_there(self.client().environment(self.org(), self.app, self.env).await)
    }

    /// The deployments of the environment, newest first; says what is missing when it cannot be.
    pub(crate) async fn history(&self) -> Result<Vec<Deployment>, Failure> {
        match self.client().deployments(self.org(), self.app, self.env).await {
            Err(error) if error.status() == Some(404) => Err(self.missing().await?),
            other => Ok(other?),
        }
    }

    /// Why the environment cannot be named: the application is missing, or the environment is.
    pub(crate) async fn missing(&self) -> Result<Failure, Failure> {
        let Some(application) = self.application().await? else {
            let known = self.client().applications(self.org()).await?;
            let names = known.iter().map(|one| one.id.as_str());
            return Ok(Failure::not_found(format!("there is no application {:?}", self.app))
                .hint(choice(self.app, "applications", names)));
        };
        let names = application.envs.iter().map(|one| one.id.as_str());
        let message = format!("application {:?} has no environment {:?}", self.app, self.env);
        Ok(Failure::not_found(message).hint(choice(self.env, "environments", names)))
    }
}

fn if_there<T>(result: client::Result<T>) -> Result<Option<T>, Failure> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.status() == Some(404) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
