use super::*;

/// The names of the source in the builder.
fn source_of(plan: &Plan) -> Vec<String> {
    let assemble = plan.stages.iter().find(|stage| stage.name == "assemble").unwrap();
    match &assemble.deeds[0] {
        Deed::Inject(injection) => names(&injection.what),
        _ => Vec::new(),
    }
}

#[test]
fn s2iignore_is_a_list_of_go_globs() {
    let files = ["a.md", "d/a.md", "d/e/a.md", "d/e/b.txt", ".hidden", "x"];
    for (ignore, left) in [
        ("", "a.md d/a.md d/e/a.md d/e/b.txt .hidden x"),
        ("# comment\n\n  *.md  \n", "d/a.md d/e/a.md d/e/b.txt .hidden x"),
        ("d\n", "a.md .hidden x"),
        ("d/\n", "a.md .hidden x"),
        ("/d/e\n", "a.md d/a.md .hidden x"),
        ("**/a.md\n", "a.md d/e/a.md d/e/b.txt .hidden x"),
        ("d/*/*.md\n", "a.md d/a.md d/e/b.txt .hidden x"),
        ("*\n!x\n", "x"),
        ("!x\n*\n", ""),
        // Only what was named is taken back.
        ("d\n!d/a.md\n", "a.md .hidden x"),
        ("[ax]*\n", "d/a.md d/e/a.md d/e/b.txt .hidden"),
        ("../x\nnowhere\n", "a.md d/a.md d/e/a.md d/e/b.txt .hidden x"),
        ("*.md\r\n", "d/a.md d/e/a.md d/e/b.txt .hidden x"),
    ] {
        let mut case = case();
        case.files = files.iter().map(|name| ((*name).to_owned(), String::new())).collect();
        let plan = case.file(".s2iignore", ignore).plan();
        let mut wanted: Vec<_> = left.split_whitespace().collect();
        wanted.sort_unstable();
        let found = source_of(&plan);
        let found: Vec<_> = found.iter().map(String::as_str).filter(|name| *name != ".s2iignore").collect();
        assert_eq!(found, wanted, "{ignore:?}");
    }
    let error = case().file(".s2iignore", "[a\n").error();
    assert!(error.contains(".s2iignore") && error.contains("stays open"), "{error}");
    assert!(case().file(".s2iignore", "*\n").plan().warnings[0].contains("leaves out all"));
}

#[test]
fn variables_have_an_order() {
    let environment = "A=source\n B = blanks \n#C=comment\n #D=kept\nnothing\n=x\nE=a=b \"c\" $A\r\nA2=1\n";
    let mut case = case()
        .spec("env = { A = \"base\", F = \"base\", KEPT = \"base\" }\n")
        .file(".s2i/environment", environment)
        .file("more.env", "B=more\nG=more")
        .app("[env]\nG = \"app\"\nH = \"app\"\n[s2i]\nenvironment = \"./more.env\"\n");
    case.env = pairs(&[("H", "command")]);
    let plan = case.plan();
    let wanted = pairs(&[
        ("PATH", "/opt/bin:/bin"),
        ("KEPT", "base"),
        ("A", "source"),
        ("A2", "1"),
        ("B", "more"),
        ("#D", "kept"),
        ("E", "a=b \"c\" $A"),
        ("F", "base"),
        ("G", "app"),
        ("H", "command"),
    ]);
    assert_eq!(step(&plan, "assemble").env, wanted);
    // They are the artifact's, too.
    assert_eq!(config(&plan).env.iter().cloned().collect::<BTreeMap<_, _>>(), wanted);
    assert_eq!(plan.launch.env, wanted);
    let error = super::case().app("[s2i]\nenvironment = \"no.env\"\n").error();
    assert!(error.contains("no.env") && error.contains("no such file"), "{error}");
}

#[test]
fn an_image_without_a_path_starts_with_one() {
    let mut case = case();
    case.image.env.clear();
    let plan = case.plan();
    assert!(step(&plan, "assemble").env["PATH"].contains("/usr/bin"));
    assert!(plan.launch.env["PATH"].contains("/usr/bin"));
    assert!(config(&plan).env.is_empty());
}

#[test]
fn only_the_context_directory_is_built() {
    let case = case().file("sub/x", "").file("sub/.s2i/environment", "A=1").file(".s2i/environment", "B=1");
    let plan = case.clone().app("[s2i]\ncontext_dir = \"./sub/\"\n").plan();
    assert_eq!(put(&plan.stages[0]), ["/tmp/src: .s2i/environment=sub/.s2i/environment x=sub/x"]);
    let env = &step(&plan, "assemble").env;
    assert_eq!((env.get("A").map(String::as_str), env.get("B")), (Some("1"), None));
    assert_eq!(config(&plan).labels["io.openshift.s2i.build.source-context-dir"], "./sub/");
    for (directory, why) in [("no", "no such directory"), ("../x", "leads out"), ("/sub", "leads out")] {
        let error = case.clone().app(&format!("[s2i]\ncontext_dir = \"{directory}\"\n")).error();
        assert!(error.contains(why), "{directory}: {error}");
    }
    let mut empty = case;
    empty.files.clear();
    assert_eq!(empty.error(), "the source is empty");
}

#[test]
fn symlinks_are_followed_where_s2i_looks_and_kept_in_the_source() {
    let case = case()
        .file(".s2i@", "deploy/s2i")
        .file("deploy/s2i/environment@", "../env/prod")
        .file("deploy/env/prod", "A=1\n")
        .file("deploy/s2i/bin/assemble", "x")
        .file("deploy/s2i/bin/run@", "../../../scripts/go")
        .file("scripts/go", "y")
        .file("out@", "/etc/passwd");
    let plan = case.plan();
    assert_eq!(
        put(&plan.stages[0]),
        [
            "/tmp/src: .s2i app.pl deploy/env/prod deploy/s2i/environment out scripts/go",
            "/tmp/scripts: assemble=deploy/s2i/bin/assemble run=scripts/go",
        ]
    );
    assert_eq!(step(&plan, "assemble").env["A"], "1");
    // A link that leads out, or in a circle, leads to nothing.
    for target in ["/etc", "../../x", ".s2i"] {
        let plan = super::case().file(".s2i@", target).plan();
        assert_eq!(config(&plan).cmd, ["/usr/libexec/s2i/run"], "{target}");
    }
}
