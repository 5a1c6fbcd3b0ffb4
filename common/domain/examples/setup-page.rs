//! Prints the page `docs/setup.md`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(evidence_domain::guidance::setup_page().as_bytes())
}
