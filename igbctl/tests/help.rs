//! What `--help` says is what people and scripts hold on to.

mod run;

use run::igbctl;

#[test]
fn the_help_is_this() {
    let said = igbctl(&["--help"]);
    assert_eq!((said.status, said.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!("help", said.out);
}

#[test]
fn every_command_has_its_help() {
    for command in ["list", "info", "regs", "stats", "rxdrop", "txgen", "fwd", "dump", "demo"] {
        let said = igbctl(&[command, "--help"]);
        assert_eq!(said.status, Some(0), "{command}");
        insta::assert_snapshot!(format!("help_{command}"), said.out);
    }
}
