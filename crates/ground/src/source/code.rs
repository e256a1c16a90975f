//! Code of others, by its address: a git repository at a branch, tag or commit; a tar archive of the web; a directory of
//! this machine as it lies there.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use till_core::port::{Fetcher, SourceTree, Sources};
use till_core::{Digest, Failure, Fault};
use till_image::{IdShift, Rewriting};

use super::{SourceError, directory};
use crate::fetch::Web;

/// The largest archive that is fetched, and the most that comes of it, in bytes: code of others is scripts, now and then
/// with a runtime.
const MAX_ARCHIVE: u64 = 1 << 30;
const MAX_UNPACKED: u64 = 8 << 30;

/// How the names of archives end that can be unpacked.
const ARCHIVES: [&str; 10] =
    [".tar", ".tgz", ".tar.gz", ".tbz", ".tbz2", ".tar.bz", ".tar.bz2", ".txz", ".tar.xz", ".tar.zst"];

/// What a file is called that turns out to be no archive.
const UNKNOWN: &str = "archive";

/// Where code of others comes from.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// What gets archives.
    pub web: Web,
}

/// What an address means.
#[derive(Debug, PartialEq, Eq)]
enum Address<'a> {
    /// A repository, at that branch, tag or commit.
    Repository(&'a str, Option<&'a str>),
    /// A tar archive of the web, which has to have that digest.
    Archive(&'a str, Option<Digest>),
    /// A directory, a repository or an archive of this machine.
    Local(&'a str, Option<&'a str>),
}

fn read(address: &str) -> Result<Address<'_>, SourceError> {
    let (place, fragment) = match address.split_once('#') {
        Some((place, fragment)) => (place, Some(fragment).filter(|fragment| !fragment.is_empty())),
        None => (address, None),
    };
    let path = place.split('?').next().unwrap_or(place);
    let is_web = place.starts_with("http://") || place.starts_with("https://");
    if is_web && ARCHIVES.iter().any(|end| path.ends_with(end)) {
        let bad = |fragment: &str| SourceError::Checksum { address: address.to_owned(), found: fragment.to_owned() };
        let digest = fragment.map(|text| text.parse().map_err(|_| bad(text))).transpose()?;
        return Ok(Address::Archive(place, digest));
    }
    match place.strip_prefix("file://") {
        Some(path) => Ok(Address::Local(path, fragment)),
        None if place.starts_with(['/', '.']) => Ok(Address::Local(place, fragment)),
        None => Ok(Address::Repository(place, fragment)),
    }
}

#[async_trait]
impl Sources for Places {
    async fn open(&self, address: &str, staging: &Path) -> Result<Box<dyn SourceTree>, Failure> {
        match read(address)? {
            Address::Repository(place, revision) => super::open(place, revision, staging).await,
            Address::Archive(url, digest) => {
                let file = staging.join("fetched.tar");
                let fetched = self.web.fetch(url, MAX_ARCHIVE, &file).await?;
                match digest {
                    Some(wanted) if wanted != fetched.digest => {
                        let what = format!("what {url} gives has digest {}, not {wanted}", fetched.digest);
                        Err(Failure::new(Fault::Source, what).hint("is it what you want? then change the digest"))
                    }
                    _ => unpacked(&file, staging).await,
                }
            }
            Address::Local(path, None) if Path::new(path).is_file() => unpacked(Path::new(path), staging).await,
            Address::Local(path, None) if super::git::Layout::of(Path::new(path)).await.is_none() => {
                super::folder(Path::new(path)).await
            }
            Address::Local(path, revision) => super::open(path, revision, staging).await,
        }
    }

    async fn of_archive(&self, archive: &Path, staging: &Path) -> Result<Box<dyn SourceTree>, Failure> {
        Ok(Box::new(directory::Directory::whole(&unpack(archive, staging).await?).await?))
    }
}

/// The content of a tar archive; of one that has everything in one directory (as those of git forges), that directory.
async fn unpacked(archive: &Path, staging: &Path) -> Result<Box<dyn SourceTree>, Failure> {
    let folder = unpack(archive, staging).await?;
    let failed = |error: std::io::Error| Failure::house(format!("cannot look into `{}`", folder.display()), error);
    let entries: Vec<_> = std::fs::read_dir(&folder).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
    let top = match entries.as_slice() {
        [only] if only.file_name() == UNKNOWN => return Err(SourceError::NoArchive(archive.to_owned()).into()),
        [only] if only.file_type().map_err(failed)?.is_dir() => only.path(),
        _ => folder.clone(),
    };
    Ok(Box::new(directory::Directory::whole(&top).await?))
}

async fn unpack(archive: &Path, staging: &Path) -> Result<PathBuf, Failure> {
    let (archive, into) = (archive.to_owned(), staging.join("unpacked"));
    let work = move || unpack_into(&archive, into);
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::house("cannot unpack", error))?
}

fn unpack_into(archive: &Path, into: PathBuf) -> Result<PathBuf, Failure> {
    let failed = |error: std::io::Error| Failure::house(format!("cannot unpack `{}`", archive.display()), error);
    std::fs::create_dir_all(&into).map_err(failed)?;
    // What is unpacked is a file of an archive, as with a Dockerfile's ADD.
    let wrapped = into.with_extension("tar");
    let mut builder = tar::Builder::new(std::fs::File::create(&wrapped).map_err(failed)?);
    builder.append_path_with_name(archive, UNKNOWN).map_err(failed)?;
    builder.finish().map_err(failed)?;
    drop(builder);
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let rewriting = Rewriting {
        ids: IdShift::none(),
        owner: Some((uid, gid)),
        mode: None,
        missing: 0o755,
        unpack: true,
        limit_bytes: Some(MAX_UNPACKED),
    };
    let mut file = BufReader::new(std::fs::File::open(&wrapped).map_err(failed)?);
    till_image::land(&mut file, &into, ("/", true), &rewriting)?;
    std::fs::remove_file(&wrapped).map_err(failed)?;
    Ok(into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_repository_an_archive_or_of_this_machine() {
        let digest = Digest::of(b"x");
        let archive = format!("https://h/x.tgz#{digest}");
        for (address, meant) in [
            ("https://h/x.git", Address::Repository("https://h/x.git", None)),
            ("https://h/x#v1", Address::Repository("https://h/x", Some("v1"))),
            ("git@h:x#", Address::Repository("git@h:x", None)),
            ("https://h/x.tgz", Address::Archive("https://h/x.tgz", None)),
            ("https://h/x.tar.gz?k=v", Address::Archive("https://h/x.tar.gz?k=v", None)),
            (archive.as_str(), Address::Archive("https://h/x.tgz", Some(digest))),
            ("/a/b", Address::Local("/a/b", None)),
            ("./b#main", Address::Local("./b", Some("main"))),
            ("file:///a/b.git#v", Address::Local("/a/b.git", Some("v"))),
        ] {
            assert_eq!(read(address).unwrap(), meant, "{address}");
        }
        assert!(read("https://h/x.tgz#v1").is_err());
    }
}
