//! Freeing what drivers made.
//!
//! A removal is claimed, tried, and either done or tried again later, less and less often, until it
//! is given up. It is repeatable as a whole: drivers and targets accept being asked to free what is
//! gone.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use downbeat_core::{Code, Secret, SecretRef};

use crate::{
    create::{account_texts, cookie_key, mask, not_kept},
    port::{
        Again, BoxFuture, Delivery, Driver, DriverError, JournalError, Memory, NodeError, Removal,
        RemovalJob, TARGET, TargetError,
    },
    run::{Ports, open},
};

/// How often a removal is tried before it is given up.
const ATTEMPTS: i64 = 8;
/// How long the first failure waits; each later one twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Works a claimed removal through to its end.
///
/// # Errors
/// When the journal fails or the lease is lost. That a driver fails is journalled instead.
pub async fn run(ports: &Ports, job: &RemovalJob) -> Result<(), JournalError> {
    if job.attempt > 2 * ATTEMPTS {
        let error = NodeError {
            code: Code::Interrupted.to_string(),
            message: format!("freeing {} ended its worker again and again", job.key),
            hint: Some("The log of the server says what interrupted it".to_owned()),
        };
        return ports.removals.failed(job, &error, Again::WhenAsked).await;
    }
    // The lease may have been lost in the meantime: ask before anything happens outside.
    ports.removals.renew(job).await?;
    let result = if job.driver_type == TARGET {
        clear_target(ports, job).await
    } else {
        free(ports, job).await
    };
    match result {
        Ok(()) => ports.removals.freed(job).await,
        Err(Stop::Journal(error)) => Err(error),
        Err(Stop::Driver(error)) => {
            tracing::warn!(
                resource = %job.key, guresid = job.guresid, attempt = job.attempt,
                code = %error.code, "a resource cannot be freed: {}", error.message
            );
            let error = NodeError {
                code: error.code.to_string(),
                message: error.message,
                hint: error.hint,
            };
            ports.removals.failed(job, &error, again(job.attempt)).await
        }
    }
}

fn again(attempt: i64) -> Again {
    if attempt >= ATTEMPTS {
        return Again::WhenAsked;
    }
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(0).min(16);
    Again::After(FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT))
}

/// Why a removal did not succeed.
enum Stop {
    /// The driver or target refused.
    Driver(DriverError),
    /// The journal failed, which says nothing about the driver.
    Journal(JournalError),
}

impl From<DriverError> for Stop {
    fn from(error: DriverError) -> Self {
        Self::Driver(error)
    }
}

async fn free(ports: &Ports, job: &RemovalJob) -> Result<(), Stop> {
    let driver = match ports.drivers.by_type.get(&job.driver_type) {
        Some(driver) => Some(driver),
        None if job.target.is_empty() => None,
        None => ports.drivers.remote.as_ref(),
    };
    let Some(driver) = driver else {
        let message = format!(
            "the driver {:?} that made {} cannot run here any more",
            job.driver_type, job.key
        );
        return Err(DriverError::new(Code::UnknownDriver, message)
            .hint(
                "Make the driver available again; or free the real thing by hand and forget the \
                 resource: delete it with detach=true",
            )
            .into());
    };
    let Driver::External(driver) = driver else { return Ok(()) };
    let cookie = opened(ports, job, "cookie", job.cookie.as_ref()).await?;
    let account = opened(ports, job, "account", job.account.as_ref()).await?;
    let removal = Removal {
        guresid: &job.guresid,
        key: &job.key,
        cookie: cookie.as_ref(),
        account: account.as_ref(),
        target: &job.target,
    };
    let keeper = Keeper { ports, job, failure: Mutex::new(None) };
    let freed = driver.deprovision(&removal, &keeper).await;
    let failure = keeper.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(failure) = failure {
        return Err(Stop::Journal(failure));
    }
    freed.map_err(|error| {
        let credentials = account.as_ref().map(|account| account_texts(account).1);
        let credentials = credentials.iter().flat_map(BTreeMap::values);
        let message = mask(&error.message, cookie.iter().chain(credentials));
        let message = format!("{} cannot free {}: {message}", job.driver_type, job.key);
        DriverError { message, ..error }.into()
    })
}

async fn opened(
    ports: &Ports,
    job: &RemovalJob,
    what: &str,
    reference: Option<&SecretRef>,
) -> Result<Option<Secret>, DriverError> {
    let Some(reference) = reference else { return Ok(None) };
    let opened = ports.secrets.open(&job.org, std::slice::from_ref(reference)).await;
    match opened {
        Ok(opened) => Ok(opened.into_iter().next()),
        Err(error) => {
            let message = format!("the {what} of {} cannot be read: {error}", job.key);
            Err(DriverError::new(Code::SecretStore, message))
        }
    }
}

/// The cookie of a resource that is being freed.
struct Keeper<'a> {
    ports: &'a Ports,
    job: &'a RemovalJob,
    failure: Mutex<Option<JournalError>>,
}

impl Memory for Keeper<'_> {
    fn keep(&self, cookie: Secret) -> BoxFuture<'_, Result<(), DriverError>> {
        Box::pin(async move {
            let key = cookie_key(&self.job.org, &self.job.guresid);
            let sealed = self.ports.secrets.seal(&[(key, cookie)]).await;
            let Some(sealed) = sealed.map_err(|error| not_kept(&error))?.into_iter().next() else {
                return Ok(());
            };
            self.ports.removals.keep(self.job, &sealed).await.map_err(|error| {
                let told = not_kept(&error);
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                told
            })
        })
    }
}

/// Delivers nothing: what the environment has in its target goes.
async fn clear_target(ports: &Ports, job: &RemovalJob) -> Result<(), Stop> {
    let kind = job.cluster.values.get("cluster_type").and_then(|kind| kind.as_str());
    let kind = kind.unwrap_or_default();
    let Some(target) = ports.targets.by_type.get(kind) else {
        let message = format!(
            "the cluster of the environment is of type {kind:?}, which nothing can be taken from \
             here"
        );
        return Err(DriverError::new(Code::Target, message).into());
    };
    let credentials = open(ports, &job.org, &job.cluster).await.map_err(|message| {
        let message = format!("the credentials of the cluster cannot be read: {message}");
        DriverError::new(Code::SecretStore, message)
    })?;
    let delivery = Delivery {
        deployment: &job.id,
        org: &job.org,
        app: &job.app,
        env: &job.env,
        cluster: &job.cluster.values,
        credentials: &credentials,
        objects: &[],
        is_last: true,
        message: &format!("Delete {}/{}", job.app, job.env),
        time: job.requested_at,
    };
    match target.deliver(&delivery).await {
        Ok(_) => Ok(()),
        Err(TargetError { code, message, hint }) => Err(DriverError { code, message, hint }.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_and_longer_and_then_for_somebody() {
        let waits: Vec<Again> = (1..=ATTEMPTS).map(again).collect();
        assert_eq!(waits[0], Again::After(FIRST_WAIT));
        assert_eq!(waits[1], Again::After(FIRST_WAIT * 2));
        assert_eq!(waits[6], Again::After(Duration::from_secs(320)));
        assert_eq!(waits[7], Again::WhenAsked);
        assert_eq!(again(i64::MAX), Again::WhenAsked);
    }
}
