//! Several contracts in a row: what one leaves in a directory is the source of the next. Each is a preparation of its own,
//! with a plan and an artifact, for what the next does depends on what the one before it made.

use std::sync::Arc;

use till_core::id::PreparationId;
use till_core::model::{AppFile, AppName, Before, SourceView};
use till_core::plan::{Footing, TreeFiles};
use till_core::port::SourceTree;
use till_core::{Failure, Fault, ManifestDigest};

use crate::collect::Staging;
use crate::journal::Observer;
use crate::prepare::{Built, Wish};
use crate::{Engine, new_bits};

impl Engine {
    /// Prepares all that stands before the app, each from the output of the one before it, and then the app.
    pub(crate) async fn chain(
        &self,
        wish: &Wish,
        mut view: SourceView,
        app_file: AppFile,
        observer: &dyn Observer,
    ) -> Result<Built, Failure> {
        let app = self.app_name(wish, &app_file);
        // A name that nobody gave is of the folder, and no part of a plan (`Engine::plan_one`).
        let mut next = Wish { default_name: app.clone(), ..wish.clone() };
        let given = wish.name.as_ref().or(app_file.name.as_ref()).is_some();
        let (mut steps, mut outputs) = (Vec::new(), Vec::new());
        for (number, before) in app_file.before.iter().enumerate() {
            let inner = inner(&next, before, (&app, given), number)?;
            let built = self.prepare_one(&inner, view.clone(), before.app_file(), observer).await?;
            steps.extend(built.steps);
            let (tree, staging) = self.output(&built.artifact, before).await?;
            // It is still that commit, whatever was made of it.
            let SourceView { commit, dirty, time, about, origin, .. } = view;
            view = SourceView { commit, dirty, time, about, origin, ..tree.view().await? };
            if view.files.is_empty() {
                let what = format!("the output `{}` is empty: there is nothing to go on with", before.output);
                return Err(Failure::new(Fault::Source, what));
            }
            next.source = tree;
            outputs.push(staging);
        }
        let built = self.prepare_one(&next, view, app_file, observer).await?;
        steps.extend(built.steps);
        Ok(Built { steps, ..built })
    }

    /// A directory of an artifact as source.
    async fn output(
        &self,
        artifact: &ManifestDigest,
        before: &Before,
    ) -> Result<(Arc<dyn SourceTree>, Staging), Failure> {
        let staging = self.staging(&PreparationId::from_bits(new_bits()))?;
        let archive = staging.path().join("output.tar");
        let files = TreeFiles {
            of: Footing::Image(artifact.clone()),
            sources: vec![before.output.clone()],
            parents: false,
            exclude: Vec::new(),
        };
        let layers = till_image::load(&self.store, artifact)?.layers;
        self.environment.gather(&layers, &files, &archive).await.map_err(|failure| {
            let what = format!("there is no output `{}` to go on with", before.output);
            let hint =
                "`output` of [[before]] in till.toml is the directory in which that base leaves what the next takes";
            failure.within(what).hint(hint)
        })?;
        let tree = self.sources.of_archive(&archive, &staging.path()).await?;
        Ok((tree.into(), staging))
    }
}

/// What is wished for of one that stands before others: of that app, whose name was given or is the folder's.
pub(crate) fn inner(
    wish: &Wish,
    before: &Before,
    (app, given): (&AppName, bool),
    number: usize,
) -> Result<Wish, Failure> {
    let name = format!("{app}.{}", number + 1);
    let unnamed = |_| {
        let what = format!("`{name}`, which is prepared before `{app}`, is no name of an app");
        Failure::new(Fault::Source, what).hint("give the app a shorter name")
    };
    let name: AppName = name.parse().map_err(unnamed)?;
    Ok(Wish { name: given.then(|| name.clone()), default_name: name, base: before.base.clone(), ..wish.clone() })
}

#[cfg(test)]
mod tests {
    use till_testkit::MemorySource;

    use super::*;

    #[test]
    fn only_a_name_that_was_given_goes_on_as_one() {
        let wish = Wish {
            source: Arc::new(MemorySource::new(&[])),
            base: None,
            name: None,
            default_name: "folder".parse().unwrap(),
            env: std::collections::BTreeMap::new(),
            choice: till_core::dockerfile::spec::Choice::default(),
            buildpacks: Vec::new(),
            environment: None,
            disk: false,
            looks: false,
            kernel: None,
            reach: crate::world::Reach::World,
            secrets: std::collections::BTreeMap::new(),
            afresh: false,
            clear_cache: false,
        };
        let before: Before = serde_json::from_str(r#"{ "output": "/out" }"#).unwrap();
        let app = "shop".parse().unwrap();
        for (given, name) in [(true, Some("shop.2")), (false, None)] {
            let inner = inner(&wish, &before, (&app, given), 1).unwrap();
            assert_eq!(inner.name.as_ref().map(AppName::as_str), name);
            assert_eq!(inner.default_name.as_str(), "shop.2");
        }
    }
}
