//! Asking Cedar, and keeping what it answered.

use std::{
    collections::HashSet,
    sync::{LazyLock, OnceLock},
};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, ParseErrors, PolicySet, Request,
};

use crate::{Action, POLICIES, Roles};

static POLICY_SET: LazyLock<Option<PolicySet>> = LazyLock::new(|| POLICIES.parse().ok());

/// What every set of roles allows, one bit for each action; filled as it is asked for.
static ANSWERS: [OnceLock<u32>; Roles::COUNT] = [const { OnceLock::new() }; Roles::COUNT];

/// The actions that these roles allow.
pub(crate) fn allowed(roles: Roles) -> u32 {
    let Some(answer) = ANSWERS.get(roles.index()) else { return 0 };
    *answer.get_or_init(|| {
        let allowed = Action::ALL.into_iter().filter(|action| !decide(roles, *action).is_empty());
        allowed.fold(0, |bits, action| bits | action.bit())
    })
}

/// The policies that permit the action. Nothing is permitted when the question cannot be asked.
pub(crate) fn decide(roles: Roles, action: Action) -> Vec<String> {
    let Some(policies) = POLICY_SET.as_ref() else { return Vec::new() };
    let Some((request, entities)) = question(roles, action) else { return Vec::new() };
    let response = Authorizer::new().is_authorized(&request, policies, &entities);
    let is_sound = response.diagnostics().errors().next().is_none();
    if response.decision() != Decision::Allow || !is_sound {
        return Vec::new();
    }
    let reasons = response.diagnostics().reason();
    let mut names: Vec<_> = reasons
        .map(|id| policies.annotation(id, "id").map_or_else(|| id.to_string(), ToOwned::to_owned))
        .collect();
    names.sort();
    names
}

fn question(roles: Roles, action: Action) -> Option<(Request, Entities)> {
    let subject = uid("Subject", "caller").ok()?;
    let held: Result<HashSet<_>, _> = roles
        .iter()
        .map(|role| uid("Role", &format!("{}/{}", role.object().name(), role.name())))
        .collect();
    let entity = Entity::new_no_attrs(subject.clone(), held.ok()?);
    let entities = Entities::from_entities([entity], None).ok()?;
    let action_id = uid("Action", action.name()).ok()?;
    let resource = uid(action.resource(), "object").ok()?;
    let request = Request::new(subject, action_id, resource, Context::empty(), None).ok()?;
    Some((request, entities))
}

/// An id of an entity. All are of this crate, so none needs escaping.
fn uid(kind: &str, id: &str) -> Result<EntityUid, Box<ParseErrors>> {
    format!("{kind}::\"{id}\"").parse().map_err(Box::new)
}
