use super::*;

const INCREMENTAL: &str = "[s2i]\nincremental = true\n";

#[test]
fn an_incremental_build_asks_the_newest_artifact() {
    let mut case = case().app(INCREMENTAL);
    assert_eq!(case.needs(), [Need::Previous]);
    case.known.previous = Some(Previous::Nothing);
    assert_eq!(case.plan().stages.len(), 1);
    let config = Config { env: vec![("KEPT".to_owned(), "then".to_owned())], ..case.image.clone() };
    case.known.previous = Some(Previous::Image(Box::new(image("before", config))));
    let plan = case.plan();
    assert_eq!(plan.stages[0].on, Footing::Image(image("before", Config::default()).digest));
    let save = step(&plan, "save-artifacts");
    let places = ["/tmp/scripts/save-artifacts", "/usr/libexec/s2i/save-artifacts"];
    assert_eq!((save.built.as_slice(), &save.argv[4..]), (places.map(str::to_owned).as_slice(), &save.built[..]));
    assert_eq!((save.user.as_str(), save.env["KEPT"].as_str()), ("1001", "then"));
    assert_eq!(put(&plan.stages[1]), ["/tmp/src: app.pl", "/tmp: /.till/out"]);
    // By default nothing is asked for; a base may say otherwise.
    assert!(super::case().decide().unwrap().plan().is_some());
    assert_eq!(super::case().spec("incremental = true\n").needs(), [Need::Previous]);
}

#[test]
fn what_another_builder_saved_is_not_asked_for() {
    let mut case = case().app(INCREMENTAL);
    let labels = pairs(&[("io.openshift.s2i.build.image", "other")]);
    case.known.previous = Some(Previous::Image(Box::new(image("before", Config { labels, ..Config::default() }))));
    let plan = case.plan();
    assert_eq!(plan.stages.len(), 1);
    assert!(plan.warnings[0].contains("built by `other`"), "{:?}", plan.warnings);
}

/// A runtime image with scripts of its own.
fn runtime() -> Config {
    Config {
        labels: pairs(&[("io.openshift.s2i.scripts-url", "image:///opt/s2i"), ("kept", "runtime")]),
        user: "app".to_owned(),
        dir: "/deployments".to_owned(),
        entrypoint: vec!["/entry".to_owned()],
        ..Config::default()
    }
}

fn extended(app: &str, config: Config) -> Case {
    let mut case = case().app(&format!("[s2i]\nruntime_image = \"slim\"\n{app}"));
    case.known.images.insert("slim".to_owned(), image("slim", config));
    case
}

#[test]
fn what_assemble_made_goes_into_the_runtime_image() {
    let case = extended("runtime_artifacts = [\"/tmp/app.war:app/dist\", \"/opt/data/\"]\n", runtime());
    let mut unknown = case.clone();
    unknown.known.images.clear();
    assert_eq!(unknown.needs(), [Need::Image("slim".to_owned())]);
    let plan = case.plan();
    assert_eq!((plan.stages[1].on.clone(), plan.stages.len()), (Footing::Image(image("slim", runtime()).digest), 2));
    assert_eq!(put(&plan.stages[1]), ["/deployments/app/dist: /tmp/./app.war", "/deployments: /opt/./data"]);
    let step = step(&plan, "assemble-runtime");
    assert_eq!((step.argv[3].as_str(), step.user.as_str()), ("/opt/s2i/assemble-runtime", "app"));
    assert_eq!(step.dir, "/deployments");
    let config = config(&plan);
    assert_eq!((config.cmd[0].as_str(), config.entrypoint[0].as_str()), ("/opt/s2i/run", "/entry"));
    assert_eq!((config.labels["kept"].as_str(), config.user.as_str()), ("runtime", "app"));
    assert_eq!(plan.images.keys().collect::<Vec<_>>(), ["slim"]);
    assert!(plan.stages[0].texts.is_empty() && !plan.stages[1].texts.is_empty());
    // The builder's `run` is nobody's business, and scripts of the source go to where the artifacts go.
    let case = extended("runtime_artifacts = [\"/x\"]\n", Config::default());
    let error = case.error();
    assert!(error.contains("`assemble-runtime`") && error.contains("runtime image"), "{error}");
    let plan = case.file(".s2i/bin/assemble-runtime", "").file(".s2i/bin/run", "").plan();
    assert_eq!(put(&plan.stages[0]), ["/tmp/src: app.pl"]);
    assert!(put(&plan.stages[1])[1].starts_with("/scripts: assemble-runtime="), "{:?}", put(&plan.stages[1]));
    assert_eq!(super::config(&plan).cmd, ["/scripts/run"]);
}

#[test]
fn what_is_copied_has_to_be_said_rightly() {
    let error = extended("", runtime()).error();
    assert!(error.contains("no runtime artifacts to copy were specified"), "{error}");
    let mut labelled = runtime();
    labelled.labels.insert("io.openshift.s2i.assemble-input-files".to_owned(), "/a:b; /c ;".to_owned());
    let plan = extended("", labelled.clone()).plan();
    assert_eq!(put(&plan.stages[1]), ["/deployments/b: /./a", "/deployments: /./c"]);
    // The app wins over the label.
    assert_eq!(put(&extended("runtime_artifacts = [\"/d\"]\n", labelled).plan().stages[1]), ["/deployments: /./d"]);
    for (artifact, why) in [("/a:/b", "without `/`"), ("/a:../b", "`..`"), ("a", "absolute"), ("/a/*", "wildcards")] {
        let error = extended(&format!("runtime_artifacts = [\"{artifact}\"]\n"), runtime()).error();
        assert!(error.contains(why), "{artifact}: {error}");
    }
    let error = extended("incremental = true\nruntime_artifacts = [\"/d\"]\n", runtime()).error();
    assert!(error.contains("no incremental builds"), "{error}");
}

fn onbuild(triggers: &[&str]) -> Case {
    let mut case = case();
    case.image.on_build = triggers.iter().map(|trigger| (*trigger).to_owned()).collect();
    case
}

#[test]
fn onbuild_instructions_are_what_a_builder_does() {
    let case = onbuild(&["COPY . /opt/app", "RUN touch made"])
        .file(".s2i/bin/run", "r")
        .file(".s2i/bin/assemble", "a")
        .file(".s2i/environment", "A=say \"$B\" \\\nnot good=1\n");
    let plan = case.plan();
    assert_eq!(plan.contract, "s2i");
    let copied = plan.stages.iter().flat_map(put).collect::<Vec<_>>();
    let wanted = "/opt/app: .s2i/environment app.pl assemble=.s2i/bin/assemble run=.s2i/bin/run";
    assert_eq!(copied, [wanted]);
    let steps: Vec<_> = plan
        .stages
        .iter()
        .flat_map(|stage| &stage.deeds)
        .filter_map(|deed| if let Deed::Run(step) = deed { Some(step.argv.join(" ")) } else { None })
        .collect();
    assert!(steps[0].contains("touch made") && steps[1].contains("sh assemble"), "{steps:?}");
    let config = config(&plan);
    assert_eq!((config.entrypoint.as_slice(), config.cmd.len()), (["./run".to_owned()].as_slice(), 0));
    assert_eq!(config.variable("A"), Some("say \"$B\" \\"));
    assert!(config.on_build.is_empty());
    assert_eq!(config.labels["io.openshift.s2i.build.image"], "builder");
    assert!(plan.warnings.iter().any(|warning| warning.contains("not good")), "{:?}", plan.warnings);
}

#[test]
fn an_onbuild_app_has_to_say_how_it_starts() {
    for (file, entrypoint) in [
        ("start.sh*", Some("./start.sh")),
        ("execute*", Some("./execute")),
        ("start.sh", None),
        ("bin/run*", None),
        ("runs*", None),
    ] {
        let case = onbuild(&["COPY . ."]).file(file, "");
        match entrypoint {
            Some(entrypoint) => assert_eq!(config(&case.plan()).entrypoint, [entrypoint], "{file}"),
            None => assert!(case.error().contains("nothing says how to start"), "{file}"),
        }
    }
    let case = onbuild(&["USER root", "COPY . ."]).file("run*", "");
    assert!(case.clone().spec("allowed_uids = [\"1-\"]\n").error().contains("ONBUILD instruction is `root`"));
    assert!(case.app("[s2i]\nscripts_url = \"image:///x\"\n").error().contains("from the source alone"));
    let error = onbuild(&["COPY nowhere ."]).file("run*", "").error();
    assert!(error.contains("ONBUILD") && error.contains("nowhere"), "{error}");
}
