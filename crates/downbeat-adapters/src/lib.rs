//! The outside world, one module each: what Downbeat's ports look like when they are real.
//!
//! | port | here |
//! | --- | --- |
//! | `Driver` | [`template`], [`echo`], [`cluster`], [`terraform`], [`container`]; [`remote`] for those of an organization |
//! | `Expand` | [`expand`] |
//! | `Target` | [`git`], wrapped for the engine by [`target`] |
//! | `Sealer` | [`sealed`] |
//!
//! Nothing outside this crate starts a process or speaks to another machine.

pub mod cluster;
mod code;
pub mod container;
pub mod echo;
pub mod expand;
pub mod git;
pub mod remote;
pub mod sealed;
pub mod target;
pub mod template;
pub mod terraform;

use std::sync::Arc;

use downbeat_engine::{Driver, Drivers, ExternalDriver, PureDriver};

use self::{
    container::Container,
    terraform::{Terraform, TerraformOptions},
};

/// The drivers that change nothing, under the references that definitions use. In the place of the
/// others stands one that says what it needs.
///
/// The built-in virtual drivers (`humanitec/ingress` and others) are not among them: they are
/// resolved to `humanitec/template` before a driver is looked up. `downbeat/...` is an alias for
/// each `humanitec/...`. Drivers that an organization registered are called over the network: who
/// deploys adds [`remote::Remote`].
#[must_use]
pub fn drivers() -> Drivers {
    let mut drivers = Drivers::default();
    let mut add = |name: &str, driver: Arc<dyn PureDriver>| {
        drivers.by_type.insert(name.to_owned(), Driver::Pure(Arc::clone(&driver)));
        let alias = name.replacen("humanitec/", "downbeat/", 1);
        drivers.by_type.insert(alias, Driver::Pure(driver));
    };
    add("humanitec/template", Arc::new(template::Template::default()));
    add("humanitec/echo", Arc::new(echo::Echo));
    add("humanitec/static", Arc::new(echo::Echo));
    add("humanitec/terraform", Arc::new(terraform::NeedsDeployment));
    add("humanitec/container", Arc::new(terraform::NeedsDeployment));
    for (name, cluster) in cluster::CLUSTERS {
        add(name, Arc::new(cluster));
    }
    drivers.expand = Some(Arc::new(expand::GoTemplates));
    drivers
}

/// All drivers, those that change the world included.
#[must_use]
pub fn drivers_with(terraform: TerraformOptions) -> Drivers {
    let mut drivers = drivers();
    let container = Container::new(terraform.container.clone());
    let external: [(&str, Arc<dyn ExternalDriver>); 2] =
        [("terraform", Arc::new(Terraform::new(terraform))), ("container", Arc::new(container))];
    for (name, driver) in external {
        for org in ["humanitec", "downbeat"] {
            let driver = Driver::External(Arc::clone(&driver));
            drivers.by_type.insert(format!("{org}/{name}"), driver);
        }
    }
    drivers
}
