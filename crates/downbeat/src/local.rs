//! A whole server inside this process: database, engine, API.
//!
//! `downbeat serve` is this on a fixed address; every other command is this on a free port of the
//! loopback interface, when no server is configured.

use std::{
    fs::{self, File},
    io::ErrorKind,
    net::SocketAddr,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use downbeat_adapters::{
    git::{GitTarget, Options, Repository},
    sealed::KeyRing,
    target::ToGit,
};
use downbeat_api::client::{Client, Method, path};
use downbeat_core::{Json, Secret, SecretRef, definition_file::DefinitionFile};
use downbeat_engine::{
    BoxFuture, Clock, Targets, Worker, WorkerOptions, run::Ports, schema::Schemas,
};
use downbeat_server::{
    AppState,
    bootstrap::{self, FirstOrganization},
    state::{Limits, SecretVault, VaultError, Version, Wake},
};
use downbeat_store::{
    Db, Tx, definition::Indexes, installation, journal::SqlJournal, secret, secret::LocalSecrets,
};
use jiff::Timestamp;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{report::Failure, starter};

/// How long a worker owns a deployment before another may claim it.
const LEASE: Duration = Duration::from_secs(60);
/// Id of the administrator that a data directory is set up with.
const ADMIN: &str = "admin";

/// What to start.
#[derive(Debug)]
pub(crate) struct ServerOptions {
    /// Data directory.
    pub(crate) data: PathBuf,
    /// Address to listen on; port 0 for a free one.
    pub(crate) listen: SocketAddr,
    /// Organization to set up on an empty data directory.
    pub(crate) org: String,
    /// Repository for environments whose cluster names none.
    pub(crate) git_repository: Option<String>,
}

/// A running server.
pub(crate) struct Running {
    /// `http://<address>`.
    pub(crate) url: String,
    /// A token of the administrator that ends with this process.
    pub(crate) token: Secret,
    /// The administrator's lasting token, when the data directory was just set up.
    pub(crate) first_token: Option<Secret>,
    /// Where manifests go when a cluster does not say so.
    pub(crate) repository: String,
    /// Deployments that an earlier process left in the middle and that go on now.
    pub(crate) resumed: u64,
    db: Db,
    stop: CancellationToken,
    service: JoinHandle<std::io::Result<()>>,
    worker: JoinHandle<()>,
    _lock: File,
}

/// The time of this machine.
struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Wakes the worker of this process.
struct WakeWorker(Worker);

impl Wake for WakeWorker {
    fn wake(&self) {
        self.0.wake();
    }
}

/// The local secret store as the server sees it.
struct Vault(LocalSecrets);

impl SecretVault for Vault {
    fn seal<'a>(
        &'a self,
        tx: &'a mut Tx,
        key: &'a str,
        secret: &'a Secret,
        version: Version,
    ) -> BoxFuture<'a, Result<SecretRef, VaultError>> {
        Box::pin(async move {
            let version = match version {
                Version::Reuse => secret::Version::Reuse,
                Version::Next => secret::Version::Next,
            };
            let kept = self.0.keep(tx, key, secret, version).await;
            kept.map_err(|error| VaultError(Box::new(error)))
        })
    }
}

/// The data directory that is used when none is named.
pub(crate) fn default_data() -> Result<PathBuf, Failure> {
    let home = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(data) = home("XDG_DATA_HOME") {
        return Ok(PathBuf::from(data).join("downbeat"));
    }
    let home = home("HOME").ok_or_else(|| {
        Failure::Usage("there is no home directory; name a data directory with --data".to_owned())
    })?;
    Ok(PathBuf::from(home).join(".local/share/downbeat"))
}

/// Starts a server on a data directory.
pub(crate) async fn start(options: &ServerOptions) -> Result<Running, Failure> {
    let internal = |error: anyhow::Error| Failure::internal(&error);
    let data = prepare(&options.data)?;
    let lock = lock(&data)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ring =
        KeyRing::open_or_create(&data.join("keys")).map_err(|e| Failure::new(e.to_string()))?;
    let seed = ring.seed();
    let db = Db::open_sqlite(&data.join("downbeat.db")).await.map_err(|e| internal(e.into()))?;
    let first_token = bootstrap(&db, &*clock, &options.org).await?;
    let mut tx = db.write().await.map_err(|e| internal(e.into()))?;
    let installation = installation::id(&mut tx).await.map_err(|e| internal(e.into()))?;
    downbeat_store::commit(tx).await.map_err(|e| internal(e.into()))?;

    let git = Arc::new(GitTarget::new(Options::new(data.join("git"))));
    let repository = match &options.git_repository {
        Some(url) => Repository::new(url),
        None => git
            .prepare_local(&data.join("manifests"))
            .await
            .map_err(|error| Failure::new(error.to_string()))?,
    };
    let mut targets = Targets::default();
    let to_git = ToGit::new(git, Some(repository.clone()));
    targets.by_type.insert("git".to_owned(), Arc::new(to_git));

    let indexes = Arc::new(Indexes::default());
    let secrets = LocalSecrets::new(db.clone(), Arc::new(ring), Arc::clone(&clock));
    let journal =
        SqlJournal::new(db.clone(), Arc::clone(&clock), Arc::clone(&indexes), installation, LEASE);
    // The lock on the data directory proves that nobody else works on it.
    let resumed = journal.take_over().await.map_err(|e| internal(e.into()))?;
    let ports = Arc::new(Ports {
        journal: Arc::new(journal),
        drivers: downbeat_adapters::drivers(),
        targets,
        secrets: Arc::new(secrets.clone()),
        schemas: Schemas::default(),
        seed,
    });
    let worker = Worker::default();
    let state = AppState {
        db: db.clone(),
        clock: Arc::clone(&clock),
        wake: Arc::new(WakeWorker(worker.clone())),
        vault: Arc::new(Vault(secrets)),
        limits: Limits::default(),
    };

    let listener = TcpListener::bind(options.listen).await.map_err(|error| {
        Failure::with_hint(
            format!("cannot listen on {}: {error}", options.listen),
            "Choose another address with --listen",
        )
    })?;
    let address = listener.local_addr().map_err(|e| internal(e.into()))?;
    let token = bootstrap::session(&db, clock.now(), ADMIN)
        .await
        .map_err(|error| Failure::new(error.to_string()))?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let service = tokio::spawn(async move {
        downbeat_server::serve(listener, state, async move { stopped.cancelled().await }).await
    });
    let work = worker.clone();
    let stopped = stop.clone();
    let worker = tokio::spawn(async move {
        work.run(ports, WorkerOptions::default(), stopped).await;
    });
    let running = Running {
        url: format!("http://{address}"),
        token,
        first_token,
        repository: repository.url,
        resumed,
        db,
        stop,
        service,
        worker,
        _lock: lock,
    };
    running.load_starter(&options.org).await?;
    Ok(running)
}

/// Makes the data directory, readable by its owner only.
fn prepare(data: &Path) -> Result<PathBuf, Failure> {
    let failed = |error: std::io::Error| Failure::file(data, &error);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(failed)?;
    data.canonicalize().map_err(failed)
}

/// Takes the data directory for this process.
fn lock(data: &Path) -> Result<File, Failure> {
    let path = data.join("lock");
    let failed = |error: std::io::Error| Failure::file(&path, &error);
    let file =
        File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Failure::Failed {
            message: format!("the data directory {} is used by another process", data.display()),
            hint: Some(
                "If that is a server, talk to it with --server and --token; else wait, or name \
                 another directory with --data"
                    .to_owned(),
            ),
        }),
        Err(fs::TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(file),
        Err(fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Sets up the first organization; answers the administrator's token when it did.
async fn bootstrap(db: &Db, clock: &dyn Clock, org: &str) -> Result<Option<Secret>, Failure> {
    let internal = |error: downbeat_store::Error| Failure::internal(&error.into());
    let mut conn = db.read().await.map_err(internal)?;
    if !installation::is_empty(&mut conn).await.map_err(internal)? {
        return Ok(None);
    }
    drop(conn);
    let first = FirstOrganization {
        org_id: org.to_owned(),
        org_name: org.to_owned(),
        admin_id: Some(ADMIN.to_owned()),
        admin_name: "Administrator".to_owned(),
        admin_email: None,
        token: None,
    };
    let token = bootstrap::organization(db, clock.now(), first).await;
    Ok(Some(token.map_err(|problem| Failure::new(problem.to_string()))?))
}

impl Running {
    /// A client of this server.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        Ok(Client::new(&self.url, Some(self.token.expose()))?)
    }

    /// Creates the starter definitions that were never created; those that were and are gone stay
    /// gone.
    async fn load_starter(&self, org: &str) -> Result<(), Failure> {
        let internal = |error: downbeat_store::Error| Failure::internal(&error.into());
        let key = format!("starter:{org}");
        let mut conn = self.db.read().await.map_err(internal)?;
        if installation::find(&mut conn, &key).await.map_err(internal)?.is_some() {
            return Ok(());
        }
        drop(conn);
        let client = self.client()?;
        for definition in starter::definitions()? {
            create(&client, org, &definition).await?;
        }
        let mut tx = self.db.write().await.map_err(internal)?;
        installation::put(&mut tx, &key, "loaded").await.map_err(internal)?;
        downbeat_store::commit(tx).await.map_err(internal)
    }

    /// Waits until the service ends by itself, which is always a failure.
    pub(crate) async fn broken(&mut self) -> Failure {
        match (&mut self.service).await {
            Ok(Ok(())) => Failure::new("the server has stopped"),
            Ok(Err(error)) => Failure::new(format!("the server failed: {error}")),
            Err(error) => Failure::Internal(format!("the server failed: {error}")),
        }
    }

    /// Finishes what is under way and stops.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let _ = self.service.await;
        let _ = self.worker.await;
        if let Err(error) = bootstrap::end_session(&self.db, ADMIN).await {
            tracing::warn!(%error, "the token of this process could not be removed");
        }
        self.db.close().await;
    }
}

/// Creates a definition, unless one of this id is there.
async fn create(client: &Client, org: &str, definition: &DefinitionFile) -> Result<(), Failure> {
    let body = Json::Object(definition.request.clone());
    let path = path(&["orgs", org, "resources", "defs"]);
    match client.send::<Json>(Method::POST, &path, Some(body)).await {
        Ok(_) => Ok(()),
        Err(error) if error.status() == Some(409) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
