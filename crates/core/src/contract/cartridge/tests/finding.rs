use super::super::place::has_windows_line_ends;
use super::{WEB, World, names, plugin, text, view};
use crate::fault::{Blame, Fault};
use crate::known::Need;

/// The list in till.toml, cartridges of the source with their manifests, and what is said.
type Case<'a> = (&'a str, Vec<(&'a str, String)>, &'a str);

fn each(cases: Vec<Case<'_>>) {
    for (wanted, carts, what) in cases {
        let carts: Vec<_> = carts.iter().map(|(name, manifest)| (*name, manifest.as_str())).collect();
        let error = World::of(wanted, &carts).error();
        assert!(error.to_string().contains(what), "{wanted}: {error}");
        assert_eq!(error.fault(), Fault::Source, "{error}");
    }
}

fn web(more: &str) -> String {
    format!("{WEB}{more}")
}

#[test]
fn what_cannot_be_had_is_said() {
    each(vec![
        ("", vec![], "nothing says which cartridges"),
        ("[\"./c/web\"]", vec![], "there is no `c/web/metadata/manifest.yml` in the source"),
        ("[\"../web\"]", vec![], "there is no `../web/metadata/manifest.yml` in the source"),
        ("[\"nope-1\"]", vec![], "there is no cartridge `nope-1`"),
        ("[{ from = \"./c/web\", version = \"9\" }]", vec![("web", web(""))], "`./c/web`: there is no version 9 of it"),
        ("[\"./c/web\", \"./c/web\"]", vec![("web", web(""))], "`web` is there twice"),
        ("[\"./c/p\"]", vec![("p", plugin("p", ""))], "none of the cartridges is a web framework"),
        (
            "[\"./c/web\", \"./c/w\"]",
            vec![("web", web("")), ("w", WEB.replace("web\n", "other\n").replace("WEB", "O"))],
            "one web framework, not several: web, other",
        ),
        ("[\"./c/web/metadata/manifest.yml\"]", vec![("web", web(""))], "it has no Source-Url, and stands alone"),
        (
            "[\"./c/web/metadata/manifest.yml\"]",
            vec![("web", web("Source-Url: https://h/x.zip\n"))],
            "is a zip archive, which is not unpacked",
        ),
        (
            "[\"./c/web/metadata/manifest.yml\"]",
            vec![("web", web("Source-Url: https://h/x.tgz\nSource-Md5: 00\n"))],
            "Source-Md5 is not checked",
        ),
        ("[\"https://h/manifest.yml\"]", vec![], "a manifest is not fetched"),
    ]);
}

#[test]
fn what_does_not_go_together_is_said() {
    let requires = |name: &str, what: &str| plugin(name, &format!("Requires: [{what}]\n"));
    each(vec![
        (
            "[\"./c/web\"]",
            vec![("web", web("Requires: [nothing, [x, y]]\n"))],
            "requires `nothing`, which no cartridge provides",
        ),
        ("[\"./c/web\"]", vec![("web", web("Requires: [[x, y]]\n"))], "requires `x` or `y`, which no"),
        ("[\"./c/web\"]", vec![("web", web("Requires: [web]\n"))], "in a circle: web requires web"),
        (
            "[\"./c/web\", \"./c/a\", \"./c/b\"]",
            vec![("web", web("Requires: [a]\n")), ("a", requires("a", "b-1.0")), ("b", requires("b", "web"))],
            "in a circle: web requires a requires b requires web",
        ),
        (
            "[\"./c/web\", \"./c/a\", \"./c/b\"]",
            vec![("web", web("")), ("a", requires("a", "b")), ("b", requires("b", "a"))],
            "in a circle: a requires b requires a",
        ),
        (
            "[\"./c/web\", \"./c/a\"]",
            vec![("web", web("Configure-Order: [web, a]\n")), ("a", plugin("a", "Configure-Order: [a, web]\n"))],
            "no order fulfils Requires and Configure-Order of these cartridges: web, a",
        ),
        (
            "[\"./c/web\", \"./c/a\"]",
            vec![("web", web("")), ("a", plugin("a", "Conflicts: [web-1.0]\n"))],
            "`a` conflicts with `web-1.0`, which `web` provides",
        ),
        (
            "[\"./c/web\", \"./c/a\"]",
            vec![("web", web("")), ("a", plugin("a", "").replace(": A", ": WEB"))],
            "have the same Cartridge-Short-Name, WEB",
        ),
    ]);
}

#[test]
fn a_place_of_the_order_is_for_any_of_its_features() {
    let order = "Configure-Order: [[nothing, b], a]\n";
    let plan = World::of(
        "[\"./c/web\", \"./c/a\", \"./c/b\"]",
        &[("web", WEB), ("a", &plugin("a", order)), ("b", &plugin("b", ""))],
    )
    .plan();
    let made: Vec<_> = names(&plan).into_iter().filter(|name| name.starts_with("cartridge")).collect();
    assert_eq!(made, ["cartridge web", "cartridge b", "cartridge a"]);
}

#[test]
fn what_nobody_publishes_is_told() {
    let web = format!("{WEB}Subscribes: {{set: {{Type: 'ENV:db', Required: true}}, other: {{Type: 'ENV:x'}}}}\n");
    let warnings = |carts: &[(&str, &str)]| {
        let wanted: Vec<_> = carts.iter().map(|(name, _)| format!("\"./c/{name}\"")).collect();
        World::of(&format!("[{}]", wanted.join(", ")), carts).plan().warnings
    };
    assert_eq!(warnings(&[("web", &web)]), ["web: it requires that a cartridge publishes ENV:db, and none does"]);
    let db = plugin("db", "Publishes: {publish: {Type: 'ENV:db'}}\n");
    assert_eq!(warnings(&[("web", &web), ("db", &db)]), [""; 0]);
}

#[test]
fn a_cartridge_of_the_source_is_looked_at_before_anything_is_done() {
    let world = || World::of("[\"./c/web\"]", &[("web", WEB)]);
    let windows = "#!/bin/bash\r\nexit 0\r\n";
    for (world, what) in [
        (world().file("c/web/bin/setup*", windows), "the cartridge `./c/web`: bin/setup has the line ends of Windows"),
        (world().file("c/web/hooks/set-x*", windows), "hooks/set-x has the line ends of Windows"),
        (world().file(".openshift/action_hooks/build*", windows), ".openshift/action_hooks/build has the line ends"),
        (world().file("c/web/metadata/managed_files.yml", "a: [\n"), "metadata/managed_files.yml: line"),
    ] {
        let error = world.error();
        assert!(error.to_string().contains(what), "{error}");
    }
    let mut bare = world();
    bare.source.retain(|(path, _)| !path.contains("/bin/"));
    assert_eq!(bare.error().to_string(), "the cartridge `./c/web`: it has no bin/control");
    // What is no script may end its lines as it likes.
    world().file("c/web/conf/win.ini", windows).file("page.txt", windows).plan();
    assert!(!has_windows_line_ends("#!/bin/bash\necho \"\r\"\n"));
}

#[test]
fn names_are_found_in_the_base_and_then_in_the_settings() {
    let mock = "Name: mock\nCartridge-Short-Name: MOCK\nVersion: '0.1'\nVersions: ['0.1', '0.2']\nCategories: [web_framework]\n\
                Version-Overrides: {'0.2': {Cartridge-Version: '9'}}\n";
    let beside = plugin("mock-plugin", "Cartridge-Vendor: acme\n");
    let mut world = World::of("[]", &[]).shelved("mock", mock).shelved("mock-plugin", &beside);
    world.settings.cartridges.insert("far".to_owned(), "https://h/far.git#v1".to_owned());
    let far = [("metadata/manifest.yml".to_owned(), plugin("far", "Versions: ['1.0', '3.0']\n"))];
    world.code.insert("https://h/far.git#v1".to_owned(), view(&far));
    let ident =
        |plan: &crate::plan::Plan, name: &str| text(plan, &format!("usr/lib/till/gear/plan/carts/{name}/ident"));
    for (wanted, name, found) in [
        ("[\"mock\"]", "mock", "redhat:mock:0.1:0.0.1"),
        ("[\"mock-0.1\"]", "mock", "redhat:mock:0.1:0.0.1"),
        ("[\"redhat-mock-0.2\"]", "mock", "redhat:mock:0.2:9"),
        ("[{ from = \"mock\", version = \"0.2\" }]", "mock", "redhat:mock:0.2:9"),
        ("[\"mock\", \"mock-plugin\"]", "mock-plugin", "acme:mock-plugin:1.0:0.0.1"),
        ("[\"mock\", \"acme-mock-plugin-1.0\"]", "mock-plugin", "acme:mock-plugin:1.0:0.0.1"),
        ("[\"mock\", \"far\"]", "far", "redhat:far:1.0:0.0.1"),
        ("[\"mock\", \"far-3.0\"]", "far", "redhat:far:3.0:0.0.1"),
    ] {
        world.wanted = wanted.to_owned();
        assert_eq!(ident(&world.plan(), name).as_deref(), Some(found), "{wanted}");
    }
    for (wanted, what) in [("[\"mock-0.9\"]", "no version 0.9"), ("[\"mock\", \"far-2.0\"]", "no version 2.0")] {
        world.wanted = wanted.to_owned();
        let error = world.error();
        assert!(error.to_string().contains(what), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("its versions are")), "{:?}", error.hint());
        assert_eq!(error.fault(), Fault::Source);
    }
    world.wanted = "[\"mokc\"]".to_owned();
    let hint = world.error().hint().unwrap();
    assert!(hint.contains("have: far, mock-0.1, mock-0.2, mock-plugin-1.0;"), "{hint}");
}

#[test]
fn what_is_required_comes_along_from_the_base() {
    let web = format!("{WEB}Requires: [[mysql, store]]\n");
    let world = World::of("[\"./c/web\"]", &[("web", &web)])
        .shelved("kv", &plugin("kv", "Provides: [store]\nRequires: [log]\n"))
        .shelved("log", &plugin("log", ""));
    assert_eq!(text(&world.plan(), "usr/lib/till/gear/plan/order").as_deref(), Some("log\nkv\nweb\n"));
    let two = world.shelved("kv2", &plugin("kv2", "Provides: [store]\n"));
    let error = two.error();
    assert_eq!(error.to_string(), "the cartridge `web` requires `store`, which `kv` and `kv2` provide");
    // Who names one has chosen.
    World { wanted: "[\"./c/web\", \"kv2\"]".to_owned(), ..two }.plan();
    let older = World::of("[\"./c/web\", \"kv-1.0\"]", &[("web", &format!("{WEB}Requires: [kv-2.0]\n"))])
        .shelved("kv", &plugin("kv", "Versions: ['2.0']\n"));
    assert_eq!(older.error().to_string(), "the cartridge `web` requires `kv-2.0`, and `kv` is there at version 1.0");
}

#[test]
fn only_what_is_not_known_is_asked_for() {
    let code = |manifest: &str| view(&[("metadata/manifest.yml".to_owned(), manifest.to_owned())]);
    let mut world = World::of("[\"./c/web\"]", &[("web", WEB)]);
    assert_eq!(world.planned().1, []);
    world.wanted = "[\"./c/web\", \"https://h/p.tgz#sha256:00\"]".to_owned();
    world.code.insert("https://h/p.tgz#sha256:00".to_owned(), code(&plugin("p", "")));
    let (plan, asked) = world.planned();
    assert!(
        matches!(asked.as_slice(), [Need::Code { address, .. }] if address.ends_with("p.tgz#sha256:00")),
        "{asked:?}"
    );
    assert!(names(&plan.unwrap()).contains(&"cartridge p".to_owned()));
    world.code.insert("https://h/p.tgz#sha256:00".to_owned(), view(&[]));
    assert!(world.error().to_string().contains("there is no metadata/manifest.yml in it"));
}

#[test]
fn a_manifest_alone_names_its_code() {
    let manifest = format!("{WEB}Source-Url: https://h/web.git\n");
    let mut world = World::of("[\"./web.yml\"]", &[]).file("web.yml", &manifest);
    let other = view(&[("metadata/manifest.yml".to_owned(), plugin("other", ""))]);
    world.code.insert("https://h/web.git".to_owned(), other);
    let plan = world.plan();
    assert!(names(&plan).contains(&"cartridge web".to_owned()), "{:?}", names(&plan));
}
