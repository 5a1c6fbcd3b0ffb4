use serde::Serialize;

use super::draw::{Draw, Stream};
use super::ids::Ids;
use super::timestamp::{DAY, HOUR, MINUTE, Timestamp, YEAR};
use super::{ACCOUNT_ID, Generated, Shape};

/// The vendor's `Agent`, field by field, and the `status` that the compliance platforms expect.
#[derive(Serialize)]
pub(crate) struct Agent {
    pub(crate) id: i64,
    pub(crate) account_id: i64,
    pub(crate) organization_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<&'static str>,
    pub(crate) hostname: String,
    pub(crate) domain_name: &'static str,
    pub(crate) platform: &'static str,
    pub(crate) os: &'static str,
    pub(crate) os_major: i32,
    pub(crate) os_minor: i32,
    pub(crate) os_patch: i32,
    pub(crate) os_build_version: &'static str,
    pub(crate) win_build_number: Option<i32>,
    pub(crate) service_pack_major: Option<i32>,
    pub(crate) service_pack_minor: Option<i32>,
    pub(crate) arch: &'static str,
    pub(crate) version: &'static str,
    pub(crate) version_number: i32,
    pub(crate) edr_version: Option<&'static str>,
    pub(crate) external_ip: String,
    pub(crate) ipv4_address: String,
    pub(crate) mac_addresses: Vec<String>,
    pub(crate) serial_number: String,
    pub(crate) tags: &'static [&'static str],
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) last_callback_at: Option<Timestamp>,
    pub(crate) last_survey_at: Option<Timestamp>,
    pub(crate) defender_status: Option<&'static str>,
    pub(crate) defender_substatus: Option<&'static str>,
    pub(crate) defender_policy_status: Option<&'static str>,
    pub(crate) firewall_status: &'static str,
    pub(crate) tamper_protection_configured: Option<bool>,
    pub(crate) tamper_protection_actual: Option<bool>,
}

/// What an incident on the machine needs to know of it.
pub(crate) struct Machine {
    pub(crate) hostname: String,
    pub(crate) platform: &'static str,
    system: System,
}

#[derive(Clone, Copy, Default)]
struct System {
    platform: &'static str,
    prefix: &'static str,
    os: &'static str,
    build: &'static str,
    version: (i32, i32, i32),
    windows_build: Option<i32>,
}

const fn windows(prefix: &'static str, os: &'static str, build: &'static str, number: i32) -> System {
    System { platform: "windows", prefix, os, build, version: (10, 0, 0), windows_build: Some(number) }
}

const fn unix(
    platform: &'static str,
    prefix: &'static str,
    os: &'static str,
    build: &'static str,
    version: (i32, i32, i32),
) -> System {
    System { platform, prefix, os, build, version, windows_build: None }
}

/// One entry per 4 % of the fleet: 21 Windows, 3 macOS, 1 Linux.
const SYSTEMS: [System; 25] = {
    let laptop = windows("LT", "Windows 11 Pro", "22631", 22631);
    let newer = windows("LT", "Windows 11 Pro", "26100", 26100);
    let desktop = windows("WS", "Windows 11 Enterprise", "22631", 22631);
    let older = windows("WS", "Windows 10 Pro", "19045", 19045);
    let server = windows("SRV", "Windows Server 2022 Standard", "20348", 20348);
    let older_server = windows("SRV", "Windows Server 2019 Standard", "17763", 17763);
    let mac = unix("darwin", "MAC", "macOS 15.5", "24F74", (15, 5, 0));
    let older_mac = unix("darwin", "MAC", "macOS 14.7.1", "23H222", (14, 7, 1));
    let linux = unix("linux", "LNX", "Ubuntu 22.04.4 LTS", "5.15.0-113-generic", (22, 4, 4));
    [
        laptop,
        laptop,
        laptop,
        laptop,
        laptop,
        laptop,
        newer,
        newer,
        newer,
        newer,
        newer,
        desktop,
        desktop,
        desktop,
        desktop,
        older,
        older,
        older,
        server,
        server,
        older_server,
        mac,
        mac,
        older_mac,
        linux,
    ]
};
const DEPARTMENTS: [&str; 10] = ["FIN", "OPS", "HR", "ENG", "SALES", "LEGAL", "FRONT", "LAB", "SHIP", "EXEC"];
const DOMAINS: [&str; 4] = ["CORP", "WORKGROUP", "OFFICE", "AD"];
/// The agent's version, and the number the vendor makes of it: minor × 65,536 + patch.
const VERSIONS: [(&str, i32); 4] =
    [("0.14.38", 917_542), ("0.14.38", 917_542), ("0.14.36", 917_540), ("0.13.214", 852_182)];
const EDR_VERSIONS: [&str; 3] = ["0.4.12", "0.4.12", "0.4.9"];
const TAGS: [&[&str]; 5] = [&["Production"], &["Workstation"], &["Remote"], &["On-site"], &["Pilot"]];
const UNHEALTHY: [(&str, &str, &str); 3] = [
    ("Unhealthy", "Signatures out of date", "Compliant"),
    ("Unhealthy", "Real-time protection off", "Non Compliant"),
    ("Not Protected", "Service stopped", "Non Compliant"),
];

#[derive(Clone, Copy, PartialEq)]
enum Contact {
    Within24Hours,
    Within21Days,
    Longer,
    Never,
}

impl Generated {
    pub(crate) fn agent(&self, index: u64) -> Agent {
        let seed = self.spec.seed;
        let Machine { hostname, platform, system } = self.machine(index);
        let mut draw = Draw::new(seed, Stream::AgentDetail, index);
        let created_at = self.agent_created_at(index);
        let owner = self.owner_of_agent(index);
        let (contact, last_callback_at) = self.contact(&mut draw, created_at);
        let retired = self.is_retired(index);
        let (version, version_number) = draw.pick(&VERSIONS);
        let is_windows = platform == "windows";
        let defender = match (is_windows, draw.below(1000)) {
            (false, _) | (true, 950..) => None,
            (true, 0..915) => Some(("Healthy", "Up to date", "Compliant")),
            (true, _) => Some(draw.pick(&UNHEALTHY)),
        };
        let tampering_blocked = draw.chance(970);
        let bytes = draw.next().to_be_bytes();
        let [a, b, c, d, e, f, ..] = bytes;
        Agent {
            id: Ids::AGENTS.id(seed, index),
            account_id: ACCOUNT_ID,
            organization_id: owner.map(|owner| Ids::ORGANIZATIONS.id(seed, owner)),
            status: (self.spec.shape == Shape::Platform).then(|| match contact {
                _ if retired => "decommissioned",
                Contact::Within24Hours if draw.chance(100) => "active",
                Contact::Within24Hours => "online",
                Contact::Within21Days => "offline",
                Contact::Longer | Contact::Never => "missing",
            }),
            hostname,
            domain_name: draw.pick(&DOMAINS),
            platform,
            os: system.os,
            os_major: system.version.0,
            os_minor: system.version.1,
            os_patch: system.version.2,
            os_build_version: system.build,
            win_build_number: system.windows_build,
            service_pack_major: is_windows.then_some(0),
            service_pack_minor: is_windows.then_some(0),
            arch: if platform == "darwin" { "arm64" } else { "x86_64" },
            version,
            version_number,
            edr_version: draw.chance(985).then(|| draw.pick(&EDR_VERSIONS)),
            // RFC 5737: addresses that belong to nobody.
            external_ip: format!("203.0.113.{}", owner.unwrap_or_default() % 254 + 1),
            ipv4_address: format!("10.{}.{}.{}", a, b, c % 254 + 1),
            // The second bit of the first octet marks an address that no maker assigned.
            mac_addresses: vec![format!("02:{a:02x}:{b:02x}:{d:02x}:{e:02x}:{f:02x}")],
            serial_number: format!("SIM{:08X}", draw.next() >> 32),
            tags: if system.prefix == "SRV" || platform == "linux" {
                &["Server", "Production"]
            } else {
                draw.pick(&TAGS)
            },
            created_at: Timestamp(created_at),
            updated_at: Timestamp(last_callback_at.map_or(created_at, |at| (at + draw.between(0, 40)).min(self.as_of))),
            last_callback_at: last_callback_at.map(Timestamp),
            last_survey_at: last_callback_at
                .filter(|_| is_windows)
                .map(|at| Timestamp((at - draw.between(0, 30 * MINUTE)).max(created_at))),
            defender_status: defender.map(|it| it.0),
            defender_substatus: defender.map(|it| it.1),
            defender_policy_status: defender.map(|it| it.2),
            firewall_status: match draw.below(1000) {
                0..930 => "Enabled",
                930..996 => "Disabled",
                996 => "Pending Isolation",
                997 => "Pending Release",
                _ => "Isolated",
            },
            tamper_protection_configured: (platform != "linux").then_some(true),
            tamper_protection_actual: (platform != "linux" && contact != Contact::Never).then_some(tampering_blocked),
        }
    }

    pub(crate) fn machine(&self, index: u64) -> Machine {
        let mut draw = Draw::new(self.spec.seed, Stream::AgentMachine, index);
        let system = draw.pick(&SYSTEMS);
        let hostname = format!("{}-{}-{:05}", draw.pick(&DEPARTMENTS), system.prefix, index + 1);
        Machine { hostname, platform: system.platform, system }
    }

    /// Of 1000: 960 called back within a day, 25 within the vendor's 21 days, 12 longer ago, 3 never. One in ten of the
    /// last three days' installations has not called back yet either.
    fn contact(&self, draw: &mut Draw, created_at: i64) -> (Contact, Option<i64>) {
        let contact = match draw.below(1000) {
            _ if created_at > self.as_of - 3 * DAY && draw.chance(100) => Contact::Never,
            0..960 => Contact::Within24Hours,
            960..985 => Contact::Within21Days,
            985..997 => Contact::Longer,
            _ => Contact::Never,
        };
        // Half an hour away from each limit, so that a run minutes after `as_of` sees the same states.
        let age = match contact {
            Contact::Within24Hours if draw.chance(850) => draw.between(5, 15 * MINUTE),
            Contact::Within24Hours => draw.between(15 * MINUTE, 23 * HOUR + 30 * MINUTE),
            Contact::Within21Days => draw.between(24 * HOUR + 30 * MINUTE, 20 * DAY),
            Contact::Longer => draw.between(22 * DAY, 120 * DAY),
            Contact::Never => return (contact, None),
        };
        let at = self.as_of - age;
        if at >= created_at {
            return (contact, Some(at));
        }
        // Installed since: the last call was the first.
        let contact = match self.as_of - created_at {
            age if age <= DAY => Contact::Within24Hours,
            age if age <= 21 * DAY => Contact::Within21Days,
            _ => Contact::Longer,
        };
        (contact, Some(created_at))
    }

    pub(crate) fn agent_created_at(&self, index: u64) -> i64 {
        self.spread(index, self.spec.agents, 4 * YEAR, 0)
    }

    /// Whether the platforms' shape calls the agent decommissioned. The vendor's own list never holds such an agent: it
    /// vanishes on uninstalling.
    pub(crate) fn is_retired(&self, index: u64) -> bool {
        self.spec.shape == Shape::Platform && Draw::new(self.spec.seed, Stream::AgentRetired, index).chance(5)
    }
}
