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
        let (first, hint) = match first
            .split_once(", expected ")
            .or_else(|| first.split_once(", set "))
            .or_else(|| first.split_once("; "))
        {
            Some((first, "")) => (first, None),
            // The reader's advice for whoever calls it is none for whoever writes a description.
            Some((first, advice)) if advice.contains("Options") => (first, Some("say it once".to_owned())),
            Some((head, hint)) if first.contains("; ") => (head, Some(hint.to_owned())),
            Some((first, hint)) => (first, Some(format!("expected {hint}"))),
            None if first.starts_with("missing field") => {
                (first, Some("the description format says which keys it needs".to_owned()))
            }
            None => (first, None),
        };
        let mut message = first.to_owned();
        for (theirs, ours) in [
            ("unknown field", "unknown key"),
            ("missing field", "missing key"),
            ("duplicate mapping key: ", "key said twice: "),
            ("expected mapping start", "expected keys and values here"),
            ("expected sequence start", "expected a list here"),
            ("invalid u32", "no number from 0 to 0xffffffff"),
            ("invalid u16", "no number from 0 to 65535"),
            ("invalid u8", "no number from 0 to 255"),
            ("invalid u64", "no number from 0 to 0xffffffffffffffff"),
        ] {
            message = message.replace(theirs, ours);
        }
        let hint = hint.unwrap_or_else(|| {
            "see the description format; if this looks right, look for an open quote or bracket before it"
                .to_owned()
        });
        let mut diagnostic = match error.location() {
            Some(location) => Self::at(file, location, message),
            None => Self::file(file, message),
        };
        diagnostic.hint = Some(hint);
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
