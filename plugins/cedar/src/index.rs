//! Policies by the principal and the resource that they are about. Of a thousand policies, each for one team, only those of the
//! user's teams are evaluated. That is sound, because a decision needs nothing but the policies that apply: one that permits, and
//! none that forbids.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use cedar_policy::Authorizer;
use cedar_policy::Decision;
use cedar_policy::Effect;
use cedar_policy::Entities;
use cedar_policy::EntityUid;
use cedar_policy::Policy;
use cedar_policy::PolicyId;
use cedar_policy::PolicySet;
use cedar_policy::PolicySetError;
use cedar_policy::PrincipalConstraint;
use cedar_policy::Request;
use cedar_policy::ResourceConstraint;

/// The policies that name an entity, or none.
type By<T> = BTreeMap<Option<EntityUid>, T>;

/// Policies by what their heads name: the principal or its group, and the resource or a path above it.
#[derive(Debug, Default)]
pub(crate) struct Index(By<By<PolicySet>>);

/// What the policies say of a request.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Verdict {
    /// The policies that permit it.
    pub(crate) permits: BTreeSet<PolicyId>,
    /// The policies that forbid it.
    pub(crate) forbids: BTreeSet<PolicyId>,
    /// The policies that can't be evaluated, with the reasons. Cedar skips them.
    pub(crate) failed: BTreeMap<PolicyId, (Effect, String)>,
}

impl Index {
    /// Adds a policy, whose name no other one has.
    pub(crate) fn add(&mut self, policy: Policy) -> Result<(), Box<PolicySetError>> {
        let principal = match policy.principal_constraint() {
            PrincipalConstraint::Any | PrincipalConstraint::Is(_) => None,
            PrincipalConstraint::Eq(uid) | PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid) => {
                Some(uid)
            }
        };
        let resource = match policy.resource_constraint() {
            ResourceConstraint::Any | ResourceConstraint::Is(_) => None,
            ResourceConstraint::Eq(uid) | ResourceConstraint::In(uid) | ResourceConstraint::IsIn(_, uid) => Some(uid),
        };
        let policies = self.0.entry(principal).or_default().entry(resource).or_default();
        Ok(policies.add(policy)?)
    }

    /// Evaluates the policies that may apply. `principals` and `resources` are the entities of the request with those above them.
    pub(crate) fn ask(
        &self,
        request: &Request,
        entities: &Entities,
        principals: &BTreeSet<EntityUid>,
        resources: &BTreeSet<EntityUid>,
    ) -> Verdict {
        let mut verdict = Verdict::default();
        for by_resource in applying(&self.0, principals) {
            for policies in applying(by_resource, resources) {
                verdict.add(request, entities, policies);
            }
        }
        verdict
    }
}

fn applying<'a, T>(by: &'a By<T>, entities: &'a BTreeSet<EntityUid>) -> impl Iterator<Item = &'a T> {
    let keys = std::iter::once(None).chain(entities.iter().cloned().map(Some));
    keys.filter_map(|key| by.get(&key))
}

impl Verdict {
    fn add(&mut self, request: &Request, entities: &Entities, policies: &PolicySet) {
        let response = Authorizer::new().is_authorized(request, policies, entities);
        let deciding = match response.decision() {
            Decision::Allow => &mut self.permits,
            Decision::Deny => &mut self.forbids,
        };
        deciding.extend(response.diagnostics().reason().cloned());
        for error in response.diagnostics().errors() {
            let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
            let name = error.policy_id();
            // One that isn't there forbids.
            let effect = policies.policy(name).map_or(Effect::Forbid, Policy::effect);
            self.failed
                .insert(name.clone(), (effect, crate::mistakes::with_causes(error.inner())));
        }
    }
}
