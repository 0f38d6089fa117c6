//! Lists of filter patterns with the semantics of GitHub Actions.

use super::pattern::Pattern;

/// The kind of texts that a filter selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterOf {
    /// Names of branches, without `refs/heads/`.
    Branches,
    /// Paths of files, from the repository's root.
    Paths,
}

/// Filter patterns of GitHub Actions: `*`, `**`, `?` (zero or one of the character before it), `+`
/// (one or more), `[…]`, `\` before a special character, and `!` in front of a pattern that
/// excludes. The last pattern that matches decides.
///
/// <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Each pattern, and whether it includes or excludes.
    patterns: Vec<(bool, Pattern)>,
}

impl Filter {
    /// Reads the patterns of a field. An empty list selects nothing; the owner of the field decides
    /// what an empty field means.
    ///
    /// # Errors
    /// Every mistake, each with field, pattern and remedy.
    pub fn read(of: FilterOf, field: &str, patterns: &[String]) -> Result<Self, Vec<String>> {
        let mut read = Vec::with_capacity(patterns.len());
        let mut problems = Vec::new();
        for (index, text) in patterns.iter().enumerate() {
            let (includes, pattern) = match text.strip_prefix('!') {
                Some(pattern) => (false, pattern),
                None => (true, text.as_str()),
            };
            let checked = check(of, pattern).map_or_else(|| Pattern::actions(pattern), Err);
            match checked {
                Ok(pattern) => read.push((includes, pattern)),
                Err(problem) => problems.push(format!("{field}[{index}] \"{text}\": {problem}")),
            }
        }
        if !patterns.is_empty() && patterns.iter().all(|text| text.starts_with('!')) {
            problems.push(format!(
                "{field}: every pattern begins with ! and excludes, so that nothing is selected; put \"**\" before them to select all others"
            ));
        }
        if problems.is_empty() { Ok(Self { patterns: read }) } else { Err(problems) }
    }

    /// Returns whether the filter selects the text: the last pattern that matches the text includes
    /// it.
    pub fn selects(&self, text: &str) -> bool {
        self.patterns
            .iter()
            .rev()
            .find(|(_, pattern)| pattern.matches(text))
            .is_some_and(|(includes, _)| *includes)
    }
}

/// Returns the mistake in a pattern that is valid but can never match.
fn check(of: FilterOf, pattern: &str) -> Option<String> {
    if pattern.is_empty() {
        return Some("there is no pattern; write one, or remove it".to_owned());
    }
    match of {
        FilterOf::Branches => pattern.strip_prefix("refs/").map(|rest| {
            let name = rest.strip_prefix("heads/").unwrap_or("main");
            format!("branches are named without refs/heads/; write {name}")
        }),
        FilterOf::Paths => {
            if let Some(rest) = pattern.strip_prefix("./").or_else(|| pattern.strip_prefix('/')) {
                return Some(format!(
                    "paths begin at the repository's root without / or ./; write {}",
                    if rest.is_empty() { "**" } else { rest }
                ));
            }
            // An escaped slash is a slash too.
            let folder = pattern.strip_suffix('/')?;
            Some(format!("no file's path ends with /; write {folder}/** for all files of the folder"))
        }
    }
}
