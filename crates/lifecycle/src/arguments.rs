//! What a phase is told: flags, then variables of the environment, then the specification's defaults.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::failure::{ARGUMENTS, Doing as _, Failure};
use crate::model::PRODUCTION;

/// All of it; each phase takes what it needs.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) app: PathBuf,
    pub(crate) layers: PathBuf,
    pub(crate) platform: PathBuf,
    pub(crate) buildpacks: PathBuf,
    pub(crate) build_config: PathBuf,
    /// Not given: `order.toml` of the layers if it is there, else the builder's.
    pub(crate) order: Option<PathBuf>,
    pub(crate) group: PathBuf,
    pub(crate) plan: PathBuf,
    pub(crate) cache: Option<PathBuf>,
    pub(crate) previous: Option<PathBuf>,
    pub(crate) into: Option<PathBuf>,
    pub(crate) report: Option<PathBuf>,
    pub(crate) process_type: Option<String>,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) exec_env: String,
}

/// Flags and the variables that stand for them.
const FLAGS: [(&str, &str); 15] = [
    ("app", "CNB_APP_DIR"),
    ("layers", "CNB_LAYERS_DIR"),
    ("platform", "CNB_PLATFORM_DIR"),
    ("buildpacks", "CNB_BUILDPACKS_DIR"),
    ("build-config", "CNB_BUILD_CONFIG_DIR"),
    ("order", "CNB_ORDER_PATH"),
    ("group", "CNB_GROUP_PATH"),
    ("plan", "CNB_PLAN_PATH"),
    ("cache", "CNB_CACHE_DIR"),
    ("previous", ""),
    ("into", ""),
    ("report", ""),
    ("process-type", "CNB_PROCESS_TYPE"),
    ("uid", "CNB_USER_ID"),
    ("gid", "CNB_GROUP_ID"),
];

impl Settings {
    /// Reads what stands behind the name of the phase: `-flag value`, `--flag value` or `-flag=value`.
    pub(crate) fn parse(words: &[OsString], variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Failure> {
        let given = given(words)?;
        let value = |flag: &str| {
            let of_flag = given.iter().rev().find(|(name, _)| name == flag).map(|(_, value)| value.clone());
            let of_variable = || {
                let name = FLAGS.iter().find(|(name, _)| *name == flag).map(|(_, variable)| *variable);
                name.filter(|name| !name.is_empty()).and_then(&variable)
            };
            of_flag.or_else(of_variable).filter(|value| !value.is_empty())
        };
        // Other processes are started in the app, where a relative path would be another.
        let path = |flag: &str| {
            let absolute = |path: OsString| std::path::absolute(&path).doing(|| format!("find {}", path.display()));
            value(flag).map(absolute).transpose()
        };
        let or = |flag: &str, default: &str| Ok(path(flag)?.unwrap_or_else(|| default.into()));
        let layers: PathBuf = or("layers", "/layers")?;
        let beside = |flag: &str, name: &str| Ok::<_, Failure>(path(flag)?.unwrap_or_else(|| layers.join(name)));
        Ok(Self {
            app: or("app", "/workspace")?,
            platform: or("platform", "/platform")?,
            buildpacks: or("buildpacks", "/cnb/buildpacks")?,
            build_config: or("build-config", "/cnb/build-config")?,
            order: path("order")?,
            group: beside("group", "group.toml")?,
            plan: beside("plan", "plan.toml")?,
            cache: path("cache")?,
            previous: path("previous")?,
            into: path("into")?,
            report: path("report")?,
            process_type: value("process-type").map(text).transpose()?,
            uid: value("uid").map(number).transpose()?,
            gid: value("gid").map(number).transpose()?,
            exec_env: variable("CNB_EXEC_ENV")
                .filter(|name| !name.is_empty())
                .map_or(Ok(PRODUCTION.to_owned()), text)?,
            layers,
        })
    }

    /// A path that this phase cannot do without.
    pub(crate) fn required<'a>(path: Option<&'a PathBuf>, flag: &str) -> Result<&'a PathBuf, Failure> {
        path.ok_or_else(|| Failure::exit(ARGUMENTS, format!("-{flag} is missing")))
    }
}

fn given(words: &[OsString]) -> Result<Vec<(String, OsString)>, Failure> {
    let mut given = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let shown = word.to_string_lossy();
        let unknown = || Failure::exit(ARGUMENTS, format!("`{shown}` is not a flag of this phase"));
        let bare = shown.strip_prefix("--").or_else(|| shown.strip_prefix('-')).ok_or_else(unknown)?;
        let (name, value) = match bare.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (bare, None),
        };
        if !FLAGS.iter().any(|(known, _)| *known == name) {
            return Err(unknown());
        }
        let missing = || Failure::exit(ARGUMENTS, format!("-{name} needs a value"));
        let value = value.map_or_else(|| words.next().cloned().ok_or_else(missing), Ok)?;
        given.push((name.to_owned(), value));
    }
    Ok(given)
}

fn text(value: OsString) -> Result<String, Failure> {
    value.into_string().map_err(|value| Failure::exit(ARGUMENTS, format!("`{}` is not text", value.display())))
}

fn number(value: OsString) -> Result<u32, Failure> {
    let bad =
        |value: &OsStr| Failure::exit(ARGUMENTS, format!("`{}` is not a number of a user or group", value.display()));
    value.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| bad(&value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Settings, Failure> {
        let words: Vec<OsString> = words.split_whitespace().map(OsString::from).collect();
        let variable = |name: &str| match name {
            "CNB_APP_DIR" => Some("/from/variable".into()),
            "CNB_USER_ID" => Some("1000".into()),
            "CNB_GROUP_ID" => Some("".into()),
            _ => None,
        };
        Settings::parse(&words, variable)
    }

    #[test]
    fn flags_come_before_variables_and_defaults() {
        let settings = parse("-layers /l --plan=/p -uid 5").unwrap();
        assert_eq!(settings.app, PathBuf::from("/from/variable"));
        assert_eq!(settings.group, PathBuf::from("/l/group.toml"));
        assert_eq!(settings.plan, PathBuf::from("/p"));
        assert_eq!((settings.uid, settings.gid), (Some(5), None));
        assert_eq!(settings.platform, PathBuf::from("/platform"));
        assert_eq!(settings.exec_env, "production");
        assert!(parse("-layers rel").unwrap().layers.is_absolute());
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for bad in ["-nonsense x", "word", "-layers", "-uid many", "-uid -1"] {
            assert_eq!(parse(bad).unwrap_err().exit, Some(ARGUMENTS), "{bad}");
        }
    }
}
