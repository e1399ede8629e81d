//! What policies speak of. The plugin asks the gateway for nothing else, because a decision is reused for other requests in
//! which everything that was read is the same.

use std::collections::BTreeSet;

use cedar_policy::ActionConstraint;
use cedar_policy::Policy;
use cedar_policy::ResourceConstraint;
use cedar_policy::pst;

/// What policies speak of.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Mentions {
    /// Whether the method matters.
    pub(crate) action: bool,
    /// Whether the path matters.
    pub(crate) resource: bool,
    /// The attributes of principals, resources and the context.
    attributes: BTreeSet<String>,
    /// Everything, because a policy compares the context as a whole.
    everything: bool,
    /// The entities by name whose attributes are read. Nobody knows them.
    pub(crate) of_literals: BTreeSet<String>,
}

impl Mentions {
    /// Adds what a policy speaks of.
    pub(crate) fn add(&mut self, policy: &Policy) {
        self.action |= policy.action_constraint() != ActionConstraint::Any;
        self.resource |= match policy.resource_constraint() {
            ResourceConstraint::Any | ResourceConstraint::Is(_) => false,
            ResourceConstraint::In(_) | ResourceConstraint::Eq(_) | ResourceConstraint::IsIn(..) => true,
        };
        if !policy.has_non_scope_constraint() {
            return;
        }
        let Ok(tree) = policy.to_pst() else {
            self.everything = true;
            return;
        };
        for clause in tree.body().clauses() {
            let (pst::Clause::When(condition) | pst::Clause::Unless(condition)) = clause;
            self.visit(condition);
        }
    }

    /// Whether a policy speaks of this attribute.
    pub(crate) fn attribute(&self, name: &str) -> bool {
        self.everything || self.attributes.contains(name)
    }

    fn visit(&mut self, expression: &pst::Expr) {
        match expression {
            pst::Expr::Literal(_) | pst::Expr::Slot(_) => {}
            pst::Expr::Var(pst::Var::Principal) => {}
            pst::Expr::Var(pst::Var::Action) => self.action = true,
            pst::Expr::Var(pst::Var::Resource) => self.resource = true,
            pst::Expr::Var(pst::Var::Context) => self.everything = true,
            pst::Expr::GetAttr { expr, attr } => {
                self.attributes.insert(attr.to_string());
                self.visit_owner(expr);
            }
            pst::Expr::HasAttr { expr, attrs } => {
                self.attributes.extend(attrs.iter().map(ToString::to_string));
                self.visit_owner(expr);
            }
            pst::Expr::UnaryOp { expr, .. } | pst::Expr::Like { expr, .. } => self.visit(expr),
            pst::Expr::BinaryOp { left, right, .. } => {
                self.visit(left);
                self.visit(right);
            }
            pst::Expr::Is { expr, in_expr, .. } => {
                self.visit(expr);
                if let Some(within) = in_expr {
                    self.visit(within);
                }
            }
            pst::Expr::IfThenElse {
                cond,
                then_expr,
                else_expr,
            } => {
                self.visit(cond);
                self.visit(then_expr);
                self.visit(else_expr);
            }
            pst::Expr::Set(items) => items.iter().for_each(|item| self.visit(item)),
            pst::Expr::Record(members) => members.values().for_each(|member| self.visit(member)),
            // What a later version of Cedar has.
            _ => {
                self.action = true;
                self.resource = true;
                self.everything = true;
            }
        }
    }

    /// What the attributes are read of.
    fn visit_owner(&mut self, owner: &pst::Expr) {
        match owner {
            pst::Expr::Var(_) => {}
            pst::Expr::Literal(pst::Literal::EntityUID(entity)) => {
                self.of_literals.insert(entity.to_string());
            }
            other => self.visit(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use cedar_policy::PolicySet;

    use super::*;

    fn mentions(policies: &str) -> Mentions {
        let mut mentions = Mentions::default();
        let policies: PolicySet = policies.parse().unwrap();
        policies.policies().for_each(|policy| mentions.add(policy));
        mentions
    }

    #[test]
    fn what_policies_speak_of_is_found_and_nothing_else() {
        for (policies, action, resource, attributes) in [
            ("permit(principal, action, resource);", false, false, &[] as &[&str]),
            (
                r#"permit(principal in Group::"a", action, resource);"#,
                false,
                false,
                &[],
            ),
            (
                r#"permit(principal, action == Action::"GET", resource);"#,
                true,
                false,
                &[],
            ),
            (
                r#"permit(principal, action, resource in Path::"/a");"#,
                false,
                true,
                &[],
            ),
            ("permit(principal, action, resource is Path);", false, false, &[]),
            (
                r#"permit(principal, action, resource) unless { action in Action::"write" };"#,
                true,
                false,
                &[],
            ),
            (
                r#"permit(principal, action, resource) when { [resource].contains(Path::"/a") };"#,
                false,
                true,
                &[],
            ),
            (
                r#"permit(principal, action, resource) when { context.client.isInRange(ip("10.0.0.0/8")) };"#,
                false,
                false,
                &["client"],
            ),
            (
                r#"permit(principal, action, resource) when { principal has email && principal.email like "*@a" || resource.host == "a" };"#,
                false,
                false,
                &["email", "host"],
            ),
            (
                r#"permit(principal, action, resource) when { (if context.certificate then principal else User::"a").admin };"#,
                false,
                false,
                &["admin", "certificate"],
            ),
        ] {
            let found = mentions(policies);
            let expected = Mentions {
                action,
                resource,
                attributes: attributes.iter().map(|name| (*name).to_owned()).collect(),
                ..Mentions::default()
            };
            assert_eq!(found, expected, "{policies}");
        }
    }

    #[test]
    fn a_context_that_is_compared_as_a_whole_is_all_mentioned() {
        let found = mentions(r#"permit(principal, action, resource) when { {"a": context} == {"a": context} };"#);
        assert!(found.attribute("client") && found.attribute("time"));
    }

    #[test]
    fn attributes_of_entities_by_name_are_found() {
        let found = mentions(r#"permit(principal, action, resource) when { User::"a".admin };"#);
        assert_eq!(Vec::from_iter(&found.of_literals), [r#"User::"a""#]);
    }
}
