//! What is kept of people: the privacy mode of a training connection, what each mode means, and what another one erases.

use super::connection::{self, Shown, Wrong};
use super::{find, revision_of};
use crate::api::Problem;
use crate::app::people::{PeopleError, PrivacyChange};
use crate::console::{ConnectionPages, Fields, SignedForm, html, see_other};
use crate::domain::audit::Actor;
use crate::domain::people::person::PrivacyMode;
use crate::domain::product::Product;
use crate::store::StoreError;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// A mode to choose.
pub(super) struct Mode {
    pub name: &'static str,
    pub label: &'static str,
    pub hint: &'static str,
    pub chosen: bool,
    pub now: bool,
}

/// The form.
pub(super) struct Choice {
    pub modes: Vec<Mode>,
    /// Whether it was said that what is not kept any more is to be erased.
    pub erase: bool,
    /// Whether there is a mode that keeps less than the present one.
    pub can_erase: bool,
}

/// What a mode is called, and what it means for the people.
pub(super) struct Meaning {
    pub label: &'static str,
    pub hint: &'static str,
}

pub(super) fn meaning(mode: PrivacyMode) -> Meaning {
    match mode {
        PrivacyMode::Aggregate => Meaning {
            label: "Counts only",
            hint: "Nothing of any person. There are numbers of the whole workforce, and nobody has a status.",
        },
        PrivacyMode::Pseudonymous => Meaning {
            label: "Under a hash",
            hint: "For each person a keyed hash of their learner id, their status and what they miss. No name, no e-mail address, no certificate; a person is found by their learner id.",
        },
        PrivacyMode::Full => Meaning {
            label: "With names, encrypted",
            hint: "The same, and name, e-mail address and certificates, each encrypted. To open one takes a reason, which is kept in the audit log.",
        },
    }
}

impl Choice {
    /// The modes: the present one, and the one that was chosen where the form is shown again.
    pub(super) fn of(now: PrivacyMode, typed: Option<&Fields>) -> Self {
        let typed = typed.filter(|fields| !fields.get("mode").is_empty());
        let chosen = typed.map_or(now.as_str(), |fields| fields.get("mode"));
        let modes = [PrivacyMode::Aggregate, PrivacyMode::Pseudonymous, PrivacyMode::Full].map(|mode| {
            let (Meaning { label, hint }, name) = (meaning(mode), mode.as_str());
            Mode { name, label, hint, chosen: name == chosen, now: mode == now }
        });
        Self {
            modes: modes.into(),
            erase: typed.is_some_and(|fields| fields.get("erase") == "yes"),
            can_erase: now != PrivacyMode::Aggregate,
        }
    }
}

pub(super) async fn choose(
    State(console): State<Arc<ConnectionPages>>,
    Path(id): Path<String>,
    SignedForm { viewer, fields }: SignedForm,
) -> Response {
    let changed = async {
        let connection = find(&console, &viewer, &id).await?;
        if connection.product != Product::Sat {
            let refused = format!("{} is a connection of {}, which knows no people", connection.id, connection.product);
            return Err(Problem::unprocessable("other_product", refused));
        }
        let (company, id, if_revision) = (viewer.company(), &connection.id, revision_of(&fields)?);
        let mode: Option<PrivacyMode> = serde_json::from_value(fields.get("mode").into()).ok();
        let erases = fields.get("erase") == "yes";
        let actor = Actor::api(viewer.caller().subject.clone());
        let (status, text) = match mode {
            None => (StatusCode::UNPROCESSABLE_ENTITY, "choose what is kept of people".to_owned()),
            Some(mode) => {
                match console.people.set_mode(company, id, PrivacyChange { mode, erases, if_revision }, &actor).await {
                    Ok(_) => return Ok(see_other(&format!("/integrations/{id}?done=privacy"))),
                    Err(PeopleError::Refused(text)) => (StatusCode::UNPROCESSABLE_ENTITY, text),
                    Err(PeopleError::Store(StoreError::Conflict { .. })) => {
                        let text = "the connection was changed since you opened this page; look at it again, then save";
                        (StatusCode::PRECONDITION_FAILED, text.to_owned())
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        };
        // As it is now, so that the form can be sent again.
        let connection = find(&console, &viewer, id.as_str()).await?;
        let wrong = Some(Wrong { form: "privacy", text, trouble: None });
        let shown = Shown { wrong, privacy: Some(&fields), ..Shown::default() };
        Ok(html(status, &connection::page(&console, &viewer, &connection, shown).await?))
    };
    changed.await.unwrap_or_else(Problem::into_response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_present_mode_is_chosen_until_another_one_is() {
        let chosen = |choice: &Choice| choice.modes.iter().find(|mode| mode.chosen).map(|mode| mode.name);
        let fresh = Choice::of(PrivacyMode::Full, None);
        assert_eq!((chosen(&fresh), fresh.erase, fresh.can_erase), (Some("full"), false, true));
        let fields = Fields::parse(b"mode=aggregate&erase=yes");
        let typed = Choice::of(PrivacyMode::Full, Some(&fields));
        assert_eq!((chosen(&typed), typed.erase), (Some("aggregate"), true));
        assert!(typed.modes.iter().any(|mode| mode.now && mode.name == "full"));
        let nothing = Choice::of(PrivacyMode::Aggregate, Some(&Fields::parse(b"erase=yes")));
        assert_eq!((chosen(&nothing), nothing.erase, nothing.can_erase), (Some("aggregate"), false, false));
    }
}
