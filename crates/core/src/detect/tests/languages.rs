//! Languages by their files, and which of several wins.

use super::*;

#[test]
fn each_file_makes_a_source_one_of_its_language() {
    for (names, language) in [
        ("index.php composer.json", "php php"),
        ("go.mod go.work main.go", "go go"),
        ("gradlew pom.xml build.gradle build.gradle.kts", "java java"),
        ("pom.atom pom.clj pom.groovy pom.rb pom.scala pom.yaml pom.yml", "java java"),
        ("Cargo.toml", "rust rust"),
        ("Gemfile", "ruby ruby"),
        ("main.py app.py start.py bot.py hello.py server.py", "python python"),
        ("requirements.txt pyproject.toml Pipfile setup.py", "python python"),
        ("package.json package.json5", "node node"),
        ("index.html Staticfile public/about.html", "static static"),
        ("start.sh", "shell debian"),
    ] {
        for name in names.split_whitespace() {
            let detection = of_names(name);
            assert_eq!(chosen(&detection), language, "{name}");
            assert_eq!(others(&detection), "", "{name}");
            assert_eq!(detection.refused, [], "{name}");
        }
    }
}

#[test]
fn of_several_languages_the_first_of_the_order_wins_and_the_others_are_named() {
    for (names, first, rest) in [
        // Laravel: what the browser gets is built by Node.js, and `public` has its pages.
        ("composer.json artisan package.json public/index.php", "php php", "node node, static static"),
        ("Gemfile package.json public/404.html", "ruby ruby", "node node, static static"),
        // Never served as files.
        ("public/index.php", "php php", "static static"),
        ("web/index.php package.json", "php php", "node node"),
        // Single-page apps.
        ("package.json index.html", "node node", "static static"),
        ("package.json public/index.html", "node node", "static static"),
        ("requirements.txt package.json", "python python", "node node"),
        ("Gemfile requirements.txt package.json", "ruby ruby", "python python, node node"),
        ("go.mod package.json", "go go", "node node"),
        ("go.mod Cargo.toml", "go go", "rust rust"),
        ("pom.xml package.json src/main/java/A.java", "java java", "node node"),
        ("Cargo.toml pyproject.toml", "rust rust", "python python"),
        ("Cargo.toml package.json index.html", "rust rust", "node node, static static"),
        ("index.php main.go", "php php", "go go"),
        ("index.php index.html", "php php", "static static"),
        ("start.sh index.html", "static static", "shell debian"),
        ("start.sh package.json", "node node", "shell debian"),
    ] {
        let detection = of_names(names);
        assert_eq!((chosen(&detection).as_str(), others(&detection).as_str()), (first, rest), "{names}");
    }
}

#[test]
fn only_the_root_counts() {
    for names in
        ["web/package.json", "docs/index.html", "src/main.py src/go.mod", "a/public/x", "publication/x", "publicx"]
    {
        assert_eq!(chosen(&of_names(names)), "nothing", "{names}");
    }
    assert_eq!(of_names("web/package.json api/go.mod api/main.go docs/x.md").folders, ["api", "web"]);
}

#[test]
fn a_language_without_a_base_is_passed_over_until_there_is_one() {
    let mut bases = house();
    for (names, what) in [
        ("mix.exs package.json", "mix.exs"),
        ("deno.json package.json", "deno.json"),
        ("App.csproj package.json", "App.csproj"),
    ] {
        let detection = of_names(names);
        assert_eq!(chosen(&detection), "node node", "{names}");
        assert_eq!(detection.refused[0].what, what);
        assert!(detection.refused[0].why.contains("no base has the tag"), "{:?}", detection.refused);
    }
    bases.push(offer(("beam", "command", "elixir erlang")));
    let detection = of(&[("mix.exs", ""), ("package.json", "")], &bases);
    assert_eq!((chosen(&detection).as_str(), others(&detection).as_str()), ("elixir beam", "node node"));
}

#[test]
fn a_procfile_is_left_to_the_language_and_decides_where_there_is_none() {
    const LINE: &str = "web: ./server --port $PORT\n";
    for (names, first, rest) in [
        ("requirements.txt", "python python", "procfile debian, heroku heroku"),
        ("go.mod index.html", "go go", "procfile debian, static static, heroku heroku"),
        ("", "procfile debian", "heroku heroku"),
        // Nothing but files would be served otherwise.
        ("index.html", "procfile debian", "static static, heroku heroku"),
        ("start.sh", "procfile debian", "shell debian, heroku heroku"),
    ] {
        let files: Vec<_> = names.split_whitespace().map(|name| (name, "")).chain([("Procfile", LINE)]).collect();
        let detection = of(&files, &house());
        assert_eq!((chosen(&detection).as_str(), others(&detection).as_str()), (first, rest), "{names}");
    }
    let detection = of(&[("Procfile", "no lines\n")], &house());
    assert_eq!(chosen(&detection), "nothing");
    assert_eq!((detection.refused[0].what.as_str(), detection.refused.len()), ("Procfile", 1));
}
