//! Images that change hands: ours with Docker and podman, Docker's with us.

use serde_json::Value;

use crate::local_registry::Registry;
use crate::peers::{Peers, folder};
use crate::support::*;

/// An app of the base `debian` that says a word and ends; its name.
fn said(name: &str, word: &str) {
    base("debian");
    let app = source(&[("Procfile", "web: echo \"$(id -un) in $PWD says $WORD\"")]);
    built(app.path(), &["--base", "debian", "--name", name, "--env", &format!("WORD={word}")]);
}

fn inspected(text: &str) -> Value {
    let all: Value = serde_json::from_str(text).unwrap();
    all[0].clone()
}

#[test]
fn docker_and_podman_run_what_we_write() {
    let peers = Peers::shared();
    said("peers-written", "written");
    let folder = folder();
    let file = folder.path().join("image.tar").to_str().unwrap().to_owned();
    till(&["artifact", "export", "peers-written", &format!("docker-archive:{file}:peers/written:1")]).ok();
    let oci = format!("oci-archive:{}", folder.path().join("oci.tar").display());
    till(&["artifact", "export", "peers-written", &oci]).ok();
    let wanted = "app in /app says written\n";
    // From files.
    peers.docker(&["load", "--input", &file]);
    let by_docker = inspected(&peers.docker(&["image", "inspect", "peers/written:1"]));
    assert_eq!(peers.docker(&["run", "--rm", "--network", "host", "peers/written:1"]), wanted);
    let podman = |arguments: &[&str]| peers.containers.call("podman", arguments);
    podman(&["load", "--input", &file]);
    let by_podman = inspected(&podman(&["image", "inspect", "peers/written:1"]));
    assert_eq!(podman(&["run", "--rm", "peers/written:1"]), wanted);
    let id = podman(&["pull", "--quiet", &oci]);
    assert_eq!(podman(&["run", "--rm", id.trim()]), wanted);
    for key in ["User", "Env", "WorkingDir", "Entrypoint", "ExposedPorts", "Labels"] {
        assert_eq!(by_docker["Config"][key], by_podman["Config"][key], "{key}");
        assert!(!by_docker["Config"][key].is_null(), "{key}");
    }
}

#[test]
fn docker_and_podman_run_what_they_pull_of_ours() {
    let peers = Peers::shared();
    said("peers-pushed", "pushed");
    let registry = Registry::new("");
    let at = registry.at("peers/pushed:1");
    // Docker 20.10 does not read zstd.
    till(&["push", "peers-pushed", &at, "--compression", "gzip"]).ok();
    peers.docker(&["pull", "--quiet", &at]);
    let wanted = "app in /app says pushed\n";
    assert_eq!(peers.docker(&["run", "--rm", "--network", "host", &at]), wanted);
    let podman = |arguments: &[&str]| peers.containers.call("podman", arguments);
    podman(&["pull", "--quiet", "--tls-verify=false", &at]);
    assert_eq!(podman(&["run", "--rm", &at]), wanted);
    let zstd = registry.at("peers/pushed:zstd");
    till(&["push", "peers-pushed", &zstd, "--compression", "zstd"]).ok();
    podman(&["pull", "--quiet", "--tls-verify=false", &zstd]);
    assert_eq!(podman(&["run", "--rm", &zstd]), wanted);
}

const CONTRACT: &str = "description = \"made by Docker\"\n[contract]\nkind = \"command\"\nuser = \"maker\"\n\
    [contract.source]\nas = \"dir\"\nat = \"/srv/app\"\n\
    [[contract.process]]\nname = \"web\"\nrun = ['perl', 'server.pl']\n\
    [[contract.port]]\nname = \"http\"\nnumber = 8080\nprotocol = \"http\"\n";

#[test]
fn what_docker_saved_becomes_a_base_whose_apps_run() {
    let peers = Peers::shared();
    peers.load("debian");
    let text = "FROM debian\nRUN useradd --uid 1234 maker && echo 'by Docker' > /etc/maker && rm /etc/issue\n\
                ENV MADE=yes\nEXPOSE 8080\nUSER maker\nWORKDIR /srv/app\n";
    let context = source(&[("Dockerfile", text), ("contract.toml", CONTRACT)]);
    let place = |name: &str| context.path().join(name).to_str().unwrap().to_owned();
    peers.docker(&["build", "--quiet", "--network", "host", "--tag", "peers/maker", &place("")]);
    peers.docker(&["save", "--output", &place("saved.tar"), "peers/maker"]);
    let from = format!("docker-archive:{}", place("saved.tar"));
    till(&["base", "import", &from, "--name", "peers-maker", "--contract", &place("contract.toml")]).ok();
    let answer = "ls /etc/issue 2>&1; cat /etc/maker; id -u; echo $MADE\n";
    let wanted = "ls: cannot access '/etc/issue': No such file or directory\nby Docker\n1234\nyes\n";
    // By its contract, and by a Dockerfile.
    let app = source(&[("server.pl", SERVER), ("answer.sh", answer)]);
    built(app.path(), &["--base", "peers-maker", "--name", "peers-made"]);
    let answered = Served::new(&["peers-made"]).get("/");
    assert!(answered.ends_with(wanted), "{answered}");
    let text = "FROM peers-maker\nCOPY server.pl answer.sh ./\nENV PORT=8080\nCMD [\"perl\", \"server.pl\"]\n";
    write(app.path(), &[("Dockerfile", text), ("answer.sh", answer)]);
    built(app.path(), &["--name", "peers-made-again"]);
    let answered = Served::new(&["peers-made-again"]).get("/");
    assert!(answered.ends_with(wanted), "{answered}");
}
