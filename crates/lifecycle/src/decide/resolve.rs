//! Who takes part: a trial for each combination of the alternatives that passing buildpacks offer, until one has every
//! requirement provided and every provision required.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::group::{Plan, PlanEntry, Provider, Require, Sections};

/// More trials than anybody would wait for.
const TRIALS: u32 = 1 << 20;

/// A buildpack that passed.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) optional: bool,
    /// Its alternatives; at least one.
    pub(crate) options: Vec<Sections>,
}

/// The first trial that is good.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// Those of the passed that take part, by their place.
    pub(crate) members: Vec<usize>,
    pub(crate) plan: Plan,
}

/// Finds it. The error says what was wrong with each trial of the first few.
pub(crate) fn resolve(passed: &[Passed]) -> Result<Resolved, Vec<String>> {
    let mut chosen = vec![0_usize; passed.len()];
    let mut said = Vec::new();
    for _ in 0..TRIALS {
        match trial(passed, &chosen) {
            Ok(resolved) => return Ok(resolved),
            Err(why) if said.len() < 20 => said.push(why),
            Err(_) => {}
        }
        if !next(passed, &mut chosen) {
            return Err(said);
        }
    }
    said.push(format!("fail: no good combination of alternatives among the first {TRIALS}"));
    Err(said)
}

/// Goes on to the next combination: the last buildpack's alternatives change fastest.
fn next(passed: &[Passed], chosen: &mut [usize]) -> bool {
    for at in (0..passed.len()).rev() {
        chosen[at] += 1;
        if chosen[at] < passed[at].options.len() {
            return true;
        }
        chosen[at] = 0;
    }
    false
}

/// One combination: who is optional and of no use leaves, until nobody does.
fn trial(passed: &[Passed], chosen: &[usize]) -> Result<Resolved, String> {
    let mut members: Vec<usize> = (0..passed.len()).collect();
    loop {
        let needs = Needs::of(passed, chosen, &members);
        let mut leaving = BTreeSet::new();
        for (at, problem) in needs.problems() {
            let buildpack = &passed[at];
            // Not before its last alternative: another may fit.
            if !buildpack.optional || chosen[at] + 1 < buildpack.options.len() {
                return Err(format!("fail: {}@{} {problem}", buildpack.id, buildpack.version));
            }
            leaving.insert(at);
        }
        if leaving.is_empty() {
            if members.is_empty() {
                return Err("fail: no viable buildpacks in group".to_owned());
            }
            return Ok(Resolved { members, plan: needs.plan(passed) });
        }
        members.retain(|at| !leaving.contains(at));
    }
}

/// What is provided and required under one name.
#[derive(Default)]
struct Need {
    providers: Vec<usize>,
    requires: Vec<Require>,
    /// Provided, and not required by the same or a later one so far.
    unused: Vec<usize>,
    /// Required before anybody provided it.
    unmet: Vec<usize>,
}

/// By name, in the order of the first mention.
#[derive(Default)]
struct Needs {
    names: Vec<String>,
    needs: BTreeMap<String, Need>,
}

impl Needs {
    fn of(passed: &[Passed], chosen: &[usize], members: &[usize]) -> Self {
        let mut all = Self::default();
        for &at in members {
            let option = &passed[at].options[chosen[at]];
            for provide in &option.provides {
                all.named(&provide.name).unused.push(at);
            }
            for require in &option.requires {
                let need = all.named(&require.name);
                need.providers.append(&mut need.unused);
                if need.providers.is_empty() {
                    need.unmet.push(at);
                } else {
                    need.requires.push(require.clone());
                }
            }
        }
        all
    }

    fn named(&mut self, name: &str) -> &mut Need {
        if !self.needs.contains_key(name) {
            self.names.push(name.to_owned());
        }
        self.needs.entry(name.to_owned()).or_default()
    }

    fn problems(&self) -> impl Iterator<Item = (usize, String)> {
        self.needs.iter().flat_map(|(name, need)| {
            let unmet = need.unmet.iter().map(move |at| (*at, format!("requires {name}")));
            unmet.chain(need.unused.iter().map(move |at| (*at, format!("provides unused {name}"))))
        })
    }

    fn plan(mut self, passed: &[Passed]) -> Plan {
        let provider = |at: usize| Provider { id: passed[at].id.clone(), version: passed[at].version.clone() };
        let mut entries = Vec::new();
        for name in &self.names {
            if let Some(need) = self.needs.remove(name) {
                let providers = need.providers.into_iter().map(provider).collect();
                entries.push(PlanEntry { providers, requires: need.requires });
            }
        }
        Plan { entries }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::group::BuildPlan;

    /// `a? +x -y | -z`: provides x and requires y, or requires z; `?` is optional.
    fn passed(text: &str) -> Passed {
        let (name, plan) = text.split_once(' ').unwrap_or((text, ""));
        let option = |text: &str| {
            let named = |sign: char| {
                let words = text.split_whitespace().filter_map(move |word| word.strip_prefix(sign));
                words.map(|name| format!("{{ name = \"{name}\" }}")).collect::<Vec<_>>().join(", ")
            };
            format!("provides = [{}]\nrequires = [{}]\n", named('+'), named('-'))
        };
        let toml = plan.split('|').map(option).collect::<Vec<_>>().join("[[or]]\n");
        Passed {
            id: name.trim_end_matches('?').to_owned(),
            version: "1".to_owned(),
            optional: name.ends_with('?'),
            options: toml::from_str::<BuildPlan>(&toml).unwrap().options(),
        }
    }

    fn resolved(group: &[&str]) -> Result<String, Vec<String>> {
        let passed: Vec<_> = group.iter().map(|text| passed(text)).collect();
        let resolved = resolve(&passed)?;
        let members: Vec<_> = resolved.members.iter().map(|at| passed[*at].id.as_str()).collect();
        let entry = |entry: &PlanEntry| {
            let providers: Vec<_> = entry.providers.iter().map(|provider| provider.id.as_str()).collect();
            format!(" {}:{}x{}", entry.requires[0].name, providers.join("+"), entry.requires.len())
        };
        Ok(members.join(" ") + &resolved.plan.entries.iter().map(entry).collect::<String>())
    }

    #[test]
    fn the_first_good_trial_wins() {
        for (group, result) in [
            (&["a"][..], "a"),
            (&["a +x", "b -x"], "a b x:ax1"),
            // The same may provide and require.
            (&["a +x -x"], "a x:ax1"),
            // Two providers, two that require.
            (&["a +x", "b +x -x", "c -x"], "a b c x:a+bx2"),
            // Alternatives, the last one's first.
            (&["a +x|+y", "b -z|-y"], "a b y:ax1"),
            (&["a +x|", "b"], "a b"),
            // The optional is dropped, and then what only it used.
            (&["a +x|", "b? -x -nobody"], "a"),
            (&["a? +x", "b"], "b"),
            (&["a? +x", "b? -x -nobody", "c"], "c"),
            // But not before its last alternative was tried.
            (&["a? +x|+y", "b -y"], "a b y:ax1"),
            (&["a +y", "b? -x|-y"], "a b y:ax1"),
        ] {
            assert_eq!(resolved(group).unwrap(), result, "{group:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_said() {
        for (group, why) in [
            (&["a -x"][..], "fail: a@1 requires x"),
            (&["a +x"], "fail: a@1 provides unused x"),
            // Too late: who requires comes first.
            (&["a -x", "b +x"], "fail: a@1 requires x"),
            (&["a? +x"], "fail: no viable buildpacks in group"),
            (&[], "fail: no viable buildpacks in group"),
        ] {
            assert_eq!(resolved(group).unwrap_err()[0], why, "{group:?}");
        }
    }
}
