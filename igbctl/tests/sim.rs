//! `sim --serve`: sockets that appear, a word when they are there, and an orderly end.

mod run;

use run::{command, igbctl};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};

/// A server that said that it is ready, and what it says.
fn serve(arguments: &[&str]) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    (child, said)
}

fn end(child: &Child) {
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn it_serves_until_it_is_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["a", "b"].map(|name| folder.path().join(name).display().to_string());
    let trace = folder.path().join("trace").display().to_string();
    let [a, b] = paths.each_ref().map(String::as_str);
    let arguments =
        ["sim", "--serve", a, "--chip", "i210", "--serve", b, "--chip", "i350", "--trace", &trace];
    let (mut child, mut said) = serve(&arguments);
    let client = UnixStream::connect(a).unwrap();
    let second = igbctl(&["sim", "--serve", b]);
    assert_eq!(second.status, Some(1), "one server for a socket");
    assert!(second.err.contains("somebody serves on this socket already"), "{}", second.err);
    end(&child);
    let (mut report, mut errors) = (String::new(), String::new());
    said.read_to_string(&mut report).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let rows: Vec<Vec<&str>> = report.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((rows[1][0], rows[1][1], rows[1][2]), (a, "i210", "1"), "{report}");
    assert_eq!((rows[2][0], rows[2][1]), (b, "i350"), "{report}");
    assert_eq!(errors, "igbctl: stopped by a signal to end\n");
    assert!(!folder.path().join("a").exists() && !folder.path().join("b").exists());
    drop(client);
}

#[test]
fn what_a_killed_server_left_is_replaced_and_other_files_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let (stale, file) = (folder.path().join("stale"), folder.path().join("file"));
    drop(UnixListener::bind(&stale).unwrap());
    let (mut child, _said) = serve(&["sim", "--serve", stale.to_str().unwrap()]);
    UnixStream::connect(&stale).unwrap();
    end(&child);
    child.wait().unwrap();

    std::fs::write(&file, "precious").unwrap();
    let said = igbctl(&["sim", "--serve", file.to_str().unwrap()]);
    assert_eq!(said.status, Some(1));
    assert!(said.err.contains("no socket is in the way"), "{}", said.err);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}

#[test]
fn wishes_that_cannot_be() {
    for (arguments, words) in [
        (&["sim"][..], "--serve <SOCKET>"),
        (&["sim", "--serve", "/tmp/x", "--chip", "i225"], "no chip called"),
        (&["sim", "--serve", "/tmp/x", "--chip", "i210", "--chip", "i350"], "2 chips for 1 sockets"),
        (
            &["sim", "--serve", "/tmp/x", "--fault", "rust"],
            "there is no fault called \"rust\": there are stuck-enable",
        ),
    ] {
        let said = igbctl(arguments);
        assert_eq!((said.status, said.out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(said.err.contains(words), "{arguments:?}: {}", said.err);
    }
}
