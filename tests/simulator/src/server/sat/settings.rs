use super::certificate::CertificateAnswer;
use super::page::CountsAt;
use super::token::TokenMode;
use super::voice::ErrorShape;
use crate::sat::{LearnerIdAs, SatAccount};
use crate::server::SimulatorBuilder;
use axum::http::StatusCode;

/// The API client that a simulator knows unless told otherwise.
pub const SAT_CLIENT_ID: &str = "9c1e-simulator-client";
pub const SAT_CLIENT_SECRET: &str = "sat-simulator-secret-Vh3kQz";

pub(in crate::server) struct SatSettings {
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) token_mode: TokenMode,
    pub(super) token_lifetime: Option<u32>,
    pub(super) errors: ErrorShape,
    pub(super) token_errors: ErrorShape,
    pub(super) counts_at: CountsAt,
    pub(super) counts_on_list: bool,
    pub(super) max_page: u32,
    pub(super) refused_above: Option<(u64, StatusCode)>,
    pub(super) learner_id_as: Option<LearnerIdAs>,
    pub(super) per_minute: Option<u32>,
    pub(super) per_hour: Option<u32>,
    pub(super) repeat_last_page: bool,
    pub(super) certificate: CertificateAnswer,
    pub(super) certificate_parameter: String,
}

impl Default for SatSettings {
    fn default() -> Self {
        Self {
            client_id: SAT_CLIENT_ID.to_owned(),
            client_secret: SAT_CLIENT_SECRET.to_owned(),
            token_mode: TokenMode::default(),
            token_lifetime: None,
            errors: ErrorShape::default(),
            token_errors: ErrorShape::default(),
            counts_at: CountsAt::default(),
            counts_on_list: false,
            max_page: 500,
            refused_above: None,
            learner_id_as: None,
            per_minute: Some(200),
            per_hour: Some(1500),
            repeat_last_page: false,
            certificate: CertificateAnswer::default(),
            certificate_parameter: "learnerId".to_owned(),
        }
    }
}

/// The training half. None of it matters unless a [`SatAccount`] is served.
impl SimulatorBuilder {
    /// Serves this training account, too. Default: none, and its paths do not exist.
    pub fn sat(mut self, account: SatAccount) -> Self {
        self.sat = Some(account);
        self
    }

    /// Default: [`SAT_CLIENT_ID`] and [`SAT_CLIENT_SECRET`].
    pub fn sat_credentials(mut self, id: &str, secret: &str) -> Self {
        self.settings.sat.client_id = id.to_owned();
        self.settings.sat.client_secret = secret.to_owned();
        self
    }

    /// How a client may authenticate. Default: [`TokenMode::Basic`].
    pub fn token_mode(mut self, mode: TokenMode) -> Self {
        self.settings.sat.token_mode = mode;
        self
    }

    /// The scopes that the client may have; asking for any other is `invalid_scope`. Default: [`SCOPES`](super::SCOPES).
    pub fn scopes_granted(mut self, scopes: Vec<&str>) -> Self {
        self.sat_client.granted = scopes.into_iter().map(str::to_owned).collect();
        self
    }

    /// Whether the client was revoked: always `invalid_client`. Tokens that it has stay good. Default: no.
    pub fn revoked_client(mut self, revoked: bool) -> Self {
        self.sat_client.revoked = revoked;
        self
    }

    /// How many API requests each token is good for; after that it is refused with 401, as if it had expired in mid-run.
    /// Default: as many as fit into its hour.
    pub fn token_lifetime_requests(mut self, requests: Option<u32>) -> Self {
        self.settings.sat.token_lifetime = requests;
        self
    }

    /// The shape of the API's error bodies. Default: [`ErrorShape::Usual`].
    pub fn sat_errors(mut self, shape: ErrorShape) -> Self {
        self.settings.sat.errors = shape;
        self
    }

    /// The shape of the token endpoint's error bodies. Default: [`ErrorShape::Usual`].
    pub fn token_errors(mut self, shape: ErrorShape) -> Self {
        self.settings.sat.token_errors = shape;
        self
    }

    /// Where an account, asked for by id, has its counts. Default: [`CountsAt::DataMeta`].
    pub fn counts_at(mut self, place: CountsAt) -> Self {
        self.settings.sat.counts_at = place;
        self
    }

    /// Whether listed accounts have their counts, too, in the `meta` of each. Default: no.
    pub fn counts_on_list(mut self, on: bool) -> Self {
        self.settings.sat.counts_on_list = on;
        self
    }

    /// Serves at most this many records a page, whatever is asked for, and says so in `perPage`. Default: 500.
    pub fn sat_max_page(mut self, records: u32) -> Self {
        self.settings.sat.max_page = records.max(1);
        self
    }

    /// Refuses larger pages than this with an error of this status, or 400 if that is none, instead of cutting them down. Default: no.
    pub fn sat_refuses_pages_above(mut self, records: u64, status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        self.settings.sat.refused_above = Some((records, status));
        self
    }

    /// Where rows of learner activity carry the learner's id. Default: an attribute in generated accounts, and in others
    /// wherever the record has it.
    pub fn learner_id_as(mut self, place: LearnerIdAs) -> Self {
        self.settings.sat.learner_id_as = Some(place);
        self
    }

    /// API requests in any minute and in any hour. Default: 200 and 1,500. The token endpoint has no limit.
    pub fn sat_rate_limit(mut self, per_minute: Option<u32>, per_hour: Option<u32>) -> Self {
        self.settings.sat.per_minute = per_minute;
        self.settings.sat.per_hour = per_hour;
        self
    }

    /// Answers any number behind the last page with the last page's records. Default: no, with an empty page.
    pub fn repeat_last_page(mut self, on: bool) -> Self {
        self.settings.sat.repeat_last_page = on;
        self
    }

    /// Default: [`CertificateAnswer::Url`].
    pub fn certificate(mut self, answer: CertificateAnswer) -> Self {
        self.settings.sat.certificate = answer;
        self
    }

    /// The parameter that names the learner. Default: `learnerId`.
    pub fn certificate_parameter(mut self, name: &str) -> Self {
        self.settings.sat.certificate_parameter = name.to_owned();
        self
    }
}
