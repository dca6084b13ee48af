//! A server with an empty application, and an engine on its database that works when a test says
//! so: real database, real HTTP, real Git.

use std::{path::Path, sync::Arc, time::Duration};

use downbeat_adapters::{
    git::{GitTarget, Options},
    sealed::KeyRing,
    target::ToGit,
};
use downbeat_core::{Json, definition_file};
use downbeat_engine::{
    Clock, Drivers, Targets,
    port::{Journal, Removals},
    removal,
    run::{self, Ports},
    schema::Schemas,
};
use downbeat_store::{
    definition::Indexes, installation, journal::SqlJournal, secret::LocalSecrets,
};
use downbeat_testkit::{ORG, Server};
use jiff::Timestamp;
use serde_json::json;
use tempfile::TempDir;

/// The time of this machine.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The application `shop` of a new server, with some of the starter definitions.
pub(crate) struct Shop {
    pub(crate) server: Server,
    pub(crate) folder: TempDir,
}

impl Shop {
    pub(crate) async fn new() -> Self {
        let server = Server::start().await;
        let shop = Self { server, folder: tempfile::tempdir().unwrap() };
        let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../starter");
        for name in ["redis", "k8s-cluster", "k8s-namespace", "dns", "ingress"] {
            let text = std::fs::read_to_string(starter.join(format!("{name}.yaml"))).unwrap();
            for file in definition_file::read(&text).unwrap() {
                shop.add("resources/defs", Json::Object(file.request)).await;
            }
        }
        let client = shop.server.admin();
        client
            .post(&format!("/orgs/{ORG}/apps"), json!({"id": "shop", "name": "Shop"}))
            .await
            .is(201);
        shop
    }

    /// Adds something to the organization.
    pub(crate) async fn add(&self, to: &str, what: Json) {
        self.server.admin().post(&format!("/orgs/{ORG}/{to}"), what).await.is(200);
    }

    /// Asks for the deployment of a delta; where deployments of the environment are.
    pub(crate) async fn ask(&self, mut delta: Json) -> String {
        delta["metadata"] = json!({"env_id": "development"});
        let client = self.server.admin();
        let app = format!("/orgs/{ORG}/apps/shop");
        let delta = client.post(&format!("{app}/deltas"), delta).await.json(200);
        let deploys = format!("{app}/envs/development/deploys");
        client.post(&deploys, json!({"delta_id": delta["id"]})).await.is(201);
        deploys
    }

    /// The journal of a new process, which has the database for itself.
    pub(crate) async fn journal(&self) -> SqlJournal {
        let mut tx = self.server.db.write().await.unwrap();
        let installation = installation::id(&mut tx).await.unwrap();
        downbeat_store::commit(tx).await.unwrap();
        let journal = SqlJournal::new(
            self.server.db.clone(),
            Arc::new(SystemClock),
            Arc::new(Indexes::default()),
            installation,
            Duration::from_secs(60),
        );
        journal.take_over().await.unwrap();
        journal
    }

    /// The world of a process.
    pub(crate) async fn ports<J>(&self, journal: Arc<J>, drivers: Drivers) -> Ports
    where
        J: Journal + Removals + 'static,
    {
        let ring = KeyRing::open_or_create(&self.folder.path().join("keys")).unwrap();
        let seed = ring.seed();
        let git = Arc::new(GitTarget::new(Options::new(self.folder.path().join("git"))));
        let repository = git.prepare_local(&self.manifests()).await.unwrap();
        let mut targets = Targets::default();
        targets.by_type.insert("git".to_owned(), Arc::new(ToGit::new(git, Some(repository))));
        let clock = Arc::new(SystemClock);
        let secrets = LocalSecrets::new(self.server.db.clone(), Arc::new(ring), clock);
        Ports {
            journal: Arc::clone(&journal) as Arc<dyn Journal>,
            removals: journal,
            drivers,
            targets,
            secrets: Arc::new(secrets),
            schemas: Schemas::default(),
            seed,
        }
    }

    /// Runs whatever there is to do, to its end.
    pub(crate) async fn work(&self, drivers: Drivers) {
        let ports = self.ports(Arc::new(self.journal().await), drivers).await;
        while let Some(lease) = ports.journal.claim().await.unwrap() {
            run::run(&ports, &lease).await.unwrap();
        }
        while let Some(job) = ports.removals.claim().await.unwrap() {
            removal::run(&ports, &job).await.unwrap();
        }
    }

    /// The repository of manifests.
    pub(crate) fn manifests(&self) -> std::path::PathBuf {
        self.folder.path().join("manifests")
    }

    /// Commits in the repository, the newest first.
    #[expect(clippy::disallowed_methods, reason = "asks the real git")]
    pub(crate) fn commits(&self) -> Vec<String> {
        let mut command = std::process::Command::new("git");
        command.arg("-C").arg(self.manifests()).args(["rev-list", "main"]);
        let output = command.output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }
}
