//! What a check found.

use super::Stop;
use serde::Serialize;
use std::fmt;

/// A step of the check. Each has its own word for a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The zip file.
    Container,
    /// The list of files, their hashes and sizes.
    Manifest,
    /// The bundles are of this client, and where they should be.
    Bundle,
    /// The statements are canonical and of their log.
    Statement,
    /// Size and root of every log.
    Log,
    /// The signatures of manifest and checkpoints.
    Signature,
    /// The bundles are in the trees of their runs.
    BundleProof,
    /// The runs are in their logs.
    Inclusion,
    /// What has no proof is from before the log.
    Unlogged,
    /// The logs go on from older ones.
    Consistency,
    /// Every run of the window has its bundle, or is listed.
    Window,
    /// Decisions against their commitments.
    Decision,
    /// Numbers and outcomes, computed again.
    Numbers,
    /// Tables, exports and pages, made again.
    Rendering,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Container => "container",
            Self::Manifest => "manifest",
            Self::Bundle => "bundle",
            Self::Statement => "statement",
            Self::Log => "log",
            Self::Signature => "signature",
            Self::BundleProof => "bundle proof",
            Self::Inclusion => "inclusion",
            Self::Unlogged => "unlogged",
            Self::Consistency => "consistency",
            Self::Window => "window",
            Self::Decision => "decision",
            Self::Numbers => "numbers",
            Self::Rendering => "rendering",
        })
    }
}

/// Something wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// The file that it was found in; null for the container itself.
    pub file: Option<String>,
    /// What is wrong.
    pub problem: String,
}

impl Failed {
    /// Something wrong with a file.
    pub(super) fn of(file: &str, problem: impl Into<String>) -> Self {
        Self { file: Some(clean(file)), problem: problem.into() }
    }

    /// Something wrong with the whole.
    pub(super) fn whole(problem: impl Into<String>) -> Self {
        Self { file: None, problem: problem.into() }
    }
}

/// A text without what could move a terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(300).collect()
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{file}: {}", self.problem),
            None => f.write_str(&self.problem),
        }
    }
}

/// A step and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepReport {
    /// The step.
    pub step: Step,
    /// Whether it found nothing wrong.
    pub ok: bool,
    /// What was checked.
    pub detail: String,
    /// What is wrong.
    pub failures: Vec<Failed>,
}

/// What a check found, step by step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The steps that were taken. The last one may have failed.
    pub steps: Vec<StepReport>,
}

impl Report {
    /// The first thing wrong.
    #[must_use]
    pub fn failure(&self) -> Option<(Step, &Failed)> {
        let step = self.steps.iter().find(|step| !step.ok)?;
        Some((step.step, step.failures.first()?))
    }

    /// Whether every step was taken, and found nothing wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.steps.last().is_some_and(|last| last.step == Step::Rendering) && self.steps.iter().all(|step| step.ok)
    }

    pub(super) fn step<T>(&mut self, step: Step, result: Result<T, Vec<Failed>>) -> Result<T, Stop> {
        result.map_err(|failures| {
            let detail = format!("{} wrong", failures.len());
            self.steps.push(StepReport { step, ok: false, detail, failures });
            Stop
        })
    }

    pub(super) fn passed(&mut self, step: Step, detail: String) {
        self.steps.push(StepReport { step, ok: true, detail, failures: Vec::new() });
    }
}
