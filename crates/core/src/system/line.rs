//! Words as a command line: Windows hands programs one text, and each takes it apart by itself. Most do it as Microsoft's C
//! runtime (learn.microsoft.com: "Parsing C command-line arguments"); the command processor has rules of its own.

/// The command line of which a program gets these words.
pub fn command_line<S: AsRef<str>>(words: &[S]) -> String {
    let mut line = String::new();
    let mut rest = words.iter().map(AsRef::as_ref);
    let Some(program) = rest.next() else { return line };
    quote(program, &mut line);
    let is_shell = is_shell(program);
    while let Some(word) = rest.next() {
        line.push(' ');
        if is_shell && (word.eq_ignore_ascii_case("/c") || word.eq_ignore_ascii_case("/k")) {
            line.push_str(word);
            let command: Vec<_> = rest.collect();
            // It takes away the first quote and the last one (`cmd /?`, with /s), and reads the rest as it is.
            line.push_str(&format!(" \"{}\"", command.join(" ")));
            return line;
        }
        quote(word, &mut line);
    }
    line
}

/// Is it the command processor?
fn is_shell(program: &str) -> bool {
    let name = program.rsplit(['\\', '/']).next().unwrap_or(program).to_ascii_lowercase();
    name == "cmd" || name == "cmd.exe"
}

fn quote(word: &str, line: &mut String) {
    if !word.is_empty() && !word.contains([' ', '\t', '"', '\n', '\u{b}']) {
        line.push_str(word);
        return;
    }
    line.push('"');
    let mut backslashes = 0;
    for c in word.chars() {
        match c {
            '\\' => backslashes += 1,
            '"' => {
                // Those before a quote count double, and one is for the quote.
                line.extend(std::iter::repeat_n('\\', backslashes + 1));
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
        line.push(c);
    }
    line.extend(std::iter::repeat_n('\\', backslashes));
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::command_line;

    #[test]
    fn programs_get_their_words_back() {
        for (words, line) in [
            (&["python.exe", "-m", "http.server"][..], "python.exe -m http.server"),
            (&[r"C:\Program Files\x.exe", "a b"], r#""C:\Program Files\x.exe" "a b""#),
            (&["x", ""], r#"x """#),
            (&["x", r#"a"b"#], r#"x "a\"b""#),
            (&["x", r"C:\dir\"], r"x C:\dir\"),
            (&["x", r"C:\my dir\"], r#"x "C:\my dir\\""#),
            (&["x", r#"a\"b"#], r#"x "a\\\"b""#),
            (&["x", "100%"], "x 100%"),
        ] {
            assert_eq!(command_line(words), line);
        }
        assert_eq!(command_line::<&str>(&[]), "");
    }

    #[test]
    fn the_command_processor_gets_its_text_as_it_is() {
        for (words, line) in [
            (
                &["cmd.exe", "/d", "/s", "/c", "pip install -r \"a b.txt\""][..],
                "cmd.exe /d /s /c \"pip install -r \"a b.txt\"\"",
            ),
            (&[r"C:\Windows\System32\CMD.EXE", "/C", "echo", "a&b"], r#"C:\Windows\System32\CMD.EXE /C "echo a&b""#),
        ] {
            assert_eq!(command_line(words), line);
        }
    }
}
