//! Certificate policies along a path: RFC 5280 section 6.1 as RFC 9618 updates it, with a graph whose size is bounded by
//! the policies that the certificates name.

use std::collections::{BTreeMap, BTreeSet};

use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::{PolicyConstraints, PolicyMappings};

/// RFC 5280 section 4.2.1.4.
pub(super) const ANY_POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32.0");

/// What a certificate says about policies.
#[derive(Clone, Debug, Default)]
pub(super) struct PolicyExtensions {
    /// `certificatePolicies`, without qualifiers.
    pub(super) policies: Option<BTreeSet<ObjectIdentifier>>,
    pub(super) mappings: Option<PolicyMappings>,
    pub(super) constraints: Option<PolicyConstraints>,
    pub(super) inhibit_any_policy: Option<u32>,
}

/// The policies for which a path is valid, in the words of its trust anchor: the authorities-constrained policy set of
/// RFC 9618.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policies {
    /// All.
    Any,
    /// These, dotted.
    Only(BTreeSet<String>),
}

impl Policies {
    /// Whether one of `accepted` is among them: whether the user-constrained policy set is not empty, with `accepted` as
    /// the user-initial policy set.
    pub fn allow<S: AsRef<str>>(&self, accepted: &[S]) -> bool {
        match self {
            Self::Any => !accepted.is_empty(),
            Self::Only(policies) => accepted.iter().any(|policy| policies.contains(policy.as_ref())),
        }
    }
}

/// Why no policy permits a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Violation {
    /// Section 6.1.4 (a).
    AnyPolicyMapped,
    /// Sections 6.1.3 (f) and 6.1.5 (g): a CA asks for an explicit policy, and there is none.
    NoExplicitPolicy,
}

/// A policy at one depth.
#[derive(Clone, Debug)]
struct Node {
    /// `expected_policy_set`.
    expected: BTreeSet<ObjectIdentifier>,
    /// The policies of the depth above that it comes from.
    parents: BTreeSet<ObjectIdentifier>,
}

/// The nodes of one depth, by their `valid_policy`: RFC 9618 has one for each.
type Depth = BTreeMap<ObjectIdentifier, Node>;

/// The state of section 6.1.2.
pub(super) struct State {
    /// `valid_policy_graph`; empty when it is NULL.
    graph: Vec<Depth>,
    explicit_policy: u32,
    inhibit_any_policy: u32,
    policy_mapping: u32,
}

impl State {
    /// The state for `certificates` ones below a trust anchor. What the anchor's own certificate says about policies
    /// binds the path as it would if it lay below another anchor (RFC 5937 section 3.2).
    ///
    /// # Errors
    /// [`Violation`].
    pub(super) fn new(certificates: u32, anchor: &PolicyExtensions) -> Result<Self, Violation> {
        let any = Node { expected: BTreeSet::from([ANY_POLICY]), parents: BTreeSet::new() };
        let never = certificates.saturating_add(2);
        let mut state = Self {
            graph: vec![Depth::from([(ANY_POLICY, any)])],
            explicit_policy: never,
            inhibit_any_policy: never,
            policy_mapping: never,
        };
        if anchor.policies.is_some() {
            state.enter(anchor, true);
            state.descend(anchor, true)?;
        } else {
            state.constrain(anchor);
        }
        Ok(state)
    }

    /// A certificate that is not the last.
    ///
    /// # Errors
    /// [`Violation`].
    pub(super) fn intermediate(
        &mut self,
        certificate: &PolicyExtensions,
        self_issued: bool,
    ) -> Result<(), Violation> {
        self.enter(certificate, self_issued);
        self.is_explicit()?;
        self.descend(certificate, self_issued)
    }

    /// The last certificate (section 6.1.5), and what the path is valid for.
    ///
    /// # Errors
    /// [`Violation`].
    pub(super) fn leaf(mut self, certificate: &PolicyExtensions) -> Result<Policies, Violation> {
        self.enter(certificate, false);
        self.is_explicit()?;
        self.explicit_policy = self.explicit_policy.saturating_sub(1);
        if certificate.constraints.as_ref().and_then(|constraints| constraints.require_explicit_policy)
            == Some(0)
        {
            self.explicit_policy = 0;
        }
        let policies = self.authorities_constrained();
        match &policies {
            Policies::Only(none) if none.is_empty() && self.explicit_policy == 0 => {
                Err(Violation::NoExplicitPolicy)
            }
            _ => Ok(policies),
        }
    }

    /// Section 6.1.3 (d) and (e).
    fn enter(&mut self, certificate: &PolicyExtensions, self_issued_ca: bool) {
        let (Some(policies), Some(above)) = (&certificate.policies, self.graph.last()) else {
            self.graph.clear();
            return;
        };
        let mut depth = Depth::new();
        // (1) and (2) need for each policy the nodes above that expect it.
        let mut expecting = BTreeMap::<ObjectIdentifier, BTreeSet<ObjectIdentifier>>::new();
        for (policy, node) in above {
            for expected in &node.expected {
                expecting.entry(*expected).or_default().insert(*policy);
            }
        }
        let node = |policy: ObjectIdentifier, parents: BTreeSet<ObjectIdentifier>| Node {
            expected: BTreeSet::from([policy]),
            parents,
        };
        for policy in policies.iter().filter(|policy| **policy != ANY_POLICY) {
            if let Some(parents) = expecting.get(policy) {
                depth.insert(*policy, node(*policy, parents.clone()));
            } else if above.contains_key(&ANY_POLICY) {
                depth.insert(*policy, node(*policy, BTreeSet::from([ANY_POLICY])));
            }
        }
        if policies.contains(&ANY_POLICY) && (self.inhibit_any_policy > 0 || self_issued_ca) {
            for (policy, parents) in expecting {
                depth.entry(policy).or_insert_with(|| node(policy, parents));
            }
        }
        self.graph.push(depth);
        self.prune();
    }

    /// Section 6.1.3 (f).
    fn is_explicit(&self) -> Result<(), Violation> {
        if self.explicit_policy == 0 && self.graph.is_empty() {
            return Err(Violation::NoExplicitPolicy);
        }
        Ok(())
    }

    /// Section 6.1.4 (a), (b) and (h) to (j).
    fn descend(&mut self, certificate: &PolicyExtensions, self_issued: bool) -> Result<(), Violation> {
        if let Some(mappings) = &certificate.mappings {
            self.map(mappings)?;
        }
        if !self_issued {
            for counter in [&mut self.explicit_policy, &mut self.policy_mapping, &mut self.inhibit_any_policy]
            {
                *counter = counter.saturating_sub(1);
            }
        }
        self.constrain(certificate);
        Ok(())
    }

    fn constrain(&mut self, certificate: &PolicyExtensions) {
        if let Some(constraints) = &certificate.constraints {
            if let Some(skip) = constraints.require_explicit_policy {
                self.explicit_policy = self.explicit_policy.min(skip);
            }
            if let Some(skip) = constraints.inhibit_policy_mapping {
                self.policy_mapping = self.policy_mapping.min(skip);
            }
        }
        if let Some(skip) = certificate.inhibit_any_policy {
            self.inhibit_any_policy = self.inhibit_any_policy.min(skip);
        }
    }

    /// Section 6.1.4 (a) and (b).
    fn map(&mut self, mappings: &PolicyMappings) -> Result<(), Violation> {
        let mut mapped = BTreeMap::<ObjectIdentifier, BTreeSet<ObjectIdentifier>>::new();
        for mapping in &mappings.0 {
            if [mapping.issuer_domain_policy, mapping.subject_domain_policy].contains(&ANY_POLICY) {
                return Err(Violation::AnyPolicyMapped);
            }
            mapped.entry(mapping.issuer_domain_policy).or_default().insert(mapping.subject_domain_policy);
        }
        let Some(depth) = self.graph.last_mut() else { return Ok(()) };
        let from_any = depth.get(&ANY_POLICY).map(|any| any.parents.clone());
        for (policy, expected) in mapped {
            if self.policy_mapping == 0 {
                depth.remove(&policy);
            } else if let Some(node) = depth.get_mut(&policy) {
                node.expected = expected;
            } else if let Some(parents) = &from_any {
                depth.insert(policy, Node { expected, parents: parents.clone() });
            }
        }
        self.prune();
        Ok(())
    }

    /// Removes the nodes that have no child in the lowest depth; a graph without any is NULL.
    fn prune(&mut self) {
        let mut wanted: Option<BTreeSet<ObjectIdentifier>> = None;
        for depth in self.graph.iter_mut().rev() {
            if let Some(wanted) = &wanted {
                depth.retain(|policy, _| wanted.contains(policy));
            }
            wanted = Some(depth.values().flat_map(|node| node.parents.iter().copied()).collect());
        }
        if self.graph.last().is_none_or(BTreeMap::is_empty) {
            self.graph.clear();
        }
    }

    /// Section 6.1.5 (g): the policies that are not `anyPolicy` and come from it, and `anyPolicy` when the leaf has it.
    fn authorities_constrained(&self) -> Policies {
        if self.graph.last().is_some_and(|lowest| lowest.contains_key(&ANY_POLICY)) {
            return Policies::Any;
        }
        let from_any = self
            .graph
            .iter()
            .flatten()
            .filter(|(policy, node)| **policy != ANY_POLICY && node.parents.contains(&ANY_POLICY));
        Policies::Only(from_any.map(|(policy, _)| policy.to_string()).collect())
    }
}

#[cfg(test)]
mod tests {
    use x509_cert::der::{Decode as _, Encode as _};

    use super::*;

    fn oid(last: u32) -> ObjectIdentifier {
        if last == 0 { ANY_POLICY } else { ObjectIdentifier::new(&format!("1.2.3.{last}")).unwrap() }
    }

    /// A certificate with these policies, 0 being anyPolicy.
    fn with(policies: &[u32]) -> PolicyExtensions {
        let policies = policies.iter().map(|last| oid(*last)).collect();
        PolicyExtensions { policies: Some(policies), ..PolicyExtensions::default() }
    }

    fn mapping(ca: PolicyExtensions, pairs: &[(u32, u32)]) -> PolicyExtensions {
        let pairs: Vec<_> = pairs.iter().map(|(from, to)| vec![oid(*from), oid(*to)]).collect();
        let mappings = PolicyMappings::from_der(&pairs.to_der().unwrap()).unwrap();
        PolicyExtensions { mappings: Some(mappings), ..ca }
    }

    fn constrained(ca: PolicyExtensions, explicit: Option<u32>, mapping: Option<u32>) -> PolicyExtensions {
        let constraints =
            PolicyConstraints { require_explicit_policy: explicit, inhibit_policy_mapping: mapping };
        PolicyExtensions { constraints: Some(constraints), ..ca }
    }

    fn without_any(ca: PolicyExtensions, skip: u32) -> PolicyExtensions {
        PolicyExtensions { inhibit_any_policy: Some(skip), ..ca }
    }

    /// The policies of a path: the anchor, the CAs below it, the leaf.
    fn decide(path: &[PolicyExtensions]) -> Result<Policies, Violation> {
        let ([anchor, authorities @ .., leaf], count) = (path, u32::try_from(path.len()).unwrap() - 1) else {
            panic!("a path has two certificates")
        };
        let mut state = State::new(count, anchor)?;
        for authority in authorities {
            state.intermediate(authority, false)?;
        }
        state.leaf(leaf)
    }

    #[test]
    fn what_a_path_is_valid_for() {
        let none = PolicyExtensions::default;
        let only = |policies: &[u32]| {
            Ok(Policies::Only(policies.iter().map(|last| oid(*last).to_string()).collect()))
        };
        let explicit = |ca: PolicyExtensions| constrained(ca, Some(0), None);
        let refused = Err(Violation::NoExplicitPolicy);
        let rows = [
            ("one policy", vec![none(), with(&[1])], only(&[1])),
            ("no policy", vec![none(), none()], only(&[])),
            ("any policy", vec![none(), with(&[0])], Ok(Policies::Any)),
            ("the same all the way", vec![none(), with(&[1, 2]), with(&[2, 3])], only(&[2])),
            ("none in common", vec![none(), with(&[1]), with(&[2])], only(&[])),
            ("a CA without policies", vec![none(), none(), with(&[1])], only(&[])),
            ("a CA with any", vec![none(), with(&[0]), with(&[1])], only(&[1])),
            ("a leaf with any", vec![none(), with(&[1]), with(&[0])], only(&[1])),
            ("the anchor's policies bind", vec![with(&[1]), with(&[2])], only(&[])),
            ("the anchor's any", vec![with(&[0]), with(&[2])], only(&[2])),
            ("explicit, and there", vec![none(), explicit(with(&[1])), with(&[1])], only(&[1])),
            ("explicit, and not there", vec![none(), explicit(with(&[1])), with(&[2])], refused.clone()),
            ("explicit, by the anchor", vec![explicit(none()), none()], refused.clone()),
            ("explicit after one more", vec![constrained(none(), Some(1), None), none()], refused.clone()),
            ("explicit after two more", vec![constrained(none(), Some(2), None), none()], only(&[])),
            ("explicit by the leaf", vec![none(), explicit(none())], refused.clone()),
            ("explicit by the leaf, and there", vec![none(), explicit(with(&[1]))], only(&[1])),
            ("mapped", vec![none(), mapping(with(&[1]), &[(1, 2)]), with(&[2])], only(&[1])),
            ("mapped away", vec![none(), mapping(with(&[1]), &[(1, 2)]), with(&[1])], only(&[])),
            ("mapped to two", vec![none(), mapping(with(&[1]), &[(1, 2), (1, 3)]), with(&[3])], only(&[1])),
            (
                "two mapped to one",
                vec![none(), mapping(with(&[1, 2]), &[(1, 3), (2, 3)]), with(&[3])],
                only(&[1, 2]),
            ),
            ("mapped out of any", vec![none(), mapping(with(&[0]), &[(1, 2)]), with(&[2])], only(&[1])),
            (
                "mapping inhibited",
                vec![
                    none(),
                    constrained(with(&[1]), None, Some(0)),
                    mapping(with(&[1]), &[(1, 2)]),
                    with(&[2]),
                ],
                only(&[]),
            ),
            (
                "any mapped",
                vec![none(), mapping(with(&[1]), &[(0, 2)]), with(&[2])],
                Err(Violation::AnyPolicyMapped),
            ),
            (
                "to any mapped",
                vec![none(), mapping(with(&[1]), &[(1, 0)]), with(&[2])],
                Err(Violation::AnyPolicyMapped),
            ),
            ("any inhibited", vec![none(), without_any(with(&[1]), 0), with(&[0])], only(&[])),
            ("any inhibited later", vec![none(), without_any(with(&[1]), 1), with(&[0])], only(&[1])),
            ("any inhibited by the anchor", vec![without_any(none(), 0), with(&[0])], only(&[])),
        ];
        for (what, path, expected) in rows {
            assert_eq!(decide(&path), expected, "{what}");
        }
    }

    #[test]
    fn accepted_policies() {
        let only = Policies::Only(BTreeSet::from(["1.2.3".to_owned()]));
        assert!(only.allow(&["1.2.4", "1.2.3"]) && !only.allow(&["1.2.4"]) && !only.allow::<&str>(&[]));
        assert!(Policies::Any.allow(&["1.2.4"]));
    }

    #[test]
    fn a_graph_stays_small_however_many_mappings_there_are() {
        let many: Vec<u32> = (1..=60).collect();
        let pairs: Vec<_> = many.iter().flat_map(|from| many.iter().map(|to| (*from, *to))).collect();
        let ca = mapping(with(&many), &pairs);
        let path = [vec![PolicyExtensions::default()], vec![ca; 6], vec![with(&many)]].concat();
        assert!(matches!(decide(&path), Ok(Policies::Only(all)) if all.len() == 60));
    }
}
