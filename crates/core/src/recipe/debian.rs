//! Recipe `debian`: a suite and a list of packages, or packages on top of another base; extra files; commands.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{BadRecipe, FoundFile, Ground, Recipe, leftovers};
use crate::dockerfile::plan::Need;
use crate::model::{BaseRef, SourceView};
use crate::packages::{PackageWish, Pinned, archive};
use crate::plan::{
    self, Bootstrap, Decision, Deed, ExtraFile, Footing, Injection, LaunchDraft, Limits, Network, Place, Plan, Reuse,
    Selection, Sight, Stage, Step,
};

/// Only `debian` so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Debian packages.
    Debian,
}

/// The `[recipe]` of a `base.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebianSpec {
    /// Which recipe this is.
    pub kind: Kind,
    /// Another base to build upon.
    pub from: Option<BaseRef>,
    /// The suite, without `from`.
    pub suite: Option<String>,
    /// Which of the machine's archives are used, without `from`.
    #[serde(default = "all_archives")]
    pub archives: Vec<Archive>,
    /// Packages by name.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Recommended packages too.
    #[serde(default)]
    pub recommends: bool,
    /// Extra files.
    #[serde(default)]
    pub file: Vec<FileSpec>,
    /// Argv lists, run as root after packages and files.
    #[serde(default)]
    pub commands: Vec<Vec<String>>,
}

/// A part of the Debian archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Archive {
    /// The suite as it was released.
    Release,
    /// `SUITE-updates`.
    Updates,
    /// `SUITE-security`.
    Security,
}

impl Archive {
    fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Updates => "updates",
            Self::Security => "security",
        }
    }
}

fn all_archives() -> Vec<Archive> {
    vec![Archive::Release, Archive::Updates, Archive::Security]
}

/// A file or directory of the base's folder that goes into the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSpec {
    /// In the folder.
    pub source: String,
    /// In the image.
    pub path: String,
    /// Octal permission bits; by default those that each file has in the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

impl DebianSpec {
    /// What contradicts itself, in one sentence.
    pub fn check(&self) -> Result<(), String> {
        match (&self.from, &self.suite) {
            (None, None) => return Err("recipe: either `from` or `suite` must be given".to_owned()),
            (Some(_), Some(_)) => return Err("recipe: `from` and `suite` exclude each other".to_owned()),
            _ => {}
        }
        if let Some(name) = self.packages.iter().find(|name| !is_package(name)) {
            return Err(format!("recipe: `{name}` is not a package's name"));
        }
        if let Some(suite) = self.suite.iter().find(|suite| !is_package(suite)) {
            return Err(format!("recipe: `{suite}` is not a suite's name"));
        }
        for file in &self.file {
            mode(file)?;
            if file.source.split('/').any(|part| part == "..") || file.source.starts_with('/') {
                return Err(format!("recipe: `{}` is not inside the base's folder", file.source));
            }
        }
        Ok(())
    }
}

/// Package names, with `=version` or `/suite` or `:arch` after them; never an option.
pub(crate) fn is_package(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+-.:~=/_".contains(&b);
    name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric()) && name.bytes().all(allowed)
}

fn mode(file: &FileSpec) -> Result<Option<u32>, String> {
    let Some(text) = &file.mode else { return Ok(None) };
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
    mode.map(Some).ok_or_else(|| format!("recipe: mode `{text}` of `{}` is not octal", file.source))
}

/// No server reads manuals and translations. The directories of manuals stay: packages link into them.
const EXCLUDED: [&str; 2] = ["/usr/share/man/*/*", "/usr/share/locale/*"];

impl Recipe for DebianSpec {
    fn name(&self) -> &'static str {
        "debian"
    }

    fn reads(&self) -> Vec<String> {
        self.file.iter().map(|file| file.source.clone()).collect()
    }

    fn texts(&self, _: &SourceView) -> Vec<String> {
        Vec::new()
    }

    fn plan(&self, ground: &Ground<'_>) -> Result<Decision, BadRecipe> {
        let wish = self.wish(ground);
        let packages = match (&wish, &ground.known.packages) {
            (Some(wish), None) => return Ok(Decision::Needs(vec![Need::Packages(wish.clone())])),
            (Some(_), Some(found)) => archive::pinned(&found.packages),
            (None, _) => Vec::new(),
        };
        let mut deeds = match wish {
            Some(PackageWish::System(system)) => vec![Deed::Bootstrap(system)],
            Some(PackageWish::Upon { names, .. }) => self.install(&names, &packages),
            None => Vec::new(),
        };
        deeds.extend(self.files(ground.files)?);
        for (number, argv) in self.commands.iter().enumerate() {
            deeds.push(Deed::Run(root_step(&format!("command {}", number + 1), argv.clone(), Network::None)));
        }
        Ok(Decision::Plan(Box::new(Plan {
            version: plan::VERSION,
            contract: "recipe/debian".to_owned(),
            environment: ground.environment.to_owned(),
            machine: None,
            system: None,
            base: ground.from.map(|from| from.digest.clone()),
            source: None,
            stages: vec![Stage {
                name: "image".to_owned(),
                on: ground.from.map_or(Footing::Nothing, |from| Footing::Image(from.digest.clone())),
                sight: Sight::All,
                reuse: Reuse::Never,
                epoch: ground.epoch,
                deeds,
                texts: Vec::new(),
                spread: None,
            }],
            top: Footing::Stage(0),
            work: None,
            test: None,
            finish: Vec::new(),
            caches: Vec::new(),
            remove: leftovers(),
            volatile: plan::volatile(),
            collect: Vec::new(),
            starts: Vec::new(),
            limits: Limits::default(),
            launch: LaunchDraft { user: "root".to_owned(), dir: "/".to_owned(), ..LaunchDraft::default() },
            image: None,
            images: BTreeMap::new(),
            packages,
            warnings: Vec::new(),
        })))
    }
}

impl DebianSpec {
    fn bootstrap(&self, suite: &str) -> Bootstrap {
        Bootstrap {
            suite: suite.to_owned(),
            archives: self.archives.iter().map(|archive| archive.as_str().to_owned()).collect(),
            packages: self.packages.clone(),
            recommends: self.recommends,
            exclude: EXCLUDED.map(str::to_owned).to_vec(),
        }
    }

    /// What has to be found out.
    fn wish(&self, ground: &Ground<'_>) -> Option<PackageWish> {
        match (&self.suite, ground.from) {
            (Some(suite), _) => Some(PackageWish::System(self.bootstrap(suite))),
            (None, Some(from)) if !self.packages.is_empty() => Some(PackageWish::Upon {
                image: from.digest.clone(),
                names: self.packages.clone(),
                recommends: self.recommends,
            }),
            _ => None,
        }
    }

    /// Packages on top of another base, by its own apt, from an archive that has just these.
    fn install(&self, names: &[String], packages: &[Pinned]) -> Vec<Deed> {
        let settings = [
            format!("Dir::Etc::SourceList={}/sources.list", archive::PLACE),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            "Dir::Etc::Preferences=/dev/null".to_owned(),
            "Dir::Etc::PreferencesParts=/dev/null".to_owned(),
            // What is in /tmp is in no image.
            "Dir::State::Lists=/tmp/till-apt/lists".to_owned(),
            "Dir::Cache=/tmp/till-apt/cache".to_owned(),
        ];
        let apt = |verb: &[&str]| -> Vec<String> {
            let common = ["apt-get", "-q", "-o", "Dpkg::Use-Pty=0", "-o", "APT::Sandbox::User=root"].map(str::to_owned);
            let settings = settings.iter().flat_map(|setting| ["-o".to_owned(), setting.clone()]);
            common.into_iter().chain(settings).chain(verb.iter().map(|word| (*word).to_owned())).collect()
        };
        let recommends = if self.recommends { "--install-recommends" } else { "--no-install-recommends" };
        let mut install = apt(&["install", "--yes", recommends, "--"]);
        // A suite is of no archive but the mirror's; the version that it meant is the only one here.
        install.extend(names.iter().map(|name| name.split('/').next().unwrap_or(name).to_owned()));
        let step = |name: &str, argv| {
            let mut step = root_step(name, argv, Network::None);
            step.mounts = vec![archive::lent(packages)];
            Deed::Run(step)
        };
        let folders = ["mkdir", "-p", "/tmp/till-apt/lists/partial", "/tmp/till-apt/cache/archives/partial"];
        vec![
            step("places for apt", folders.map(str::to_owned).to_vec()),
            step("package lists", apt(&["update"])),
            step("packages", install),
        ]
    }

    fn files(&self, found: &[FoundFile]) -> Result<Option<Deed>, String> {
        let mut files = Vec::new();
        for spec in &self.file {
            let below = format!("{}/", spec.source.trim_end_matches('/'));
            let mut matched = false;
            for file in found {
                let path = match file.path.strip_prefix(&below) {
                    Some(rest) => format!("{}/{rest}", spec.path.trim_end_matches('/')),
                    None if file.path == spec.source => spec.path.clone(),
                    None => continue,
                };
                matched = true;
                files.push(ExtraFile {
                    source: file.path.clone(),
                    path,
                    mode: mode(spec)?.unwrap_or(file.mode()),
                    digest: file.digest.clone(),
                });
            }
            if !matched {
                return Err(format!("recipe: there is no file `{}` in the base's folder", spec.source));
            }
        }
        Ok((!files.is_empty()).then(|| {
            Deed::Inject(Injection {
                what: Selection::Extra(files),
                place: Place::Dir("/".to_owned()),
                owner: Some("root".to_owned()),
            })
        }))
    }
}

fn root_step(name: &str, argv: Vec<String>, network: Network) -> Step {
    Step {
        name: name.to_owned(),
        argv,
        env: BTreeMap::from(
            [
                ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
                ("DEBIAN_FRONTEND", "noninteractive"),
                ("LANG", "C.UTF-8"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        ),
        dir: "/".to_owned(),
        user: "root".to_owned(),
        network,
        built: Vec::new(),
        mounts: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dockerfile::plan::Known;
    use crate::plan::lint;

    fn spec(text: &str) -> DebianSpec {
        toml::from_str(&format!("kind = \"debian\"\n{text}")).unwrap()
    }

    #[test]
    fn contradictions_are_named() {
        for (text, part) in [
            ("", "either `from` or `suite`"),
            ("from = \"debian\"\nsuite = \"bookworm\"", "exclude each other"),
            ("suite = \"bookworm\"\npackages = [\"--allow-x\"]", "not a package's name"),
            ("suite = \"../x\"", "not a suite's name"),
            ("suite = \"a\"\n[[file]]\nsource = \"../x\"\npath = \"/x\"", "not inside"),
            ("suite = \"a\"\n[[file]]\nsource = \"x\"\npath = \"/x\"\nmode = \"rwx\"", "not octal"),
        ] {
            let error = spec(text).check().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_directory_of_files_is_copied_whole() {
        let text = "suite = \"bookworm\"\n[[file]]\nsource = \"files\"\npath = \"/opt/x\"\n";
        let files = put_in(&spec(text));
        let files: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.mode)).collect();
        assert_eq!(files, [("/opt/x/a", 0o755), ("/opt/x/b/c", 0o644)], "each as it is there");
        let modes: Vec<_> = put_in(&spec(&format!("{text}mode = \"0555\""))).iter().map(|file| file.mode).collect();
        assert_eq!(modes, [0o555, 0o555]);
    }

    /// What a recipe puts in, of a folder with `files/a`, which is executable, `files/b/c` and another.
    fn put_in(spec: &DebianSpec) -> Vec<ExtraFile> {
        let found =
            |path: &str| FoundFile { path: path.to_owned(), executable: path.ends_with('a'), digest: Digest::of(b"") };
        let files = [found("files/a"), found("files/b/c"), found("filesystem")];
        let known = Known { packages: Some(crate::packages::Resolved::default()), ..Known::default() };
        let folder = SourceView::default();
        let ground = Ground {
            from: None,
            epoch: 0,
            files: &files,
            folder: &folder,
            known: &known,
            environment: "container",
            architecture: "amd64",
        };
        let plan = spec.plan(&ground).unwrap().plan().unwrap();
        assert_eq!(lint(&plan), []);
        let Deed::Inject(injection) = &plan.stages[0].deeds[1] else { panic!("{plan:?}") };
        let Selection::Extra(files) = &injection.what else { panic!("{injection:?}") };
        files.clone()
    }

    use crate::digest::Digest;
}
