//! A whole server inside this process: database, engine, API.
//!
//! `downbeat serve` is this on a fixed address; every other command is this on a free port of the
//! loopback interface, when no server is configured.

use std::{
    fs::{self, File},
    io::ErrorKind,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use downbeat_adapters::{
    git::{GitTarget, Options, Repository},
    remote::{self, Remote, SigningKey},
    sealed::KeyRing,
    target::ToGit,
    terraform::TerraformOptions,
};
use downbeat_api::{
    client::{self, Client, Method, path},
    environment_type::CreateEnvironmentType,
};
use downbeat_core::{Json, Secret, SecretRef};
use downbeat_engine::{
    BoxFuture, Clock, Driver, RunKeys, Sealer, States, Targets, Worker, WorkerOptions,
    port::Removals, run::Ports, schema::Schemas,
};
use downbeat_server::{
    AppState, Door,
    bootstrap::{self, FirstOrganization},
    state::{Limits, SecretVault, VaultError, Version, Wake},
    tls::{Files, Tls},
};
use downbeat_store::{
    Db, Tx, definition::Indexes, installation, journal::SqlJournal, secret::LocalSecrets,
    terraform_state::SqlStates,
};
use jiff::Timestamp;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{report::Failure, starter};

/// How long a worker owns a deployment before another may claim it.
const LEASE: Duration = Duration::from_secs(60);
/// Id of the administrator that a data directory is set up with.
const ADMIN: &str = "admin";
/// Environment types that an organization starts with, beside `development`.
const ENVIRONMENT_TYPES: [(&str, &str); 2] =
    [("staging", "For what is about to be released"), ("production", "For what users work with")];

/// `1` lets drivers of the organization on other machines be called without TLS.
const PLAIN_HTTP: &str = "DOWNBEAT_PLAIN_HTTP_DRIVERS";
/// Names the program that runs infrastructure code, if it is not `tofu` or `terraform` from the
/// `PATH`.
const TERRAFORM: &str = "DOWNBEAT_TERRAFORM";
/// Where a cluster reaches this server, for the states of infrastructure code that runs there.
const CLUSTER_URL: &str = "DOWNBEAT_CLUSTER_URL";
/// The image of Downbeat for runs in a cluster, if it is not the one of this version.
const RUNNER_IMAGE: &str = "DOWNBEAT_RUNNER_IMAGE";

/// What to start.
#[derive(Debug)]
pub(crate) struct ServerOptions {
    /// Data directory.
    pub(crate) data: PathBuf,
    /// Address to listen on; port 0 for a free one.
    pub(crate) listen: SocketAddr,
    /// Address to listen on with TLS, and the certificate.
    pub(crate) tls: Option<(SocketAddr, Files)>,
    /// Organization to set up on an empty data directory.
    pub(crate) org: String,
    /// Repository for environments whose cluster names none.
    pub(crate) git_repository: Option<String>,
}

/// A running server.
pub(crate) struct Running {
    /// `http://<address>`.
    pub(crate) url: String,
    /// `https://<address>`, with TLS.
    pub(crate) tls_url: Option<String>,
    /// A token of the administrator that ends with this process.
    pub(crate) token: Secret,
    /// Where manifests go when a cluster does not say so.
    pub(crate) repository: String,
    /// Deployments that an earlier process left in the middle and that go on now.
    pub(crate) resumed: u64,
    /// Whether the organization got its starter definitions just now.
    pub(crate) set_up: bool,
    db: Db,
    clock: Arc<dyn Clock>,
    stop_service: CancellationToken,
    stop_worker: CancellationToken,
    service: JoinHandle<std::io::Result<()>>,
    worker: JoinHandle<()>,
    _directory: DataDirectory,
}

/// The time of this machine.
pub(crate) struct SystemClock;

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
            let kept = self.0.keep(tx, key, secret, version).await;
            kept.map_err(|error| VaultError(Box::new(error)))
        })
    }

    fn open<'a>(
        &'a self,
        org: &'a str,
        reference: &'a SecretRef,
    ) -> BoxFuture<'a, Result<Secret, VaultError>> {
        Box::pin(async move {
            let opened =
                downbeat_engine::Secrets::open(&self.0, org, std::slice::from_ref(reference)).await;
            let opened = opened.map_err(|error| VaultError(Box::new(error)))?;
            opened.into_iter().next().ok_or_else(|| VaultError("nothing was opened".into()))
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
        Failure::usage("there is no home directory; name a data directory with --data")
    })?;
    Ok(PathBuf::from(home).join(".local/share/downbeat"))
}

/// Starts a server on a data directory. What can fail because of the machine is tried first, so that
/// a start that fails leaves nothing half set up.
pub(crate) async fn start(options: &ServerOptions) -> Result<Running, Failure> {
    let directory = DataDirectory::take(&options.data)?;
    let data = &directory.path;
    let listener = TcpListener::bind(options.listen).await.map_err(|error| {
        Failure::new(format!("cannot listen on {}: {error}", options.listen))
            .hint("Choose another address with --listen")
    })?;
    let address = listener.local_addr().map_err(Failure::internal)?;
    let mut doors = vec![Door { listener, tls: None }];
    let mut tls_url = None;
    if let Some((listen, files)) = options.tls.clone() {
        let tls = Tls::load(files).map_err(|error| {
            Failure::new(error.to_string())
                .hint("Both files are PEM, and the key is that of the first certificate")
        })?;
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            Failure::new(format!("cannot listen on {listen}: {error}"))
                .hint("Choose another address with --tls-listen")
        })?;
        tls_url = Some(format!("https://{}", listener.local_addr().map_err(Failure::internal)?));
        doors.push(Door { listener, tls: Some(tls) });
    }
    let git = Arc::new(GitTarget::new(Options::new(data.join("git"))));
    git.check_version().await.map_err(|error| {
        Failure::new(error.to_string()).hint("Downbeat delivers manifests with the `git` program")
    })?;
    let repository = match &options.git_repository {
        Some(url) => Repository::new(url),
        None => git
            .prepare_local(&data.join("manifests"))
            .await
            .map_err(|error| Failure::new(error.to_string()))?,
    };

    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let db = directory.open_database().await?;
    let keys = data.join("keys");
    if !keys.exists() && !is_empty(&db).await? {
        return Err(Failure::new(format!(
            "the data directory {} has a database, but not the keys that its secrets are sealed with",
            data.display()
        ))
        .hint("Restore the file `keys` from a backup"));
    }
    let ring = KeyRing::open_or_create(&keys).map_err(|e| Failure::new(e.to_string()))?;
    let seed = ring.seed();
    bootstrap(&db, &*clock, &options.org).await?;
    let mut tx = db.write().await.map_err(Failure::internal)?;
    let installation = installation::id(&mut tx).await.map_err(Failure::internal)?;
    downbeat_store::commit(tx).await.map_err(Failure::internal)?;

    let signing_key = SigningKey::open_or_create(&data.join(SIGNING_KEY))
        .map_err(|error| Failure::new(error.to_string()))?;
    let mut targets = Targets::default();
    let to_git = ToGit::new(Arc::clone(&git), Some(repository.clone()));
    targets.by_type.insert("git".to_owned(), Arc::new(to_git));

    let indexes = Arc::new(Indexes::default());
    let ring: Arc<dyn Sealer> = Arc::new(ring);
    let states: Arc<dyn States> =
        Arc::new(SqlStates::new(db.clone(), Arc::clone(&ring), Arc::clone(&clock)));
    let run_keys = RunKeys::new(&seed);
    let mut terraform = TerraformOptions::new(
        data.join("terraform"),
        format!("http://{}", from_here(address)),
        Arc::clone(&states),
        run_keys.clone(),
        git,
    );
    terraform.program = std::env::var_os(TERRAFORM).filter(|name| !name.is_empty()).map(Into::into);
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    terraform.container.server = variable(CLUSTER_URL);
    if let Some(image) = variable(RUNNER_IMAGE) {
        terraform.container.image = image;
    }
    let mut drivers = downbeat_adapters::drivers_with(terraform);
    let remote = remote::Options {
        plain_http: std::env::var_os(PLAIN_HTTP).is_some_and(|value| value == "1"),
        ..remote::Options::default()
    };
    let remote = Remote::new(remote, Some(signing_key), Arc::clone(&clock));
    drivers.remote = Some(Driver::External(Arc::new(remote)));
    let secrets = LocalSecrets::new(db.clone(), ring, Arc::clone(&clock));
    let journal =
        SqlJournal::new(db.clone(), Arc::clone(&clock), Arc::clone(&indexes), installation, LEASE);
    // The lock on the data directory proves that nobody else works on it.
    let resumed = journal.take_over().await.map_err(Failure::internal)?;
    let journal = Arc::new(journal);
    let ports = Arc::new(Ports {
        removals: Arc::clone(&journal) as Arc<dyn Removals>,
        journal,
        drivers,
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
        states,
        run_keys,
        limits: Limits::default(),
        identities: downbeat_server::state::Identities::default(),
    };

    let token = bootstrap::session(&db, clock.now(), ADMIN)
        .await
        .map_err(|error| Failure::new(error.to_string()))?;
    let stop_service = CancellationToken::new();
    let stop_worker = CancellationToken::new();
    let stopped = stop_service.clone();
    let service = tokio::spawn(async move {
        downbeat_server::serve(doors, state, async move { stopped.cancelled().await }).await
    });
    let work = worker.clone();
    let stopped = stop_worker.clone();
    let worker = tokio::spawn(async move {
        work.run(ports, WorkerOptions::default(), stopped).await;
    });
    let mut running = Running {
        url: format!("http://{address}"),
        tls_url,
        token,
        repository: repository.url,
        resumed,
        set_up: false,
        db,
        clock,
        stop_service,
        stop_worker,
        service,
        worker,
        _directory: directory,
    };
    running.set_up = running.load_starter(&options.org).await?;
    Ok(running)
}

/// The address under which this machine reaches a listener.
fn from_here(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// The database of a data directory, to be read only; a server may be at work on it.
pub(crate) async fn open_to_read(data: &Path) -> Result<Db, Failure> {
    let file = data.join(DATABASE);
    if !file.exists() {
        return Err(Failure::not_found(format!(
            "the data directory {} holds no database",
            data.display()
        ))
        .hint("`downbeat serve` sets one up; --data names another directory"));
    }
    let opened = Db::open_sqlite_to_read(&file).await;
    opened.map_err(|error| Failure::new(format!("{:#}", anyhow::Error::new(error))))
}

/// A new lasting token of the administrator of a data directory, in the place of the one before.
pub(crate) async fn new_token(data: &Path) -> Result<Secret, Failure> {
    let empty = || {
        Failure::not_found(format!("the data directory {} holds no organization", data.display()))
            .hint("`downbeat serve` sets one up; --data names another directory")
    };
    if !data.join(DATABASE).exists() {
        return Err(empty());
    }
    let db = DataDirectory::take(data)?.open_database().await?;
    if is_empty(&db).await? {
        return Err(empty());
    }
    let token = bootstrap::lasting_token(&db, SystemClock.now(), ADMIN).await;
    db.close().await;
    token.map_err(Failure::internal)
}

/// Name of the file that drivers of the organization verify our signatures with.
const SIGNING_KEY: &str = "driver-signing-key";
/// Name of the database in a data directory.
const DATABASE: &str = "downbeat.db";

/// A data directory that belongs to this process.
struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

impl DataDirectory {
    /// Makes the directory, readable by its owner only, and takes it for this process.
    fn take(data: &Path) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            Failure::new(format!("the data directory {} cannot be used: {error}", data.display()))
                .hint("Name another directory with --data")
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(failed)?;
        let path = data.canonicalize().map_err(failed)?;
        let mut options = File::options();
        options.create(true).truncate(false).write(true);
        let lock = options.open(path.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(fs::TryLockError::WouldBlock) => Err(Failure::new(format!(
                "the data directory {} is used by another process",
                path.display()
            ))
            .hint(
                "If that is a server, stop it, or talk to it with --server and --token; else wait, \
                 or name another directory with --data",
            )),
            Err(fs::TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                Ok(Self { path, _lock: lock })
            }
            Err(fs::TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    async fn open_database(&self) -> Result<Db, Failure> {
        let opened = Db::open_sqlite(&self.path.join(DATABASE)).await;
        opened.map_err(|error| {
            Failure::new(format!("{:#}", anyhow::Error::new(error)))
                .hint("Move the file away, or name another data directory with --data")
        })
    }
}

/// Whether no organization was set up yet.
async fn is_empty(db: &Db) -> Result<bool, Failure> {
    let mut conn = db.read().await.map_err(Failure::internal)?;
    installation::is_empty(&mut conn).await.map_err(Failure::internal)
}

/// Sets up the first organization of an empty database.
async fn bootstrap(db: &Db, clock: &dyn Clock, org: &str) -> Result<(), Failure> {
    if !is_empty(db).await? {
        return Ok(());
    }
    let first = FirstOrganization {
        org_id: org.to_owned(),
        org_name: org.to_owned(),
        admin_id: Some(ADMIN.to_owned()),
        admin_name: "Administrator".to_owned(),
        admin_email: None,
        token: None,
    };
    let done = bootstrap::organization_without_token(db, clock.now(), first).await;
    done.map_err(|problem| Failure::new(problem.to_string()))
}

impl Running {
    /// A client of this server.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        Ok(Client::new(&self.url, Some(self.token.expose()))?)
    }

    /// A lasting token for the administrator who has none; nothing when there is one.
    pub(crate) async fn first_token(&self) -> Result<Option<Secret>, Failure> {
        if bootstrap::has_lasting_token(&self.db, ADMIN).await.map_err(Failure::internal)? {
            return Ok(None);
        }
        let token = bootstrap::lasting_token(&self.db, self.clock.now(), ADMIN).await;
        token.map(Some).map_err(Failure::internal)
    }

    /// Creates what an organization starts with: environment types and the starter definitions. It
    /// is done once, and then this says so; what was removed since stays gone.
    async fn load_starter(&self, org: &str) -> Result<bool, Failure> {
        let key = format!("starter:{org}");
        let mut conn = self.db.read().await.map_err(Failure::internal)?;
        if installation::find(&mut conn, &key).await.map_err(Failure::internal)?.is_some() {
            return Ok(false);
        }
        drop(conn);
        let client = self.client()?;
        for (id, description) in ENVIRONMENT_TYPES {
            let description = Some(description.to_owned());
            let new = CreateEnvironmentType { id: id.to_owned(), description };
            unless_there(client.create_environment_type(org, &new).await)?;
        }
        let definitions = path(&["orgs", org, "resources", "defs"]);
        for definition in starter::definitions()? {
            let body = Json::Object(definition.request);
            unless_there(client.send::<Json>(Method::POST, &definitions, Some(body)).await)?;
        }
        let mut tx = self.db.write().await.map_err(Failure::internal)?;
        installation::put(&mut tx, &key, "loaded").await.map_err(Failure::internal)?;
        downbeat_store::commit(tx).await.map_err(Failure::internal)?;
        Ok(true)
    }

    /// Waits until the service ends by itself, which is always a failure.
    pub(crate) async fn broken(&mut self) -> Failure {
        match (&mut self.service).await {
            Ok(Ok(())) => Failure::new("the server has stopped"),
            Ok(Err(error)) => Failure::new(format!("the server failed: {error}")),
            Err(error) => Failure::internal(error),
        }
    }

    /// Finishes what is under way and stops.
    pub(crate) async fn stop(self) {
        // The service goes last: what the worker finishes may still have to save a state.
        self.stop_worker.cancel();
        let _ = self.worker.await;
        self.stop_service.cancel();
        let _ = self.service.await;
        if let Err(error) = bootstrap::end_session(&self.db, self.clock.now(), ADMIN).await {
            tracing::warn!(%error, "the token of this process could not be removed");
        }
        self.db.close().await;
    }
}

/// Something that was to be created may be there already.
fn unless_there<T>(result: client::Result<T>) -> Result<(), Failure> {
    match result {
        Err(error) if error.status() != Some(409) => Err(error.into()),
        _ => Ok(()),
    }
}
