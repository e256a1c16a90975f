//! Runs `bin/build` of each buildpack in turn: what one leaves is the environment and the plan of the next.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::outputs::{self, Found, FoundSbom};
use super::say;
use crate::arguments::Settings;
use crate::decide::processes::Processes;
use crate::decide::target::Machine;
use crate::decide::variables::{BUILD_ROOTS, Plain, Variables};
use crate::failure::{Doing as _, Failure};
use crate::inputs::{self, Scratch, buildpack, env_files, toml_file};
use crate::model::api::Api;
use crate::model::descriptor::{Catalogue, Descriptor};
use crate::model::folder;
use crate::model::group::{BuildpackPlan, Group, Member, Plan};
use crate::model::launch::{Label, Metadata, Slice};
use crate::model::layer::About;
use crate::tree::Folder;

/// What all buildpacks so far came to.
struct Building<'a> {
    settings: &'a Settings,
    machine: Machine,
    layers: Folder,
    variables: Variables,
    plan: Plan,
    processes: Processes,
    labels: Vec<Label>,
    slices: Vec<Slice>,
}

/// Builds, and writes `config/metadata.toml`.
pub(crate) fn build(settings: &Settings) -> Result<(), Failure> {
    let group: Group = toml_file(&settings.group)?;
    let catalogue = inputs::catalogue(&settings.buildpacks)?;
    let layers = Folder::open(&settings.layers).doing(|| format!("open {}", settings.layers.display()))?;
    layers.remove("sbom").doing(|| "remove the SBOM files of another build".to_owned())?;
    let mut building = Building {
        settings,
        machine: inputs::machine(|name| std::env::var_os(name)),
        layers,
        variables: Variables::for_build(std::env::vars_os()),
        plan: toml_file(&settings.plan)?,
        processes: Processes::default(),
        labels: Vec::new(),
        slices: Vec::new(),
    };
    for member in &group.group {
        building.one(member, &catalogue).map_err(|failure| failure.of_buildpack(&member.name()))?;
    }
    building.finish(group.group)
}

impl Building<'_> {
    fn one(&mut self, member: &Member, catalogue: &Catalogue) -> Result<(), Failure> {
        let (descriptor, api) = buildpack(catalogue, &member.id, &member.version)?;
        let name = folder(&member.id);
        let open = || self.layers.make(&name).doing(|| "make its directory of the layers".to_owned());
        open()?;
        let directory = self.settings.layers.join(&name);
        let given = self.plan.of(&member.id);
        self.run(descriptor, api, &directory, &given)?;

        // Opened only now: what was there before may be something else by now.
        let own = open()?;
        let mut layers = outputs::layers(&own)?;
        outputs::ignore(&own, &mut layers)?;
        self.add_environment(&directory, &layers)?;
        let (launch, build) = outputs::files(&own, &member.id, api)?;
        self.plan = std::mem::take(&mut self.plan).after(&given, &build).map_err(Failure::new)?;
        for sbom in outputs::sboms(&own, descriptor, &layers)? {
            self.keep_sbom(&own, &name, &sbom)?;
        }
        if let Some(kind) = self.processes.add(launch.processes, &self.settings.exec_env) {
            say(&format!("warning: {} replaces the default process {kind} by one that is not the default", member.id));
        }
        self.labels.extend(launch.labels);
        self.slices.extend(launch.slices);
        Ok(())
    }

    fn run(&self, descriptor: &Descriptor, api: Api, directory: &Path, given: &BuildpackPlan) -> Result<(), Failure> {
        let scratch = Scratch::new()?;
        let plan = scratch.path().join("plan.toml");
        let text = toml::to_string(given).doing(|| "write its plan".to_owned())?;
        fs::write(&plan, text).doing(|| "write its plan".to_owned())?;
        let settings = self.settings;
        let mut variables = inputs::environment(&self.variables, (descriptor, api), settings, &self.machine)?;
        if api >= Api::PATHS {
            variables.set("CNB_LAYERS_DIR", directory);
            variables.set("CNB_BP_PLAN_PATH", &plan);
        }
        let program = descriptor.directory.join("bin/build");
        let mut command = Command::new(&program);
        command.args([directory, &settings.platform, &plan]).current_dir(&settings.app);
        let status = command.env_clear().envs(variables.iter()).stdin(Stdio::null()).status();
        let status = status.doing(|| format!("run {} in {}", program.display(), settings.app.display()))?;
        if status.success() { Ok(()) } else { Err(Failure::new(format!("bin/build failed ({status})"))) }
    }

    /// What layers for building add to the environment of the buildpacks that come later.
    fn add_environment(&mut self, directory: &Path, layers: &[Found]) -> Result<(), Failure> {
        for found in layers.iter().filter(|found| found.layer.types.build && found.here) {
            let layer = directory.join(&found.name);
            self.variables.add_roots(&layer, BUILD_ROOTS, |root| outputs::has_directory(&layer, root));
            for files in ["env", "env.build"] {
                self.variables.apply(&env_files(&layer.join(files))?, Plain::Override);
            }
        }
        Ok(())
    }

    /// Copies an SBOM file to `LAYERS/sbom/KIND/BUILDPACK[/LAYER]/sbom.ENDING`.
    fn keep_sbom(&self, own: &Folder, name: &str, found: &FoundSbom) -> Result<(), Failure> {
        let deed = || format!("keep {}", found.name);
        for kind in &found.kinds {
            let mut target = self.layers.make("sbom").doing(deed)?.make(kind).doing(deed)?.make(name).doing(deed)?;
            if let About::Layer(layer) = &found.sbom.about {
                target = target.make(layer).doing(deed)?;
            }
            let mut from = own.file(&found.name).doing(deed)?.ok_or_else(|| Failure::new("an SBOM file is gone"))?;
            target.remove(&found.sbom.file).doing(deed)?;
            let mut to = target.create(&found.sbom.file, 0o644).doing(deed)?;
            std::io::copy(&mut from, &mut to).doing(deed)?;
        }
        Ok(())
    }

    fn finish(self, buildpacks: Vec<Member>) -> Result<(), Failure> {
        let (processes, default) = self.processes.finish();
        let metadata = Metadata {
            buildpack_default_process_type: default.unwrap_or_default(),
            buildpacks,
            labels: self.labels,
            processes,
            slices: self.slices,
        };
        let deed = || "write config/metadata.toml".to_owned();
        let text = toml::to_string(&metadata).doing(deed)?;
        self.layers.make("config").doing(deed)?.write("metadata.toml", text.as_bytes()).doing(deed)
    }
}
