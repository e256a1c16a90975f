//! The nouns: base, source, artifact, launch.

pub mod app;
pub mod artifact;
pub mod base;
pub mod launch;
pub mod name;
pub mod source;

pub use app::AppFile;
pub use artifact::{ArtifactLabel, BaseLabel, BaseVersion};
pub use base::BaseSpec;
pub use launch::{Health, Launch, Port, Process, Protocol};
pub use name::{AppName, BadName, BaseName, BaseRef};
pub use source::{CommitId, FileKind, SourceFile, SourceView};
