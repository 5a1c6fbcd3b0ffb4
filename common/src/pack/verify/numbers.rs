//! Numbers and outcomes, computed again.

use super::Failed;
use crate::domain::policy::Policy;
use crate::pack::contents::{Contents, policies_of};
use std::sync::Arc;

/// Verdicts name policies that are here, with the hash that they have.
pub(super) fn check(contents: &Contents) -> Result<String, Vec<Failed>> {
    let mut failed = Vec::new();
    let mut verdicts = 0;
    for bundle in &contents.bundles {
        verdicts += bundle.view.verdicts.len();
        for used in policies_of(bundle) {
            let policy: Option<&Arc<Policy>> = contents.policy(&used);
            let problem = match policy {
                None => Some(format!("the policy {} {} of its verdicts is not here", used.policy, used.version)),
                Some(policy) if policy.sha256() != used.sha256 => {
                    Some(format!("the policy {} {} is not the one of its verdicts", used.policy, used.version))
                }
                Some(_) => None,
            };
            failed.extend(problem.map(|problem| Failed::of(&bundle.path(), problem)));
        }
    }
    if failed.is_empty() { Ok(format!("{verdicts} verdicts")) } else { Err(failed) }
}
