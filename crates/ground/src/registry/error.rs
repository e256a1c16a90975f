//! What can go wrong with registries, and whose doing it is.

use std::path::PathBuf;

use till_core::{Blame, Digest, Fault};

use crate::process::ToolError;

/// A deed with a registry that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// No connection, or one that broke too often.
    #[error("cannot {deed} at the registry `{host}`: {why}")]
    Connection {
        /// What was attempted.
        deed: String,
        /// Where.
        host: String,
        /// Why not.
        why: String,
    },
    /// An answer that is no success.
    #[error("cannot {deed}: the registry `{host}` answers {status}{said}")]
    Refused {
        /// What was attempted.
        deed: String,
        /// Where.
        host: String,
        /// HTTP.
        status: u16,
        /// What it says of it.
        said: String,
    },
    /// It wants to know who we are, or does not want us.
    #[error("cannot {deed}: the registry `{host}` does not let {who} do that{said}")]
    Denied {
        /// What was attempted.
        deed: String,
        /// Where.
        host: String,
        /// `anybody`, or a user.
        who: String,
        /// What it says of it.
        said: String,
    },
    /// An answer that is not of the protocol.
    #[error("cannot {deed}: the answer of the registry `{host}` is not understood: {why}")]
    Nonsense {
        /// What was attempted.
        deed: String,
        /// Where.
        host: String,
        /// What is wrong with it.
        why: String,
    },
    /// Other bytes than were asked for.
    #[error("the registry `{host}` sent other bytes than were asked for: {expected} has digest {found}")]
    Digest {
        /// Where.
        host: String,
        /// What was asked for.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// More or fewer bytes than were promised.
    #[error("the registry `{host}` does not send as many bytes as it should: {what} has {size}")]
    Size {
        /// Where.
        host: String,
        /// Of what.
        what: String,
        /// What was promised or allowed.
        size: u64,
    },
    /// `blocked = true`.
    #[error("the registry of `{0}` is blocked in this machine's registries.conf")]
    Blocked(String),
    /// A name without registry, and no configuration, or too much of it.
    #[error("`{name}` names no registry{why}")]
    Unqualified {
        /// What was typed.
        name: String,
        /// What the configuration says.
        why: String,
    },
    /// A configuration file that is not understood.
    #[error("cannot understand `{}`: {why}", path.display())]
    Configuration {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A local file.
    #[error("cannot {deed} `{}`", path.display())]
    Io {
        /// What was attempted.
        deed: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// What keeps the passwords did not give one.
    #[error("cannot get the credentials for `{host}`")]
    Helper {
        /// Where to.
        host: String,
        /// Why not.
        #[source]
        source: ToolError,
    },
}

impl Blame for RegistryError {
    fn fault(&self) -> Fault {
        match self {
            Self::Denied { .. } | Self::Blocked(_) | Self::Unqualified { .. } => Fault::Caller,
            Self::Refused { status: 400..=428, .. } => Fault::Caller,
            _ => Fault::House,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::Denied { .. } => {
                    "credentials are read from $REGISTRY_AUTH_FILE, containers/auth.json and ~/.docker/config.json, as \
                     `podman login`, `skopeo login` and `docker login` write them"
                }
                Self::Unqualified { .. } => "begin with the registry's host, e.g. registry.example.org/team/app:1",
                Self::Blocked(_) => "see /etc/containers/registries.conf",
                Self::Connection { .. } => {
                    "is the host right? plain http is spoken only to loopback, and to registries with `insecure = true` \
                     in /etc/containers/registries.conf"
                }
                Self::Digest { .. } | Self::Size { .. } => "nothing of it was kept; the registry or what is between is broken",
                _ => return None,
            }
            .to_owned(),
        )
    }
}

/// For `map_err`: the deed and its object, to a failure of the file system.
pub(super) fn failed(deed: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> RegistryError {
    move |source| RegistryError::Io { deed, path: path.to_owned(), source }
}
