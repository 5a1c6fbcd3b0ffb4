//! Checkpoints: what is signed about a tree, in the form of <https://c2sp.org/tlog-checkpoint>.

use super::Hash;
use super::proof::TreeHead;
use crate::id::{CompanyId, ConnectionId};
use std::fmt;

/// Which log a checkpoint is of: `{log name}/{company}/{connection}`, or `{log name}/{company}` for the company's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(String);

impl Origin {
    /// The log of a connection.
    ///
    /// ```
    /// use evidence_domain::{id::*, log::Origin};
    /// let (company, connection) = (CompanyId::parse("msp-acme").unwrap(), ConnectionId::parse("edr").unwrap());
    /// assert_eq!(Origin::of_connection("log.example", &company, &connection).to_string(), "log.example/msp-acme/edr");
    /// ```
    #[must_use]
    pub fn of_connection(log: &str, company: &CompanyId, connection: &ConnectionId) -> Self {
        Self(format!("{log}/{company}/{connection}"))
    }

    /// The company's own log.
    #[must_use]
    pub fn of_company(log: &str, company: &CompanyId) -> Self {
        Self(format!("{log}/{company}"))
    }

    /// As it stands in a checkpoint.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which log of a company: a connection's, or its own, of decisions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// Whose.
    pub company: CompanyId,
    /// Which connection's; `None` for the company's own.
    pub connection: Option<ConnectionId>,
}

impl LogId {
    /// The log of a connection.
    #[must_use]
    pub fn of_connection(company: &CompanyId, connection: &ConnectionId) -> Self {
        Self { company: company.clone(), connection: Some(connection.clone()) }
    }

    /// The company's own log.
    #[must_use]
    pub fn of_company(company: &CompanyId) -> Self {
        Self { company: company.clone(), connection: None }
    }

    /// As it stands in checkpoints of the log of this name.
    #[must_use]
    pub fn origin(&self, log: &str) -> Origin {
        match &self.connection {
            Some(connection) => Origin::of_connection(log, &self.company, connection),
            None => Origin::of_company(log, &self.company),
        }
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.connection {
            Some(connection) => write!(f, "{}/{connection}", self.company),
            None => write!(f, "{}/_company", self.company),
        }
    }
}

/// The state of a log: what its signature is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: Origin,
    /// Its tree.
    pub head: TreeHead,
}

/// A text that is no checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a checkpoint must have an origin, a size and a root, a line each")]
pub struct InvalidCheckpoint;

impl Checkpoint {
    /// The text that is signed.
    ///
    /// ```
    /// use evidence_domain::log::*;
    /// let text = "log.example/msp-acme\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
    /// assert_eq!(Checkpoint::parse(text).unwrap().text(), text);
    /// ```
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.head.size, self.head.root)
    }

    /// Reads the text of a checkpoint. Lines after the third are allowed by the format and ignored.
    ///
    /// # Errors
    /// [`InvalidCheckpoint`].
    pub fn parse(text: &str) -> Result<Self, InvalidCheckpoint> {
        let lines = text.strip_suffix('\n').ok_or(InvalidCheckpoint)?;
        let mut lines = lines.split('\n');
        let mut line = || lines.next().filter(|line| !line.is_empty()).ok_or(InvalidCheckpoint);
        let (origin, size, root) = (line()?, line()?, line()?);
        let plain = size.bytes().all(|digit| digit.is_ascii_digit()) && (size == "0" || !size.starts_with('0'));
        if !plain || lines.any(str::is_empty) {
            return Err(InvalidCheckpoint);
        }
        let size = size.parse().map_err(|_| InvalidCheckpoint)?;
        let root = Hash::parse(root).map_err(|_| InvalidCheckpoint)?;
        Ok(Self { origin: Origin(origin.to_owned()), head: TreeHead { size, root } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_checkpoint_is_refused() {
        let good = "o\n12\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
        assert_eq!(Checkpoint::parse(good).unwrap().head.size, 12);
        assert!(Checkpoint::parse(&format!("{good}extension\n")).is_ok());
        let bad = [
            good.trim_end().to_owned(),
            format!("{good}\n"),
            format!("\n{good}"),
            good.replace("12", "012"),
            good.replace("12", "+12"),
            good.replace("12", "18446744073709551616"),
            good.replace("12", ""),
            good.replace('=', ""),
            "o\n12\n".to_owned(),
            String::new(),
        ];
        for bad in bad {
            assert_eq!(Checkpoint::parse(&bad), Err(InvalidCheckpoint), "{bad:?}");
        }
    }
}
