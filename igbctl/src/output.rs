//! What a command hands back, and how it reaches the reader: as text, or as one JSON value.

use crate::failure::Failure;
use serde_json::{Value, json};
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// A command's answer in both forms.
#[derive(Debug)]
pub(crate) struct Report {
    /// For people.
    pub(crate) text: String,
    /// For programs.
    pub(crate) json: Value,
    /// What is wrong nevertheless: the report is printed first.
    pub(crate) failure: Option<Failure>,
}

impl Report {
    /// An answer with nothing wrong.
    pub(crate) fn new(text: String, json: Value) -> Self {
        Self { text, json, failure: None }
    }

    /// The same, with what is wrong.
    pub(crate) fn failing(self, failure: Option<Failure>) -> Self {
        Self { failure, ..self }
    }
}

/// Prints the report to standard output and what went wrong to standard error.
pub(crate) fn finish(as_json: bool, result: Result<Report, Failure>) -> ExitCode {
    let (report, failure) = match result {
        Ok(Report { text, json, failure }) => (Some((text, json)), failure),
        Err(failure) => (None, Some(failure)),
    };
    if let Some(failure) = &failure {
        // Before the report in time, since a terminal shows both: the verdict belongs under the table.
        if let Some((text, json)) = report {
            print(as_json, &text, with_error(json, failure));
        } else if as_json {
            print(true, "", with_error(json!({}), failure));
        }
        let _ = writeln!(std::io::stderr(), "igbctl: {failure}");
        return ExitCode::from(failure.status());
    }
    let printed = report.is_none_or(|(text, json)| print(as_json, &text, json));
    if printed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn with_error(mut json: Value, failure: &Failure) -> Value {
    if let Value::Object(map) = &mut json {
        let error =
            json!({ "kind": failure.kind(), "message": failure.to_string(), "status": failure.status() });
        map.insert("error".into(), error);
    }
    json
}

/// `false` when it could not be written. A reader that has seen enough (`| head`) is content.
fn print(as_json: bool, text: &str, json: Value) -> bool {
    let mut out = std::io::stdout().lock();
    let written = if as_json { writeln!(out, "{json:#}") } else { out.write_all(text.as_bytes()) };
    match written.and_then(|()| out.flush()) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => true,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "igbctl: standard output: {error}");
            false
        }
    }
}
