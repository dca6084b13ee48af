//! The codes of errors that a user can meet. Each has a page in `docs/errors/`.

use std::fmt;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $text:literal,)+) => {
        /// A stable code of an error. The text form is what the API, the CLI and the pages in
        /// `docs/errors/` show.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Code {
            /// Every code, in the order of this file.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The text form, for example `RES-001`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The code with this text form.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }

            /// One line: what went wrong.
            #[must_use]
            pub fn summary(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc,)+).trim_ascii(),)+ }
            }
        }
    };
}

codes! {
    /// Something unspecific went wrong.
    Unspecific = "API-000",
    /// The request is not valid.
    Invalid = "API-400",
    /// The request carries no valid token.
    Unauthenticated = "API-401",
    /// The token does not allow this.
    Forbidden = "API-403",
    /// The object does not exist.
    NotFound = "API-404",
    /// The operation does not exist with this method.
    MethodNotAllowed = "API-405",
    /// The request took too long to arrive.
    RequestTimeout = "API-408",
    /// The object exists already, is in use, or is being changed.
    Conflict = "API-409",
    /// The object is not as the request expects it.
    PreconditionFailed = "API-412",
    /// The request body is too large.
    TooLarge = "API-413",
    /// The request body is not of the expected shape.
    Unprocessable = "API-422",
    /// Internal error.
    Internal = "API-500",
    /// This operation is not there yet.
    NotImplemented = "API-501",

    /// The file is not valid YAML.
    ScoreSyntax = "SCO-001",
    /// The file exceeds a limit (size, depth, aliases).
    ScoreLimit = "SCO-002",
    /// A required property is missing.
    ScoreMissing = "SCO-003",
    /// A property is not known here.
    ScoreUnknown = "SCO-004",
    /// A value has the wrong type or form.
    ScoreValue = "SCO-005",
    /// A placeholder names something that does not exist.
    ScorePlaceholder = "SCO-006",
    /// A file that the Score file names cannot be read.
    ScoreSource = "SCO-007",
    /// An override cannot be applied.
    ScoreOverride = "SCO-008",

    /// No resource definition matches the resource.
    NoDefinition = "RES-001",
    /// Resources depend on each other in a circle.
    Cycle = "RES-002",
    /// A reference to a resource is not valid.
    BadReference = "RES-003",
    /// A resource does not have the output that is asked for.
    MissingOutput = "RES-004",
    /// Inputs or outputs do not satisfy the schema of the resource type.
    Schema = "RES-005",
    /// A secret is used where only plain values may stand.
    SecretMisuse = "RES-006",
    /// The resource type is not known.
    UnknownType = "RES-007",
    /// The resource type cannot be requested here.
    WrongUse = "RES-008",
    /// A placeholder cannot be resolved.
    Unresolvable = "RES-009",
    /// Two criteria match equally well.
    Tie = "RES-010",
    /// The driver account cannot be used.
    Account = "RES-011",

    /// The driver failed.
    Driver = "RES-101",
    /// A template of the definition failed.
    Template = "RES-102",
    /// The inputs of the driver are not valid.
    DriverInputs = "RES-103",
    /// The driver is not known or cannot run here.
    UnknownDriver = "RES-104",
    /// The driver returned a manifest that cannot be used.
    BadManifest = "RES-105",
    /// The driver took longer than its time limit.
    DriverTimeout = "RES-106",
    /// The state of the resource is locked.
    StateLocked = "RES-107",
    /// The program that the driver needs is missing.
    ProgramMissing = "RES-108",
    /// Nothing here can run the Job of the driver.
    NoRunner = "RES-109",
    /// The driver answered something that the protocol does not have.
    DriverAnswer = "RES-111",
    /// The driver cannot be reached.
    DriverUnreachable = "RES-112",
    /// The target of a driver cannot be called.
    DriverTarget = "RES-113",
    /// A driver that stands for another one cannot be resolved.
    VirtualDriver = "RES-114",

    /// The deployment target cannot be reached or written.
    Target = "DEP-001",
    /// The target rejected an object.
    Rejected = "DEP-002",
    /// The workload profile is not known.
    UnknownProfile = "DEP-004",
    /// The update of a workload by its definition failed.
    WorkloadPatch = "DEP-005",
    /// The workload cannot be turned into Kubernetes objects.
    Workload = "DEP-006",
    /// Two manifests describe the same object differently.
    Duplicate = "DEP-007",
    /// The deployment was interrupted and could not be resumed.
    Interrupted = "DEP-008",
    /// The chart of the workload profile cannot be rendered here.
    ProfileChart = "DEP-009",
    /// There is no connection to the cluster.
    NoCluster = "DEP-010",

    /// A shared value does not exist.
    MissingValue = "VAL-001",
    /// A secret cannot be read from its store.
    SecretStore = "VAL-003",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
