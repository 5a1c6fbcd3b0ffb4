//! Completion certificates. How the vendor asks and answers is not documented, so all of it is a choice.

use axum::http::StatusCode;
use serde_json::json;

use super::voice::{JSON_API, SatVoice};
use crate::fault::FaultKind;
use crate::generated::{Draw, Stream};
use crate::server::Shared;
use crate::server::answer::Call;
use crate::server::reply::{Answer, escape, finish, with_body};

const PDF: &str = "application/pdf";
const SIGNATURE: &str = "signature";

/// What a certificate is answered with. One that does not exist, because the learner has not completed the assignment, is
/// a 404.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CertificateAnswer {
    /// JSON with `data.attributes.url`, a signed address below the same origin that needs no token.
    #[default]
    Url,
    /// The PDF document itself.
    Document,
    /// There is never one.
    NotFound,
}

pub(super) fn answer(shared: &Shared, call: &Call, voice: SatVoice, fault: Option<FaultKind>) -> Answer {
    let settings = &shared.settings.sat;
    let Some(learner) = call.request.parameter(&settings.certificate_parameter) else {
        let text = format!("The {} parameter is required.", settings.certificate_parameter);
        return voice.error(StatusCode::BAD_REQUEST, &text);
    };
    let account = shared.state().sat_account.clone();
    if !account.is_some_and(|it| it.has_completed(&call.id, learner)) {
        return voice.not_found();
    }
    match settings.certificate {
        CertificateAnswer::NotFound => voice.not_found(),
        CertificateAnswer::Document => finish(shared, &call.headers, PDF, document(&name(&call.id, learner)), fault),
        CertificateAnswer::Url => {
            let origin = match &fault {
                Some(FaultKind::ForeignNextUrl(origin)) => origin,
                _ => &shared.settings.origin,
            };
            let name = name(&call.id, learner);
            let url = format!("{origin}/certificates/{}?{SIGNATURE}={}", escape(&name), signature(&escape(&name)));
            let mut body = json!({"data": {"type": "completion-certificates", "attributes": {"url": url}}});
            if let (Some(FaultKind::MissingKey), Some(fields)) = (&fault, body.as_object_mut()) {
                fields.remove("data");
            }
            finish(shared, &call.headers, JSON_API, body.to_string().into_bytes(), fault)
        }
    }
}

/// The document at a signed address.
pub(super) fn file(shared: &Shared, call: &Call, fault: Option<FaultKind>) -> Answer {
    match fault {
        Some(FaultKind::MissingKey) => with_body(StatusCode::OK, PDF, Vec::new().into()),
        fault => finish(shared, &call.headers, PDF, document(&call.id), fault),
    }
}

fn name(assignment: &str, learner: &str) -> String {
    format!("{assignment}.{learner}.pdf")
}

pub(super) fn is_signed(name: &str, query: &[(String, String)]) -> bool {
    query.iter().any(|(key, value)| key == SIGNATURE && *value == signature(name))
}

fn signature(name: &str) -> String {
    let seed = name.bytes().fold(0, |seed: u64, byte| seed.wrapping_mul(131).wrapping_add(u64::from(byte)));
    format!("{:016x}", Draw::new(seed, Stream::AccessToken, u64::MAX).next())
}

/// A page with one line of text, by the letter of the format: a reader opens it, and equal names give equal bytes.
fn document(name: &str) -> Vec<u8> {
    let text: String = name.chars().filter(|it| !"()\\".contains(*it)).collect();
    let content = format!("BT /F1 18 Tf 72 720 Td (Certificate of completion {text}) Tj ET");
    let objects = [
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        "<</Type/Pages/Kids[3 0 R]/Count 1>>".to_owned(),
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>".to_owned(),
        format!("<</Length {}>>stream\n{content}\nendstream", content.len()),
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".to_owned(),
    ];
    let mut document = "%PDF-1.4\n".to_owned();
    let mut table = "0000000000 65535 f \n".to_owned();
    for (number, object) in (1..).zip(&objects) {
        table.push_str(&format!("{:010} 00000 n \n", document.len()));
        document.push_str(&format!("{number} 0 obj{object}endobj\n"));
    }
    let (start, count) = (document.len(), objects.len() + 1);
    document
        .push_str(&format!("xref\n0 {count}\n{table}trailer<</Size {count}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n"));
    document.into_bytes()
}
