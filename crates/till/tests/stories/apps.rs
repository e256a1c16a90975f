//! Apps of each kind, from source to an answer.

use std::path::Path;

use serde_json::Value;

use crate::support::*;

/// Builds an example with its base, runs it, and gives what it answers at `/`.
fn example(folder: &str, base_name: &str) -> Served {
    base(base_name);
    let name = format!("apps-{folder}");
    built(&repository().join("examples/apps").join(folder), &["--base", base_name, "--name", &name]);
    Served::new(&[&name])
}

#[test]
fn a_war_answers_through_tomcat() {
    let served = example("java-war", "java");
    let answer = served.get("/");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("Hello from Tomcat"), "{answer}");
}

#[test]
fn a_runnable_jar_answers() {
    let served = example("java-jar", "java");
    assert!(served.get("/").contains("Hello from a runnable JAR"));
    assert!(served.get("/World").contains("Hello from World"));
}

#[test]
fn flask_answers_through_gunicorn() {
    let served = example("python-flask", "python");
    assert!(served.get("/").contains("Hello from Flask"));
    let log = till(&["logs", served.id()]).ok().out;
    assert!(log.contains("gunicorn") && log.contains("GET /"), "{log}");
}

#[test]
fn python_is_taken_as_each_of_its_tools_declares_it() {
    base("python");
    let server = r#"
import http.server, os, importlib.metadata as metadata
def versions():
    installed = sorted((one.name.lower(), one.version) for one in metadata.distributions(path=["/app/.venv/lib/python3.11/site-packages"]))
    return " ".join(f"{name}=={version}" for name, version in installed)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(versions().encode())
http.server.HTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"#;
    let poetry = "[tool.poetry]\nname = \"shop\"\nversion = \"1\"\npackage-mode = false\n\
        [tool.poetry.dependencies]\npython = \"^3.9\"\nitsdangerous = \"^2.0\"\n\
        [tool.poetry.group.dev.dependencies]\nclick = \"*\"\n\
        [build-system]\nrequires = [\"poetry-core\"]\nbuild-backend = \"poetry.core.masonry.api\"\n";
    let poetry_lock = "[[package]]\nname = \"itsdangerous\"\nversion = \"2.1.1\"\n\n[[package]]\nname = \"click\"\nversion = \"8.1.0\"\n";
    let uv = "[project]\nname = \"shop\"\nversion = \"1\"\ndependencies = [\"itsdangerous>=2\"]\n";
    let uv_lock = "version = 1\n[[package]]\nname = \"itsdangerous\"\nversion = \"2.1.2\"\nsource = { registry = \"x\" }\n\
        [[package]]\nname = \"shop\"\nversion = \"1\"\nsource = { virtual = \".\" }\n";
    let tools = "[tool.black]\nline-length = 100\n";
    let either =
        "[tool.poetry.dependencies]\nitsdangerous = { version = \"1.1 || 2.1.2\", python = \"^2.7 || 3.*\" }\n";
    let pipfile = "[packages]\nitsdangerous = \"*\"\n[dev-packages]\nclick = \"*\"\n";
    let pipfile_lock =
        r#"{"default": {"itsdangerous": {"version": "==2.0.1"}}, "develop": {"click": {"version": "==8.1.0"}}}"#;
    let setup = "from setuptools import setup\nsetup(name='shop', version='1.5', py_modules=['app'], install_requires=['itsdangerous==2.1.2'])\n";
    for (name, files, versions) in [
        ("poetry", vec![("pyproject.toml", poetry), ("poetry.lock", poetry_lock)], "itsdangerous==2.1.1"),
        ("uv", vec![("pyproject.toml", uv), ("uv.lock", uv_lock)], "itsdangerous==2.1.2"),
        ("pipenv", vec![("Pipfile", pipfile), ("Pipfile.lock", pipfile_lock)], "itsdangerous==2.0.1"),
        ("pipenv-tools", vec![("Pipfile", pipfile), ("pyproject.toml", tools)], "itsdangerous=="),
        ("either", vec![("pyproject.toml", either)], "itsdangerous==2.1.2"),
        ("setup", vec![("setup.py", setup)], "itsdangerous==2.1.2 shop==1.5"),
        ("setup-tools", vec![("setup.py", setup), ("pyproject.toml", tools)], "itsdangerous==2.1.2 shop==1.5"),
        ("bare", vec![], ""),
    ] {
        let app = source(&files);
        write(app.path(), &[("app.py", server)]);
        let name = format!("apps-python-{name}");
        built(app.path(), &["--name", &name]);
        let answer = Served::new(&[&name]).get("/");
        let (_, installed) = answer.split_once("\r\n\r\n").unwrap_or_default();
        let known = if versions.ends_with("==") { installed.starts_with(versions) } else { installed == versions };
        assert!(known, "{name}: {answer}");
    }
}

#[test]
fn express_answers() {
    let served = example("node-express", "node");
    assert!(served.get("/").contains("Hello from Express"));
}

#[test]
fn a_static_site_answers() {
    let served = example("static-site", "static");
    assert!(served.get("/").contains("Hello from a static site"));
    assert!(served.get("/about/").starts_with("HTTP/1.1 200"));
    assert!(served.get("/nowhere").starts_with("HTTP/1.1 404"));
}

#[test]
fn a_staticfile_says_which_folder_is_served() {
    base("static");
    let site = [
        ("Staticfile", "root: \"site\"  # here\nindex_fallback: true\n"),
        ("site/index.html", "a page"),
        ("secret.html", "no"),
    ];
    built(source(&site).path(), &["--name", "apps-staticfile"]);
    let served = Served::new(&["apps-staticfile"]);
    assert!(served.get("/").ends_with("a page"));
    let fallback = served.get("/secret.html");
    assert!(fallback.starts_with("HTTP/1.1 200") && fallback.ends_with("a page"), "{fallback}");
}

/// Builds an example that says nothing of itself with the base that is found for it, and runs it.
fn found(folder: &str, base_name: &str) -> Served {
    base(base_name);
    let name = format!("apps-{folder}");
    let answer = built(&repository().join("examples/apps").join(folder), &["--name", &name]);
    assert!(answer["base"].as_str().unwrap().starts_with(&format!("{base_name}@")), "{answer}");
    Served::new(&[&name])
}

#[test]
fn a_go_program_answers() {
    let served = found("go-http", "go");
    let answer = served.get("/");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("Hello from Go"), "{answer}");
    assert!(served.get("/nowhere").starts_with("HTTP/1.1 404"));
}

#[test]
fn a_rust_program_answers() {
    let served = found("rust-http", "rust");
    let answer = served.get("/");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("Hello from Rust"), "{answer}");
    assert!(served.get("/nowhere").starts_with("HTTP/1.1 404"));
}

#[test]
fn sinatra_answers_through_puma() {
    let served = found("ruby-rack", "ruby");
    let answer = served.get("/");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("Hello from Ruby"), "{answer}");
    assert!(served.get("/hello/World").ends_with(r#"{"hello":"World"}"#));
}

#[test]
fn php_answers_behind_nginx() {
    let served = found("php-site", "php");
    let answer = served.get("/");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("Hello from PHP"), "{answer}");
    assert!(served.get("/hello/world").contains(r#"{"hello":"World"}"#));
    assert!(served.get("/style.css").contains("text/css"));
    for hidden in ["/nowhere", "/.env", "/../composer.json", "/style.css/x.php"] {
        assert!(!served.get(hidden).starts_with("HTTP/1.1 200"), "{hidden}");
    }
}

#[test]
fn a_gradle_project_answers() {
    let served = found("java-gradle", "java");
    let answer = served.get("/");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("Hello from Gradle"), "{answer}");
    assert!(served.get("/hello/World").contains(r#"{"hello":"World"}"#));
}

/// Ends when it is asked to.
const WORKER: &str = "worker: trap 'exit 0' TERM; echo \"works for ${WHOM:-nobody} at port ${PORT:-none}\"; while :; do sleep 0.05; done\n";

#[test]
fn a_procfile_may_have_several_process_types() {
    base("debian");
    let app = server("echo web");
    write(app.path(), &[("Procfile", &format!("web: exec perl server.pl\n{WORKER}"))]);
    built(app.path(), &["--base", "debian", "--name", "apps-types"]);
    let web = Served::new(&["apps-types"]);
    let worker = Served::new(&["apps-types", "--process", "worker", "--env", "WHOM=the web"]);
    assert!(web.get("/").ends_with("web\n"));
    assert_eq!((&worker.answer["url"], &worker.answer["port"]), (&Value::Null, &Value::Null));
    assert_eq!(worker.answer["process"], "worker");
    until("the worker has said something", || till(&["logs", worker.id()]).out.contains("the web at port none"));
    till(&["run", "apps-types", "--process", "wroker"]).failed(6, &["`wroker`", "did you mean `worker`?", "web"]);
}

#[test]
fn the_base_may_be_named_on_the_command_line() {
    base("debian");
    let app = server("echo here");
    let first = built(app.path(), &["--base", "debian", "--name", "apps-unnamed"]);
    assert!(first["base"].as_str().unwrap().starts_with("debian@"), "{first}");
    // The command line wins.
    write(app.path(), &[("till.toml", "base = \"nothing-like-it\"\nname = \"apps-other\"\n")]);
    let again = built(app.path(), &["--base", "debian", "--name", "apps-unnamed"]);
    assert_eq!(again["app"], "apps-unnamed");
    till(&["build", app.path().to_str().unwrap()]).failed(6, &["there is no base `nothing-like-it`"]);
}

/// A contract with something of everything.
const RICH: &str = r#"
[recipe]
kind = "debian"
from = "debian"
[contract]
kind = "command"
user = "app"
shell = ["/bin/bash", "-c"]
remove = ["/app/*.tmp"]
[contract.source]
as = "dir"
at = "/app"
[contract.parameter.greeting]
default = "hello"
[contract.env]
WHO = "the base"
KEPT = "by the base"
[contract.build_env]
CI = "true"
[[contract.cache]]
name = "things"
path = "/home/app/.cache/things"
[[contract.step]]
name = "dependencies"
when = { file = "needs.txt" }
reads = ["needs.txt"]
run = "ls > /app/seen.txt; cat needs.txt > /app/dependencies.txt"
[[contract.step]]
name = "compile"
run = "echo {{param.greeting}} $WHO > compiled.txt; touch left.tmp; echo x >> /home/app/.cache/things/count"
[[contract.step]]
name = "tidy"
after = "test"
run = ["rm", "-f", "only-for-the-test.txt"]
[contract.test]
run = "grep -q {{param.greeting}} compiled.txt"
[[contract.process]]
name = "web"
when = { built = ["/app/nothing", "/app/compil*.txt"] }
run = 'BUILT={{built}} SAID="{{param.greeting}}" exec perl server.pl'
[[contract.port]]
name = "http"
number = 8123
protocol = "http"
"#;

fn rich() -> tempfile::TempDir {
    base("debian");
    own_base(&shared_data(), "apps-rich", RICH);
    let app = server("echo $BUILT,$SAID,$WHO,$KEPT,$PORT; cat compiled.txt seen.txt dependencies.txt; ls -A");
    write(app.path(), &[("needs.txt", "things\n"), ("only-for-the-test.txt", "")]);
    std::fs::remove_file(app.path().join("Procfile")).unwrap();
    app
}

fn plan(source: &Path, arguments: &[&str]) -> String {
    till(&[&["plan", source.to_str().unwrap()], arguments].concat()).ok().out
}

#[test]
fn a_plan_says_everything_and_does_nothing() {
    let app = rich();
    let wanted = ["--base", "apps-rich", "--name", "apps-planned"];
    let text = plan(app.path(), &wanted);
    for part in [
        "apps-planned",
        "apps-rich@",
        "its layer is reused while its inputs stay the same",
        "needs.txt",
        "cat needs.txt > /app/dependencies.txt",
        "echo hello $WHO > compiled.txt",
        "grep -q hello compiled.txt",
        "rm -f only-for-the-test.txt",
        "/home/app/.cache/things",
        "/app/*.tmp",
        "exec perl server.pl",
        "8123",
    ] {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
    let json: Value = serde_json::from_str(&plan(app.path(), &[&wanted[..], &["--json"]].concat())).unwrap();
    let plan = &json["plan"];
    assert_eq!(plan["stages"][0]["name"], "dependencies");
    assert_eq!(plan["stages"][1]["name"], "app");
    assert_eq!(plan["finish"][0]["name"], "tidy");
    assert_eq!(plan["launch"]["ports"][0]["number"], 8123);
    assert!(!plan.to_string().contains(app.path().to_str().unwrap()), "a path of the host is in the plan");
    assert!(text.contains(json["digest"].as_str().unwrap()));
    assert!(!till(&["artifact", "list"]).ok().out.contains("apps-planned"));
    till(&["run", "apps-planned"]).failed(6, &["there is no artifact `apps-planned`"]);
}

#[test]
fn what_was_planned_is_what_is_done() {
    let app = rich();
    let wanted = ["--base", "apps-rich", "--name", "apps-done"];
    let planned: Value = serde_json::from_str(&plan(app.path(), &[&wanted[..], &["--json"]].concat())).unwrap();
    let built = built(app.path(), &[&wanted[..], &["--afresh"]].concat());
    assert_eq!(built["plan"], planned["digest"]);
    let names: Vec<_> = built["steps"].as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap()).collect();
    let told: Vec<_> = names.into_iter().filter(|name| !["open", "files"].contains(name)).collect();
    assert_eq!(told, ["dependencies", "snapshot", "compile", "test", "tidy", "snapshot"]);
    let answer = Served::new(&["apps-done"]).get("/");
    assert!(answer.contains("/app/compiled.txt,hello,the base,by the base,8123\n"), "{answer}");
    assert!(answer.contains("hello the base\n"), "{answer}");
    // The step with `reads` saw that file only; its own output was being written.
    assert!(answer.contains("needs.txt\nseen.txt\nthings\n"), "{answer}");
    assert!(!answer.contains("left.tmp") && !answer.contains("only-for-the-test.txt"), "{answer}");
}

/// What this artifact answers at `/`.
fn run(built: &Value, arguments: &[&str]) -> String {
    Served::new(&[&[built["artifact"].as_str().unwrap()], arguments].concat()).get("/")
}

#[test]
fn parameters_and_environment_have_an_order() {
    let app = rich();
    write(app.path(), &[("till.toml", "[parameters]\ngreeting = \"moin\"\n[env]\nWHO = \"the app\"\n")]);
    let wanted = ["--base", "apps-rich", "--name", "apps-order"];
    let answer = run(&built(app.path(), &wanted), &[]);
    assert!(answer.contains(",moin,the app,by the base,") && answer.contains("moin the app\n"), "{answer}");
    let second = built(app.path(), &[&wanted[..], &["--env", "WHO=the caller", "--env", "KEPT="]].concat());
    let answer = run(&second, &[]);
    assert!(answer.contains(",moin,the caller,,8123") && answer.contains("moin the caller\n"), "{answer}");
    let answer = run(&second, &["--env", "WHO=a=b"]);
    assert!(answer.contains(",moin,a=b,,8123") && answer.contains("moin the caller\n"), "{answer}");
    write(app.path(), &[("till.toml", "[parameters]\ngreating = \"x\"\n")]);
    let arguments = ["build", app.path().to_str().unwrap(), "--base", "apps-rich"];
    till(&arguments).failed(3, &["greating", "greeting"]);
}

#[test]
fn processes_of_till_toml_win_over_the_procfile() {
    base("debian");
    let app = server("echo \"$1 by $BY\"");
    let processes = "[processes]\nweb = \"BY=till.toml exec perl server.pl\"\nlist = [\"ls\", \"$HOME\", \"-a b\"]\n";
    write(app.path(), &[("Procfile", &format!("web: BY=Procfile exec perl server.pl\n{WORKER}"))]);
    write(app.path(), &[("till.toml", processes)]);
    built(app.path(), &["--base", "debian", "--name", "apps-winning"]);
    assert!(Served::new(&["apps-winning"]).get("/").ends_with("/ by till.toml\n"));
    let shown = till(&["artifact", "show", "apps-winning", "--json"]).ok().json();
    let launched = &shown["launch"]["processes"];
    // A list goes past the shell; what only the Procfile has stays.
    assert_eq!(launched["list"]["argv"], serde_json::json!(["ls", "$HOME", "-a b"]));
    assert_eq!(launched["worker"]["argv"][0], "/bin/bash");
}

#[test]
fn a_base_may_take_the_source_as_one_archive() {
    base("debian");
    let rest = r#"
[recipe]
kind = "debian"
from = "debian"
[contract]
kind = "command"
[contract.source]
as = "tar"
at = "/srv/in/source.tar"
[[contract.step]]
name = "unpack"
run = "mkdir /srv/out && tar -C /srv/out -xf /srv/in/source.tar && ! touch /srv/in/source.tar 2>/dev/null"
[[contract.process]]
name = "web"
run = "cd /srv/out && exec perl server.pl"
[[contract.port]]
name = "http"
number = 8080
protocol = "http"
"#;
    own_base(&shared_data(), "apps-archive", rest);
    let app = server("echo out: $(ls); echo in: $(ls /srv/in 2>&1); id -un");
    std::fs::remove_file(app.path().join("Procfile")).unwrap();
    built(app.path(), &["--base", "apps-archive", "--name", "apps-archived", "--afresh"]);
    let answer = Served::new(&["apps-archived"]).get("/");
    assert!(answer.contains("out: answer.sh server.pl\n"), "{answer}");
    assert!(!answer.contains("source.tar") && answer.ends_with("root\n"), "{answer}");
}

#[test]
fn a_base_of_ones_own_adds_packages_to_another() {
    base("python");
    let contract = r#"
[recipe]
kind = "debian"
from = "python"
packages = ["jq"]
[contract]
kind = "command"
user = "app"
[[contract.require]]
any = ["query.jq"]
message = "no query.jq: this base asks with jq"
[[contract.process]]
name = "web"
run = "exec python3 app.py"
[[contract.port]]
name = "http"
number = 8080
protocol = "http"
"#;
    let made = own_base(&shared_data(), "apps-jq", contract);
    assert!(made["from"].as_str().unwrap().starts_with("python@"), "{made}");
    let app = source(&[("app.py", "pass")]);
    till(&["build", app.path().to_str().unwrap(), "--base", "apps-jq"]).failed(3, &["this base asks with jq"]);
    let python = r#"
import http.server, os, signal, subprocess
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(subprocess.run(["jq", "-n", "-f", "query.jq"], capture_output=True).stdout)
http.server.HTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"#;
    write(app.path(), &[("app.py", python), ("query.jq", "[1, 2] | add")]);
    built(app.path(), &["--base", "apps-jq", "--name", "apps-query"]);
    assert!(Served::new(&["apps-query"]).get("/").ends_with("3\n"));
}
