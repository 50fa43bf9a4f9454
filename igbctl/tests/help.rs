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
    for command in [
        "list", "bind", "unbind", "doctor", "info", "regs", "decode", "stats", "rxdrop", "txgen", "fwd",
        "dump", "tap", "demo", "sim",
    ] {
        let said = igbctl(&[command, "--help"]);
        assert_eq!(said.status, Some(0), "{command}");
        insta::assert_snapshot!(format!("help_{command}"), said.out);
    }
}

/// Every command that the help lists has a manual page, and every option of its own help stands in it.
#[test]
fn every_command_has_its_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("man1");
    let said = igbctl(&["man", place.to_str().unwrap()]);
    assert_eq!((said.status, said.err.as_str()), (Some(0), ""));
    let page = |name: &str| std::fs::read_to_string(place.join(name)).unwrap().replace("\\-", "-");

    let help = igbctl(&["--help"]).out;
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .map_while(|line| line.strip_prefix("  ")?.split_whitespace().next())
        .collect();
    assert!(commands.len() >= 9, "{commands:?}");
    let whole = page("igbctl.1");
    for title in
        ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "SUBCOMMANDS", "DEVICES", "EXIT STATUS", "SEE ALSO"]
    {
        assert!(
            whole.lines().any(|line| line.trim_start_matches(".SH ").trim_matches('"') == title),
            "{title}"
        );
    }
    for command in commands {
        assert!(whole.contains(&format!("igbctl-{command}")), "{command}");
        let text = page(&format!("igbctl-{command}.1"));
        let help = igbctl(&[command, "--help"]).out;
        let words = help.split(|c: char| c.is_whitespace() || ",[]".contains(c));
        for option in words.filter(|word| word.starts_with("--") && word.len() > 2) {
            assert!(text.contains(option), "{command} {option}");
        }
    }
    assert!(said.out.contains("igbctl-decode.1"), "{}", said.out);
}
