//! Simulated chips as the guest's NICs: `igbctl sim` on this machine serves them to QEMU by vfio-user.

use super::job::Job;
use crate::{Error, Result, While};
use core::time::Duration;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// The package and the program that serve.
pub(super) const PROGRAM: (&str, &str) = ("igbctl", "igbctl");
/// How long it may take to make its sockets.
const START: Duration = Duration::from_secs(20);

/// The server of one job; it ends with this value.
#[derive(Debug)]
pub(super) struct Served {
    child: Child,
    sockets: Vec<PathBuf>,
}

impl Served {
    /// Starts the server of a job's chips, if it wants any. What it says stays in `folder`.
    pub(super) fn start(
        job: &Job,
        programs: &BTreeMap<String, PathBuf>,
        folder: &Path,
    ) -> Result<Option<Self>> {
        if job.sim.is_empty() {
            return Ok(None);
        }
        let program = programs.get(PROGRAM.1).ok_or_else(|| Error::Failed("igbctl was not built".into()))?;
        let said = folder.join("sim");
        let output = File::create(&said).during(|| format!("writing {}", said.display()))?;
        let errors = output.try_clone().during(|| format!("writing {}", said.display()))?;
        // Paths of sockets are short, 107 bytes.
        let socket = |nic| std::env::temp_dir().join(format!("igb-sim-{}-{nic}", std::process::id()));
        let sockets: Vec<PathBuf> = (0..job.sim.len()).map(socket).collect();
        // It must not outlive us if we are killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM"]).arg(program).args(["sim", "--laboratory"]);
        for (socket, chip) in sockets.iter().zip(&job.sim) {
            command.arg("--serve").arg(socket).args(["--chip", chip]);
        }
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = command.spawn().during(|| format!("starting {}", program.display()))?;
        let mut served = Self { child, sockets };
        let started = Instant::now();
        loop {
            let text = fs::read_to_string(&said).unwrap_or_default();
            if text.lines().any(|line| line == "ready") {
                return Ok(Some(served));
            }
            if !matches!(served.child.try_wait(), Ok(None)) || started.elapsed() > START {
                return Err(Error::Failed(format!("the simulated chips are not served: {}", text.trim())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// QEMU's argument for the device behind root port `nic`.
    pub(super) fn device(&self, nic: usize) -> String {
        let path = self.sockets.get(nic).map(|path| path.display().to_string()).unwrap_or_default();
        serde_json::json!({
            "driver": "vfio-user-pci",
            "id": format!("nic{nic}"),
            "bus": format!("rp{nic}"),
            "socket": { "type": "unix", "path": path },
        })
        .to_string()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for socket in &self.sockets {
            let _ = fs::remove_file(socket);
        }
    }
}
