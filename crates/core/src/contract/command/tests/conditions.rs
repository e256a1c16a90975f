//! Which files a condition finds, and what its templates become.

use super::*;
use crate::contract::command::CommandSpec;

#[test]
fn a_required_file_is_there_or_the_bases_own_sentence_is_said() {
    let one = "[[require]]\nany = [\"Procfile\", \"*.toml\", \"src/**/*.c\"]\nmessage = \"give me one\"\n";
    for (path, found) in [
        ("Procfile", true),
        ("Cargo.toml", true),
        ("src/main.c", true),
        ("src/deep/er/main.c", true),
        ("sub/Procfile", false),
        ("sub/Cargo.toml", false),
        ("procfile", false),
    ] {
        let result = case(&format!("{one}{START}"), &[(path, "")]).plan();
        match result {
            Ok(_) => assert!(found, "{path}"),
            Err(PlanError::Missing { message, any }) => {
                assert!(!found, "{path}");
                assert_eq!((message.as_str(), any.len()), ("give me one", 3));
            }
            Err(error) => panic!("{path}: {error}"),
        }
    }
}

#[test]
fn every_requirement_has_to_be_met() {
    let two = "[[require]]\nany = [\"a\"]\nmessage = \"no a\"\n[[require]]\nany = [\"b\"]\nmessage = \"no b\"\n";
    let text = format!("{two}{START}");
    for (files, said) in
        [(vec![("a", "")], Some("no b")), (vec![("b", "")], Some("no a")), (vec![("a", ""), ("b", "")], None)]
    {
        let error = case(&text, &files).plan().err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), said, "{files:?}");
    }
}

#[test]
fn nothing_and_what_leads_outside_are_no_source() {
    assert_eq!(case(START, &[]).plan(), Err(PlanError::Empty));
    for (path, target, inside) in [
        ("a@", "b", true),
        ("d/a@", "../b", true),
        ("a@", "../b", false),
        ("a@", "/etc/passwd", false),
        ("a@", "/app/b", false),
        ("d/e/a@", "../../../b", false),
        ("a@", "d/../../app/b", false),
    ] {
        let result = case(START, &[("b", ""), (path, target)]).plan();
        match result {
            Ok(_) => assert!(inside, "{path} -> {target}"),
            Err(PlanError::Outside { target: said, .. }) => assert!(!inside && said == target, "{path} -> {target}"),
            Err(error) => panic!("{path} -> {target}: {error}"),
        }
    }
}

/// The file that a condition finds; none when it does not hold.
fn found(when: &str, files: &[(&str, &str)]) -> Option<String> {
    let spec = format!("[[process]]\nname = \"web\"\nwhen = {{ {when} }}\nrun = [\"{{{{file}}}}\"]\n");
    match case(&spec, files).plan() {
        Ok(plan) => Some(command(&plan, "web").to_owned()),
        Err(PlanError::NoProcess) => None,
        Err(error) => panic!("{when}: {error}"),
    }
}

#[test]
fn a_condition_finds_the_first_file_that_satisfies_all_of_it() {
    let files =
        [("a.py", "one"), ("b.py", "two"), ("d/c.py", "three"), ("d/e/f.py", "four"), ("g.txt", "two"), (".h", "")];
    for (when, expected) in [
        (r#"file = "a.py""#, Some("a.py")),
        (r#"file = "x.py""#, None),
        (r#"file = ["x.py", "b.py", "a.py"]"#, Some("b.py")),
        (r#"file = "*.py""#, Some("a.py")),
        (r#"file = "*/*.py""#, Some("d/c.py")),
        (r#"file = "**/f.py""#, Some("d/e/f.py")),
        (r#"file = "d/**/*.py""#, Some("d/c.py")),
        (r#"file = "d*f.py""#, None),
        (r#"file = "?.txt""#, Some("g.txt")),
        (r#"file = "{x,b}.py""#, Some("b.py")),
        (r#"file = "[b-z].py""#, Some("b.py")),
        (r#"file = "d""#, None),
        (r#"file = "d/""#, None),
        // The first that is there and contains, not the first that is there.
        (r#"file = "*.py", contains = "two""#, Some("b.py")),
        (r#"file = ["a.py", "g.txt", "b.py"], contains = "two""#, Some("g.txt")),
        (r#"file = ["**/*.py"], contains = ["four", "three"]"#, Some("d/c.py")),
        (r#"file = ["d/e/*", "**/*.py"], contains = ["four", "three"]"#, Some("d/e/f.py")),
        (r#"file = "*.py", contains = "four""#, None),
        (r#"file = "*.py", contains = []"#, None),
        (r#"file = "a.py", absent = "x.py""#, Some("a.py")),
        (r#"file = "a.py", absent = "b.py""#, None),
        (r#"file = "a.py", absent = ["x.py", "*/c.py"]"#, None),
        (r#"file = "a.py", absent = ["x.py", "*/f.py"]"#, Some("a.py")),
        (r#"file = "a.py", contains = "one", absent = "*.md""#, Some("a.py")),
    ] {
        assert_eq!(found(when, &files).as_deref(), expected, "{when}");
    }
}

#[test]
fn a_condition_without_a_file_holds_by_absence_alone() {
    for (absent, holds) in [("Procfile", true), ("a.py", false)] {
        let spec = format!("[[process]]\nname = \"web\"\nwhen = {{ absent = \"{absent}\" }}\nrun = [\"x\"]\n");
        assert_eq!(case(&spec, &[("a.py", "")]).plan().is_ok(), holds, "{absent}");
    }
}

#[test]
fn what_a_step_waits_for_in_the_instance_is_part_of_the_plan() {
    for (when, built) in [
        (r#"built = "/app/x""#, &["/app/x"][..]),
        (r#"file = "a.py", built = ["/app/*.x", "/y"]"#, &["/app/*.x", "/y"]),
        (r#"file = "a.py""#, &[]),
    ] {
        let plan =
            case(&format!("[[step]]\nname = \"s\"\nwhen = {{ {when} }}\nrun = [\"r\"]\n{START}"), &[("a.py", "")])
                .plan();
        let plan = plan.unwrap();
        let steps = plan.stages.iter().flat_map(|stage| &stage.deeds).filter_map(|deed| match deed {
            Deed::Run(step) => Some(step.built.clone()),
            _ => None,
        });
        assert_eq!(steps.collect::<Vec<_>>(), [built], "{when}");
    }
}

#[test]
fn only_the_texts_that_planning_needs_are_asked_for() {
    let text = "[[step]]\nname = \"s\"\nwhen = { file = \"*.py\", contains = \"x\" }\nrun = [\"r\"]\n\
        [test]\nwhen = { file = [\"t/*\"], contains = \"x\" }\nrun = [\"r\"]\n\
        [[process]]\nname = \"web\"\nwhen = { file = \"*.rb\" }\nrun = [\"r\"]\n";
    let files = ["a.py", "a.rb", "t/b", "d/c.py", "l@", "Procfile", "till.toml", "d/Procfile"];
    let files: Vec<_> = files.iter().map(|path| ((*path).to_owned(), String::new())).collect();
    assert_eq!(
        spec(text).reads(&view(&files), &AppFile::default(), &Choice::default()),
        ["Procfile", "a.py", "l", "t/b", "till.toml"]
    );
}

#[test]
fn templates_are_filled_in_commands_directories_and_step_environments() {
    let text = "[parameter.goals]\ndefault = \"package\"\n\
        [[step]]\nname = \"s\"\nwhen = { file = \"*/app.tar.py\" }\n\
        run = [\"{{param.goals}}\", \"{{file}}-{{ stem }}\", \"{ {x} }} {\"]\ndir = \"/app/{{stem}}\"\nenv = { F = \"{{file}}\" }\n";
    let plan = case(&format!("{text}{START}"), &[("src/app.tar.py", "")]).plan().unwrap();
    let step = steps(&plan)[0];
    assert_eq!(step.argv, ["package", "src/app.tar.py-app.tar", "{ {x} }} {"]);
    assert_eq!((step.dir.as_str(), step.env["F"].as_str()), ("/app/app.tar", "src/app.tar.py"));
}

#[test]
fn the_stem_is_the_name_without_its_last_extension() {
    for (path, stem) in [("app.py", "app"), ("d.x/Makefile", "Makefile"), ("a.b.c", "a.b"), (".env", "")] {
        let text = format!("[[process]]\nname = \"web\"\nwhen = {{ file = \"{path}\" }}\nrun = [\"<{{{{stem}}}}>\"]\n");
        let plan = case(&text, &[(path, "")]).plan().unwrap();
        assert_eq!(command(&plan, "web"), format!("<{stem}>"), "{path}");
    }
}

#[test]
fn a_template_that_nothing_fills_is_the_bases_fault() {
    for (text, part) in [
        ("[[step]]\nname = \"s\"\nrun = [\"{{file}}\"]\n", "`file`"),
        ("[[step]]\nname = \"s\"\nrun = [\"{{param.x}}\"]\n", "`param.x`"),
        ("[[step]]\nname = \"s\"\nrun = [\"{{built}}\"]\n", "`built`"),
        ("[[step]]\nname = \"s\"\nrun = [\"a {{file\"]\n", "without"),
        ("[[step]]\nname = \"s\"\nrun = [\"x\"]\ndir = \"/{{y}}\"\n", "`y`"),
        ("[[step]]\nname = \"s\"\nrun = [\"x\"]\nenv = { A = \"{{y}}\" }\n", "`y`"),
        ("[test]\nrun = [\"{{y}}\"]\n", "`y`"),
        ("[[process]]\nname = \"p\"\nrun = [\"{{stem}}\"]\n", "`stem`"),
        ("[[process]]\nname = \"p\"\nrun = [\"{{built}}\"]\n", "`built`"),
    ] {
        match case(&format!("{text}{START}"), &[("a", "")]).plan() {
            Err(PlanError::Contract(why)) => assert!(why.contains(part), "{text}: {why}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn what_is_filled_in_is_not_read_as_a_template_again() {
    let text = "[parameter.p]\ndefault = \"\"\n[[process]]\nname = \"web\"\nrun = [\"{{param.p}}\"]\n";
    let plan = case(text, &[("a", "")]).app("[parameters]\np = \"{{param.q}}\"").plan().unwrap();
    assert_eq!(command(&plan, "web"), "{{param.q}}");
}

#[test]
fn parameters_are_the_declared_ones() {
    let text = "[parameter.b]\ndefault = \"1\"\n[parameter.a]\ndefault = \"\"\n[[process]]\nname = \"web\"\nrun = [\"{{param.b}}\"]\n";
    let plan = case(text, &[("x", "")]).app("[parameters]\nb = \"2\"").plan().unwrap();
    assert_eq!(command(&plan, "web"), "2");
    let error = case(text, &[("x", "")]).app("[parameters]\nc = \"2\"").plan().unwrap_err();
    assert_eq!(error.to_string(), "the base has no parameter `c` (it has: a, b)");
}

#[test]
fn contradictions_are_named() {
    for (text, part) in [
        ("[source]\nas = \"tar\"\nat = \"/a\"\n[[step]]\nname = \"s\"\nreads = [\"a\"]\nrun = [\"x\"]", "one archive"),
        ("[[step]]\nname = \"s\"\nrun = [\"x\"]\n[[step]]\nname = \"t\"\nreads = [\"a\"]\nrun = [\"x\"]", "step `t`"),
        ("[[step]]\nname = \"s\"\nreads = [\"a\"]\nafter = \"test\"\nrun = [\"x\"]", "step `s`"),
        ("[test]\nwhen = { built = \"/a\" }\nrun = [\"x\"]", "the test has `when.built`"),
        ("[[process]]\nname = \"p\"\nwhen = { contains = \"a\" }\nrun = [\"x\"]", "needs `when.file`"),
        ("[[process]]\nname = \"p\"\nwhen = { file = \"a[\" }\nrun = [\"x\"]", "not a glob"),
        ("[[process]]\nname = \"p\"\nwhen = { absent = [\"b\", \"{a\"] }\nrun = [\"x\"]", "not a glob"),
        ("[health]\nport = \"http\"", "port `http`"),
    ] {
        let spec: CommandSpec = toml::from_str(&format!("kind = \"command\"\n{text}")).unwrap();
        let error = spec.check().unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn globs_of_require_and_reads_are_checked_too() {
    for text in
        ["[[require]]\nany = [\"a[\"]\nmessage = \"m\"", "[[step]]\nname = \"s\"\nreads = [\"{a\"]\nrun = [\"x\"]"]
    {
        let spec: CommandSpec = toml::from_str(&format!("kind = \"command\"\n{text}")).unwrap();
        assert!(spec.check().is_err_and(|error| error.contains("not a glob")), "{text}");
    }
}
