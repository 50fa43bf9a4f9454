//! The JSON has the layout that its published schema says: what goes out comes in again, key by key.

use igb_codegen::json::{self, Description};
use igb_codegen::load;
use igb_codegen::output::SchemaKind;
use std::path::Path;

#[test]
fn what_goes_out_comes_in_again() {
    for specs in ["tests/cases/uart/specs", "tests/cases/ethernet/specs", "../specs", "../specs/vf"] {
        let spec = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join(specs))
            .unwrap_or_else(|wrong| panic!("{wrong}"));
        let out = json::spec(&spec);
        // Unknown and missing keys are refused.
        let back: Description = serde_json::from_value(out.clone()).unwrap();
        assert_eq!(back.version, json::VERSION);
        assert_eq!(serde_json::to_value(&back).unwrap(), out, "{specs}");
    }
}

#[test]
fn the_schema_is_of_this_version() {
    let schema: serde_json::Value = serde_json::from_str(&SchemaKind::Json.schema()).unwrap();
    assert_eq!(schema["title"], "Description");
    assert_eq!(schema["additionalProperties"], false);
    let required: Vec<_> =
        schema["required"].as_array().unwrap().iter().filter_map(|key| key.as_str()).collect();
    for key in ["version", "sources", "numbers", "window", "chips", "groups", "registers", "words"] {
        assert!(required.contains(&key), "{key}");
    }
}
