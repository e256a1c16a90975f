//! Where each script comes from: what the app says, the source, the image; the first that has it.

use std::collections::BTreeSet;

use super::image::ScriptsUrl;
use super::source::Files;
use super::{PlanError, Request};
use crate::known::{Known, KnownCode, Need};
use crate::model::source::SourceFile;
use crate::plan::RemoteFile;

/// A script, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Script {
    /// A file of the source, and the name under which it is found there.
    Source(String, SourceFile),
    /// A file of the web.
    Web(RemoteFile),
    /// A file of a directory of the machine, which is in the store.
    Folder(KnownCode),
    /// It is, or should be, in this directory of the image.
    Image(String),
}

/// Where scripts are looked for.
#[derive(Debug, Clone)]
pub(super) struct Search<'a> {
    /// What the app says; wins over its own files.
    pub(super) first: Option<ScriptsUrl>,
    pub(super) files: &'a Files<'a>,
    /// What the base says, else the image.
    pub(super) last: Option<ScriptsUrl>,
    pub(super) known: &'a Known,
}

impl<'a> Search<'a> {
    /// What the app says of a builder or runtime image, of which `last` is where its own scripts are.
    pub(super) fn new(
        request: &Request<'a>,
        files: &'a Files<'a>,
        last: Option<ScriptsUrl>,
    ) -> Result<Self, PlanError> {
        let said = request.app.s2i.as_ref().and_then(|section| section.scripts_url.as_ref());
        let first = said.map(|url| ScriptsUrl::parse(url).map_err(|why| setting(url, &why))).transpose()?;
        Ok(Self { first, files, last, known: request.known })
    }

    /// The script, if it is anywhere; `needs` is added to what has to be known before that is sure.
    pub(super) fn find(&self, name: &str, needs: &mut BTreeSet<Need>) -> Option<Script> {
        let first = self.first.iter().find_map(|url| self.at(url, name, needs));
        let source = || self.files.script(name).map(|(path, file)| Script::Source(path, file));
        first.or_else(source).or_else(|| self.last.iter().find_map(|url| self.at(url, name, needs)))
    }

    fn at(&self, url: &ScriptsUrl, name: &str, needs: &mut BTreeSet<Need>) -> Option<Script> {
        match url {
            ScriptsUrl::Image(path) => Some(Script::Image(path.clone())),
            ScriptsUrl::Web(address) => {
                let url = format!("{address}/{name}");
                let Some(known) = self.known.remotes.get(&url) else {
                    if !self.known.absent.contains(&url) {
                        needs.insert(Need::Optional { url });
                    }
                    return None;
                };
                let (digest, time) = (known.digest.clone(), known.time);
                Some(Script::Web(RemoteFile { url, digest, name: name.to_owned(), time }))
            }
            ScriptsUrl::Folder(path) => match self.known.code.get(path) {
                Some(code) => code.view.file(name).map(|_| Script::Folder(code.clone())),
                None => {
                    needs.insert(Need::Code { address: path.clone(), texts: Vec::new() });
                    None
                }
            },
        }
    }

    /// Fails when what the app says has none of these scripts: it is somewhere else.
    pub(super) fn expect_some(&self, names: &[&str]) -> Result<(), PlanError> {
        let (Some(url), Some(said)) = (&self.first, self.said()) else {
            return Ok(());
        };
        let mut needs = BTreeSet::new();
        let any = names.iter().any(|name| self.at(url, name, &mut needs).is_some());
        if any || !needs.is_empty() {
            return Ok(());
        }
        Err(setting(&said, &format!("there is none of the scripts {}", names.join(", "))))
    }

    fn said(&self) -> Option<String> {
        Some(match self.first.as_ref()? {
            ScriptsUrl::Image(path) => format!("image://{path}"),
            ScriptsUrl::Web(address) => address.clone(),
            ScriptsUrl::Folder(path) => format!("file://{path}"),
        })
    }
}

fn setting(url: &str, why: &str) -> PlanError {
    PlanError::Setting {
        place: format!("scripts_url = \"{url}\" in [s2i] of till.toml"),
        why: why.to_owned(),
        hint: Some("each script is there by its name: assemble, run, save-artifacts".to_owned()),
    }
}

/// Where the scripts of an image are by its label. A directory of this machine is none of its business.
pub(super) fn of_label(url: Option<&str>, whose: &str) -> Result<Option<ScriptsUrl>, PlanError> {
    let Some(url) = url else {
        return Ok(None);
    };
    match ScriptsUrl::parse(url) {
        Ok(ScriptsUrl::Folder(_)) => Err(PlanError::Contract(format!(
            "the {whose}'s scripts are at `{url}`: an image has no say in directories of this machine; whoever imports it may \
             name one by scripts_url in its [contract]"
        ))),
        Ok(known) => Ok(Some(known)),
        Err(why) => Err(PlanError::Contract(format!("the {whose}'s scripts are at `{url}`: {why}"))),
    }
}
