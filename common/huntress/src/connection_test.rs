//! The report of a connection test, of either product.

use evidence_domain::failure::Failure;
use serde::{Deserialize, Serialize};

/// Whether one permission is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PermissionResult {
    /// What was asked for: `account`, or a list.
    pub permission: String,
    /// Whether it was answered.
    pub granted: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// The outcome of a connection test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TestReport {
    /// Whether every permission is there.
    pub passed: bool,
    /// Each of them.
    pub permissions: Vec<PermissionResult>,
    /// The accounts that the credential sees, as far as they have an id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<TestedAccount>,
    /// The fewest requests that the server said are left, if it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_left: Option<u64>,
}

/// An account that a credential sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TestedAccount {
    /// Its id.
    pub id: String,
    /// Its name, if the source gives one.
    pub name: Option<String>,
    /// The organization of the endpoint product that it belongs to (`ioOrgId`), if the source gives one.
    #[serde(skip)]
    pub io_org_id: Option<String>,
}

impl TestReport {
    /// The report over these permissions.
    #[must_use]
    pub fn new(permissions: Vec<PermissionResult>) -> Self {
        let passed = permissions.iter().all(|permission| permission.granted);
        Self { passed, permissions, accounts: Vec::new(), requests_left: None }
    }
}
