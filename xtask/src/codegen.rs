//! From `specs/` to the generated files of each crate, and the report of what is described.

use crate::{Error, Result, While, metadata};
use igb_codegen::model::Spec;
use igb_codegen::output::{SchemaKind, Stale};
use igb_codegen::{Files, output};
use std::path::Path;

/// What `specs/` says.
pub(crate) fn load(root: &Path) -> Result<Spec> {
    load_from(root, "specs")
}

fn load_from(root: &Path, below: &str) -> Result<Spec> {
    igb_codegen::load(&root.join(below)).map_err(|diagnostics| Error::Failed(diagnostics.to_string()))
}

/// Writes every generated file; with `check`, only compares and fails on a difference.
pub(crate) fn run(check: bool) -> Result<()> {
    let root = metadata::root();
    let spec = load(root)?;
    let parts: [(&str, Files); 4] = [
        ("igb-regs/src/generated", igb_codegen::registers(&spec)),
        ("igb-regs/src/generated/vf", igb_codegen::registers(&load_from(root, "specs/vf")?)),
        ("igb-phy/src/generated", igb_codegen::words(&spec, spec.words("phy"))),
        ("igb-ring/src/generated", igb_codegen::words(&spec, spec.words("descriptors"))),
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
