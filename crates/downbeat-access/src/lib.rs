//! Who may do what.
//!
//! The roles of v1 are Cedar policies (`policies/roles.cedar`): an auditor reads that one file. A
//! question is a set of [`Role`]s and an [`Action`]; the roles are those that somebody has in the
//! organization, on the application and on the environment type that a request is about.
//!
//! ```
//! use downbeat_access::{Action, Role, Roles, allows};
//!
//! let developer = Roles::NONE.with(Role::Member).with(Role::Developer);
//! assert!(allows(developer, Action::ChangeApplication));
//! assert!(!allows(developer, Action::Deploy));
//! assert!(allows(developer.with(Role::Deployer), Action::Deploy));
//! ```
//!
//! Cedar decides; its answers are kept, because there are few questions: nine roles can be combined
//! in 512 ways. What cannot be decided is refused.

mod engine;
mod vocabulary;

pub use vocabulary::{Action, Object, Role, Roles};

/// The policies, as Cedar reads them.
pub const POLICIES: &str = include_str!("../policies/roles.cedar");

/// Whether somebody with these roles may do this.
#[must_use]
pub fn allows(roles: Roles, action: Action) -> bool {
    engine::allowed(roles) & action.bit() != 0
}

/// The policies that permit it, by their names in `roles.cedar`; none when it is refused.
#[must_use]
pub fn why(roles: Roles, action: Action) -> Vec<String> {
    engine::decide(roles, action)
}
