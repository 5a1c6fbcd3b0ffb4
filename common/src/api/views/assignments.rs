//! Assignments that can be selected.

use crate::app::assignments::Selectable;
use crate::domain::people::selection::{SelectableAssignment, SelectedAssignments};
use serde::Serialize;

/// The assignments of an account.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AssignmentList {
    /// Those that can be selected.
    pub assignments: Vec<SelectableAssignment>,
    /// Those that were selected, and that Huntress no longer lists.
    pub picked_but_missing: SelectedAssignments,
}

impl From<Selectable> for AssignmentList {
    fn from(Selectable { assignments, missing }: Selectable) -> Self {
        Self { assignments, picked_but_missing: missing }
    }
}
