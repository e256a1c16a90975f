//! Archives of what is put into instances: of the source, of a base's folder, of other trees, of texts.

use std::io::Write;
use std::path::{Path, PathBuf};

use till_core::model::source::Notice;
use till_core::plan::{Deed, ExtraFile, Mounted, NamedFile, RemoteFile, Selection, Sight, Stage, TextFile};
use till_core::port::{Layer, SourceTree};
use till_core::{Digest, Failure, Fault};
use till_image::Store;

use super::Mill;

/// The archives of other trees' files, in the order of the deeds that want them.
pub(super) type Gathered = Vec<(PathBuf, Digest)>;

impl Mill<'_> {
    /// Gathers what a stage takes from other trees.
    pub(super) async fn gather(&self, stage: &Stage, trees: &[Vec<Layer>]) -> Result<Gathered, Failure> {
        let mut gathered = Vec::new();
        let mut trees = trees.iter().skip(usize::from(stage.sight == Sight::All));
        for deed in &stage.deeds {
            match deed {
                Deed::Inject(injection) => {
                    if let Selection::Tree(files) = &injection.what {
                        let layers = trees.next().map_or(&[][..], Vec::as_slice);
                        let archive = self.new_archive();
                        let done = self.milling.engine.environment.gather(layers, files, &archive).await;
                        done.map_err(|failure| self.of_instruction(&stage.name, self.blamed(failure)))?;
                        let digest = digest_of_file(archive.clone()).await?;
                        gathered.push((archive, digest));
                    }
                }
                Deed::Run(step) => {
                    let mounted = step.mounts.iter().filter(|mount| matches!(mount.what, Mounted::Tree { .. }));
                    trees.by_ref().take(mounted.count()).for_each(|_| {});
                }
                Deed::Bootstrap(_) => {}
            }
        }
        Ok(gathered)
    }

    /// A digest of what each tree holds, or of what is taken of it, in the order of `Stage::trees`.
    pub(super) fn contents(&self, stage: &Stage, trees: &[Vec<Layer>], gathered: &Gathered) -> Vec<Digest> {
        let whole = |layers: &Vec<Layer>| {
            let ids: String = layers.iter().map(|layer| format!("{}\n", layer.diff_id)).collect();
            Digest::of(ids.as_bytes())
        };
        let mut trees = trees.iter();
        let mut gathered = gathered.iter();
        let mut contents: Vec<_> =
            (stage.sight == Sight::All).then(|| trees.next().map(whole)).flatten().into_iter().collect();
        for deed in &stage.deeds {
            match deed {
                Deed::Inject(injection) if matches!(injection.what, Selection::Tree(_)) => {
                    trees.next();
                    contents.extend(gathered.next().map(|(_, digest)| digest.clone()));
                }
                Deed::Run(step) => {
                    let count = step.mounts.iter().filter(|mount| matches!(mount.what, Mounted::Tree { .. })).count();
                    contents.extend(trees.by_ref().take(count).map(whole));
                }
                _ => {}
            }
        }
        contents
    }

    /// Whose doing it is that something is not there depends on who wrote what asks for it.
    fn blamed(&self, failure: Failure) -> Failure {
        if failure.fault == Fault::Source { Failure { fault: self.milling.fault, ..failure } } else { failure }
    }

    /// The archive of a selection that does not come from another tree.
    pub(super) async fn archive(&self, what: &Selection, epoch: u64) -> Result<PathBuf, Failure> {
        let archive = self.new_archive();
        let material = &self.milling.material;
        match (what, material.source) {
            (Selection::Whole, Some((source, view))) => {
                self.take(source, &NamedFile::all(&view.files), epoch, &archive).await?;
            }
            (Selection::Files(files), Some((source, _))) => {
                self.take(source, &NamedFile::all(files), epoch, &archive).await?;
            }
            (Selection::Named(files), Some((source, _))) => self.take(source, files, epoch, &archive).await?,
            (Selection::Texts(files), _) => write_texts(files, epoch, &archive)?,
            (Selection::Remote(file), _) => write_remote(&self.milling.engine.store, file, epoch, &archive)?,
            (Selection::Extra(files), _) if material.folder.is_some() => {
                write_extra(material.folder.unwrap_or(Path::new("")), files, epoch, &archive)?;
            }
            _ => return Err(Failure::new(Fault::House, "the plan asks for files that it cannot have")),
        }
        Ok(archive)
    }

    async fn take(&self, source: &dyn SourceTree, files: &[NamedFile], epoch: u64, into: &Path) -> Result<(), Failure> {
        for Notice { path, what } in source.archive(files, epoch, into).await? {
            self.notice(format!("{path}: {what}"));
        }
        Ok(())
    }

    pub(super) fn new_archive(&self) -> PathBuf {
        let mut story = self.story();
        story.archives += 1;
        self.milling.staging.join(format!("files-{}.tar", story.archives))
    }
}

/// A tar archive of root's files.
pub(super) struct Archive(tar::Builder<std::io::BufWriter<std::fs::File>>);

impl Archive {
    pub(super) fn create(path: &Path) -> std::io::Result<Self> {
        Ok(Self(tar::Builder::new(std::io::BufWriter::new(std::fs::File::create(path)?))))
    }

    pub(super) fn file(
        &mut self,
        name: &str,
        mode: u32,
        time: u64,
        (size, content): (u64, impl std::io::Read),
    ) -> std::io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(size);
        header.set_mtime(time);
        header.set_uid(0);
        header.set_gid(0);
        self.0.append_data(&mut header, name.trim_start_matches('/'), content)
    }

    pub(super) fn finish(self) -> std::io::Result<()> {
        self.0.into_inner()?.flush()
    }
}

pub(crate) async fn digest_of_file(path: PathBuf) -> Result<Digest, Failure> {
    let failed = |error: std::io::Error| Failure::house("cannot read what was gathered", error);
    let work = move || Digest::of_reader(&mut std::fs::File::open(&path)?);
    tokio::task::spawn_blocking(work).await.map_err(|error| failed(error.into()))?.map_err(failed)
}

/// A file that was fetched, with the mode that ADD gives it. One that is known by its digest alone has no time of its own: it
/// gets that of everything that is made.
fn write_remote(store: &Store, file: &RemoteFile, epoch: u64, into: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::house(format!("cannot take what came from {}", file.url), error);
    let size = store.size(&file.digest)?;
    let content = std::fs::File::open(store.path(&file.digest)).map_err(failed)?;
    let mut archive = Archive::create(into).map_err(failed)?;
    archive.file(&file.name, 0o600, file.time.unwrap_or(epoch), (size, content)).map_err(failed)?;
    archive.finish().map_err(failed)
}

fn write_texts(files: &[TextFile], epoch: u64, into: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::house("cannot write texts", error);
    let mut archive = Archive::create(into).map_err(failed)?;
    for file in files {
        let content = (file.text.len() as u64, file.text.as_bytes());
        archive.file(&file.name, file.mode, epoch, content).map_err(failed)?;
    }
    archive.finish().map_err(failed)
}

/// The archive of a base's extra files. Each must still be what the plan says.
fn write_extra(folder: &Path, files: &[ExtraFile], epoch: u64, into: &Path) -> Result<(), Failure> {
    let failed = |path: &str| {
        let what = format!("cannot take `{path}` of the base's folder");
        move |error: std::io::Error| Failure::house(what, error)
    };
    let mut archive = Archive::create(into).map_err(failed("the archive"))?;
    for file in files {
        let bytes = std::fs::read(folder.join(&file.source)).map_err(failed(&file.source))?;
        if Digest::of(&bytes) != file.digest {
            return Err(Failure::new(
                Fault::Base,
                format!("`{}` of the base's folder changed while it was read", file.source),
            ));
        }
        let content = (bytes.len() as u64, bytes.as_slice());
        archive.file(&file.path, file.mode, epoch, content).map_err(failed(&file.source))?;
    }
    archive.finish().map_err(failed("the archive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetched_file_without_a_time_gets_the_plans() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let digest = store.put(b"content").unwrap();
        let into = folder.path().join("files.tar");
        for (time, written) in [(None, 1_700_000_000), (Some(0), 0), (Some(5), 5)] {
            let (url, name) = ("https://example.org/x".to_owned(), "x".to_owned());
            let file = RemoteFile { url, digest: digest.clone(), name, time };
            write_remote(&store, &file, 1_700_000_000, &into).unwrap();
            let mut archive = tar::Archive::new(std::fs::File::open(&into).unwrap());
            let entry = archive.entries().unwrap().next().unwrap().unwrap();
            assert_eq!(entry.header().mtime().unwrap(), written);
        }
    }
}
