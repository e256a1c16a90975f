//! Counts the words of its arguments.

fn main() {
    let text = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    println!("{}", words::count(&text));
}
