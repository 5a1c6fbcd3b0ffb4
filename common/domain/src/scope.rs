//! What a caller may do: scopes, and the roles that are sets of them.

use serde::{Deserialize, Serialize};
use std::fmt;

// The name is a `tt`, since derives do not see through a `literal`.
macro_rules! scopes {
    ($($(#[$doc:meta])* $variant:ident = $name:tt,)*) => {
        /// What a route asks of its caller.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum Scope {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl Scope {
            /// All scopes.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name in tokens.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

scopes! {
    /// Read evidence, and what is said of it.
    EvidenceRead = "evidence:read",
    /// Read connections and their runs.
    ConnectionsRead = "connections:read",
    /// Make, change and remove connections and their credentials.
    ConnectionsWrite = "connections:write",
    /// Test a connection, and sync it now.
    SyncRun = "sync:run",
    /// Choose the policies of a client, and import them.
    PolicyWrite = "policy:write",
    /// Propose an exception.
    ExceptionsPropose = "exceptions:propose",
    /// Approve, reject and revoke exceptions.
    ExceptionsApprove = "exceptions:approve",
    /// Read where people stand, by their hash.
    PeopleRead = "people:read",
    /// Reset people, and name a client's provider of training.
    PeopleChange = "people:change",
    /// Open names, addresses and certificates.
    PeopleOpen = "people:open",
    /// Erase people, and say what is kept of them.
    PeopleErase = "people:erase",
    /// Make and revoke tokens.
    TokensWrite = "tokens:write",
    /// Make packs of evidence.
    PacksMake = "packs:make",
    /// Read who did what.
    AuditLogRead = "audit-log:read",
    /// Set up notifications.
    NotifyWrite = "notify:write",
}

impl Scope {
    /// The scope of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|scope| scope.as_str() == name)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes(u32);

impl Scopes {
    /// No scope.
    pub const NONE: Self = Self(0);

    /// These scopes.
    #[must_use]
    pub const fn of(scopes: &[Scope]) -> Self {
        let (mut bits, mut rest) = (0, scopes);
        while let [first, others @ ..] = rest {
            bits |= 1 << *first as u32;
            rest = others;
        }
        Self(bits)
    }

    /// Whether a scope is among them.
    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u32) != 0
    }

    /// These and others.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Each of them, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.iter().copied().filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        scopes.into_iter().fold(Self::NONE, |all, scope| all.and(Self::of(&[scope])))
    }
}

/// A role, as compliance platforms name them: a set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// May everything.
    Admin,
    /// Runs the evidence of a company, people among it.
    WorkspaceManager,
    /// Runs the connections.
    #[serde(rename = "devops-engineer")]
    DevOpsEngineer,
    /// Reads everything, and changes nothing.
    AccessReviewer,
    /// Reads the evidence of named clients and of a window of time.
    Auditor,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 5] =
        [Self::Admin, Self::WorkspaceManager, Self::DevOpsEngineer, Self::AccessReviewer, Self::Auditor];

    /// Its name in tokens and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::WorkspaceManager => "workspace-manager",
            Self::DevOpsEngineer => "devops-engineer",
            Self::AccessReviewer => "access-reviewer",
            Self::Auditor => "auditor",
        }
    }

    /// The role of a name, in any letter case, with blanks or underscores for hyphens: issuers write `Workspace Manager` or `workspace_manager`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase().replace([' ', '_'], "-");
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// What it may.
    #[must_use]
    pub const fn scopes(self) -> Scopes {
        use Scope as S;
        match self {
            Self::Admin => Scopes::of(S::ALL),
            Self::WorkspaceManager => Scopes::of(&[
                S::EvidenceRead,
                S::ConnectionsRead,
                S::ConnectionsWrite,
                S::SyncRun,
                S::PolicyWrite,
                S::ExceptionsPropose,
                S::ExceptionsApprove,
                S::PeopleRead,
                S::PeopleChange,
                S::PeopleOpen,
                S::PacksMake,
                S::AuditLogRead,
                S::NotifyWrite,
            ]),
            Self::DevOpsEngineer => Scopes::of(&[
                S::EvidenceRead,
                S::ConnectionsRead,
                S::ConnectionsWrite,
                S::SyncRun,
                S::PolicyWrite,
                S::ExceptionsPropose,
                S::NotifyWrite,
            ]),
            Self::AccessReviewer => {
                Scopes::of(&[S::EvidenceRead, S::ConnectionsRead, S::PeopleRead, S::PacksMake, S::AuditLogRead])
            }
            Self::Auditor => Scopes::of(&[S::EvidenceRead, S::PacksMake, S::AuditLogRead]),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Some(*scope));
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
        }
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        for (name, role) in [
            ("Workspace Manager", Some(Role::WorkspaceManager)),
            ("DEVOPS_ENGINEER", Some(Role::DevOpsEngineer)),
            ("root", None),
            ("", None),
        ] {
            assert_eq!(Role::parse(name), role, "{name}");
        }
    }

    /// The table of docs/access.md, a row for each scope.
    #[test]
    fn a_role_has_the_scopes_of_its_column() {
        use Role::{AccessReviewer, Admin, Auditor, DevOpsEngineer, WorkspaceManager};
        let rows: [(Scope, &[Role]); 15] = [
            (Scope::EvidenceRead, &[Admin, WorkspaceManager, DevOpsEngineer, AccessReviewer, Auditor]),
            (Scope::ConnectionsRead, &[Admin, WorkspaceManager, DevOpsEngineer, AccessReviewer]),
            (Scope::ConnectionsWrite, &[Admin, WorkspaceManager, DevOpsEngineer]),
            (Scope::SyncRun, &[Admin, WorkspaceManager, DevOpsEngineer]),
            (Scope::PolicyWrite, &[Admin, WorkspaceManager, DevOpsEngineer]),
            (Scope::ExceptionsPropose, &[Admin, WorkspaceManager, DevOpsEngineer]),
            (Scope::ExceptionsApprove, &[Admin, WorkspaceManager]),
            (Scope::PeopleRead, &[Admin, WorkspaceManager, AccessReviewer]),
            (Scope::PeopleChange, &[Admin, WorkspaceManager]),
            (Scope::PeopleOpen, &[Admin, WorkspaceManager]),
            (Scope::PeopleErase, &[Admin]),
            (Scope::TokensWrite, &[Admin]),
            (Scope::PacksMake, &[Admin, WorkspaceManager, AccessReviewer, Auditor]),
            (Scope::AuditLogRead, &[Admin, WorkspaceManager, AccessReviewer, Auditor]),
            (Scope::NotifyWrite, &[Admin, WorkspaceManager, DevOpsEngineer]),
        ];
        assert_eq!(rows.map(|(scope, _)| scope), Scope::ALL);
        for (scope, roles) in rows {
            for role in Role::ALL {
                assert_eq!(role.scopes().contains(scope), roles.contains(&role), "{role} {scope}");
            }
        }
    }
}
