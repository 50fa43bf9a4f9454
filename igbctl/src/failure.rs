//! Why a command did not do what it was told, and the exit status that says so.

use crate::capture;
use std::path::{Path, PathBuf};

/// The command line is wrong.
pub(crate) const USAGE: u8 = 2;

/// How a machine is that is not all right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fitness {
    /// It works, with remarks.
    Warned,
    /// It does not.
    Failed,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Failure {
    /// The command line asks for what cannot be.
    #[error("{0}")]
    Usage(String),
    /// The driver said no.
    #[error("{device}: {error}")]
    Driver { device: String, error: igb::Error },
    /// QEMU, or the way to it.
    #[error("{0}")]
    Qemu(#[from] igb_qtest::Error),
    /// VFIO, or the way to it.
    #[error("{}", crate::mend::Told(*.0))]
    Vfio(#[from] igb_vfio::Error),
    /// A function that one should name on purpose only.
    #[error("{0}")]
    Refused(String),
    /// `doctor` found something missing, or to warn of.
    #[error("{0}")]
    Unfit(String, Fitness),
    /// Simulated NICs cannot be served.
    #[error("{}: {error}", path.display())]
    Serve { path: PathBuf, error: igb_vfio_user::Error },
    /// The interface, or the way to it.
    #[error("{0}")]
    Tap(#[from] igb_tap::Error),
    /// The system refused what it rarely refuses.
    #[error("{what}: {error}")]
    System { what: &'static str, error: std::io::Error },
    /// A capture file that cannot be used.
    #[error("{}: {error}", path.display())]
    Capture { path: PathBuf, error: capture::Error },
    /// A file that cannot be read or written.
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: std::io::Error },
    /// The command ran, and what it found is not as it should be.
    #[error("{0}")]
    Found(String),
    /// Ctrl-C, or somebody's kill.
    #[error("stopped by {}", if *.0 == 2 { "Ctrl-C" } else { "a signal to end" })]
    Stopped(u8),
}

impl Failure {
    /// The driver's error about a device.
    pub(crate) fn driver(device: &str, error: impl Into<igb::Error>) -> Self {
        Self::Driver { device: device.into(), error: error.into() }
    }

    /// The system's error about a call.
    pub(crate) fn system(what: &'static str, error: std::io::Error) -> Self {
        Self::System { what, error }
    }

    /// The system's error about a file.
    pub(crate) fn file(path: &Path, error: std::io::Error) -> Self {
        Self::File { path: path.into(), error }
    }

    /// The exit status, as `--help` lists them.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::Driver { error: igb::Error::DeviceGone, .. } | Self::Qemu(igb_qtest::Error::Broken(_)) => 3,
            Self::Qemu(igb_qtest::Error::NoQemu(_))
            | Self::Vfio(_)
            | Self::Refused(_)
            | Self::Unfit(_, Fitness::Failed) => 4,
            Self::Tap(error) if error.is_missing() => 4,
            Self::Capture { .. } => 5,
            Self::Unfit(_, Fitness::Warned) => 6,
            Self::Stopped(signal) => 128u8.saturating_add(*signal),
            Self::Driver { .. }
            | Self::Qemu(_)
            | Self::Tap(_)
            | Self::System { .. }
            | Self::Serve { .. }
            | Self::File { .. }
            | Self::Found(_) => 1,
        }
    }

    /// A word for programs, stable where the text is not.
    pub(crate) fn kind(&self) -> &'static str {
        match self.status() {
            USAGE => "usage",
            3 => "device-gone",
            4 => "missing",
            5 => "capture",
            6 => "warned",
            1 => "failed",
            _ => "stopped",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_status() {
        let gone = Failure::driver("sim:", igb::Error::DeviceGone);
        assert_eq!((gone.status(), gone.kind()), (3, "device-gone"));
        let closed = Failure::driver("sim:", igb::Error::Closed);
        assert_eq!((closed.status(), closed.kind()), (1, "failed"));
        assert_eq!(Failure::Stopped(2).status(), 130);
        assert_eq!(Failure::Stopped(15).status(), 143);
        let none = Failure::Qemu(igb_qtest::Error::NoQemu(igb_qtest::find::NoQemu::Missing));
        assert_eq!((none.status(), none.kind()), (4, "missing"));
        assert!(none.to_string().contains("cargo xtask qemu"), "{none}");
    }
}
