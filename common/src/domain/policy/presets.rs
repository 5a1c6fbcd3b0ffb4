//! The policies that the product ships. No standard gives their numbers: they are where many begin.

use super::Policy;
use std::sync::{Arc, LazyLock};

const FILES: [&str; 3] =
    [include_str!("presets/training.json"), include_str!("presets/baseline.json"), include_str!("presets/strict.json")];

static PRESETS: LazyLock<Vec<Arc<Policy>>> = LazyLock::new(|| {
    // The files are part of the program, and a test reads them: none is left out.
    FILES.iter().filter_map(|file| Policy::parse(file).ok()).map(Arc::new).collect()
});

/// All of them: `training`, `baseline`, `strict`.
#[must_use]
pub fn presets() -> &'static [Arc<Policy>] {
    &PRESETS
}

/// A preset by name, in its newest version.
#[must_use]
pub fn preset(name: &str) -> Option<&'static Arc<Policy>> {
    presets().iter().find(|policy| policy.name().as_str() == name)
}

macro_rules! presets {
    ($($(#[$doc:meta])* $name:ident),*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name() -> &'static Arc<Policy> {
            preset(stringify!($name)).unwrap_or_else(|| unreachable!("a test reads the preset"))
        }
    )*};
}

presets!(
    /// Coverage 90 and 70, phishing 5 and 15: in force for every client until something replaces it.
    training,
    /// Endpoint rules to begin with.
    baseline,
    /// Endpoint rules without slack.
    strict
);
