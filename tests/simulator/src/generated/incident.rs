use serde::{Serialize, Serializer};

use super::draw::{Draw, Stream};
use super::ids::Ids;
use super::threat::{THREATS, Threat};
use super::timestamp::{DAY, HOUR, MINUTE, Timestamp, YEAR};
use super::{ACCOUNT_ID, Generated, Shape};

/// The customers answer within days: what is older than this is over.
const RECENT: i64 = 10 * DAY;

#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Incident {
    Vendor(VendorIncident),
    Platform(PlatformIncident),
}

/// The vendor's `IncidentReport`, field by field.
#[derive(Serialize)]
pub(crate) struct VendorIncident {
    id: i64,
    account_id: i64,
    organization_id: Option<i64>,
    agent_id: Option<i64>,
    platform: &'static str,
    severity: &'static str,
    status: &'static str,
    subject: String,
    summary: &'static str,
    body: String,
    indicator_types: [&'static str; 1],
    indicator_counts: Counts,
    sent_at: Option<Timestamp>,
    closed_at: Option<Timestamp>,
    status_updated_at: Timestamp,
    updated_at: Timestamp,
    remediations: Remediations,
}

/// An incident as the compliance platforms describe it. The times and words that only the vendor has are left out.
#[derive(Serialize)]
pub(crate) struct PlatformIncident {
    id: i64,
    account_id: i64,
    organization_id: Option<i64>,
    agent_id: Option<i64>,
    platform: &'static str,
    severity: &'static str,
    status: &'static str,
    subject: String,
    summary: &'static str,
    body: String,
    indicator_types: [&'static str; 1],
    indicator_counts: Counts,
    created_at: Timestamp,
    detected_at: Timestamp,
    resolved_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolution_source: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_by: Option<&'static str>,
    updated_at: Timestamp,
}

#[derive(Serialize)]
struct Remediations {
    total_count: usize,
    has_more: bool,
    items: Vec<Remediation>,
}

#[derive(Serialize)]
struct Remediation {
    id: i64,
    #[serde(rename = "type")]
    kind: &'static str,
    action: &'static str,
    parameters: [Parameter; 1],
    status: &'static str,
    approved_at: Option<Timestamp>,
    approved_by: Option<Approver>,
    completed_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct Parameter {
    name: &'static str,
    description: &'static str,
}

#[derive(Serialize)]
struct Approver {
    id: String,
    name: &'static str,
    email: String,
}

/// The vendor's map from indicator to count, with zeros for the two commonest.
struct Counts {
    kind: &'static str,
    count: u64,
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let zeros = ["footholds", "process_detections"];
        serializer.collect_map(
            [(self.kind, self.count)]
                .into_iter()
                .chain(zeros.into_iter().filter(|it| *it != self.kind).map(|it| (it, 0))),
        )
    }
}

/// How an incident went, whatever it is called.
#[derive(Clone, Copy, PartialEq)]
enum Course {
    Open,
    Remediating,
    Closed { automatically: bool },
    Dismissed { by_partner: bool },
    Deleting,
}

/// Where an incident happened: the cheap part, which also counts for the organization.
pub(crate) struct Scene {
    pub(crate) agent: Option<u64>,
    pub(crate) organization: Option<u64>,
}

impl Incident {
    pub(crate) fn platform(&self) -> &'static str {
        match self {
            Self::Vendor(it) => it.platform,
            Self::Platform(it) => it.platform,
        }
    }

    pub(crate) fn severity(&self) -> &'static str {
        match self {
            Self::Vendor(it) => it.severity,
            Self::Platform(it) => it.severity,
        }
    }

    pub(crate) fn status(&self) -> &'static str {
        match self {
            Self::Vendor(it) => it.status,
            Self::Platform(it) => it.status,
        }
    }

    pub(crate) fn updated_at(&self) -> Timestamp {
        match self {
            Self::Vendor(it) => it.updated_at,
            Self::Platform(it) => it.updated_at,
        }
    }
}

impl Generated {
    pub(crate) fn incident(&self, index: u64) -> Incident {
        let seed = self.spec.seed;
        let id = Ids::INCIDENTS.id(seed, index);
        let scene = self.scene(index);
        let mut draw = Draw::new(seed, Stream::IncidentDetail, index);
        let machine = scene.agent.map(|agent| self.machine(agent));
        let threat = draw.pick(if machine.is_some() { THREATS.on_hosts } else { THREATS.on_identities });
        let organization_name = scene.organization.map(|it| self.organization_name(it).0).unwrap_or_default();
        let place = machine.as_ref().map_or("an identity", |it| it.hostname.as_str());
        let severity = match draw.below(1000) {
            0..120 => "critical",
            120..520 => "high",
            520..700 if self.spec.shape == Shape::Platform => "medium",
            _ => "low",
        };
        let subject = format!("{} - Incident on {place} ({organization_name})", severity.to_ascii_uppercase());
        let body = format!("{} Seen on {place}.", threat.body);
        let created_at = self.incident_created_at(index);
        let detected_at = (created_at + draw.between(2 * MINUTE, 9 * HOUR)).min(self.as_of);
        let course = self.course(&mut draw, created_at);
        // The square of a uniform number: most within some hours, the slowest after three days.
        let effort = draw.skewed_below(72 * 60).saturating_add(12);
        let ended_at = detected_at.saturating_add_unsigned(effort * 60).min(self.as_of);
        let organization_id = scene.organization.map(|it| Ids::ORGANIZATIONS.id(seed, it));
        let agent_id = scene.agent.map(|it| Ids::AGENTS.id(seed, it));
        let platform = machine.as_ref().map_or("microsoft_365", |it| it.platform);
        let counts = Counts { kind: threat.indicator, count: draw.below(3) + 1 };
        let is_open = matches!(course, Course::Open | Course::Remediating);
        let updated_at = Timestamp(if is_open { detected_at } else { ended_at });
        match self.spec.shape {
            Shape::Vendor => {
                let sent_at = match course {
                    Course::Remediating | Course::Deleting => None,
                    Course::Dismissed { .. } if draw.chance(500) => None,
                    _ => Some(Timestamp(detected_at)),
                };
                Incident::Vendor(VendorIncident {
                    id,
                    account_id: ACCOUNT_ID,
                    organization_id,
                    agent_id,
                    platform,
                    severity,
                    status: match course {
                        Course::Open => "sent",
                        Course::Remediating => "auto_remediating",
                        Course::Closed { .. } => "closed",
                        Course::Dismissed { by_partner: true } => "partner_dismissed",
                        Course::Dismissed { by_partner: false } => "dismissed",
                        Course::Deleting => "deleting",
                    },
                    subject,
                    summary: threat.summary,
                    body,
                    indicator_types: [threat.indicator],
                    indicator_counts: counts,
                    sent_at,
                    closed_at: matches!(course, Course::Closed { .. }).then_some(Timestamp(ended_at)),
                    status_updated_at: updated_at,
                    updated_at,
                    remediations: self.remediations(&mut draw, course, &threat, &scene, (detected_at, ended_at), id),
                })
            }
            Shape::Platform => {
                let (source, person) = match course {
                    Course::Closed { automatically: true } => (Some("automated"), Some("system")),
                    Course::Closed { automatically: false } => (Some("manual"), Some("analyst")),
                    _ => (None, None),
                };
                // Platforms know the one or the other key.
                let named_by_source = draw.chance(500);
                Incident::Platform(PlatformIncident {
                    id,
                    account_id: ACCOUNT_ID,
                    organization_id,
                    agent_id,
                    platform,
                    severity,
                    status: match course {
                        Course::Open => "open",
                        Course::Remediating if draw.chance(500) => "investigating",
                        Course::Remediating => "in_progress",
                        Course::Closed { .. } if draw.chance(200) => "closed",
                        Course::Closed { .. } => "resolved",
                        Course::Dismissed { .. } | Course::Deleting => "dismissed",
                    },
                    subject,
                    summary: threat.summary,
                    body,
                    indicator_types: [threat.indicator],
                    indicator_counts: counts,
                    created_at: Timestamp(created_at),
                    detected_at: Timestamp(detected_at),
                    resolved_at: matches!(course, Course::Closed { .. }).then_some(Timestamp(ended_at)),
                    resolution_source: source.filter(|_| named_by_source),
                    resolved_by: person.filter(|_| !named_by_source),
                    updated_at,
                })
            }
        }
    }

    /// Nine of ten on a host that existed by then, the others on an identity.
    pub(crate) fn scene(&self, index: u64) -> Scene {
        let mut draw = Draw::new(self.spec.seed, Stream::IncidentSubject, index);
        let created_at = self.incident_created_at(index);
        let installed = self.agents_created_by(created_at);
        let agent = (installed > 0 && draw.chance(900)).then(|| draw.below(installed));
        let organization = match agent {
            Some(agent) => self.owner_of_agent(agent),
            None => (self.spec.organizations > 0).then(|| draw.skewed_below(self.staffed_organizations())),
        };
        Scene { agent, organization }
    }

    /// Ascending with the index: the newest sixth in the last ten days, the others evenly over the two years before.
    pub(crate) fn incident_created_at(&self, index: u64) -> i64 {
        let recent = self.spec.incidents.div_ceil(6);
        let older = self.spec.incidents - recent;
        let (place, count, oldest, newest) = match index.checked_sub(older) {
            Some(place) => (place, recent, RECENT, 0),
            None => (index, older, 2 * YEAR, RECENT),
        };
        let mut draw = Draw::new(self.spec.seed, Stream::IncidentTime, index);
        let width = (oldest - newest) / i64::try_from(count.max(1)).unwrap_or(i64::MAX);
        self.spread(place, count, oldest, newest) + draw.between(0, width.saturating_sub(1)).max(0)
    }

    /// Only of the last ten days some are open; what is older is over.
    fn course(&self, draw: &mut Draw, created_at: i64) -> Course {
        let automatically = draw.chance(550);
        let is_recent = created_at >= self.as_of - RECENT;
        match draw.below(1000) {
            0..380 if is_recent => Course::Open,
            380..540 if is_recent => Course::Remediating,
            0..850 => Course::Closed { automatically },
            850..970 => Course::Dismissed { by_partner: false },
            970..993 => Course::Dismissed { by_partner: true },
            _ => Course::Deleting,
        }
    }

    fn remediations(
        &self,
        draw: &mut Draw,
        course: Course,
        threat: &Threat,
        scene: &Scene,
        (detected_at, ended_at): (i64, i64),
        incident: i64,
    ) -> Remediations {
        if matches!(course, Course::Dismissed { .. } | Course::Deleting) {
            return Remediations { total_count: 0, has_more: false, items: Vec::new() };
        }
        let is_over = matches!(course, Course::Closed { .. });
        let by_hand = matches!(course, Course::Closed { automatically: false } | Course::Open);
        let count = if draw.chance(100) { 2 } else { 1 };
        let items: Vec<_> = (0..count)
            .map(|place| {
                let approved = is_over && by_hand;
                Remediation {
                    id: incident * 10 + place,
                    kind: if by_hand && place == 0 { "manual" } else { "assisted" },
                    action: threat.action,
                    parameters: [Parameter { name: threat.parameter, description: threat.value }],
                    status: match (is_over, by_hand) {
                        (true, _) => "completed",
                        (false, true) => "unapproved",
                        (false, false) => "approved",
                    },
                    approved_at: (approved || !by_hand).then_some(Timestamp(detected_at)),
                    approved_by: approved.then(|| Approver {
                        id: format!("{}", 70_000 + draw.below(900)),
                        name: "Robin Example",
                        email: match scene.organization {
                            Some(it) => format!("robin@{}.example", self.organization_name(it).1),
                            None => "robin@msp.example".to_owned(),
                        },
                    }),
                    completed_at: is_over.then_some(Timestamp(ended_at)),
                }
            })
            .collect();
        Remediations { total_count: items.len(), has_more: false, items }
    }
}
