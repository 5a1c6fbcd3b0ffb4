use serde::Serialize;

use super::generated::SatGenerated;
use super::opaque::OpaqueIds;
use crate::generated::{Draw, Stream};

#[derive(Serialize)]
pub(crate) struct Learner {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
    attributes: LearnerAttributes,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LearnerAttributes {
    first_name: &'static str,
    last_name: String,
    email: String,
    status: &'static str,
}

/// Names that nobody has and that no text contains by accident, so that a search for them finds only leaks.
const FIRST: [&str; 24] = [
    "Avenelis",
    "Brisomar",
    "Caldovra",
    "Dreyvane",
    "Elsinoba",
    "Fennarik",
    "Gwestola",
    "Hesmirin",
    "Ivolante",
    "Jorvessa",
    "Kelumbra",
    "Lorqueth",
    "Mirovane",
    "Nestavir",
    "Orlimand",
    "Pelvorra",
    "Quintabel",
    "Rosmaval",
    "Selvigor",
    "Tamberlo",
    "Ulvessin",
    "Varnolie",
    "Wendorak",
    "Zefirand",
];
const LAST: [&str; 16] = [
    "Quillmarker",
    "Brambleface",
    "Cindervale",
    "Duskhollow",
    "Emberquist",
    "Foxwhistle",
    "Gladstrand",
    "Hollowmere",
    "Inkfeather",
    "Jasperwick",
    "Knollbrook",
    "Lanternby",
    "Mosskettle",
    "Nettlepond",
    "Oakspindle",
    "Plumegarth",
];

pub(crate) fn learner(seed: u64, index: u64, status: &'static str) -> Learner {
    let mut draw = Draw::new(seed, Stream::Learner, index);
    let first_name = draw.pick(&FIRST);
    let last_name = format!("{}-{index:05}", draw.pick(&LAST));
    Learner {
        kind: "learners",
        id: OpaqueIds::LEARNER.id(seed, index),
        attributes: LearnerAttributes {
            first_name,
            email: format!("{first_name}.{last_name}@learner.example").to_ascii_lowercase(),
            last_name,
            status,
        },
    }
}

impl SatGenerated {
    pub(crate) fn learner(&self, index: u64) -> Learner {
        learner(self.spec.seed, index, if self.is_active(index) { "active" } else { "inactive" })
    }

    /// One in thirteen has left.
    pub(crate) fn is_active(&self, index: u64) -> bool {
        !Draw::new(self.spec.seed, Stream::Departed, index).chance(77)
    }
}
