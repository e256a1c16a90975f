use super::*;

const WEB: &str = "https://scripts.example.org/s2i";

fn optional(name: &str) -> Need {
    Need::Optional { url: format!("{WEB}/{name}") }
}

#[test]
fn scripts_of_the_source_win_over_the_images() {
    let case = case().file(".s2i/bin/assemble", "a").file(".s2i/bin/README", "r");
    let plan = case.plan();
    assert_eq!(put(&plan.stages[0]), ["/tmp/src: .s2i/bin/README app.pl", "/tmp/scripts: assemble=.s2i/bin/assemble"]);
    assert_eq!(step(&plan, "assemble").argv[3], "/tmp/scripts/assemble");
    assert_eq!(config(&plan).cmd, ["/usr/libexec/s2i/run"]);
    // They need not be executable where they are.
    let Deed::Inject(Injection { place: Place::Copy(landing), owner, .. }) = &plan.stages[0].deeds[1] else {
        panic!("{plan:#?}");
    };
    assert_eq!((landing.mode.as_deref(), owner.as_deref()), (Some("0755"), Some("1001:")));
    let plan = case.file(".s2i/bin/run*", "r").file(".s2i/bin/save-artifacts", "s").plan();
    assert_eq!(config(&plan).cmd, ["/tmp/scripts/run"]);
    assert!(put(&plan.stages[0])[1].contains("save-artifacts="));
}

#[test]
fn scripts_at_the_place_of_old_are_found_with_a_warning() {
    let plan = case().file(".sti/bin/run", "a").file(".sti/environment", "A=1").plan();
    assert_eq!(config(&plan).cmd, ["/tmp/scripts/run"]);
    assert_eq!(step(&plan, "assemble").env["A"], "1");
    assert!(plan.warnings[0].contains(".sti/bin/run"), "{:?}", plan.warnings);
}

#[test]
fn without_a_script_there_is_no_plan() {
    let none = case().without_label("io.openshift.s2i.scripts-url");
    let error = none.error();
    assert!(error.contains("`assemble`") && error.contains("scripts-url"), "{error}");
    let error = none.clone().file(".s2i/bin/assemble", "a").error();
    assert!(error.contains("`run`"), "{error}");
    let plan = none.file(".s2i/bin/assemble", "a").file(".s2i/bin/run", "r").plan();
    assert_eq!(config(&plan).cmd, ["/tmp/scripts/run"]);
}

#[test]
fn scripts_of_an_address_are_fetched_and_may_be_missing() {
    let case = case().label("io.openshift.s2i.scripts-url", &format!("{WEB}/")).file(".s2i/bin/run", "r");
    assert_eq!(case.needs(), [optional("assemble"), optional("save-artifacts")]);
    let case = case.remote(&format!("{WEB}/assemble")).absent(&format!("{WEB}/save-artifacts"));
    let plan = case.plan();
    assert_eq!(
        put(&plan.stages[0])[1..],
        ["/tmp/scripts: run=.s2i/bin/run".to_owned(), format!("/tmp/scripts: {WEB}/assemble")]
    );
    assert_eq!(step(&plan, "assemble").argv[3], "/tmp/scripts/assemble");
    let error = super::case()
        .label("io.openshift.s2i.scripts-url", WEB)
        .absent(&format!("{WEB}/assemble"))
        .absent(&format!("{WEB}/save-artifacts"))
        .remote(&format!("{WEB}/run"))
        .error();
    assert!(error.contains("`assemble`"), "{error}");
}

#[test]
fn what_the_app_says_wins_over_its_own_files() {
    let app = format!("[s2i]\nscripts_url = \"{WEB}\"\n");
    let case = case().app(&app).file(".s2i/bin/assemble", "a").file(".s2i/bin/run", "r");
    let case = case.remote(&format!("{WEB}/assemble")).absent(&format!("{WEB}/run"));
    let case = case.absent(&format!("{WEB}/save-artifacts"));
    let plan = case.plan();
    // What was not taken stays where it is.
    assert_eq!(
        put(&plan.stages[0]),
        [
            "/tmp/src: .s2i/bin/assemble app.pl".to_owned(),
            "/tmp/scripts: run=.s2i/bin/run".to_owned(),
            format!("/tmp/scripts: {WEB}/assemble")
        ]
    );
    let mut nothing = case;
    nothing.known.remotes.clear();
    let error = nothing.absent(&format!("{WEB}/assemble")).error();
    assert!(error.contains(WEB) && error.contains("none of the scripts"), "{error}");
    let error = super::case().app("[s2i]\nscripts_url = \"ftp://x\"\n").error();
    assert!(error.contains("ftp://x") && error.contains("image:///"), "{error}");
}

#[test]
fn a_directory_of_the_machine_is_for_who_builds_to_name() {
    let error = case().label("io.openshift.s2i.scripts-url", "file:///etc").error();
    assert!(error.contains("no say in directories of this machine"), "{error}");
    let mut case = case().app("[s2i]\nscripts_url = \"file:///srv/scripts\"\n");
    assert_eq!(case.needs(), [Need::Code { address: "/srv/scripts".to_owned(), texts: Vec::new() }]);
    let files = [("assemble".to_owned(), String::new()), ("run".to_owned(), String::new())];
    let code = KnownCode { digest: Digest::of(b"code"), view: view(&files) };
    case.known.code.insert("/srv/scripts".to_owned(), code);
    let plan = case.plan();
    assert_eq!((plan.stages[0].name.as_str(), &plan.stages[0].on), ("scripts", &Footing::Nothing));
    assert_eq!(put(&plan.stages[1])[1..], ["/tmp/scripts: /assemble", "/tmp/scripts: /run"]);
    // No path of the machine is in a plan.
    assert!(!serde_json::to_string(&plan).unwrap().contains("/srv/"));
    assert_eq!(plan.top, Footing::Stage(1));
}
