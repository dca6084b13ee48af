//! The worker: claims deployments and runs them, until it is told to stop.
//!
//! It is woken by a signal *and* by a timer; it takes no input but what it claims, so a restart and
//! a second replica are the ordinary case.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use downbeat_core::Code;
use futures_util::FutureExt as _;
use tokio::sync::{Notify, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    port::{DeploymentError, Ended, JournalError, Lease},
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

    /// Claims and runs deployments until `stop`; then waits for those that are running.
    ///
    /// A deployment that is still running when the process ends is claimed again later.
    pub async fn run(&self, ports: Arc<Ports>, options: WorkerOptions, stop: CancellationToken) {
        let slots = Arc::new(Semaphore::new(options.concurrency));
        let running = TaskTracker::new();
        loop {
            let slot = tokio::select! {
                () = stop.cancelled() => break,
                slot = Arc::clone(&slots).acquire_owned() => slot,
            };
            let claimed = match ports.journal.claim().await {
                Ok(claimed) => claimed,
                Err(error) => {
                    tracing::error!(error = ?error, "no deployment could be claimed");
                    None
                }
            };
            let Some(lease) = claimed else {
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
            running.spawn(async move {
                run_one(&ports, &lease, options.renew, &tasks).await;
                drop(slot);
            });
        }
        running.close();
        running.wait().await;
    }
}

async fn run_one(ports: &Arc<Ports>, lease: &Lease, every: Duration, tasks: &TaskTracker) {
    let deployment = lease.deployment.as_str();
    if lease.epoch > MOST_CLAIMS {
        return give_up(ports, lease).await;
    }
    // The renewal has a task of its own: templates keep the task of the work busy.
    let over = CancellationToken::new();
    let lost = CancellationToken::new();
    tasks.spawn(renewal(Arc::clone(ports), lease.clone(), every, over.clone(), lost.clone()));
    let work = AssertUnwindSafe(run::run(ports, lease)).catch_unwind();
    let result = tokio::select! {
        result = work => result,
        () = lost.cancelled() => Ok(Err(JournalError::Fenced)),
    };
    over.cancel();
    match result {
        Ok(Ok(())) => tracing::info!(deployment, "deployment ended"),
        Ok(Err(JournalError::Fenced)) => {
            tracing::warn!(deployment, "another worker has taken the deployment over");
        }
        Ok(Err(error)) => {
            tracing::error!(deployment, error = ?error, "deployment interrupted, to be resumed");
        }
        Err(_) => tracing::error!(deployment, "deployment ended a worker, to be resumed"),
    }
}

/// Renews a lease until the work is over; says when the lease is lost. A failing database is asked
/// again: the lease lasts for several rounds.
async fn renewal(
    ports: Arc<Ports>,
    lease: Lease,
    every: Duration,
    over: CancellationToken,
    lost: CancellationToken,
) {
    loop {
        tokio::select! {
            () = over.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
        match ports.journal.renew(&lease).await {
            Ok(()) => {}
            Err(JournalError::Fenced) => return lost.cancel(),
            Err(error) => {
                tracing::warn!(deployment = lease.deployment, error = ?error, "lease not renewed");
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
