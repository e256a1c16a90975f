//! app.json: what an app says of itself in Heroku's form (Dev Center, "app.json schema"); keys that mean nothing here are
//! passed over.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::contract::PlanError;

/// The file's name, at the root of the source.
pub(super) const FILE: &str = "app.json";

/// What counts here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AppJson {
    pub(super) buildpacks: Option<Vec<Pack>>,
    env: BTreeMap<String, Variable>,
    environments: BTreeMap<String, Setting>,
    pub(super) stack: Option<String>,
}

/// A buildpack.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Pack {
    Url { url: String },
    Plain(String),
}

/// A config var.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Variable {
    Value(Scalar),
    Said { value: Option<Scalar>, required: Option<bool>, generator: Option<String> },
}

/// What people write for a text.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Flag(bool),
    Number(serde_json::Number),
}

/// How the app is set up for one purpose, e.g. `test`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Setting {
    env: BTreeMap<String, Variable>,
    scripts: BTreeMap<String, String>,
    buildpacks: Vec<serde_json::Value>,
}

/// How the app is tested.
#[derive(Debug, Default, Clone)]
pub(super) struct Test {
    /// Beyond the app's own.
    pub(super) env: BTreeMap<String, String>,
    /// Run before.
    pub(super) setup: Option<String>,
    /// In place of the buildpacks' `bin/test`.
    pub(super) script: Option<String>,
}

impl Pack {
    pub(super) fn address(&self) -> &str {
        match self {
            Self::Url { url } => url,
            Self::Plain(address) => address,
        }
    }
}

impl Scalar {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => number.to_string(),
        }
    }
}

impl AppJson {
    pub(super) fn parse(text: &str) -> Result<Self, PlanError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        serde_json::from_str(text)
            .map_err(|error| PlanError::Unreadable { path: FILE.to_owned(), why: error.to_string() })
    }

    /// Config vars with the values that they have when nobody says another.
    pub(super) fn env(&self) -> BTreeMap<String, String> {
        values(&self.env)
    }

    /// Config vars that somebody has to give a value, and what is known of it.
    pub(super) fn wanted(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.env.iter().filter_map(|(name, variable)| match variable {
            Variable::Said { value: None, generator: Some(_), .. } => {
                Some((name.as_str(), "a secret, which till does not make up"))
            }
            Variable::Said { value: None, required, .. } if required.unwrap_or(true) => {
                Some((name.as_str(), "required"))
            }
            _ => None,
        })
    }

    /// Does it want other buildpacks for its tests?
    pub(super) fn tests_with_other_buildpacks(&self) -> bool {
        self.environments.get("test").is_some_and(|setting| !setting.buildpacks.is_empty())
    }

    /// How the app is tested, if it says anything of it.
    pub(super) fn test(&self) -> Option<Test> {
        let setting = self.environments.get("test")?;
        let script = |name: &str| setting.scripts.get(name).filter(|text| !text.trim().is_empty()).cloned();
        Some(Test { env: values(&setting.env), setup: script("test-setup"), script: script("test") })
    }
}

fn values(env: &BTreeMap<String, Variable>) -> BTreeMap<String, String> {
    let value = |variable: &Variable| match variable {
        Variable::Value(value) | Variable::Said { value: Some(value), .. } => Some(value.text()),
        Variable::Said { .. } => None,
    };
    env.iter().filter_map(|(name, variable)| Some((name.clone(), value(variable)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_is_read() {
        let text = r#"{"name": "x", "addons": ["a"], "formation": {"web": {"quantity": 1}}, "stack": "heroku-22",
            "buildpacks": [{"url": "heroku/python"}, "./mine"],
            "env": {"A": "1", "B": {"value": "2", "description": "d"}, "C": {"generator": "secret"}, "D": {}, "N": 3,
                    "E": {"required": false}},
            "environments": {"test": {"env": {"T": true}, "scripts": {"test": "run", "test-setup": " "}}, "review": {}}}"#;
        let app = AppJson::parse(text).unwrap();
        assert_eq!(
            app.buildpacks.as_ref().unwrap().iter().map(Pack::address).collect::<Vec<_>>(),
            ["heroku/python", "./mine"]
        );
        let env = app.env();
        assert_eq!(
            env.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>(),
            ["A=1", "B=2", "N=3"]
        );
        assert_eq!(app.wanted().map(|(name, _)| name).collect::<Vec<_>>(), ["C", "D"]);
        let test = app.test().unwrap();
        assert_eq!((test.env["T"].as_str(), test.setup, test.script.as_deref()), ("true", None, Some("run")));
        assert!(AppJson::parse("{}").unwrap().test().is_none());
    }

    #[test]
    fn what_is_no_json_is_named_with_its_line() {
        let error = AppJson::parse("{\n\"env\": 1\n}").unwrap_err().to_string();
        assert!(error.contains("app.json") && error.contains("line 2"), "{error}");
    }
}
