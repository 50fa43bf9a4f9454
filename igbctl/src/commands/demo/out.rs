//! The capture file that the demo leaves behind.

use crate::capture::Writer;
use crate::failure::Failure;
use std::fs::{File, OpenOptions};
use std::io::BufWriter;
use std::path::PathBuf;

/// The capture at the far end of B's wire.
pub(super) struct Out {
    path: PathBuf,
    writer: Writer<BufWriter<File>>,
}

impl Out {
    /// Makes the file: the chosen one, or a new one among the temporary ones.
    pub(super) fn create(chosen: Option<PathBuf>, kind: &str) -> Result<Self, Failure> {
        let (path, file) = match chosen {
            Some(path) => {
                let file = File::create(&path);
                (path, file)
            }
            None => {
                // Never through a link, never over a file that somebody else put there.
                let path = std::env::temp_dir().join(format!("igbctl-demo-{}.pcapng", std::process::id()));
                let file = OpenOptions::new().write(true).create_new(true).open(&path);
                (path, file)
            }
        };
        let writer =
            file.map(BufWriter::new).and_then(|file| Writer::new(file, &format!("{kind}: wire of NIC B")));
        match writer {
            Ok(writer) => Ok(Self { path, writer }),
            Err(error) => Err(Failure::file(&path, error)),
        }
    }

    /// A frame arrived.
    pub(super) fn frame(&mut self, nanos: u64, bytes: &[u8]) -> Result<(), Failure> {
        self.writer.frame(nanos, bytes).map_err(|error| Failure::file(&self.path, error))
    }

    /// Ends the file, and says where it is.
    pub(super) fn finish(self) -> Result<PathBuf, Failure> {
        match self.writer.finish() {
            Ok(_) => Ok(self.path),
            Err(error) => Err(Failure::file(&self.path, error)),
        }
    }
}
