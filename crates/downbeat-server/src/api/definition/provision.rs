//! The map of resources to provision together with a definition's own.

use std::collections::BTreeMap;

use downbeat_api::definition as wire;
use downbeat_core::{Descriptor, definition::Provision, patch};
use downbeat_store::definition::Content;

use crate::{Problem, Result};

/// Checks the descriptors. Whether their types exist is decided when a graph is built.
pub(super) fn read(
    request: BTreeMap<String, wire::ProvisionRequest>,
) -> Result<BTreeMap<String, Provision>> {
    let entry = |(descriptor, rule): (String, wire::ProvisionRequest)| {
        if let Err(error) = Descriptor::parse(&descriptor) {
            let at = patch::pointer(["provision", &descriptor]);
            return Err(Problem::invalid(format!("The definition is not valid: {error}."))
                .at(&at, error.reason));
        }
        let wire::ProvisionRequest { is_dependent, match_dependents, params } = rule;
        Ok((descriptor, Provision { is_dependent, match_dependents, params }))
    };
    request.into_iter().map(entry).collect()
}

/// The map as it is shown: `params` only where there are some.
pub(super) fn show(content: &Content) -> Option<BTreeMap<String, wire::Provision>> {
    let map = content.body.provision.as_ref()?;
    let entry = |(descriptor, rule): (&String, &Provision)| {
        let rule = wire::Provision {
            is_dependent: rule.is_dependent,
            match_dependents: rule.match_dependents,
            params: rule.params.clone().filter(|params| !params.is_empty()),
        };
        (descriptor.clone(), rule)
    };
    Some(map.iter().map(entry).collect())
}
