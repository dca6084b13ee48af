//! The words of a question: roles, what they are on, and actions.

/// What a role is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// An organization.
    Organization,
    /// An application.
    Application,
    /// An environment type.
    EnvironmentType,
}

impl Object {
    /// The name in policies.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Application => "application",
            Self::EnvironmentType => "environment type",
        }
    }
}

/// A role of v1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Sees the organization.
    Member,
    /// Registers artefacts; for service users.
    ArtefactContributor,
    /// Brings in users and creates applications.
    Manager,
    /// May do everything.
    Administrator,
    /// Sees everything.
    OrgViewer,
    /// Sees an application.
    Viewer,
    /// Changes an application's configuration.
    Developer,
    /// Decides about an application.
    Owner,
    /// Lets developers deploy to environments of a type.
    Deployer,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 9] = [
        Self::Member,
        Self::ArtefactContributor,
        Self::Manager,
        Self::Administrator,
        Self::OrgViewer,
        Self::Viewer,
        Self::Developer,
        Self::Owner,
        Self::Deployer,
    ];

    /// The role that v1 calls so, on this kind of object.
    #[must_use]
    pub fn parse(object: Object, name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.object() == object && role.name() == name)
    }

    /// What the role is on.
    #[must_use]
    pub const fn object(self) -> Object {
        match self {
            Self::Member
            | Self::ArtefactContributor
            | Self::Manager
            | Self::Administrator
            | Self::OrgViewer => Object::Organization,
            Self::Viewer | Self::Developer | Self::Owner => Object::Application,
            Self::Deployer => Object::EnvironmentType,
        }
    }

    /// The name in v1.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::ArtefactContributor => "artefactContributor",
            Self::Manager => "manager",
            Self::Administrator => "administrator",
            Self::OrgViewer => "orgViewer",
            Self::Viewer => "viewer",
            Self::Developer => "developer",
            Self::Owner => "owner",
            Self::Deployer => "deployer",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A set of roles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles(u16);

impl Roles {
    /// How many sets there are.
    pub(crate) const COUNT: usize = 1 << Role::ALL.len();
    /// No role at all.
    pub const NONE: Self = Self(0);

    /// These, and one more.
    #[must_use]
    pub const fn with(self, role: Role) -> Self {
        Self(self.0 | role.bit())
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    /// Those of them that are on this kind of object.
    #[must_use]
    pub fn on(self, object: Object) -> Self {
        self.iter().filter(|role| role.object() == object).fold(Self::NONE, Self::with)
    }

    /// Whether the role is among them.
    #[must_use]
    pub const fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The roles, in a fixed order.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// See the organization and what the platform team has set up in it.
    ReadOrganization,
    /// Create an application.
    CreateApplication,
    /// Bring in, change and remove users, groups and invitations.
    ManageUsers,
    /// Register artefacts, and fetch the credentials of registries for that.
    RegisterArtefact,
    /// Change what the platform team sets up: definitions, types, drivers, accounts, stores.
    ChangePlatform,
    /// Read the audit log.
    ReadAuditLog,
    /// See an application with everything in it.
    ReadApplication,
    /// Change the configuration of an application.
    ChangeApplication,
    /// Decide about an application: its members, pipelines and webhooks.
    OwnApplication,
    /// Delete an application with all its environments.
    DeleteApplication,
    /// Create, deploy to, pause, scale and delete an environment.
    Deploy,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 11] = [
        Self::ReadOrganization,
        Self::CreateApplication,
        Self::ManageUsers,
        Self::RegisterArtefact,
        Self::ChangePlatform,
        Self::ReadAuditLog,
        Self::ReadApplication,
        Self::ChangeApplication,
        Self::OwnApplication,
        Self::DeleteApplication,
        Self::Deploy,
    ];

    /// The name in policies and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadOrganization => "readOrganization",
            Self::CreateApplication => "createApplication",
            Self::ManageUsers => "manageUsers",
            Self::RegisterArtefact => "registerArtefact",
            Self::ChangePlatform => "changePlatform",
            Self::ReadAuditLog => "readAuditLog",
            Self::ReadApplication => "readApplication",
            Self::ChangeApplication => "changeApplication",
            Self::OwnApplication => "ownApplication",
            Self::DeleteApplication => "deleteApplication",
            Self::Deploy => "deploy",
        }
    }

    /// The action with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// What is needed to know of the object at all: who may not even do this is told that it does
    /// not exist.
    #[must_use]
    pub const fn to_know(self) -> Self {
        match self {
            Self::ReadApplication
            | Self::ChangeApplication
            | Self::OwnApplication
            | Self::DeleteApplication
            | Self::Deploy => Self::ReadApplication,
            _ => Self::ReadOrganization,
        }
    }

    /// Whether the roles on the type of an environment count.
    #[must_use]
    pub const fn is_about_types(self) -> bool {
        matches!(self, Self::Deploy | Self::DeleteApplication)
    }

    /// The entity type of the object in policies.
    pub(crate) const fn resource(self) -> &'static str {
        match self.to_know() {
            _ if matches!(self, Self::Deploy) => "Environment",
            Self::ReadApplication => "Application",
            _ => "Organization",
        }
    }

    pub(crate) const fn bit(self) -> u32 {
        1 << self as u32
    }
}
