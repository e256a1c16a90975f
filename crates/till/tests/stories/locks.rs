//! Locks of bases, with real packages: followed with the mirror cut off, told when they change, verified.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Called, base, command, lock_of, repository, shared_data, source, till, write};

/// `till` on a machine that has no network at all.
fn cut_off(arguments: &[&str]) -> Called {
    let till = command(&shared_data(), arguments);
    let mut alone = Command::new("unshare");
    alone.arg("--net").arg(till.get_program()).args(till.get_args());
    Called::of(alone.output().unwrap())
}

fn read(lock: &Path) -> toml::Table {
    toml::from_str(&std::fs::read_to_string(lock).unwrap()).unwrap()
}

fn packages(lock: &Path) -> Vec<(String, String)> {
    let text = |package: &toml::Value, key: &str| package[key].as_str().unwrap().to_owned();
    let lock = read(lock);
    let packages = lock["package"].as_array().unwrap();
    packages.iter().map(|package| (text(package, "name"), text(package, "version"))).collect()
}

/// Each is made from its lock twice: once by the story that wants it first, or here, and once without any network.
#[test]
fn every_base_comes_out_the_same_from_its_lock_with_the_mirror_cut_off() {
    let folders = std::fs::read_dir(repository().join("bases")).unwrap().flatten();
    let mut names: Vec<_> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    for name in names {
        base(&name);
        let (path, lock) = (repository().join("bases").join(&name), lock_of(&name));
        let before = std::fs::read_to_string(&lock).unwrap();
        let build = ["base", "build", path.to_str().unwrap(), "--lock", lock.to_str().unwrap()];
        let answer = cut_off(&[&build[..], &["--locked", "--afresh", "--json"]].concat()).ok().json();
        assert_eq!(answer["digest"].as_str(), read(&lock)["digest"].as_str(), "{name}");
        assert_eq!((&answer["reused"], &answer["locked"]), (&json!(false), &json!(true)), "{name}");
        assert_eq!(std::fs::read_to_string(&lock).unwrap(), before, "who follows a lock does not write it");
        let installed = till(&["sbom", &format!("base:{name}"), "--json"]).ok().out;
        for (package, version) in packages(&lock) {
            assert!(installed.contains(&format!("\"version\":\"{version}\"")), "{name}: {package} {version}");
        }
    }
}

#[test]
fn what_differs_from_the_lock_that_was_there_is_told() {
    base("debian");
    let toml = "name = \"locks-told\"\ndescription = \"d\"\nowner = \"o\"\n[recipe]\nkind = \"debian\"\nfrom = \"debian\"\n\
        packages = [\"tree\"]\n[contract]\nkind = \"command\"\n";
    let folder = source(&[("base.toml", toml)]);
    let path = folder.path().to_str().unwrap();
    till(&["base", "build", path, "--locked"]).failed(6, &["base.lock` to follow", "without --locked"]);
    let first = till(&["base", "build", path, "--json"]).ok().json();
    assert_eq!((&first["changes"], &first["packages"], &first["locked"]), (&json!([]), &json!(1), &json!(false)));
    let lock = folder.path().join("base.lock");
    let (text, version) = (std::fs::read_to_string(&lock).unwrap(), packages(&lock)[0].1.clone());
    std::fs::write(&lock, text.replace(&format!("version = \"{version}\""), "version = \"0.1\"")).unwrap();
    let second = till(&["base", "build", path, "--json"]).ok().json();
    let change = json!({ "package": "tree", "from": "0.1", "to": version, "security": false });
    assert_eq!(second["changes"], json!([change]));
    assert_eq!(std::fs::read_to_string(&lock).unwrap(), text);
    write(folder.path(), &[("base.lock", &text.replace("0", "x"))]);
    till(&["base", "build", path]).failed(4, &["base.lock", "remove it"]);
    write(folder.path(), &[("base.lock", &text), ("base.toml", &toml.replace("\"tree\"", "\"tree\", \"jq\""))]);
    till(&["base", "build", path, "--locked"]).failed(4, &["the lock is of another recipe", "without --locked"]);
}

#[test]
fn a_base_is_verified_from_what_was_kept_of_it() {
    base("debian");
    let recipe = |command: &str| {
        format!(
            "name = \"locks-verified\"\ndescription = \"d\"\nowner = \"o\"\n[recipe]\nkind = \"debian\"\n\
             from = \"debian\"\npackages = [\"tree\"]\ncommands = [{command}]\n[[recipe.file]]\nsource = \"run\"\n\
             path = \"/usr/local/bin/run\"\n[contract]\nkind = \"command\"\n"
        )
    };
    let folder = source(&[("base.toml", &recipe("[\"true\"]")), ("run", "run")]);
    let made = till(&["base", "build", folder.path().to_str().unwrap(), "--json"]).ok().json();
    let other =
        source(&[("base.toml", &recipe("[\"sh\", \"-c\", \"cat /proc/sys/kernel/random/uuid >/id\"]")), ("run", "")]);
    till(&["base", "build", other.path().to_str().unwrap()]).ok();
    drop(folder);
    let same = cut_off(&["base", "verify", &format!("locks-verified@{}", made["version"]), "--json"]).ok().json();
    assert_eq!((&same["same"], &same["differences"]), (&json!(true), &Value::Null));
    assert_eq!(same["digest"], same["rebuilt"]);
    till(&["base", "verify", "locks-verified"]).failed(4, &["file differs: id", "made again it is"]);
    till(&["base", "verify", "locks-nowhere"]).failed(6, &["there is no base `locks-nowhere`"]);
}

/// What apt gets for the steps of a Dockerfile is known when they have run.
#[test]
fn the_packages_that_a_dockerfile_installs_are_locked_too() {
    base("debian");
    let toml = "name = \"locks-file\"\ndescription = \"d\"\nowner = \"o\"\n[recipe]\nkind = \"dockerfile\"\n\
        [contract]\nkind = \"dockerfile\"\n";
    let file = "FROM debian AS tools\n\
        RUN apt-get update && apt-get install -y --no-install-recommends jq && rm -rf /var/lib/apt/lists/*\n\
        FROM debian\nCOPY --from=tools /usr/bin/jq /opt/jq\n\
        RUN apt-get update && apt-get install -y tree\n";
    let folder = source(&[("base.toml", toml), ("Dockerfile", file)]);
    let path = folder.path().to_str().unwrap();
    let made = till(&["base", "build", path, "--json"]).ok().json();
    let lock = folder.path().join("base.lock");
    let names: Vec<_> = packages(&lock).into_iter().map(|(name, _)| name).collect();
    for name in ["jq", "libjq1", "libonig5", "tree"] {
        assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
    }
    let image = read(&lock)["image"][0].clone();
    assert_eq!(image["name"].as_str(), Some("debian"));
    assert!(read(&lock)["suite"].as_array().unwrap().iter().any(|suite| suite["name"].as_str() == Some("bookworm")));
    let again = till(&["base", "build", path, "--json"]).ok().json();
    assert_eq!((&again["reused"], &again["digest"]), (&json!(true), &made["digest"]));
    let locked = cut_off(&["base", "build", path, "--locked", "--afresh", "--json"]).ok().json();
    assert_eq!(locked["digest"], made["digest"]);
    cut_off(&["base", "verify", "locks-file"]).ok();
}
