//! `man`: the manual pages, made from the same description as the help, one for the program and one a command.
//!
//! For whoever packages the program; that is why the help does not list it.

use crate::args::{Arguments, DEVICES, EXIT_STATUS, Man};
use crate::failure::Failure;
use crate::output::Report;
use clap::CommandFactory;
use clap_mangen::Man as Page;
use clap_mangen::roff::{Roff, bold, roman};
use serde_json::json;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// `man`.
pub(crate) fn man(options: &Man) -> Result<Report, Failure> {
    let folder = &options.folder;
    fs::create_dir_all(folder).map_err(|error| Failure::file(folder, error))?;
    let mut program = Arguments::command();
    program.build();
    let mut names = Vec::new();
    pages(&program, None, folder, &mut names)?;
    let text = names.iter().map(|name| format!("{}\n", folder.join(name).display())).collect();
    Ok(Report::new(text, json!({ "folder": folder.display().to_string(), "pages": names })))
}

/// The page of a command, then those of its commands.
fn pages(
    command: &clap::Command,
    parent: Option<&str>,
    folder: &Path,
    names: &mut Vec<String>,
) -> Result<(), Failure> {
    let own = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let name = format!("{own}.1");
    let path = folder.join(&name);
    let mut text = Vec::new();
    page(command, &own, parent, &mut text)
        .and_then(|()| fs::write(&path, text))
        .map_err(|error| Failure::file(&path, error))?;
    names.push(name);
    for part in command.get_subcommands().filter(|part| !part.is_hide_set()) {
        pages(part, Some(&own), folder, names)?;
    }
    Ok(())
}

fn page(command: &clap::Command, own: &str, parent: Option<&str>, out: &mut Vec<u8>) -> io::Result<()> {
    // Without a date: the same source gives the same page.
    let source = format!("igbctl {}", env!("CARGO_PKG_VERSION"));
    let page = Page::new(command.clone()).title(own.to_uppercase()).source(source).manual("igbctl manual");
    page.render_title(out)?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        page.render_options_section(out)?;
    }
    let parts: Vec<_> = command.get_subcommands().filter(|part| !part.is_hide_set()).collect();
    if !parts.is_empty() {
        page.render_subcommands_section(out)?;
    }
    if parent.is_some() && command.get_after_help().is_some() {
        page.render_extra_section(out)?;
    }
    if parent.is_none() {
        listing("DEVICES", DEVICES, out)?;
        listing("EXIT STATUS", EXIT_STATUS, out)?;
    }
    let others: Vec<String> = match parent {
        Some(parent) => vec![parent.to_owned()],
        None => parts.iter().map(|part| format!("{own}-{}", part.get_name())).collect(),
    };
    let mut see = Roff::new();
    see.control("SH", ["SEE ALSO"]);
    let last = others.len().saturating_sub(1);
    let list = others
        .iter()
        .enumerate()
        .flat_map(|(at, name)| [bold(name.as_str()), roman(if at == last { "(1)" } else { "(1), " })]);
    see.text(list.collect::<Vec<_>>());
    see.to_writer(out)
}

/// A section whose lines stand as they are.
fn listing(title: &str, text: &str, out: &mut impl Write) -> io::Result<()> {
    let mut section = Roff::new();
    section.control("SH", [title]).control("nf", []);
    for line in text.lines() {
        section.text([roman(line)]);
    }
    section.control("fi", []);
    section.to_writer(out)
}
