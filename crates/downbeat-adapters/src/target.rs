//! The Git target as the engine sees it: where an environment's files go, and what they are.
//!
//! The matched `k8s-cluster` resource (driver `humanitec/k8s-cluster-git`) says where: `url`,
//! `branch` and `path` among its outputs, `credentials` among its secrets. Without a `url` the
//! repository of this installation is used; without a `path`, `<app>/<env>`. The folder is marked as
//! the environment's, and one that is not is refused.

use std::{collections::BTreeMap, sync::Arc};

use downbeat_core::{Code, Json, JsonMap, Secret, assemble};
use downbeat_engine::{BoxFuture, Delivered, Delivery, Target, TargetError};

use crate::git::{self, Change, Credentials, GitTarget, Repository};

/// Delivers to Git.
#[derive(Clone)]
pub struct ToGit {
    target: Arc<GitTarget>,
    default: Option<Repository>,
}

impl ToGit {
    /// A target; `default` is used by environments whose cluster names no repository.
    #[must_use]
    pub fn new(target: Arc<GitTarget>, default: Option<Repository>) -> Self {
        Self { target, default }
    }

    fn repository(&self, delivery: &Delivery<'_>) -> Result<Repository, TargetError> {
        let text = |name: &str| text(delivery.cluster, name);
        let mut repository = match (text("url"), &self.default) {
            (Some(url), _) => Repository::new(url),
            (None, Some(default)) => default.clone(),
            (None, None) => {
                return Err(TargetError {
                    code: Code::Target,
                    message: "the cluster names no Git repository, and this installation has none \
                              of its own"
                        .to_owned(),
                    hint: Some("Give the k8s-cluster definition a url".to_owned()),
                });
            }
        };
        if let Some(branch) = text("branch") {
            repository.branch = branch.to_owned();
        }
        if let Some(credentials) = credentials(delivery.credentials, text("username")) {
            repository.credentials = Some(credentials);
        }
        Ok(repository)
    }
}

fn text<'a>(values: &'a JsonMap, name: &str) -> Option<&'a str> {
    values.get(name).and_then(Json::as_str).filter(|text| !text.is_empty())
}

fn credentials(secrets: &BTreeMap<String, Secret>, username: Option<&str>) -> Option<Credentials> {
    if let Some(key) = secrets.get("/credentials/ssh_key") {
        return Some(Credentials::SshKey(key.clone()));
    }
    let password = secrets.get("/credentials/password")?.clone();
    let stored = secrets.get("/credentials/username").map(Secret::expose);
    let username = stored.or(username).unwrap_or("git").to_owned();
    Some(Credentials::Password { username, password })
}

impl Target for ToGit {
    fn deliver<'a>(
        &'a self,
        delivery: &'a Delivery<'a>,
    ) -> BoxFuture<'a, Result<Delivered, TargetError>> {
        Box::pin(async move {
            let files = match delivery.is_last {
                true => BTreeMap::new(),
                false => assemble::files(delivery.objects).map_err(|errors| first(&errors))?,
            };
            let repository = self.repository(delivery)?;
            let path = text(delivery.cluster, "path");
            let root =
                path.map_or_else(|| format!("{}/{}", delivery.app, delivery.env), str::to_owned);
            let change = Change {
                root: root.trim_matches('/').to_owned(),
                owner: format!("{}/{}/{}", delivery.org, delivery.app, delivery.env),
                files: files.into_iter().map(|(path, text)| (path, text.into_bytes())).collect(),
                leaves: delivery.is_last,
                message: delivery.message.to_owned(),
                key: delivery.deployment.to_owned(),
                time: delivery.time,
                repository,
            };
            let committed =
                self.target.commit(&change).await.map_err(|error| failed(error, &change.owner))?;
            Ok(Delivered {
                target: "git".to_owned(),
                location: change.repository.url,
                branch: Some(change.repository.branch),
                path: Some(change.root),
                commit: Some(committed.commit),
                changed: committed.changed,
                files: committed.files,
            })
        })
    }
}

fn first(errors: &[assemble::Error]) -> TargetError {
    let messages: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
    TargetError {
        code: errors.first().map_or(Code::Internal, |error| error.code),
        message: messages.join("; "),
        hint: errors.iter().find_map(|error| error.hint.clone()),
    }
}

fn failed(error: git::Error, owner: &str) -> TargetError {
    let code = match error {
        git::Error::Rejected { .. } => Code::Rejected,
        _ => Code::Target,
    };
    let hint = hint(&error, owner);
    TargetError { code, message: discreet(error, owner).to_string(), hint }
}

fn hint(error: &git::Error, owner: &str) -> Option<String> {
    let git::Error::Occupied { owner: other, .. } = error else { return None };
    let path = "Give the environment's k8s-cluster definition another path";
    Some(match other {
        Some(_) => path.to_owned(),
        None => format!(
            "{path}; or, if all that is in this folder may be replaced, commit a file `{}` with \
             the line `{owner}` to it",
            git::MARKER
        ),
    })
}

/// Organizations may share a repository without knowing of one another: names of others, and of
/// folders that nobody here asked for, are left out.
fn discreet(error: git::Error, owner: &str) -> git::Error {
    let org = |owner: &str| owner.split('/').next().map(str::to_owned);
    match error {
        git::Error::Occupied { root, other_root, owner: Some(other) }
            if org(&other) != org(owner) =>
        {
            let below = other_root.len() > root.len();
            let other_root = if below { root.clone() } else { other_root };
            git::Error::Occupied { root, other_root, owner: Some("another organization".into()) }
        }
        other => other,
    }
}
