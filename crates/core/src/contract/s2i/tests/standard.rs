use super::*;
use crate::model::launch::Protocol;

#[test]
fn a_builder_with_its_scripts_in_it() {
    let plan = case().plan();
    assert_eq!(plan.stages.len(), 1);
    assert_eq!((&plan.stages[0].on, &plan.top), (&Footing::Image(builder()), &Footing::Stage(0)));
    assert_eq!(put(&plan.stages[0]), ["/tmp/src: app.pl"]);
    let step = step(&plan, "assemble");
    assert_eq!(step.argv, ["/bin/sh", "-c", "exec \"$0\"", "/usr/libexec/s2i/assemble"]);
    assert_eq!((step.user.as_str(), step.dir.as_str()), ("1001", "/opt/app"));
    assert_eq!(step.env, pairs(&[("PATH", "/opt/bin:/bin"), ("KEPT", "1")]));
    assert_eq!(plan.stages[0].texts, ["/tmp/.s2i/image_metadata.json"]);
    // What lies in /tmp stays.
    assert!(plan.volatile.is_empty() && plan.remove.is_empty());
    assert_eq!((plan.starts[0].path.as_str(), plan.starts[0].user.as_str()), ("/usr/libexec/s2i/run", "1001"));
    let config = config(&plan);
    assert_eq!((config.cmd.as_slice(), config.entrypoint.len()), (["/usr/libexec/s2i/run".to_owned()].as_slice(), 0));
    assert_eq!((config.user.as_str(), config.dir.as_str()), ("1001", "/opt/app"));
    assert_eq!(config.labels["io.k8s.display-name"], "shop");
    assert_eq!(config.labels["io.openshift.s2i.build.image"], "builder");
}

#[test]
fn the_entrypoint_stays_and_has_no_say_in_assemble() {
    let mut case = case();
    case.image.entrypoint = vec!["container-entrypoint".to_owned()];
    let plan = case.plan();
    assert_eq!(step(&plan, "assemble").argv[0], "/bin/sh");
    assert_eq!(config(&plan).entrypoint, ["container-entrypoint"]);
    let argv = &plan.launch.processes["web"][0].argv;
    assert_eq!(argv, &["container-entrypoint", "/usr/libexec/s2i/run"]);
    assert_eq!((plan.launch.user.as_str(), plan.launch.dir.as_str()), ("1001", "/opt/app"));
}

#[test]
fn who_assembles_is_not_who_runs() {
    for (spec, label, user) in
        [("", None, "1001"), ("", Some("0"), "0"), ("assemble_user = \"app\"\n", Some("0"), "app")]
    {
        let mut case = case().spec(spec);
        if let Some(label) = label {
            case = case.label("io.openshift.s2i.assemble-user", label);
        }
        let plan = case.plan();
        assert_eq!(step(&plan, "assemble").user, user);
        let owner = match &plan.stages[0].deeds[0] {
            Deed::Inject(injection) => injection.owner.as_deref(),
            _ => None,
        };
        assert_eq!((owner, config(&plan).user.as_str()), (Some(user), "1001"));
    }
    let mut case = case();
    case.image.user.clear();
    assert_eq!(step(&case.plan(), "assemble").user, "root");
}

#[test]
fn labels_of_old_and_variables_of_older_are_understood() {
    let none = || case().without_label("io.openshift.s2i.scripts-url");
    let variable = |mut case: Case, name: &str, value: &str| {
        case.image.env.push((name.to_owned(), value.to_owned()));
        case
    };
    for (case, run, src) in [
        (case().label("io.openshift.s2i.destination", "/opt/"), "/usr/libexec/s2i/run", "/opt/src"),
        (none().label("io.s2i.scripts-url", "image:///s/").label("io.s2i.destination", "/d"), "/s/run", "/d/src"),
        (variable(variable(none(), "STI_SCRIPTS_URL", "image:///v"), "STI_LOCATION", "/l"), "/v/run", "/l/src"),
        (none().spec("scripts_url = \"image:///b\"\ndestination = \"/\"\n"), "/b/run", "/src"),
        (case().spec("scripts_url = \"image:///b\"\n"), "/b/run", "/tmp/src"),
    ] {
        let plan = case.plan();
        assert_eq!((config(&plan).cmd[0].as_str(), place_of_source(&plan)), (run, src));
    }
    let warned = none().label("io.s2i.scripts-url", "image:///s").plan().warnings;
    assert!(warned[0].contains("old label `io.s2i.scripts-url`"), "{warned:?}");
}

fn place_of_source(plan: &Plan) -> &str {
    match &plan.stages[0].deeds[0] {
        Deed::Inject(injection) => place(injection),
        _ => "",
    }
}

#[test]
fn an_image_is_a_builder_by_its_labels() {
    let with = |labels: &[(&str, &str)], env: &[(&str, &str)]| Config {
        labels: pairs(labels),
        env: pairs(env).into_iter().collect(),
        on_build: vec!["COPY . .".to_owned()],
        ..Config::default()
    };
    for (config, is) in [
        (with(&[], &[]), false),
        (with(&[("io.openshift.s2i.scripts-url", "image:///s")], &[]), true),
        (with(&[("io.s2i.scripts-url", "https://h/s")], &[]), true),
        (with(&[("io.openshift.s2i.scripts-url", " ")], &[]), false),
        (with(&[("io.openshift.s2i.destination", "/opt")], &[]), true),
        (with(&[("io.openshift.s2i.assemble-user", "0")], &[]), true),
        (with(&[("io.k8s.display-name", "x"), ("io.openshift.expose-services", "8080:http")], &[]), false),
        (with(&[], &[("STI_SCRIPTS_URL", "image:///s")]), true),
    ] {
        assert_eq!(of_image(&config).is_some(), is, "{config:?}");
    }
}

#[test]
fn ports_are_the_images_and_those_of_its_catalogue() {
    for (services, ports, numbers) in [
        ("", vec!["8080/tcp"], vec![8080]),
        ("8080:http,8443:https", vec![], vec![8080, 8443]),
        ("9000:x", vec!["9000/udp"], vec![9000]),
        ("nonsense, 0:x,:y, 70000:z", vec![], vec![]),
    ] {
        let mut case = case().label("io.openshift.expose-services", services);
        case.image.ports = ports.into_iter().map(str::to_owned).collect();
        let plan = case.plan();
        assert_eq!(plan.launch.ports.iter().map(|port| port.number).collect::<Vec<_>>(), numbers, "{services}");
        // The image says what the builder says.
        assert_eq!(config(&plan).ports, case.image.ports);
    }
    let mut spoken = case().label("io.openshift.expose-services", "8080/tcp:http,8443:https,9000:x,53:http");
    spoken.image.ports = ["53/udp", "8080/tcp", "9000/tcp"].map(str::to_owned).into();
    let spoken: Vec<_> = spoken.plan().launch.ports.iter().map(|port| (port.number, port.protocol)).collect();
    let http = [(8080, Protocol::Http), (8443, Protocol::Tls), (9000, Protocol::Tcp), (53, Protocol::Udp)];
    assert_eq!(spoken, http);
    let spec = "[[port]]\nname = \"http\"\nnumber = 3000\nprotocol = \"http\"\n";
    let plan = case().spec(spec).plan();
    assert_eq!((plan.launch.ports[0].number, plan.launch.ports[0].protocol), (3000, Protocol::Http));
    assert_eq!(plan.launch.health.unwrap().port, "http");
}

#[test]
fn a_user_who_may_not_is_refused() {
    assert!(case().spec("allowed_uids = [\"1-\"]\n").decide().is_ok());
    let root = case().label("io.openshift.s2i.assemble-user", "root").spec("allowed_uids = [\"1-\"]\n").error();
    assert!(root.contains("who runs assemble is `root`"), "{root}");
    let mut case = case().spec("allowed_uids = [\"2000-\"]\nassemble_user = \"2001\"\n");
    assert!(case.error().contains("the USER of the image is `1001`"));
    case.image.user.clear();
    assert!(case.error().contains("is `root`"));
}

#[test]
fn what_a_base_cannot_say_is_said() {
    for (bad, why) in [
        ("scripts_url = \"/usr\"\n", "http(s)://ADDRESS"),
        ("scripts_url = \"image://usr\"\n", "`usr` is not an absolute path"),
        ("destination = \"opt/../x\"\n", "destination"),
        ("allowed_uids = [\"9-1\"]\n", "`9-1`"),
        ("runtime_artifacts = [\"app\"]\n", "runtime_artifacts: `app`"),
        ("[health]\nport = \"http\"\n", "asks the port `http`"),
        ("limits = { pids = 0 }\n", "limits.pids"),
    ] {
        let spec: S2iSpec = toml::from_str(&format!("kind = \"s2i\"\n{bad}")).unwrap();
        let error = spec.check().unwrap_err();
        assert!(error.contains(why), "{bad}: {error}");
    }
}

#[test]
fn labels_that_a_step_leaves_win() {
    let case =
        case().app("[s2i]\nlabels = { a = \"app\", b = \"app\" }\ndescription = \"Sells\"\n").label("a", "image");
    let plan = case.plan();
    let concluded = |text: &str| {
        let texts = pairs(&[("/tmp/.s2i/image_metadata.json", text)]);
        spec("").conclude(&plan, &Collected { texts, ..Collected::default() })
    };
    let labels = concluded(r#"{"labels":[{"b":"step"},{"c":"step"}]}"#).unwrap().image.unwrap().config.labels;
    assert_eq!(
        [&labels["a"], &labels["b"], &labels["c"], &labels["io.k8s.description"]],
        ["app", "step", "step", "Sells"]
    );
    for bad in ["{", r#"{"labels":[{"c":1}]}"#] {
        let error = concluded(bad).unwrap_err();
        assert!(error.to_string().contains("image_metadata.json"), "{error}");
    }
    let large = format!(r#"{{"labels":[{{"c":"{}"}}]}}"#, "x".repeat(10_240));
    assert!(concluded(&large).unwrap_err().to_string().contains("`c` alone has 10240"));
    assert!(spec("").conclude(&plan, &Collected::default()).is_ok());
}
