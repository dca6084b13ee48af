//! For tests: a running server, and a client that checks every answer.
//!
//! [`Server::start`] runs the whole HTTP service on a free port of this machine, over a database in
//! a temporary directory that is set up with the organization [`ORG`] and an administrator. Each
//! answer that a [`Client`] receives is checked against the server's own OpenAPI document before a
//! test sees it: its status must be one that the operation names, its body must fit the schema, and
//! what it changed must be in the audit log ([`AuditLog`]).
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot be set up, or an answer that breaks the contract, ends the test"
)]

pub mod audit;
pub mod client;
pub mod contract;
pub mod ports;

use std::{fs, sync::Arc};

use downbeat_server::{
    AppState, Door,
    bootstrap::{self, FirstOrganization},
    state::{Limits, RunKeys},
};
use downbeat_store::{Db, terraform_state::SqlStates};
use tempfile::TempDir;
use tokio::sync::oneshot;

pub use audit::AuditLog;
pub use client::{Answer, Client};
pub use contract::Contract;
pub use ports::{TestClock, TestSealer, TestVault, TestWake};

/// The organization that every test server has.
pub const ORG: &str = "acme";
/// Id of its administrator.
pub const ADMIN: &str = "admin-user";

/// A running server. It stops when it is dropped.
pub struct Server {
    /// The database behind the server.
    pub db: Db,
    /// The server's time.
    pub clock: Arc<TestClock>,
    /// The server's secret store.
    pub vault: Arc<TestVault>,
    /// Counts how often the engine was woken.
    pub wake: Arc<TestWake>,
    /// The states of infrastructure code, in the server's database.
    pub states: Arc<SqlStates>,
    /// Who may reach which state.
    pub run_keys: RunKeys,
    /// `http://127.0.0.1:<port>`.
    pub base: String,
    contract: Arc<Contract>,
    token: String,
    stop: Option<oneshot::Sender<()>>,
    directory: TempDir,
}

impl Server {
    /// Starts a server.
    pub async fn start() -> Self {
        Self::start_with(Limits::default()).await
    }

    /// Starts a server with other limits.
    pub async fn start_with(limits: Limits) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("downbeat.db");
        let db = Db::open_sqlite(&file).await.expect("a new database");
        let clock = Arc::new(TestClock::default());
        let vault = Arc::new(TestVault::new(db.clone(), Arc::clone(&clock)));
        let wake = Arc::new(TestWake::default());
        let sealer = Arc::new(TestSealer);
        let states = Arc::new(SqlStates::new(db.clone(), sealer, clock.clone()));
        let run_keys = RunKeys::new(b"a test");
        let state = AppState {
            db: db.clone(),
            clock: clock.clone(),
            wake: wake.clone(),
            vault: vault.clone(),
            states: states.clone(),
            run_keys: run_keys.clone(),
            limits,
            identities: downbeat_server::state::Identities::default(),
        };
        let first = FirstOrganization {
            org_id: ORG.to_owned(),
            org_name: "Acme".to_owned(),
            admin_id: Some(ADMIN.to_owned()),
            admin_name: "Ada Admin".to_owned(),
            admin_email: Some("ada@example.org".to_owned()),
            token: None,
        };
        let token = bootstrap::organization(&db, state.now(), first).await;
        let token = token.expect("a first organization").expose().to_owned();

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("the address of a bound port");
        let (stop, stopped) = oneshot::channel::<()>();
        let service =
            downbeat_server::serve(vec![Door { listener, tls: None }], state, async move {
                stopped.await.ok();
            });
        tokio::spawn(async move { service.await.expect("a server that runs") });
        Self {
            db,
            clock,
            vault,
            wake,
            states,
            run_keys,
            base: format!("http://{address}"),
            contract: Contract::of_this_build(),
            token,
            stop: Some(stop),
            directory,
        }
    }

    /// A client without a token.
    #[must_use]
    pub fn anonymous(&self) -> Client {
        Client::new(&self.base, None, &self.contract, &self.db)
    }

    /// A client of the administrator.
    #[must_use]
    pub fn admin(&self) -> Client {
        self.with_token(&self.token)
    }

    /// A client with any token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Client {
        Client::new(&self.base, Some(token), &self.contract, &self.db)
    }

    /// A client of a new service user with this role in the organization.
    pub async fn with_role(&self, role: &str) -> Client {
        self.with_roles(&[("", role)]).await
    }

    /// A client of a new service user with these roles: the first one in the organization, the
    /// others on objects below it, for example `("/apps/shop", "developer")`.
    pub async fn with_roles(&self, roles: &[(&str, &str)]) -> Client {
        let admin = self.admin();
        let ((_, role), others) = roles.split_first().expect("a role in the organization");
        let body = serde_json::json!({ "name": role, "role": role });
        let user = admin.post(&format!("/orgs/{ORG}/users"), body).await.json(200);
        let id = user.get("id").and_then(|id| id.as_str()).expect("an id").to_owned();
        for (object, role) in others {
            let body = serde_json::json!({ "id": id, "role": role });
            admin.post(&format!("/orgs/{ORG}{object}/users"), body).await.is(200);
        }
        let body = serde_json::json!({ "id": "test", "type": "static" });
        let token = admin.post(&format!("/users/{id}/tokens"), body).await.json(200);
        let token = token.get("token").and_then(|token| token.as_str()).expect("a token");
        self.with_token(token)
    }

    /// The administrator's token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Whether the files of the database hold this text as it is.
    ///
    /// # Panics
    /// When they cannot be read.
    #[must_use]
    pub fn database_holds(&self, text: &str) -> bool {
        let files = fs::read_dir(self.directory.path()).expect("the directory");
        files.flatten().any(|file| {
            let bytes = fs::read(file.path()).expect("a file of the database");
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    }

    /// Asks the server to stop: it takes no new connections and finishes what is under way.
    pub fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Whether a program that a test needs is on the `PATH`. Where it is not, the test is skipped and
/// says so; with `CI=true` nothing is skipped.
///
/// # Panics
/// With `CI=true`, when the program is missing.
#[must_use]
pub fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(name).is_file()) {
        return true;
    }
    let message = format!("skipped, because {name} is not on the PATH");
    assert!(std::env::var_os("CI").is_none_or(|value| value != "true"), "{message}");
    eprintln!("{message}");
    false
}
