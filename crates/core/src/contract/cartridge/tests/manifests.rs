use super::super::manifest::{Flaw, Manifest, parse};
use super::{WEB, World, plugin, variable};
use crate::fault::{Blame, Fault};

fn read(text: &str, version: Option<&str>) -> Result<Manifest, Flaw> {
    parse(text)?.at(version)
}

#[test]
fn a_manifest_that_is_none_says_what_is_wrong() {
    let with = |more: &str| format!("{WEB}{more}");
    for (text, what) in [
        ("", "it is empty"),
        ("Name: a\n", "it has no Cartridge-Short-Name, no Version, no Categories"),
        ("- a\n", "expected mapping start"),
        ("Name: [a]\n", "line 1 column 7"),
        ("Name: a\nName: b\n", "duplicate mapping key"),
        ("Name: \"a\n", "unclosed quote"),
        ("Name: ' '\nCartridge-Short-Name: A\nVersion: '1'\nCategories: [plugin]\n", "it has no Name"),
        (&WEB.replace("Name: web", "Name: Web"), "its Name `Web` is none"),
        (&WEB.replace("Name: web", "Name: ../web"), "its Name `../web` is none"),
        (&WEB.replace("Name: web", "Name: web-"), "its Name `web-` is none"),
        (&WEB.replace("Name: web", &format!("Name: {}", "x".repeat(33))), "32 at most"),
        (&WEB.replace("Name: web", "Name: git"), "is reserved"),
        (&WEB.replace("SHORT-NAME", "x").replace("WEB", "WE-B"), "its Cartridge-Short-Name `WE-B`"),
        (&WEB.replace("[web_framework]", "[php]"), "its Categories say not what it is: php"),
        (&WEB.replace("[web_framework]", "[web_proxy]"), "web_proxy are not supported"),
        (&WEB.replace("[web_framework]", "[ci_builder]"), "ci_builder are not supported"),
        (&WEB.replace("[web_framework]", "[external]"), "external are not supported"),
        (&WEB.replace("[web_framework]", "[]"), "it has no Categories"),
        (&with("Platform: windows\n"), "it is for the platform windows"),
        (&with("Cartridge-Vendor: a b\n"), "its Cartridge-Vendor `a b`"),
        (&with("Publishes: {e: {}}\n"), "its Publishes says no Type of the event `e`"),
        (&with("Publishes: {../e: {Type: T}}\n"), "no name of a hook"),
        (&with("Endpoints: [{Private-IP-Name: IP}]\n"), "has no Private-Port-Name, no Private-Port"),
        (&with("Endpoints: [{Private-IP-Name: IP, Private-Port-Name: P, Private-Port: http}]\n"), "`http` is no port"),
        (&with("Endpoints: [{Private-IP-Name: IP, Private-Port-Name: P, Private-Port: 65536}]\n"), "is no port"),
        (&with("Endpoints: [{Private-IP-Name: I P, Private-Port-Name: P, Private-Port: 1}]\n"), "its Private-IP-Name"),
        (&with("Version-Overrides: {'1.0': {Requires: {a: b}}}\n"), "a text, or a list of texts"),
    ] {
        let flaw = read(text, None).map(|manifest| manifest.ident()).unwrap_err();
        assert!(flaw.what.contains(what), "{text}: {}", flaw.what);
    }
}

#[test]
fn a_document_that_grows_without_end_is_refused() {
    let mut text = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, below) in [("b", "a"), ("c", "b"), ("d", "c"), ("e", "d"), ("f", "e")] {
        let row = vec![format!("*{below}"); 9].join(", ");
        text.push_str(&format!("{name}: &{name} [{row}]\n"));
    }
    assert!(read(&text, None).is_err());
}

#[test]
fn forms_that_cartridges_have_are_read() {
    let text = "---\nName: web\nCartridge-Short-Name: my_web\nVersion: 0.10\nVersions: [0.9, 0.10]\nCartridge-Vendor: v_1\n\
        Categories:\n- web_framework\n- web-0.10\nProvides: web-0.10\nRequires:\n- a\n- [b, c]\nPublishes:\nSubscribes:\n  \
        set-x:\n    Type: \"ENV:*\"\n    Required : false\nScaling:\n  Min: 1\nWhatever: [1, {a: no}]\n";
    let manifest = read(text, None).unwrap();
    assert_eq!(manifest.ident(), "v_1:web:0.10:0.0.1");
    assert_eq!(manifest.short_name, "MY_WEB");
    assert_eq!(manifest.categories, ["web_framework", "web-0.10"]);
    assert_eq!(manifest.requires, [vec!["a".to_owned()], vec!["b".to_owned(), "c".to_owned()]]);
    assert_eq!((manifest.publishes.len(), manifest.subscribes[0].kind.as_str()), (0, "ENV:*"));
    for (feature, offered) in [("web", true), ("web-0.10", true), ("v_1-web-0.10", true), ("web-0.9", false)] {
        assert_eq!(manifest.offers(feature), offered, "{feature}");
    }
}

#[test]
fn a_version_replaces_whole_keys() {
    let text = format!(
        "{WEB}Versions: ['1.0', '2.0']\nRequires: [a]\nProvides: [x]\nVersion-Overrides:\n  '2.0':\n    Requires: [b]\n    \
         Cartridge-Version: 0.0.2\n"
    );
    let (usual, other) = (read(&text, None).unwrap(), read(&text, Some("2.0")).unwrap());
    assert_eq!((usual.ident().as_str(), other.ident().as_str()), ("redhat:web:1.0:0.0.1", "redhat:web:2.0:0.0.2"));
    assert_eq!((usual.requires, other.requires), (vec![vec!["a".to_owned()]], vec![vec!["b".to_owned()]]));
    assert_eq!(other.provides, ["x"]);
    let flaw = read(&text, Some("3.0")).unwrap_err();
    assert_eq!(flaw.what, "there is no version 3.0 of it");
    assert_eq!(flaw.hint.as_deref(), Some("its versions are 1.0, 2.0"));
}

#[test]
fn managed_files_are_keys_or_symbols() {
    let text = "locked_files:\n- env/\n:processed_templates:\n- '**/*.erb'\ndependency_dirs:\n- lib\n- ~/.npm\n- ~/.n: n\n\
                build_dependency_dirs: {~/.m2: m2}\nrestore_transforms:\n- s|${OPENSHIFT_GEAR_NAME}/data|app-root/data|\n";
    let managed = super::super::managed::parse(text).unwrap();
    assert_eq!(managed.locked, ["env/"]);
    assert_eq!(managed.templates, ["**/*.erb"]);
    let links: Vec<_> = managed.dependencies.iter().map(|(link, to)| format!("{link}={to}")).collect();
    assert_eq!(links, ["lib=lib", "~/.npm=.npm", "~/.n=n"]);
    assert_eq!(managed.build_dependencies, [("~/.m2".to_owned(), "m2".to_owned())]);
    for (text, what) in
        [("locked_files: [\"a\\nb\"]\n", "is no name of a file"), ("locked_files: {a: b}\n", "a list of texts")]
    {
        let why = super::super::managed::parse(text).unwrap_err();
        assert!(why.contains(what), "{text}: {why}");
    }
    assert_eq!(super::super::managed::parse("---\n"), Ok(super::super::managed::Managed::default()));
}

#[test]
fn whose_doing_it_is_depends_on_where_the_manifest_lies() {
    let broken = "Name: web\n";
    let source = World::of("[\"./c/web\"]", &[("web", broken)]).error();
    assert_eq!(source.fault(), Fault::Source);
    let said =
        "the cartridge `./c/web`: metadata/manifest.yml: it has no Cartridge-Short-Name, no Version, no Categories";
    assert_eq!(source.to_string(), said);
    let base = World::of("[\"web\"]", &[]).shelved("web", broken).error();
    assert_eq!(base.fault(), Fault::Base, "{base}");
    // A broken one that nobody asked for is in nobody's way.
    World::of("[\"web\"]", &[]).shelved("web", WEB).shelved("other", broken).plan();
}

#[test]
fn identity_and_directory_are_what_scripts_find() {
    let plan = World::of("[\"./c/web\", \"./c/p\"]", &[("web", WEB), ("p", &plugin("my-plugin", ""))]).plan();
    let say = |name: &str| super::text(&plan, &format!("usr/lib/till/gear/plan/{name}"));
    assert_eq!(say("order").as_deref(), Some("web\nmy-plugin\n"));
    assert_eq!(say("carts/my-plugin/short").as_deref(), Some("MY_PLUGIN"));
    assert_eq!(say("carts/my-plugin/ident").as_deref(), Some("redhat:my-plugin:1.0:0.0.1"));
    assert_eq!(variable(&plan, "OPENSHIFT_PRIMARY_CARTRIDGE_DIR").as_deref(), Some("/var/lib/openshift/gear/web/"));
    assert_eq!(variable(&plan, "OPENSHIFT_SECRET_TOKEN"), None);
}
