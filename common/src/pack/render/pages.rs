//! The two pages of a pack. They load nothing and run nothing.

use super::status::{in_words, states};
use crate::pack::contents::Contents;
use std::fmt::Write;

/// Text as it may stand in a page.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

fn page(title: &str, body: &str) -> Vec<u8> {
    let style = "body{font:11pt/1.5 system-ui,sans-serif;max-width:50em;margin:2em auto;padding:0 1em;color:#111;background:#fff}\
        table{border-collapse:collapse;width:100%}th,td{border:1px solid #767676;padding:.3em .5em;text-align:left;vertical-align:top}\
        pre{background:#f2f2f2;padding:.8em;overflow-x:auto}@page{size:A4;margin:18mm}";
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}</main>\n</body>\n</html>\n"
    )
    .into_bytes()
}

/// What a pack does not prove. It stands wherever proofs are shown.
pub const NOT_PROVED: [&str; 5] = [
    "that Huntress told the truth",
    "that the collector ran as it says",
    "that a run without evidence of this client had none to give",
    "what happened before the first checkpoint that you hold",
    "anything against somebody who has the key and every copy",
];

/// `README.html`.
pub(super) fn readme(contents: &Contents) -> Vec<u8> {
    let scope = &contents.scope;
    let not: String = NOT_PROVED.iter().map(|text| format!("<li>{text}</li>\n")).collect();
    let body = format!(
        "<p>Evidence of <strong>{client}</strong>, collected from Huntress by {company}, of {from} to {to} ({zone}), as it stood at {at}.</p>\n\
         <h2>What it proves</h2>\n\
         <p>That the files in <code>evidence/</code> are, byte for byte, what was committed to the log of each connection; that no run in between was taken out of \
         that log; and that every number and outcome follows from the facts in the same file. The log is an RFC 6962 Merkle tree, its checkpoints are signed.</p>\n\
         <h2>What it does not prove</h2>\n<ul>\n{not}</ul>\n\
         <p><code>window.json</code> and <code>audit/events.jsonl</code> are claims of the operator. Files in <code>csv/</code>, <code>oscal/</code> and \
         <code>ocsf/</code> are made of the others and can be made again.</p>\n\
         <h2>How to check it</h2>\n\
         <p>With the program, on a machine without network:</p>\n<pre>huntress-evidence verify FILE.zip --key '{key}'</pre>\n\
         <p>Take the key from the operator by another way than this file. Keep a pack or a checkpoint, and give it to the next check as <code>--since</code>.</p>\n\
         <p>Without the program: every line of <code>manifest.json</code> has the SHA-256 of a file, and <code>manifest.note</code> is a signed note \
         (c2sp.org/signed-note, Ed25519) of the manifest's own hash:</p>\n\
         <pre>sha256sum manifest.json; head -1 manifest.note</pre>\n\
         <p>docs/verifying.md of the program has the rest, with a script that needs Python and openssl alone.</p>\n",
        client = escape(scope.client.as_str()),
        company = escape(scope.company.as_str()),
        from = scope.from,
        to = scope.to,
        zone = escape(&scope.zone),
        at = scope.at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        key = escape(&scope.key),
    );
    page(&format!("Evidence pack of {}", scope.client), &body)
}

/// `summary.html`.
pub(super) fn summary(contents: &Contents) -> Vec<u8> {
    let scope = &contents.scope;
    let window = contents.audit_window();
    let mut body = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        body,
        "<p>{} to {} ({}), as of {}. Operator: {}.</p>\n<h2>Status</h2>",
        scope.from,
        scope.to,
        escape(&scope.zone),
        scope.at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        escape(scope.company.as_str())
    );
    let states = states(contents);
    if states.is_empty() {
        body.push_str("<p>There is no evidence in this window.</p>\n");
    } else {
        body.push_str("<table>\n<thead><tr><th scope=\"col\">Evidence</th><th scope=\"col\">Status</th><th scope=\"col\">Rules</th><th scope=\"col\">As of</th></tr></thead>\n<tbody>\n");
        for state in &states {
            let rules: Vec<String> = state.verdicts.iter().map(|verdict| escape(&in_words(verdict))).collect();
            let _ = writeln!(
                body,
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td></tr>",
                state.evidence.as_str().replace('_', " "),
                escape(&state.status(contents, None).text),
                if rules.is_empty() { "no rule chosen".to_owned() } else { rules.join("<br>") },
                state.bundle.as_of().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            );
        }
        body.push_str("</tbody>\n</table>\n");
    }
    let totals = &window.totals;
    let _ = writeln!(
        body,
        "<h2>Window</h2>\n<p>{} days; longest gap {} days; {} days under an exception; {} days from before the log.</p>",
        totals.days, totals.longest_gap_days, totals.exception_days, totals.unlogged_days
    );
    body.push_str("<table>\n<thead><tr><th scope=\"col\">Connection</th><th scope=\"col\">Days with evidence</th></tr></thead>\n<tbody>\n");
    for (connection, days) in &totals.covered {
        let _ = writeln!(
            body,
            "<tr><th scope=\"row\">{}</th><td>{days} of {}</td></tr>",
            escape(connection.as_str()),
            totals.days
        );
    }
    body.push_str("</tbody>\n</table>\n<h2>What this does not prove</h2>\n<ul>\n");
    for text in NOT_PROVED {
        let _ = writeln!(body, "<li>{text}</li>");
    }
    body.push_str("</ul>\n");
    page(&format!("Summary of {}", scope.client), &body)
}
