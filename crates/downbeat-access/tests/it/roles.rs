//! What each role may do: the matrix of v1, written out.

use cedar_policy::{PolicySet, Schema, ValidationMode, Validator};
use downbeat_access::{Action, POLICIES, Role, Roles, allows, why};

use Action::{
    ChangeApplication, ChangePlatform, CreateApplication, DeleteApplication, Deploy, ManageUsers,
    OwnApplication, ReadApplication, ReadAuditLog, ReadOrganization, RegisterArtefact,
};

/// Everything that the roles allow.
fn allowed(roles: &[Role]) -> Vec<Action> {
    let roles = roles.iter().fold(Roles::NONE, |all, role| all.with(*role));
    Action::ALL.into_iter().filter(|action| allows(roles, *action)).collect()
}

#[test]
fn roles_in_an_organization() {
    assert_eq!(allowed(&[]), []);
    assert_eq!(allowed(&[Role::Member]), [ReadOrganization]);
    assert_eq!(allowed(&[Role::ArtefactContributor]), [ReadOrganization, RegisterArtefact]);
    assert_eq!(allowed(&[Role::Manager]), [ReadOrganization, CreateApplication, ManageUsers]);
    assert_eq!(allowed(&[Role::OrgViewer]), [ReadOrganization, ReadApplication]);
    assert_eq!(allowed(&[Role::Administrator]), Action::ALL);
}

#[test]
fn roles_on_an_application() {
    assert_eq!(allowed(&[Role::Viewer]), [ReadApplication]);
    assert_eq!(allowed(&[Role::Developer]), [ReadApplication, ChangeApplication]);
    assert_eq!(allowed(&[Role::Owner]), [ReadApplication, ChangeApplication, OwnApplication]);
}

#[test]
fn deploying_needs_two_keys() {
    assert_eq!(allowed(&[Role::Deployer]), []);
    assert_eq!(allowed(&[Role::Member, Role::Deployer]), [ReadOrganization]);
    assert_eq!(allowed(&[Role::Viewer, Role::Deployer]), [ReadApplication]);
    assert_eq!(
        allowed(&[Role::Developer, Role::Deployer]),
        [ReadApplication, ChangeApplication, Deploy]
    );
    assert_eq!(
        allowed(&[Role::Owner, Role::Deployer]),
        [ReadApplication, ChangeApplication, OwnApplication, DeleteApplication, Deploy]
    );
}

/// A role more never takes anything away: policies permit only.
#[test]
fn more_roles_allow_no_less() {
    for set in 0..1_u32 << Role::ALL.len() {
        let held = |bit: usize| set & (1 << bit) != 0;
        let roles: Vec<_> =
            (0..Role::ALL.len()).filter(|b| held(*b)).map(|b| Role::ALL[b]).collect();
        let before = allowed(&roles);
        for role in Role::ALL {
            let after = allowed(&[roles.as_slice(), &[role]].concat());
            assert!(before.iter().all(|action| after.contains(action)), "{roles:?} and {role:?}");
        }
    }
}

#[test]
fn says_why() {
    let developer = Roles::NONE.with(Role::Developer).with(Role::Deployer);
    assert_eq!(why(developer, Deploy), ["a developer deploys where the type allows it"]);
    assert!(why(developer, ChangePlatform).is_empty());
    assert!(why(Roles::NONE, ReadAuditLog).is_empty());
    assert_eq!(
        why(Roles::NONE.with(Role::Administrator), ReadAuditLog),
        ["an administrator may do everything"]
    );
}

/// Every action and role that a policy names exists, and none is misspelled.
#[test]
fn policies_fit_their_schema() {
    let schema = include_str!("../../policies/roles.cedarschema");
    let (schema, warnings) = Schema::from_cedarschema_str(schema).unwrap();
    assert_eq!(warnings.count(), 0);
    for action in Action::ALL {
        let id = format!("Action::\"{}\"", action.name()).parse().unwrap();
        assert!(schema.actions().any(|known| *known == id), "{action:?}");
    }
    let policies: PolicySet = POLICIES.parse().unwrap();
    let result = Validator::new(schema).validate(&policies, ValidationMode::Strict);
    assert!(result.validation_passed_without_warnings(), "{result}");
    let roles: Vec<_> = Role::ALL.iter().map(|role| format!("/{}\"", role.name())).collect();
    for role in roles {
        assert!(POLICIES.contains(&role), "no policy names {role}");
    }
}
