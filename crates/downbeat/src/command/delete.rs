//! `downbeat delete`

use std::{collections::BTreeSet, time::Duration};

use downbeat_api::client::{self, Method, path};

use super::resources::{list, name, open_removals};
use crate::{
    cli::Delete,
    place::Place,
    report::{Failure, count, say, step, warn},
    session::Session,
};

pub(crate) async fn run(arguments: Delete) -> Result<(), Failure> {
    let session = Session::open(&arguments.connection).await?;
    let result = Deleting { session: &session, arguments: &arguments }.run().await;
    session.close().await;
    result
}

struct Deleting<'a> {
    session: &'a Session,
    arguments: &'a Delete,
}

impl Deleting<'_> {
    async fn run(&self) -> Result<(), Failure> {
        let Delete { app, env, resource, .. } = self.arguments;
        match (env, resource) {
            (Some(env), Some(resource)) => self.resource(env, resource).await,
            (Some(env), None) => {
                let place = self.place(env);
                self.announce(&[place]).await?;
                let word = format!("environment {env}");
                self.repeat(&place.path(&[]), &word, &[place]).await
            }
            (None, _) => {
                let application = self.place("").application().await?;
                let Some(application) = application else {
                    return Err(self.place("").missing().await?);
                };
                let places: Vec<Place<'_>> =
                    application.envs.iter().map(|env| self.place(&env.id)).collect();
                self.announce(&places).await?;
                let path = path(&["orgs", &self.session.org, "apps", app]);
                self.repeat(&path, &format!("application {app}"), &places).await
            }
        }
    }

    fn place<'p>(&'p self, env: &'p str) -> Place<'p> {
        Place { session: self.session, app: &self.arguments.app, env }
    }

    /// Says what will go; the end of it when nobody said yes.
    async fn announce(&self, places: &[Place<'_>]) -> Result<(), Failure> {
        for place in places {
            let resources = list(place).await?;
            let words = count(resources.len(), "resource");
            say(format_args!("environment {}: what runs in its target, and {words}", place.env));
            for one in resources {
                let name = name(&one.r#type, &one.class, &one.res_id);
                say(format_args!("  {name}  ({})", one.driver_type));
            }
        }
        self.agreed()
    }

    fn agreed(&self) -> Result<(), Failure> {
        if self.arguments.yes {
            return Ok(());
        }
        Err(Failure::new("nothing is deleted yet").hint("Pass --yes to delete it"))
    }

    async fn resource(&self, env: &str, resource: &str) -> Result<(), Failure> {
        let place = self.place(env);
        let Some((kind, id)) = resource.split_once('#') else {
            return Err(Failure::usage(format!(
                "--resource {resource}: expected TYPE[.CLASS]#ID, as `downbeat resources` prints it"
            )));
        };
        let Delete { force, detach, reason, .. } = self.arguments;
        let what = if *detach { "is forgotten; the real thing stays" } else { "is deleted" };
        say(format_args!("{resource} of environment {env} {what}"));
        self.agreed()?;
        let reason = path(&[reason]);
        let reason = reason.trim_start_matches('/');
        let query = format!("?force={force}&detach={detach}&reason={reason}");
        let path = format!("{}{query}", place.path(&["resources", kind, id]));
        self.repeat(&path, resource, &[place]).await
    }

    /// Repeats a deletion until it is over, and says what is free.
    async fn repeat(&self, path: &str, what: &str, places: &[Place<'_>]) -> Result<(), Failure> {
        let mut pause = Duration::from_millis(20);
        let mut waiting = BTreeSet::new();
        let mut said = BTreeSet::new();
        let mut asked = false;
        loop {
            let exchange = self.session.client.exchange(Method::DELETE, path, None).await?;
            match exchange.status {
                204 => break,
                404 if asked => break,
                202 => asked = true,
                _ => return Err(client::refusal(&exchange).into()),
            }
            let mut left = BTreeSet::new();
            for place in places {
                // What was deleted in the meantime is not there to be asked.
                for one in open_removals(place).await.unwrap_or_default() {
                    let name = name(&one.r#type, &one.class, &one.res_id);
                    if let Some(error) = one.error
                        && said.insert((one.id, one.attempts))
                    {
                        warn(format_args!("{name}: {}; it is tried again", error.message));
                    }
                    left.insert(name);
                }
            }
            for free in waiting.difference(&left) {
                step("freed", free);
            }
            waiting = left;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
        for free in waiting {
            step("freed", &free);
        }
        step("deleted", what);
        Ok(())
    }
}
