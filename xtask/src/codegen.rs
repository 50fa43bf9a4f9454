//! From `specs/` to the generated files of each crate, and the report of what is described.

use crate::{Error, Result, While, metadata};
use igb_codegen::model::{ChipSet, Spec};
use igb_codegen::output::{SchemaKind, Stale};
use igb_codegen::{Files, output};
use std::path::Path;

/// What `specs/` says.
pub(crate) fn load(root: &Path) -> Result<Spec> {
    igb_codegen::load(&root.join("specs")).map_err(|diagnostics| Error::Failed(diagnostics.to_string()))
}

/// Writes every generated file; with `check`, only compares and fails on a difference.
pub(crate) fn run(check: bool) -> Result<()> {
    let root = metadata::root();
    let spec = load(root)?;
    let parts: [(&str, Files); 3] = [
        ("igb-regs/src/generated", igb_codegen::registers(&spec)),
        ("igb-phy/src/generated", igb_codegen::words(&spec, &spec.phy)),
        ("igb-ring/src/generated", igb_codegen::words(&spec, &spec.descriptors)),
    ];
    let mut stale = Vec::new();
    for (dir, files) in parts {
        let dir = root.join(dir);
        let found = if check { output::check(&dir, &files) } else { output::write(&dir, &files) };
        stale.extend(found.during(|| dir.display().to_string())?);
    }
    stale.extend(schemas(root, check)?);
    for one in &stale {
        eprintln!("{one}");
    }
    if check && !stale.is_empty() {
        return Err(Error::Failed(
            "generated files are not what specs/ gives; run `cargo xtask codegen`".into(),
        ));
    }
    Ok(())
}

/// The JSON Schemas lie beside the files that they describe.
fn schemas(root: &Path, check: bool) -> Result<Vec<Stale>> {
    let dir = root.join("specs/schema");
    if !check {
        std::fs::create_dir_all(&dir).during(|| dir.display().to_string())?;
    }
    let mut stale = Vec::new();
    for kind in SchemaKind::ALL {
        let path = dir.join(kind.file_name());
        let schema = kind.schema();
        if std::fs::read_to_string(&path).is_ok_and(|found| found == schema) {
            continue;
        }
        if !check {
            std::fs::write(&path, schema).during(|| path.display().to_string())?;
        }
        stale.push(Stale::Differs(path));
    }
    Ok(stale)
}

/// Lists what is described: a table, or JSON with everything.
pub(crate) fn specs(json: bool) -> Result<()> {
    let spec = load(metadata::root())?;
    if json {
        println!("{:#}", igb_codegen::json::spec(&spec));
        return Ok(());
    }
    let all = spec.all_chips();
    let who = |set: ChipSet| if set == all { "all".to_owned() } else { spec.names(set).join(" ") };
    println!("{:<14} {:>7} {:>6}  {:<7} {:<36} source", "register", "offset", "fields", "access", "chips");
    for (_, register) in spec.registers() {
        let first = register.places.first().and_then(|place| place.pieces.first());
        let offset = first.map_or(String::new(), |piece| format!("{:#07x}", piece.offset));
        let access = format!("{:?}", register.access).to_lowercase();
        let (fields, chips) = (register.fields.len(), who(register.chips));
        println!(
            "{:<14} {offset:>7} {fields:>6}  {access:<7} {chips:<36} {}",
            register.name, register.source
        );
    }
    let registers = spec.registers().count();
    let fields: usize = spec.registers().map(|(_, register)| register.fields.len()).sum();
    let words =
        |words: &[igb_codegen::model::Words]| words.iter().map(|group| group.words.len()).sum::<usize>();
    println!(
        "\n{registers} registers, {fields} fields; {} PHY registers; {} descriptor words; {} chips",
        words(&spec.phy),
        words(&spec.descriptors),
        spec.chips.len()
    );
    Ok(())
}
