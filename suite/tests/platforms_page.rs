//! docs/platforms.md quotes the bare-metal platform. A quotation that the source does not have is an error.

use std::fs;
use std::path::Path;

#[test]
fn excerpts_stand_in_the_source() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let page = fs::read_to_string(root.join("docs/platforms.md")).expect("the page");
    let mut found = 0;
    for block in page.split("```rs\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        let (file, excerpt) = block.split_once('\n').expect("a file's name");
        let file = file.strip_prefix("// ").expect("a comment with the file's name");
        let source = fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(source.contains(excerpt), "{file} has no longer:\n{excerpt}");
        found += 1;
    }
    assert!(found >= 5, "{found} excerpts");
}
