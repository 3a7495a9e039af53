//! The table that the bench prints: a row a figure, ours beside the peer's.

use std::time::Duration;

/// One figure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell {
    /// Nothing was measured.
    None,
    /// So many a second.
    Rate(f64),
    /// How long.
    Took(Duration),
    /// How much memory or disk.
    Bytes(f64),
    /// How many.
    Count(f64),
    /// How many times as much.
    Times(f64),
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = match *self {
            Self::None => "-".to_owned(),
            Self::Rate(rate) => format!("{}/s", grouped(rate)),
            Self::Took(took) if took < Duration::from_millis(1) => {
                format!("{:.0} us", took.as_secs_f64() * 1e6)
            }
            Self::Took(took) if took < Duration::from_secs(1) => {
                format!("{:.2} ms", took.as_secs_f64() * 1e3)
            }
            Self::Took(took) => format!("{:.2} s", took.as_secs_f64()),
            Self::Bytes(bytes) if bytes < 10_000.0 => format!("{bytes:.0} B"),
            Self::Bytes(bytes) if bytes < 1e7 => format!("{:.0} KB", bytes / 1e3),
            Self::Bytes(bytes) => format!("{} MB", grouped(bytes / 1e6)),
            Self::Count(count) => grouped(count),
            Self::Times(times) => format!("{times:.2}x"),
        };
        f.pad(&text)
    }
}

fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

const NAME: usize = 58;
const WIDTH: usize = 14;

/// Begins a part of the table: what is measured, and the names of its columns.
pub(crate) fn section(name: &str, columns: &[&str]) {
    println!();
    print!("{name:<NAME$}");
    columns.iter().for_each(|column| print!("{column:>WIDTH$}"));
    println!();
    println!("{}", "-".repeat(NAME + WIDTH * columns.len()));
}

/// A row of it.
pub(crate) fn row(name: &str, cells: &[Cell]) {
    print!("{name:<NAME$}");
    cells.iter().for_each(|cell| print!("{cell:>WIDTH$}"));
    println!();
}

/// A remark below a row, such as why a column is empty.
pub(crate) fn remark(text: &str) {
    println!("  {text}");
}

/// The median of so many runs.
pub(crate) fn median(runs: usize, mut run: impl FnMut() -> f64) -> f64 {
    let mut figures: Vec<f64> = (0..runs).map(|_| run()).collect();
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// What this process holds in memory now, in bytes; 0 where the system does not tell.
pub(crate) fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0) * 4096.0
}
