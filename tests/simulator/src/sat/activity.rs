use serde::Serialize;
use serde_json::{Value, json};

use super::accounts::as_id;
use crate::generated::OffsetTimestamp;

/// Where a row of learner activity carries the id of its learner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LearnerIdAs {
    /// `attributes.learnerId`
    #[default]
    Attribute,
    /// `relationships.learner.data.id`
    Relationship,
    /// `relationships.learner.data[0].id`
    RelationshipArray,
}

#[derive(Serialize)]
pub(crate) struct Activity {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    pub(crate) attributes: ActivityAttributes,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) relationships: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActivityAttributes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) learner_id: Option<String>,
    pub(crate) progress: u64,
    pub(crate) completed_at: Option<OffsetTimestamp>,
}

impl Activity {
    pub(crate) fn new(
        id: String,
        learner: String,
        progress: u64,
        completed_at: Option<OffsetTimestamp>,
        learner_id_as: LearnerIdAs,
    ) -> Self {
        let (learner_id, relationships) = match learner_id_as {
            LearnerIdAs::Attribute => (Some(learner), None),
            how => (None, Some(relationship(&learner, how))),
        };
        let attributes = ActivityAttributes { learner_id, progress, completed_at };
        Self { kind: "learner-activities", id, attributes, relationships }
    }
}

fn relationship(learner: &str, how: LearnerIdAs) -> Value {
    let data = json!({"type": "learners", "id": learner});
    match how {
        LearnerIdAs::RelationshipArray => json!({"learner": {"data": [data]}}),
        _ => json!({"learner": {"data": data}}),
    }
}

/// Whose row it is, wherever it says so.
pub(crate) fn learner_id(row: &Value) -> Option<String> {
    let attribute = row.get("attributes").and_then(|it| it.get("learnerId")).and_then(as_id);
    attribute.or_else(|| {
        let data = row.get("relationships")?.get("learner")?.get("data")?;
        as_id(data.get(0).unwrap_or(data).get("id")?)
    })
}

pub(crate) fn is_completed(row: &Value) -> bool {
    row.get("attributes").and_then(|it| it.get("completedAt")).is_some_and(|it| !it.is_null())
}

/// The row with the learner's id in this place and in no other; a row without one stays as it is.
pub(crate) fn moved(row: &Value, how: LearnerIdAs) -> Value {
    let mut row = row.clone();
    let Some(learner) = learner_id(&row) else {
        return row;
    };
    let Some(fields) = row.as_object_mut() else {
        return row;
    };
    if let Some(attributes) = fields.get_mut("attributes").and_then(Value::as_object_mut) {
        attributes.remove("learnerId");
    }
    if let Some(relationships) = fields.get_mut("relationships").and_then(Value::as_object_mut) {
        relationships.remove("learner");
    }
    match how {
        LearnerIdAs::Attribute => {
            let attributes = fields.entry("attributes").or_insert_with(|| json!({}));
            if let Some(attributes) = attributes.as_object_mut() {
                attributes.insert("learnerId".to_owned(), json!(learner));
            }
        }
        how => {
            let relationships = fields.entry("relationships").or_insert_with(|| json!({}));
            if let (Some(all), Value::Object(own)) = (relationships.as_object_mut(), relationship(&learner, how)) {
                all.extend(own);
            }
        }
    }
    row
}
