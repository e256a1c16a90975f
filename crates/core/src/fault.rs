//! Whose doing a failure is, and what to do next.
//!
//! Everything that crosses a port fails with a [`Failure`]: the error with its chain, whose doing it is, and a hint.
//! The fault alone decides who is told and which exit code is given.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Whose doing a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// The app's: its source, its settings, what it did while building.
    Source,
    /// The base image's: its recipe or its contract.
    Base,
    /// The machine's or our own.
    House,
    /// Who called: a name, version or revision that does not exist.
    Caller,
}

impl Fault {
    /// The exit code of a command that failed so (docs/reference/exit-codes.md).
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Source => 3,
            Self::Base => 4,
            Self::House => 5,
            Self::Caller => 6,
        }
    }

    /// For people: "whose doing".
    pub fn whose(self) -> &'static str {
        match self {
            Self::Source => "the source",
            Self::Base => "the base image",
            Self::House => "this machine or Tillage itself",
            Self::Caller => "the command",
        }
    }
}

/// An error that knows whose doing it is.
pub trait Blame: Error + Send + Sync + 'static {
    /// Whose doing.
    fn fault(&self) -> Fault;

    /// What to do next, where we know.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// What crosses a port when something failed.
pub struct Failure {
    /// Whose doing it is.
    pub fault: Fault,
    /// What was attempted, on what; its sources are the chain of causes.
    pub error: Box<dyn Error + Send + Sync>,
    /// What to do next.
    pub hint: Option<String>,
    /// The last useful lines of a log, where a step failed.
    pub evidence: Vec<String>,
}

impl Failure {
    /// A failure without a type of its own.
    pub fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self { fault, error: message.into().into(), hint: None, evidence: Vec::new() }
    }

    /// A failure of the house while doing `deed`.
    pub fn house(deed: impl Into<String>, source: impl Error + Send + Sync + 'static) -> Self {
        Self {
            fault: Fault::House,
            error: Box::new(Deed { deed: deed.into(), source: Box::new(source) }),
            hint: None,
            evidence: Vec::new(),
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with the log's last lines.
    #[must_use]
    pub fn evidence(mut self, lines: Vec<String>) -> Self {
        self.evidence = lines;
        self
    }

    /// The same as the cause of something larger that was attempted.
    #[must_use]
    pub fn within(self, deed: impl Into<String>) -> Self {
        Self { error: Box::new(Deed { deed: deed.into(), source: self.error }), ..self }
    }

    /// The error and its causes, joined by `: `.
    pub fn chain(&self) -> String {
        let mut text = self.error.to_string();
        let mut cause = self.error.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

/// A deed that failed, with its cause.
#[derive(Debug, thiserror::Error)]
#[error("{deed}")]
struct Deed {
    deed: String,
    source: Box<dyn Error + Send + Sync>,
}

impl<E: Blame> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { fault: error.fault(), hint: error.hint(), error: Box::new(error), evidence: Vec::new() }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.fault, self.chain())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chain())
    }
}
