//! The README's picture of a run: the demo's output as SVG.

use std::fmt::Write as _;

/// Characters in a line of the picture.
const COLUMNS: usize = 120;
/// Indentation of continued lines, in characters.
const INDENT: usize = 14;
/// Height of a line, in pixels.
const LINE: usize = 18;
/// Space at the left and above, in pixels.
const LEFT: usize = 20;
const ABOVE: usize = 29;
/// From the base of the last line to the end.
const BELOW: usize = 21;
const WIDTH: usize = 1010;

/// A character, and the SGR parameter that it is printed with; empty for none.
type Cell = (char, String);

/// Returns a picture of lines with terminal colours.
pub(crate) fn svg(lines: &[String]) -> String {
    let text = lines.iter().flat_map(|line| line.split('\n')).map(cells);
    let mut rows: Vec<Vec<Cell>> = text.skip_while(Vec::is_empty).flat_map(|line| wrapped(&line)).collect();
    while rows.last().is_some_and(Vec::is_empty) {
        rows.pop();
    }
    let height = ABOVE + rows.len().saturating_sub(1) * LINE + BELOW;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"Output of cargo demo\">\n\
         <style>text{{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,\"DejaVu Sans Mono\",monospace;fill:#e6edf3;white-space:pre}}.b{{font-weight:700}}</style>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" rx=\"8\" fill=\"#0d1117\"/>\n"
    );
    for (row, line) in rows.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        let y = ABOVE + row * LINE;
        let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{y}\" xml:space=\"preserve\">{}</text>", spans(line));
    }
    svg.push_str("</svg>\n");
    svg
}

/// Returns the text without colours.
pub(crate) fn plain(line: &str) -> String {
    line.split('\n')
        .map(|line| cells(line).into_iter().map(|(c, _)| c).collect::<String>())
        .collect::<Vec<_>>()
        .join("\n")
}

fn cells(line: &str) -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut style = String::new();
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        if let Some((parameter, after)) = rest.strip_prefix("\x1b[").and_then(|rest| rest.split_once('m')) {
            style = if parameter == "0" { String::new() } else { parameter.to_owned() };
            rest = after;
            continue;
        }
        cells.push((c, style.clone()));
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    cells
}

/// Wraps a line to the picture's width.
fn wrapped(line: &[Cell]) -> Vec<Vec<Cell>> {
    let (first, rest) = line.split_at(line.len().min(COLUMNS));
    let indent = || std::iter::repeat_n((' ', String::new()), INDENT);
    let rest = rest.chunks(COLUMNS - INDENT).map(|chunk| indent().chain(chunk.iter().cloned()).collect());
    std::iter::once(first.to_vec()).chain(rest).collect()
}

fn spans(line: &[Cell]) -> String {
    let mut text = String::new();
    for run in line.chunk_by(|(_, a), (_, b)| a == b) {
        let style = run.first().map(|(_, style)| style.as_str()).unwrap_or_default();
        let attribute = match style {
            "1" => "class=\"b\"",
            "2" => "fill=\"#8b949e\"",
            "31" => "fill=\"#ff7b72\"",
            "32" => "fill=\"#7ee787\"",
            "33" => "fill=\"#e3b341\"",
            "34" => "fill=\"#79c0ff\"",
            _ => "",
        };
        let escaped: String = run.iter().map(|(c, _)| escape(*c)).collect();
        if attribute.is_empty() {
            text.push_str(&escaped);
        } else {
            let _ = write!(text, "<tspan {attribute}>{escaped}</tspan>");
        }
    }
    text
}

fn escape(c: char) -> String {
    match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        c => c.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_colours_and_lines_of_its_width() {
        let long = format!("   {}", "x".repeat(150));
        let lines = ["", "\x1b[1m── An act\x1b[0m", " \x1b[32m✓\x1b[0m a < b", &long, ""];
        let svg = svg(&lines.map(str::to_owned));
        assert!(
            svg.contains("y=\"29\" xml:space=\"preserve\"><tspan class=\"b\">── An act</tspan></text>"),
            "{svg}"
        );
        assert!(svg.contains("> <tspan fill=\"#7ee787\">✓</tspan> a &lt; b</text>"), "{svg}");
        assert!(svg.contains(&format!(">{}{}</text>", " ".repeat(14), "x".repeat(33))), "{svg}");
        assert!(svg.contains("height=\"104\""), "{svg}");
    }

    #[test]
    fn a_line_without_colours_reads_the_same() {
        assert_eq!(plain("a \x1b[31mred\x1b[0m\nline"), "a red\nline");
    }
}
