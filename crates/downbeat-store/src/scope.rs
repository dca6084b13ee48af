//! Proof that a caller may touch the rows of a tenant.
//!
//! Store functions take a scope instead of bare ids. A scope is made in two places only: by the
//! server's access module after it has checked the caller, and by the engine for the deployment
//! that it holds a lease on. Both are found by searching for `::granted(`.

/// The rows of one organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgScope {
    org: String,
}

impl OrgScope {
    /// Asserts that access to the organization was checked.
    #[must_use]
    pub fn granted(org: &str) -> Self {
        Self { org: org.to_owned() }
    }

    /// Id of the organization.
    #[must_use]
    pub fn org(&self) -> &str {
        &self.org
    }

    /// Narrows to an application of this organization.
    #[must_use]
    pub fn app(&self, app: &str) -> AppScope {
        AppScope { org: self.clone(), app: app.to_owned() }
    }
}

/// The rows of one application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppScope {
    org: OrgScope,
    app: String,
}

impl AppScope {
    /// The organization's scope.
    #[must_use]
    pub fn in_org(&self) -> &OrgScope {
        &self.org
    }

    /// Id of the organization.
    #[must_use]
    pub fn org(&self) -> &str {
        self.org.org()
    }

    /// Id of the application.
    #[must_use]
    pub fn app(&self) -> &str {
        &self.app
    }

    /// Narrows to an environment of this application.
    #[must_use]
    pub fn env(&self, env: &str) -> EnvScope {
        EnvScope { app: self.clone(), env: env.to_owned() }
    }
}

/// The rows of one environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvScope {
    app: AppScope,
    env: String,
}

impl EnvScope {
    /// The application's scope.
    #[must_use]
    pub fn in_app(&self) -> &AppScope {
        &self.app
    }

    /// Id of the organization.
    #[must_use]
    pub fn org(&self) -> &str {
        self.app.org()
    }

    /// Id of the application.
    #[must_use]
    pub fn app(&self) -> &str {
        self.app.app()
    }

    /// Id of the environment.
    #[must_use]
    pub fn env(&self) -> &str {
        &self.env
    }
}
