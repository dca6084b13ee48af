//! The engine's part in sessions of the API: works through the deployment that waits, with drivers
//! that succeed at once, or reports a failure.

use std::{sync::Arc, time::Duration};

use downbeat_core::{Code, resolve::Outputs};
use downbeat_engine::{
    Delivered, Driver, DriverError, Drivers, Journal, NodeRecord, PureDriver, Request, Response,
    memory::{self, MemorySecrets},
    port::{Again, DeploymentError, Ended, NodeError, NodeResult, Phase, Removals},
    run::{self, Ports},
};
use downbeat_store::{commit, installation, journal::SqlJournal};
use downbeat_testkit::Server;
use serde_json::json;

async fn journal(server: &Server) -> SqlJournal {
    let mut tx = server.db.write().await.unwrap();
    let installation = installation::id(&mut tx).await.unwrap();
    commit(tx).await.unwrap();
    let clock = server.clock.clone();
    SqlJournal::new(server.db.clone(), clock, Arc::default(), installation, Duration::from_secs(60))
}

/// Provisions everything that the waiting deployment needs and delivers it.
pub(crate) async fn succeed(server: &Server) {
    let delivered = Delivered {
        target: "git".to_owned(),
        location: "/srv/git/shop".to_owned(),
        branch: Some("main".to_owned()),
        path: Some("dev".to_owned()),
        commit: Some("c0ffee".to_owned()),
        changed: true,
        files: 3,
    };
    provision(server, Ended::Succeeded(delivered)).await;
}

/// Provisions everything that the waiting deployment needs, and then the target refuses.
pub(crate) async fn provision_and_fail(server: &Server) {
    provision(server, Ended::Failed(Vec::new())).await;
}

async fn provision(server: &Server, ended: Ended) {
    let journal = journal(server).await;
    let lease = Journal::claim(&journal).await.unwrap().expect("a deployment that waits");
    let loaded = journal.load(&lease).await.unwrap();
    let graph = run::build(&loaded).unwrap();
    let row = run::graph_row(&loaded, &run::facts(&loaded, &graph));
    journal.graph(&lease, &row).await.unwrap();
    journal.phase(&lease, Phase::Create).await.unwrap();
    let node = |position| {
        let mut outputs = Outputs::default();
        outputs.values.insert("made".to_owned(), json!(true));
        let result = NodeResult {
            input_hash: "same".to_owned(),
            outputs,
            manifests: Vec::new(),
            cookie: None,
        };
        NodeRecord { position, outcome: Ok(result) }
    };
    let count = u32::try_from(row.rows.len()).unwrap();
    let records: Vec<_> = (0..count).map(node).collect();
    journal.record(&lease, &row, &records).await.unwrap();
    journal.finish(&lease, &ended).await.unwrap();
}

/// Works through the waiting deployment as the engine does, with drivers that put out what they are
/// given, and without any target.
pub(crate) async fn really(server: &Server) {
    let journal = Arc::new(journal(server).await);
    let lease = Journal::claim(&*journal).await.unwrap().expect("a deployment that waits");
    let echo = || Driver::Pure(Arc::new(Echo));
    let by_type = ["humanitec/echo", "humanitec/template"].map(|name| (name.to_owned(), echo()));
    let drivers = Drivers { by_type: by_type.into(), ..Drivers::default() };
    let secrets = Arc::new(MemorySecrets::new("test"));
    let ports = Ports {
        removals: journal.clone(),
        journal: journal.clone(),
        ..memory::ports(drivers, secrets, b"a test".to_vec())
    };
    run::run(&ports, &lease).await.unwrap();
}

/// Puts out its inputs, and what every namespace needs.
struct Echo;

impl PureDriver for Echo {
    fn compute(&self, request: &Request<'_>) -> Result<Response, DriverError> {
        let mut values = request.values.as_object().cloned().unwrap_or_default();
        values.insert("namespace".to_owned(), json!("shop-dev"));
        Ok(Response { values, ..Response::default() })
    }
}

/// Ends the waiting deployment as failed.
pub(crate) async fn fail(server: &Server) {
    let journal = journal(server).await;
    let lease = Journal::claim(&journal).await.unwrap().expect("a deployment that waits");
    let error = DeploymentError {
        scope: "resource",
        object_id: "dns.default#shared.site".to_owned(),
        code: Code::NoDefinition,
        message: "no definition matches dns.default#shared.site".to_owned(),
    };
    journal.finish(&lease, &Ended::Failed(vec![error])).await.unwrap();
}

/// Frees everything that waits for it; answers what, in this order.
pub(crate) async fn free(server: &Server) -> Vec<String> {
    let journal = journal(server).await;
    let mut freed = Vec::new();
    while let Some(job) = Removals::claim(&journal).await.unwrap() {
        freed.push(job.key.to_string());
        journal.freed(&job).await.unwrap();
    }
    freed
}

/// Gives up what waits to be freed first.
pub(crate) async fn give_up(server: &Server) {
    let journal = journal(server).await;
    let job = Removals::claim(&journal).await.unwrap().expect("something to be freed");
    let error = NodeError {
        code: Code::Driver.to_string(),
        message: "the cloud said no".to_owned(),
        hint: None,
    };
    journal.failed(&job, &error, Again::WhenAsked).await.unwrap();
}
