//! What pulls the numbers of a client down, and how completely its lists were read.

use crate::app::evidence::{Evidence, EvidenceError};
use crate::domain::completeness::ListCompleteness;
use crate::domain::edr::findings::Findings;
use crate::domain::evidence::EdrBundle;
use crate::domain::id::{ConnectionId, RunId};
use crate::domain::product::Product;
use crate::domain::sat::bundle::SatBundle;
use chrono::{DateTime, Utc};
use serde::Serialize;

/// The evidence that an answer is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EvidenceRef {
    /// The connection that it is from.
    pub connection: ConnectionId,
    /// The product.
    pub product: Product,
    /// The run that made it.
    pub run_id: RunId,
    /// The instant of the evaluation.
    pub as_of: DateTime<Utc>,
    /// How old it is, in seconds since `as_of`.
    pub age_seconds: i64,
    /// Whether that is more than 26 hours.
    pub stale: bool,
    /// Whether it is from before the evidence log. Absent otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unlogged: bool,
}

impl From<&Evidence> for EvidenceRef {
    fn from(evidence: &Evidence) -> Self {
        let age = evidence.age();
        Self {
            connection: evidence.stored.connection.clone(),
            product: evidence.stored.product,
            run_id: evidence.stored.run_id.clone(),
            as_of: evidence.stored.as_of,
            age_seconds: age.age.num_seconds(),
            stale: age.stale,
            unlogged: evidence.stored.leaf.is_none(),
        }
    }
}

/// The records that pull numbers down, for each connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FindingsList {
    /// Those of each piece of evidence.
    pub findings: Vec<FindingsView>,
}

/// The findings of one piece of endpoint evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FindingsView {
    /// The evidence.
    #[serde(flatten)]
    pub evidence: EvidenceRef,
    /// What was found; null for evidence of version 1, which did not keep it.
    pub findings: Option<Findings>,
}

impl TryFrom<&[Evidence]> for FindingsList {
    type Error = EvidenceError;

    fn try_from(evidence: &[Evidence]) -> Result<Self, EvidenceError> {
        let endpoint = evidence.iter().filter(|evidence| evidence.stored.product == Product::Edr);
        let of = |evidence: &Evidence| {
            let bundle: EdrBundle = evidence.bundle()?;
            Ok(FindingsView { evidence: evidence.into(), findings: bundle.findings })
        };
        Ok(Self { findings: endpoint.map(of).collect::<Result<_, EvidenceError>>()? })
    }
}

/// How completely the lists behind evidence were read, for each connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CompletenessList {
    /// That of each piece of evidence.
    pub completeness: Vec<CompletenessView>,
}

/// The lists behind one piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CompletenessView {
    /// The evidence.
    #[serde(flatten)]
    pub evidence: EvidenceRef,
    /// Each list; empty for evidence of version 1, which did not keep it.
    pub lists: Vec<ListCompleteness>,
}

impl TryFrom<&[Evidence]> for CompletenessList {
    type Error = EvidenceError;

    fn try_from(evidence: &[Evidence]) -> Result<Self, EvidenceError> {
        let of = |evidence: &Evidence| {
            let lists = match evidence.stored.product {
                Product::Edr => evidence.bundle::<EdrBundle>()?.metadata.completeness,
                Product::Sat => evidence.bundle::<SatBundle>()?.metadata.completeness,
            };
            Ok(CompletenessView { evidence: evidence.into(), lists })
        };
        Ok(Self { completeness: evidence.iter().map(of).collect::<Result<_, EvidenceError>>()? })
    }
}
