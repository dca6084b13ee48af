//! The worker: claims deployments and removals and runs them, until it is told to stop.
//!
//! It is woken by a signal *and* by a timer; it takes no input but what it claims, so a restart and
//! a second replica are the ordinary case.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use downbeat_core::Code;
use futures_util::FutureExt as _;
use tokio::sync::{Notify, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    port::{DeploymentError, Ended, JournalError, Lease, RemovalJob},
    removal,
    run::{self, Ports},
};

/// A deployment that was interrupted this often ends as failed: something about it ends workers.
const MOST_CLAIMS: i64 = 8;

/// How a worker behaves.
#[derive(Clone, Copy, Debug)]
pub struct WorkerOptions {
    /// Deployments that run at the same time.
    pub concurrency: usize,
    /// How often it looks for work without being woken.
    pub poll: Duration,
    /// How often a lease is renewed; well below the time that it lasts.
    pub renew: Duration,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self { concurrency: 16, poll: Duration::from_secs(5), renew: Duration::from_secs(10) }
    }
}

/// A handle on the worker; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Worker {
    wake: Arc<Notify>,
}

impl Worker {
    /// Says that there may be work.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Claims and runs work until `stop`; then waits for what is running.
    ///
    /// What is still running when the process ends is claimed again later.
    pub async fn run(&self, ports: Arc<Ports>, options: WorkerOptions, stop: CancellationToken) {
        let slots = Arc::new(Semaphore::new(options.concurrency));
        let running = TaskTracker::new();
        loop {
            let slot = tokio::select! {
                () = stop.cancelled() => break,
                slot = Arc::clone(&slots).acquire_owned() => slot,
            };
            let Some(work) = claim(&ports).await else {
                drop(slot);
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = self.wake.notified() => {}
                    () = tokio::time::sleep(options.poll) => {}
                }
                continue;
            };
            let ports = Arc::clone(&ports);
            let tasks = running.clone();
            let wake = Arc::clone(&self.wake);
            running.spawn(async move {
                match work {
                    Work::Deployment(lease) => run_one(&ports, lease, options.renew, &tasks).await,
                    Work::Removal(job) => free_one(&ports, *job, options.renew, &tasks).await,
                }
                drop(slot);
                // The next removal may have waited for this.
                wake.notify_one();
            });
        }
        running.close();
        running.wait().await;
    }
}

/// What a worker has claimed.
enum Work {
    Deployment(Lease),
    Removal(Box<RemovalJob>),
}

/// The next piece of work; deployments come first.
async fn claim(ports: &Ports) -> Option<Work> {
    match ports.journal.claim().await {
        Ok(Some(lease)) => return Some(Work::Deployment(lease)),
        Ok(None) => {}
        Err(error) => tracing::error!(error = ?error, "no deployment could be claimed"),
    }
    match ports.removals.claim().await {
        Ok(claimed) => claimed.map(|job| Work::Removal(Box::new(job))),
        Err(error) => {
            tracing::error!(error = ?error, "no removal could be claimed");
            None
        }
    }
}

async fn run_one(ports: &Arc<Ports>, lease: Lease, every: Duration, tasks: &TaskTracker) {
    if lease.epoch > MOST_CLAIMS {
        return give_up(ports, &lease).await;
    }
    let deployment = lease.deployment.clone();
    let renewed = Arc::clone(ports);
    let held = lease.clone();
    let renew = move || {
        let (ports, lease) = (Arc::clone(&renewed), held.clone());
        async move { ports.journal.renew(&lease).await }
    };
    let work = run::run(ports, &lease);
    leased("deployment", &deployment, work, renew, every, tasks).await;
}

async fn free_one(ports: &Arc<Ports>, job: RemovalJob, every: Duration, tasks: &TaskTracker) {
    let renewed = Arc::clone(ports);
    let held = job.clone();
    let renew = move || {
        let (ports, job) = (Arc::clone(&renewed), held.clone());
        async move { ports.removals.renew(&job).await }
    };
    leased("removal", &job.id, removal::run(ports, &job), renew, every, tasks).await;
}

/// Does the work as long as its lease can be renewed.
async fn leased<R>(
    what: &'static str,
    id: &str,
    work: impl Future<Output = Result<(), JournalError>>,
    renew: impl Fn() -> R + Send + 'static,
    every: Duration,
    tasks: &TaskTracker,
) where
    R: Future<Output = Result<(), JournalError>> + Send + 'static,
{
    // The renewal has a task of its own: templates keep the task of the work busy.
    let over = CancellationToken::new();
    let lost = CancellationToken::new();
    let (ended, gone, named) = (over.clone(), lost.clone(), id.to_owned());
    tasks.spawn(async move { renewal(what, &named, renew, every, &ended, &gone).await });
    let work = AssertUnwindSafe(work).catch_unwind();
    let result = tokio::select! {
        result = work => result,
        () = lost.cancelled() => Ok(Err(JournalError::Fenced)),
    };
    over.cancel();
    match result {
        Ok(Ok(())) => tracing::info!(id, "{what} ended"),
        Ok(Err(JournalError::Fenced)) => {
            tracing::warn!(id, "another worker has taken the {what} over");
        }
        Ok(Err(error)) => {
            tracing::error!(id, error = ?error, "{what} interrupted, to be resumed");
        }
        Err(_) => tracing::error!(id, "{what} ended a worker, to be resumed"),
    }
}

/// Renews a lease until the work is over; says when the lease is lost. A failing database is asked
/// again: the lease lasts for several rounds.
async fn renewal<R: Future<Output = Result<(), JournalError>>>(
    what: &'static str,
    id: &str,
    renew: impl Fn() -> R,
    every: Duration,
    over: &CancellationToken,
    lost: &CancellationToken,
) {
    loop {
        tokio::select! {
            () = over.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
        match renew().await {
            Ok(()) => {}
            Err(JournalError::Fenced) => return lost.cancel(),
            Err(error) => {
                tracing::warn!(id, error = ?error, "the lease of the {what} is not renewed");
            }
        }
    }
}

async fn give_up(ports: &Ports, lease: &Lease) {
    let error = DeploymentError {
        scope: "deployment",
        object_id: lease.deployment.clone(),
        code: Code::Interrupted,
        message: format!(
            "the deployment was interrupted {MOST_CLAIMS} times and is given up. The log of the \
             server says what interrupted it"
        ),
    };
    if let Err(error) = ports.journal.finish(lease, &Ended::Failed(vec![error])).await {
        tracing::error!(deployment = lease.deployment, error = ?error, "cannot be given up");
    }
}
