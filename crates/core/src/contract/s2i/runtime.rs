//! A runtime image: what `assemble` made is copied into another image, which becomes the artifact (docs/runtime_image.md of
//! source-to-image).

use std::collections::{BTreeMap, BTreeSet};

use super::image::{Says, is_plain};
use super::pieces::{as_user, configured, missing, path_of, step};
use super::planning::Builder;
use super::scripts::{Script, Search, of_label};
use super::source::Files;
use super::{PlanError, uids};
use crate::ManifestDigest;
use crate::dockerfile::plan::clean;
use crate::known::{KnownImage, Need};
use crate::plan::{Config, Deed, Footing, Injection, Landing, Place, Selection, Stage, TreeFiles};

/// Directories and what may be executed 0755, all else 0644.
const MODE: &str = "u=rwX,go=rX";

/// A file or directory of the builder, and the directory below the runtime image's working directory where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    source: String,
    directory: String,
}

/// Reads `SOURCE[:DIRECTORY]`; the error is a sentence.
pub(super) fn mapping(text: &str) -> Result<Mapping, String> {
    let (source, directory) = text.split_once(':').unwrap_or((text, "."));
    let (source, directory) = (source.trim(), directory.trim());
    let bad = |why: &str| Err(format!("`{text}`: {why}"));
    if !is_plain(source) || clean(source).is_empty() {
        return bad("what is copied is named by an absolute path without `..`");
    }
    if source.contains(['*', '?', '[', '\\']) {
        return bad("there are no wildcards: name a file or a directory");
    }
    if directory.starts_with('/') || directory.contains([':', '\0']) || directory.split('/').any(|part| part == "..") {
        return bad(
            "it goes to a directory below the runtime image's working directory, without `/` before it and `..`",
        );
    }
    Ok(Mapping { source: clean(source), directory: clean(directory) })
}

/// A runtime image, and what is done with it.
pub(super) struct Runtime {
    name: String,
    image: KnownImage,
    mappings: Vec<Mapping>,
    pub(super) scripts: Vec<(&'static str, Script)>,
}

/// All that has to be known of it; none while something has to be found out.
pub(super) fn find(
    builder: &Builder<'_>,
    name: &str,
    files: &Files<'_>,
    needs: &mut BTreeSet<Need>,
) -> Result<Option<Runtime>, PlanError> {
    let Some(image) = builder.request.known.images.get(name) else {
        needs.insert(Need::Image(name.to_owned()));
        return Ok(None);
    };
    let says = Says(&image.config);
    let mappings = mappings(builder, says)?;
    let search = Search::new(builder.request, files, of_label(says.scripts_url(), "runtime image")?)?;
    let before = needs.len();
    let found = ["assemble-runtime", "run"].map(|script| (script, search.find(script, needs)));
    if needs.len() > before {
        return Ok(None);
    }
    let mut scripts = Vec::new();
    for (script, found) in found {
        scripts.push((script, found.ok_or_else(|| missing(script, "runtime image"))?));
    }
    Ok(Some(Runtime { name: name.to_owned(), image: image.clone(), mappings, scripts }))
}

/// What is copied: the app says it, else the base, else the runtime image.
fn mappings(builder: &Builder<'_>, says: Says<'_>) -> Result<Vec<Mapping>, PlanError> {
    let app = &builder.section.runtime_artifacts;
    let place = || "runtime_artifacts in [s2i] of till.toml".to_owned();
    if !app.is_empty() {
        let setting = |why| PlanError::Setting { place: place(), why, hint: None };
        return app.iter().map(|text| mapping(text).map_err(setting)).collect();
    }
    let base = if builder.spec.runtime_artifacts.is_empty() {
        says.input_files()
    } else {
        builder.spec.runtime_artifacts.clone()
    };
    if base.is_empty() {
        return Err(PlanError::Setting {
            place: place(),
            why: "no runtime artifacts to copy were specified, and the runtime image names none".to_owned(),
            hint: Some("e.g. runtime_artifacts = [\"/tmp/src/app.war:deployments\"]".to_owned()),
        });
    }
    let contract = |why| PlanError::Contract(format!("the runtime image's artifacts: {why}"));
    base.iter().map(|text| mapping(text).map_err(contract)).collect()
}

impl Runtime {
    /// Appends the stage upon the runtime image; answers with what the artifact says of itself, and the image by its name.
    pub(super) fn append(
        self,
        builder: &Builder<'_>,
        variables: &[(String, String)],
        stages: &mut Vec<Stage>,
    ) -> Result<(Config, BTreeMap<String, ManifestDigest>), PlanError> {
        let says = Says(&self.image.config);
        let user = builder.spec.assemble_runtime_user.as_deref().or(says.assemble_runtime_user());
        let user = user.map_or_else(|| says.user(), str::to_owned);
        let starts_as = says.user();
        let users =
            [("who runs assemble-runtime", user.as_str()), ("the USER of the runtime image", starts_as.as_str())];
        uids::check(&builder.spec.allowed_uids, users)?;
        let below = |directory: &str| format!("/{}", clean(&format!("{}/{directory}", says.directory())));
        let assembled = Footing::Stage(stages.len().saturating_sub(1));
        let copied = self.mappings.iter().map(|mapping| {
            let (above, name) = mapping.source.rsplit_once('/').unwrap_or(("", &mapping.source));
            // With what stands after `/./` kept: a directory goes there as one, and not what is in it.
            let above = if above.is_empty() { String::new() } else { format!("/{above}") };
            let sources = vec![format!("{above}/./{name}")];
            let files = TreeFiles { of: assembled.clone(), sources, parents: true, exclude: Vec::new() };
            let landing = Landing {
                path: below(&mapping.directory),
                directory: true,
                mode: Some(MODE.to_owned()),
                unpack: false,
            };
            let what = Selection::Tree(files);
            Deed::Inject(Injection { what, place: Place::Copy(landing), owner: Some(as_user(&user)) })
        });
        let mut deeds: Vec<_> = copied.collect();
        let brought = below("scripts");
        deeds.extend(builder.bring(&self.scripts, &brought, &user, stages));
        let path = |name: &str| {
            let script = self.scripts.iter().find(|(known, _)| *known == name);
            script.map(|(_, script)| path_of(name, script, &brought)).unwrap_or_default()
        };
        let name = "assemble-runtime";
        deeds.push(Deed::Run(step(name, &path(name), (&self.image.config, &user), variables)));
        stages.push(builder.stage(name, Footing::Image(self.image.digest.clone()), deeds));
        let config = configured(&self.image.config, &path("run"), variables);
        Ok((config, BTreeMap::from([(self.name, self.image.digest)])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_a_source_and_a_directory() {
        for (text, read) in [
            ("/tmp/app.war", Some(("tmp/app.war", ""))),
            ("/tmp/app.war:.", Some(("tmp/app.war", ""))),
            ("/tmp/app.war:app/dist", Some(("tmp/app.war", "app/dist"))),
            ("/opt/data/", Some(("opt/data", ""))),
            ("opt/data", None),
            ("/opt/../data", None),
            ("/", None),
            ("", None),
            ("/opt/*.jar", None),
            ("/opt/data:/app", None),
            ("/opt/data:../app", None),
            ("/opt/data:app/..", None),
            ("/opt:a:b", None),
        ] {
            let found = mapping(text).ok();
            assert_eq!(found.as_ref().map(|found| (found.source.as_str(), found.directory.as_str())), read, "{text}");
        }
    }
}
