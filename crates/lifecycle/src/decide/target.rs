//! Whether a buildpack is made for the machine that the image will run on.

use crate::model::descriptor::{Descriptor, Distro, Target};

/// The machine, as `CNB_TARGET_*` name it; an empty word is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) os: String,
    pub(crate) arch: String,
    pub(crate) variant: String,
    pub(crate) distro: String,
    pub(crate) distro_version: String,
    /// `CNB_STACK_ID`, which old images have.
    pub(crate) stack: String,
}

impl Machine {
    /// The names and values of what buildpacks are told; of what is not known nothing.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("CNB_TARGET_OS", &self.os),
            ("CNB_TARGET_ARCH", &self.arch),
            ("CNB_TARGET_ARCH_VARIANT", &self.variant),
            ("CNB_TARGET_DISTRO_NAME", &self.distro),
            ("CNB_TARGET_DISTRO_VERSION", &self.distro_version),
        ];
        all.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name, value.as_str()))
    }

    /// Whether the buildpack is for it. Without targets, old stacks count: one must be `*` or the image's; an image that
    /// names no stack takes them all, as the distribution's tools do.
    pub(crate) fn takes(&self, descriptor: &Descriptor) -> bool {
        if !descriptor.targets.is_empty() {
            return descriptor.targets.iter().any(|target| self.is(target));
        }
        let stacks = &descriptor.stacks;
        let fits = |id: &str| id == "*" || id == self.stack;
        stacks.is_empty() || self.stack.is_empty() || stacks.iter().any(|stack| fits(&stack.id))
    }

    fn is(&self, target: &Target) -> bool {
        let any_or = |wanted: &str, ours: &str| wanted.is_empty() || ours.is_empty() || wanted == ours;
        let is_distro =
            |distro: &Distro| any_or(&distro.name, &self.distro) && any_or(&distro.version, &self.distro_version);
        any_or(&target.os, &self.os)
            && any_or(&target.arch, &self.arch)
            && any_or(&target.variant, &self.variant)
            && (target.distros.is_empty() || target.distros.iter().any(is_distro))
    }
}

/// What `uname` calls a processor, as images call it.
pub(crate) fn arch(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// ID and VERSION_ID of an `/etc/os-release`.
pub(crate) fn os_release(text: &str) -> (String, String) {
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
    };
    (value("ID"), value("VERSION_ID"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(text: &str, stack: &str) -> bool {
        let machine = Machine {
            os: "linux".to_owned(),
            arch: "amd64".to_owned(),
            distro: "debian".to_owned(),
            distro_version: "13".to_owned(),
            stack: stack.to_owned(),
            ..Machine::default()
        };
        let text = format!("api = \"0.10\"\n{text}\n[buildpack]\nid = \"a\"\n");
        machine.takes(&Descriptor::parse(&text, "/".into()).unwrap())
    }

    #[test]
    fn targets_are_compared_field_by_field() {
        for (targets, taken) in [
            ("", true),
            ("targets = [{ os = \"linux\" }]", true),
            ("targets = [{}]", true),
            ("targets = [{ os = \"windows\" }]", false),
            ("targets = [{ os = \"linux\", arch = \"arm64\" }, { os = \"linux\", arch = \"amd64\" }]", true),
            ("targets = [{ arch = \"arm64\" }]", false),
            ("targets = [{ arch = \"amd64\", variant = \"v3\" }]", true),
            ("targets = [{ os = \"linux\", distros = [{ name = \"debian\" }] }]", true),
            ("targets = [{ os = \"linux\", distros = [{ name = \"debian\", version = \"12\" }] }]", false),
            ("targets = [{ distros = [{ name = \"alpine\" }, { name = \"debian\", version = \"13\" }] }]", true),
            // Targets count, stacks beside them do not.
            ("targets = [{ os = \"linux\" }]\nstacks = [{ id = \"other\" }]", true),
        ] {
            assert_eq!(takes(targets, "ours"), taken, "{targets}");
        }
    }

    #[test]
    fn stacks_count_where_there_are_no_targets() {
        for (stacks, stack, taken) in [
            ("stacks = [{ id = \"other\" }]", "ours", false),
            ("stacks = [{ id = \"other\" }, { id = \"ours\" }]", "ours", true),
            ("stacks = [{ id = \"*\" }]", "ours", true),
            ("stacks = [{ id = \"other\" }]", "", true),
        ] {
            assert_eq!(takes(stacks, stack), taken, "{stacks}");
        }
    }

    #[test]
    fn os_release_is_read() {
        let text = "NAME=\"Debian\"\nVERSION_ID=\"13\"\nID=debian\n";
        assert_eq!(os_release(text), ("debian".to_owned(), "13".to_owned()));
        assert_eq!(os_release(""), (String::new(), String::new()));
    }
}
