//! The worker: claims deployments and runs them, until it is told to stop.
//!
//! It is woken by a signal *and* by a timer; it takes no input but what it claims, so a restart and
//! a second replica are the ordinary case.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Notify, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    port::{JournalError, Lease},
    run::{self, Ports},
};

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
        Self { concurrency: 8, poll: Duration::from_secs(5), renew: Duration::from_secs(10) }
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
            running.spawn(async move {
                run_one(&ports, &lease, options.renew).await;
                drop(slot);
            });
        }
        running.close();
        running.wait().await;
    }
}

async fn run_one(ports: &Ports, lease: &Lease, every: Duration) {
    let deployment = lease.deployment.as_str();
    let work = run::run(ports, lease);
    let renewal = async {
        loop {
            tokio::time::sleep(every).await;
            if let Err(error) = ports.journal.renew(lease).await {
                return error;
            }
        }
    };
    let result = tokio::select! {
        result = work => result,
        error = renewal => Err(error),
    };
    match result {
        Ok(()) => tracing::info!(deployment, "deployment ended"),
        Err(JournalError::Fenced) => {
            tracing::warn!(deployment, "another worker has taken the deployment over");
        }
        Err(error) => {
            tracing::error!(deployment, error = ?error, "deployment interrupted, to be resumed");
        }
    }
}
