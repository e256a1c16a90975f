//! What an image says of itself by labels and variables, new and old ones (docs/builder_image.md of source-to-image).

use std::collections::BTreeMap;

use crate::plan::Config;

const SCRIPTS_URL: [&str; 2] = ["io.openshift.s2i.scripts-url", "io.s2i.scripts-url"];
const DESTINATION: [&str; 2] = ["io.openshift.s2i.destination", "io.s2i.destination"];
const ASSEMBLE_USER: &str = "io.openshift.s2i.assemble-user";
const ASSEMBLE_RUNTIME_USER: &str = "io.openshift.s2i.assemble-runtime-user";
const INPUT_FILES: &str = "io.openshift.s2i.assemble-input-files";
const EXPOSE_SERVICES: &str = "io.openshift.expose-services";
/// What they were before there were labels.
const SCRIPTS_VARIABLE: &str = "STI_SCRIPTS_URL";
const DESTINATION_VARIABLE: &str = "STI_LOCATION";
/// Where source goes when nobody says.
const DEFAULT_DESTINATION: &str = "/tmp";

/// Where scripts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ScriptsUrl {
    /// In this directory of the image.
    Image(String),
    /// At this address, each by its name after a `/`.
    Web(String),
    /// In this directory of the machine.
    Folder(String),
}

impl ScriptsUrl {
    /// Reads one; the error is half a sentence.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let trimmed = |path: &str| path.trim_end_matches('/').to_owned();
        let directory = |path: &str| match is_plain(path) {
            true => Ok(trimmed(path)),
            false => Err(format!("`{path}` is not an absolute path without `..`")),
        };
        if let Some(path) = text.strip_prefix("image://") {
            return directory(path).map(Self::Image);
        }
        if let Some(path) = text.strip_prefix("file://") {
            return directory(path).map(Self::Folder);
        }
        let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        match host {
            Some(host) if !host.trim_matches('/').is_empty() => Ok(Self::Web(trimmed(text))),
            _ => Err("scripts are at image:///DIRECTORY, http(s)://ADDRESS or file:///DIRECTORY".to_owned()),
        }
    }
}

/// Absolute, and without `..`.
pub(super) fn is_plain(path: &str) -> bool {
    path.starts_with('/') && !path.contains('\0') && path.split('/').all(|part| part != "..")
}

/// What an image says, by whichever name it says it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Says<'a>(pub(super) &'a Config);

impl<'a> Says<'a> {
    fn label(self, names: &[&str]) -> Option<&'a str> {
        let said = names.iter().find_map(|name| self.0.labels.get(*name).map(|value| value.trim()));
        said.filter(|value| !value.is_empty())
    }

    fn said(self, labels: &[&str], variable: &str) -> Option<&'a str> {
        let old = || self.0.variable(variable).map(str::trim).filter(|value| !value.is_empty());
        labels.iter().find_map(|name| self.label(&[name])).or_else(old)
    }

    /// Where its scripts are.
    pub(super) fn scripts_url(self) -> Option<&'a str> {
        self.said(&SCRIPTS_URL, SCRIPTS_VARIABLE)
    }

    /// The directory of its own scripts.
    pub(super) fn scripts_directory(self) -> Option<String> {
        match ScriptsUrl::parse(self.scripts_url()?) {
            Ok(ScriptsUrl::Image(path)) => Some(path),
            _ => None,
        }
    }

    /// What receives source, scripts and artifacts.
    pub(super) fn destination(self) -> &'a str {
        self.said(&DESTINATION, DESTINATION_VARIABLE).unwrap_or(DEFAULT_DESTINATION)
    }

    /// Who it starts as.
    pub(super) fn user(self) -> String {
        if self.0.user.is_empty() { "root".to_owned() } else { self.0.user.clone() }
    }

    /// Who runs `assemble`, if it is somebody else.
    pub(super) fn assemble_user(self) -> Option<&'a str> {
        self.label(&[ASSEMBLE_USER])
    }

    /// Who runs `assemble-runtime`, if it is somebody else.
    pub(super) fn assemble_runtime_user(self) -> Option<&'a str> {
        self.label(&[ASSEMBLE_RUNTIME_USER])
    }

    /// What a runtime image wants of the builder, as mappings.
    pub(super) fn input_files(self) -> Vec<String> {
        let files = self.label(&[INPUT_FILES]).unwrap_or_default().split(';').map(str::trim);
        files.filter(|text| !text.is_empty()).map(str::to_owned).collect()
    }

    /// Where it starts.
    pub(super) fn directory(self) -> &'a str {
        if self.0.dir.is_empty() { "/" } else { &self.0.dir }
    }

    /// Its ports, with those that only the catalogue's label tells of.
    pub(super) fn ports(self) -> std::collections::BTreeSet<String> {
        let mut ports = self.0.ports.clone();
        for (number, _) in self.services() {
            let known = |port: &String| port.split('/').next() == Some(number.to_string().as_str());
            if !ports.iter().any(known) {
                ports.insert(format!("{number}/tcp"));
            }
        }
        ports
    }

    /// What the catalogue's label calls its ports: `8080:http,8443:https`.
    pub(super) fn services(self) -> impl Iterator<Item = (u16, &'a str)> {
        let services = self.label(&[EXPOSE_SERVICES]).unwrap_or_default().split(',');
        services.filter_map(|service| {
            let (number, name) = service.split_once(':').unwrap_or((service, ""));
            let number = number.trim().split('/').next()?.parse::<u16>().ok()?;
            (number != 0).then(|| (number, name.trim()))
        })
    }

    /// Is it a builder image? One whose scripts all come from the source says so by another of the labels.
    pub(super) fn is_builder(self) -> bool {
        let others = [DESTINATION[0], DESTINATION[1], ASSEMBLE_USER];
        self.scripts_url().is_some() || others.iter().any(|name| self.label(&[name]).is_some())
    }

    /// What the user should know of it.
    pub(super) fn warnings(self) -> Vec<String> {
        let old: BTreeMap<&str, &str> =
            BTreeMap::from([(SCRIPTS_URL[1], SCRIPTS_URL[0]), (DESTINATION[1], DESTINATION[0])]);
        let labels = old.into_iter().filter(|(old, new)| self.label(&[old]).is_some() && self.label(&[new]).is_none());
        labels.map(|(old, new)| format!("the image has the old label `{old}`; it is `{new}` now")).collect()
    }
}
