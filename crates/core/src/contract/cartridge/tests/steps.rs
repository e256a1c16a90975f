use super::{WEB, World, names, plugin, steps, text};
use crate::plan::{Deed, Network, Reuse, Selection};

fn world() -> World {
    let publishes = "Publishes: {publish-db: {Type: 'ENV:NET_TCP:db'}, publish-http-url: {Type: 'NET_TCP:x'}}\n";
    let web = format!("{WEB}Subscribes: {{set-env: {{Type: 'ENV:*'}}}}\n");
    World::of("[\"./c/web\", \"./c/db\"]", &[("web", &web), ("db", &plugin("db", publishes))])
        .file("c/web/metadata/managed_files.yml", "processed_templates: ['**/*.erb']\n")
}

#[test]
fn a_gear_is_made_and_then_pushed_to() {
    let world = world()
        .file(".openshift/action_hooks/build*", "#!/bin/bash\n")
        .file(".openshift/action_hooks/pre_build", "#!/bin/bash\n")
        .file(".openshift/action_hooks/deploy*", "#!/bin/bash\n")
        .file(".openshift/action_hooks/pre_start_web", "");
    let plan = world.plan();
    let gear = [
        "gear",
        "cartridge web",
        "setup web",
        "templates web",
        "install web",
        "lock web",
        "cartridge db",
        "setup db",
        "install db",
        "lock db",
        "connect db to web",
        "post-install db",
    ];
    let app = [
        "pre-repo-archive",
        "source",
        "dependencies",
        "update-configuration",
        "pre-build",
        "hook pre_build",
        "build",
        "hook build",
        "deployment",
        "post-install web",
    ];
    assert_eq!(names(&plan), [&gear[..], &app[..]].concat());
    assert_eq!(plan.stages.iter().map(|stage| stage.reuse).collect::<Vec<_>>(), [Reuse::Inputs, Reuse::Never]);
    let warning = ".openshift/action_hooks/pre_build is not executable";
    assert!(plan.warnings.len() == 1 && plan.warnings[0].starts_with(warning), "{:?}", plan.warnings);
    let before_source = plan.stages[1]
        .deeds
        .iter()
        .position(|deed| matches!(deed, Deed::Inject(injection) if matches!(injection.what, Selection::Whole)));
    assert_eq!(before_source, Some(2), "the verb pre-repo-archive finds the repository as it was");
    for step in steps(&plan) {
        let ours =
            ["gear", "lock", "cartridge", "templates", "connect", "source", "dependencies", "deployment", "pre-repo"];
        let alone = ours.iter().any(|begin| step.name.starts_with(begin));
        assert_eq!(step.network == Network::None, alone, "{}", step.name);
        assert_eq!(step.user, "root");
    }
}

#[test]
fn a_script_that_is_not_there_costs_no_step() {
    let plan = world().plan();
    let setup = steps(&plan).into_iter().find(|step| step.name == "setup db").unwrap();
    assert_eq!(setup.built, ["/var/lib/openshift/gear/db/bin/setup"]);
}

#[test]
fn a_marker_empties_the_dependencies() {
    let how = |world: World| {
        let plan = world.plan();
        steps(&plan).into_iter().find(|step| step.name == "dependencies").unwrap().argv.last().cloned()
    };
    assert_eq!(how(world()).as_deref(), Some("kept"));
    assert_eq!(how(world().file(".openshift/markers/force_clean_build", "")).as_deref(), Some("fresh"));
}

#[test]
fn another_push_takes_the_gear_again() {
    let (one, other) = (world().plan(), world().file("more.txt", "x").plan());
    assert_eq!(one.stages[0], other.stages[0]);
    assert_ne!(one.stages[1], other.stages[1]);
    let stamp = |plan| text(plan, "stamp");
    assert_eq!(stamp(&one), stamp(&other));
    let changed = world().file("c/db/bin/setup*", "#!/bin/sh\n").plan();
    assert_ne!(one.stages[0], changed.stages[0]);
    assert_ne!(stamp(&one), stamp(&changed), "what was kept is of other cartridges");
}

#[test]
fn an_app_without_source_begins_with_the_template() {
    let argv = |world: World| {
        let plan = world.plan();
        steps(&plan).into_iter().find(|step| step.name == "source").unwrap().argv.clone()
    };
    assert_eq!(argv(world()).len(), 3);
    let mut bare = world();
    bare.source.retain(|(path, _)| path != "index.html");
    assert_eq!(argv(bare.file("till.toml", ""))[3..], ["template", "template.git", "usr/template", "usr/template.git"]);
}

/// A template has what an app has.
#[test]
fn hooks_of_a_template_have_their_turn() {
    let mut bare = world();
    bare.source.retain(|(path, _)| path != "index.html");
    let plan = bare.file("till.toml", "").plan();
    let hooks: Vec<_> = names(&plan).into_iter().filter(|name| name.starts_with("hook")).collect();
    assert_eq!(hooks, ["hook pre_build", "hook build", "hook prepare"]);
}

#[test]
fn jobs_need_a_cartridge_that_runs_them() {
    let job = |wanted: &str, carts: &[(&str, &str)]| {
        World::of(wanted, carts)
            .file(".openshift/cron/README", "")
            .file(".openshift/cron/hourly/job*", "")
            .plan()
            .warnings
    };
    let said = job("[\"./c/web\"]", &[("web", WEB)]);
    assert_eq!(said, [".openshift/cron/hourly/job does not run: none of the cartridges is `cron`, which runs jobs"]);
    let cron = plugin("cron", "");
    assert_eq!(job("[\"./c/web\", \"./c/cron\"]", &[("web", WEB), ("cron", &cron)]), [""; 0]);
}

#[test]
fn the_gear_is_the_process_and_others_run_in_its_environment() {
    let plan = world().plan();
    let argv = |name: &str| plan.launch.processes.get(name).map(|candidates| candidates[0].argv.join(" "));
    assert_eq!(argv("web").as_deref(), Some("/bin/bash /usr/lib/till/gear/gear run"));
    assert_eq!(plan.launch.user, "gear");
}
