//! The nouns: base, source, artifact, launch.

pub mod app;
pub mod artifact;
pub mod base;
pub mod base_lock;
pub mod external;
pub mod launch;
pub mod manifest;
pub mod name;
pub mod reference;
pub mod source;
pub mod together;

pub use app::{AppFile, Before};
pub use artifact::{ArtifactLabel, BaseLabel, BaseVersion, MachineLabel};
pub use base::BaseSpec;
pub use base_lock::BaseLock;
pub use external::{ExternalBase, ExternalFile, Origin};
pub use launch::{Health, Launch, Port, Process, Protocol};
pub use name::{AppName, BadName, BaseName, BaseRef};
pub use reference::{BadReference, ImageName, Reference, Unqualified};
pub use source::{CommitId, CommitInfo, FileKind, SourceFile, SourceView};
