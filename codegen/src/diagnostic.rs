//! What is wrong with a description, and where.

use crate::model::Origin;
use serde_saphyr::Location;
use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that is wrong with a description.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Diagnostic {
    /// The file, as it was named to the loader.
    pub file: PathBuf,
    /// Line, from 1; 0 where the whole file is meant.
    pub line: u64,
    /// Column, from 1; 0 where the whole file is meant.
    pub column: u64,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// About a place in a file.
    pub fn at(file: &Path, location: Location, message: impl Into<String>) -> Self {
        let (line, column) = (location.line(), location.column());
        Self { file: file.to_owned(), line, column, message: message.into(), hint: None }
    }

    /// About a whole file.
    pub fn file(file: &Path, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: 0, column: 0, message: message.into(), hint: None }
    }

    /// About a thing that was described.
    pub fn from_origin(origin: &Origin, message: impl Into<String>) -> Self {
        let Origin { file, line, column } = origin;
        Self { file: file.clone(), line: *line, column: *column, message: message.into(), hint: None }
    }

    /// What the YAML reader says, in one line and advice.
    pub(crate) fn of_yaml(file: &Path, error: &serde_saphyr::Error) -> Self {
        let text = error.without_snippet().to_string();
        let first = text.lines().next().unwrap_or_default();
        // The reader ends its messages with the place, which we put in front.
        let first = first.rfind(" at line ").map_or(first, |end| &first[..end]);
        let (first, hint) = match first.split_once(", expected ") {
            Some((first, hint)) => (first, Some(format!("expected {hint}"))),
            None => (first, None),
        };
        let message = first.replace("unknown field", "unknown key").replace("missing field", "missing key");
        let mut diagnostic = match error.location() {
            Some(location) => Self::at(file, location, message),
            None => Self::file(file, message),
        };
        diagnostic.hint = hint;
        diagnostic
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line != 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        write!(f, " {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  help: {hint}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a description, in the order of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in &self.0 {
            writeln!(f, "{diagnostic}")?;
        }
        write!(f, "{} error{} in the description", self.0.len(), if self.0.len() == 1 { "" } else { "s" })
    }
}

impl std::error::Error for Diagnostics {}
