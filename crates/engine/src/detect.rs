//! Which base prepares a source: what was said, or else what the source looks like.

use till_core::contract::{Contract, ContractSpec};
use till_core::detect::{self, Detection, Offer, Question};
use till_core::dockerfile::spec::DockerfileSpec;
use till_core::model::name::Wanted;
use till_core::model::{AppFile, BaseRef, Origin, SourceView};
use till_core::{Failure, Fault};

use crate::Engine;
use crate::catalog::BaseEntry;
use crate::prepare::Wish;

/// What is done with source upon a base.
fn contract(base: &BaseEntry) -> Result<ContractSpec, Failure> {
    base.about.contract().cloned().ok_or_else(|| {
        let name = &base.fact.version.name;
        Failure::new(Fault::Caller, format!("the base `{name}` was imported without a contract: it prepares no source"))
            .hint(format!("make a base upon it (`from = \"{name}\"`), or import it again with --contract FILE"))
    })
}

impl Engine {
    /// What would prepare the source if nothing were said on the command line, why, and what else could.
    pub async fn explain(&self, wish: &Wish) -> Result<Detection, Failure> {
        let view = wish.source.view().await?;
        let app_file = self.app_file(wish, &view).await?;
        self.detection(wish, &app_file, &view).await
    }

    async fn detection(&self, wish: &Wish, app_file: &AppFile, view: &SourceView) -> Result<Detection, Failure> {
        let files: Vec<_> = detect::reads(view).iter().filter_map(|path| view.file(path).cloned()).collect();
        let view = SourceView { texts: wish.source.texts(&files).await?, ..view.clone() };
        Ok(detect::detect(&Question {
            source: &view,
            named: app_file.base.as_ref(),
            dockerfile: &wish.choice.over(app_file.dockerfile.clone().unwrap_or_default()),
            buildpacks: &wish.buildpacks,
            bases: &self.offers().await?,
        }))
    }

    /// What bases there are, each as its newest version is.
    async fn offers(&self) -> Result<Vec<Offer>, Failure> {
        let mut newest = std::collections::BTreeMap::new();
        for fact in self.ledger.bases().await? {
            let version = fact.version.version;
            let known = newest.entry(fact.version.name.to_string()).or_insert_with(|| fact.clone());
            if known.version.version < version {
                *known = fact;
            }
        }
        let mut offers = Vec::new();
        for fact in newest.into_values() {
            let entry = self.base_entry(fact).await?;
            let references = |origin: &Origin| origin.reference.iter().chain([&origin.source]).cloned().collect();
            offers.push(Offer {
                name: entry.fact.version.name.clone(),
                tags: entry.about.tags().to_vec(),
                contract: entry.about.contract().map(|contract| contract.name().to_owned()),
                references: entry.about.external().map_or_else(Vec::new, references),
            });
        }
        Ok(offers)
    }

    /// The base and its contract: what was said, or what the source looks like, which is then told. An app that brings a
    /// Dockerfile needs no base.
    pub(crate) async fn chosen(
        &self,
        wish: &Wish,
        app_file: &AppFile,
        view: &mut SourceView,
    ) -> Result<(Option<BaseEntry>, ContractSpec), Failure> {
        let own = || Ok((None, ContractSpec::Dockerfile(DockerfileSpec::default())));
        let wanted = match wish.base.clone().or_else(|| app_file.base.clone()) {
            Some(wanted) => wanted,
            None if wish.choice.over(app_file.dockerfile.clone().unwrap_or_default()).file.is_some() => return own(),
            None => {
                let detection = self.detection(wish, app_file, view).await?;
                let chosen = detection.choice()?;
                view.notices.extend(detection.notice());
                match &chosen.base {
                    Some(name) => BaseRef { name: name.clone(), version: Wanted::Newest },
                    None => return own(),
                }
            }
        };
        let base = self.base(&wanted).await?;
        let contract = contract(&base)?;
        Ok((Some(base), contract))
    }
}
