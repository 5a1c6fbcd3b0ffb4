//! What can be asked for, of both products.

/// A kind of request: of the EDR API three lists, and two single objects that are lists of one here; of the SAT API the
/// token, the lists and what is asked for by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum List {
    Account,
    Actor,
    Organizations,
    Agents,
    IncidentReports,
    Token,
    /// Where somebody agrees.
    Authorize,
    Accounts,
    AccountById,
    Assignments,
    AssignmentById,
    Learners,
    AssignmentLearners,
    LearnerActivity,
    PhishingCampaigns,
    Certificate,
    /// The document that a [`Certificate`](Self::Certificate) answer points to.
    CertificateFile,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    Edr,
    Sat,
}

impl List {
    pub const EDR: [Self; 5] = [Self::Account, Self::Actor, Self::Organizations, Self::Agents, Self::IncidentReports];
    pub const SAT: [Self; 12] = [
        Self::Token,
        Self::Authorize,
        Self::Accounts,
        Self::AccountById,
        Self::Assignments,
        Self::AssignmentById,
        Self::Learners,
        Self::AssignmentLearners,
        Self::LearnerActivity,
        Self::PhishingCampaigns,
        Self::Certificate,
        Self::CertificateFile,
    ];

    /// Its path below the origin; `{id}` stands for the account's or the assignment's id.
    pub fn path(self) -> &'static str {
        match self {
            Self::Account => "/v1/account",
            Self::Actor => "/v1/actor",
            Self::Organizations => "/v1/organizations",
            Self::Agents => "/v1/agents",
            Self::IncidentReports => "/v1/incident_reports",
            Self::Token => "/oauth/token",
            Self::Authorize => "/oauth/authorize",
            Self::Accounts => "/api/v1/accounts",
            Self::AccountById => "/api/v1/accounts/{id}",
            Self::Assignments => "/api/v1/accounts/{id}/assignments",
            Self::AssignmentById => "/api/v1/assignments/{id}",
            Self::Learners => "/api/v1/accounts/{id}/learners",
            Self::AssignmentLearners => "/api/v1/assignments/{id}/learners",
            Self::LearnerActivity => "/api/v1/assignments/{id}/learner-activity",
            Self::PhishingCampaigns => "/api/v1/accounts/{id}/phishing-campaigns",
            Self::Certificate => "/api/v1/assignments/{id}/completion-certificate",
            Self::CertificateFile => "/certificates/{id}",
        }
    }

    /// Its path with the id in it.
    pub fn path_of(self, id: &str) -> String {
        self.path().replace("{id}", id)
    }

    /// The key that its answer has at the top; the actor's and the token's are not wrapped, and the file is no JSON.
    pub fn key(self) -> &'static str {
        match self {
            Self::Account | Self::Actor => "account",
            Self::Organizations => "organizations",
            Self::Agents => "agents",
            Self::IncidentReports => "incident_reports",
            Self::Token => "access_token",
            _ => "data",
        }
    }

    /// The list that a path belongs to, and the id in the path.
    pub(crate) fn of_path(path: &str) -> Option<(Self, &str)> {
        Self::EDR.into_iter().chain(Self::SAT).find_map(|list| match list.path().split_once("{id}") {
            None => (list.path() == path).then_some((list, "")),
            Some((before, after)) => {
                let id = path.strip_prefix(before)?.strip_suffix(after)?;
                (!id.is_empty() && !id.contains('/')).then_some((list, id))
            }
        })
    }

    pub(crate) fn product(self) -> Product {
        if Self::EDR.contains(&self) { Product::Edr } else { Product::Sat }
    }

    pub(crate) fn is_single(self) -> bool {
        matches!(
            self,
            Self::Account
                | Self::Actor
                | Self::Token
                | Self::Authorize
                | Self::AccountById
                | Self::AssignmentById
                | Self::Certificate
                | Self::CertificateFile
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_leads_to_its_list() {
        for list in List::EDR.into_iter().chain(List::SAT) {
            let id = if list.path().contains("{id}") { "a-B_9" } else { "" };
            assert_eq!(List::of_path(&list.path_of("a-B_9")), Some((list, id)));
        }
        for path in
            ["/", "/api/v1/accounts/", "/api/v1/accounts/a/b", "/api/v1/learners", "/v1/agents/1", "/v1/agents/"]
        {
            assert_eq!(List::of_path(path), None, "{path}");
        }
    }
}
