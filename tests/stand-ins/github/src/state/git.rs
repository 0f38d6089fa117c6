//! Commits, their ancestry and their differences.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::state::{Moment, State};

/// The files of a commit, by path.
pub(crate) type Files = BTreeMap<String, String>;

/// Author of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Author {
    /// The account to which the commit's email address belongs, if any.
    pub(crate) login: Option<String>,
    pub(crate) name: String,
    pub(crate) email: String,
}

/// One commit with all its files.
#[derive(Clone, Debug)]
pub(crate) struct Commit {
    pub(crate) sha: String,
    pub(crate) tree: String,
    pub(crate) parents: Vec<String>,
    pub(crate) message: String,
    pub(crate) author: Author,
    pub(crate) at: Moment,
    pub(crate) files: Files,
    /// The id of the repository at the root of the network of forks that holds it.
    pub(crate) network: u64,
}

/// How one file differs between two commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileChange {
    pub(crate) path: String,
    /// Its previous path, when it was renamed.
    pub(crate) previous: Option<String>,
    pub(crate) status: &'static str,
    pub(crate) additions: usize,
    pub(crate) deletions: usize,
    pub(crate) patch: String,
}

impl State {
    /// Returns a commit and all its ancestors.
    pub(crate) fn ancestors(&self, sha: &str) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut open = VecDeque::from([sha.to_owned()]);
        while let Some(sha) = open.pop_front() {
            if let Some(commit) = self.commits.get(&sha)
                && seen.insert(sha)
            {
                open.extend(commit.parents.iter().cloned());
            }
        }
        seen
    }

    /// Returns the commits of `head` that `base` lacks, oldest first.
    pub(crate) fn commits_between(&self, base: &str, head: &str) -> Vec<&Commit> {
        let known = self.ancestors(base);
        let mut new: Vec<&Commit> = self.log(head).into_iter().filter(|c| !known.contains(&c.sha)).collect();
        new.reverse();
        new
    }

    /// Returns a commit and its ancestors, children before parents.
    pub(crate) fn log(&self, head: &str) -> Vec<&Commit> {
        // Depth first with parents finished before children, then reversed.
        let mut done = BTreeSet::new();
        let mut order = Vec::new();
        let mut stack = vec![(head.to_owned(), false)];
        while let Some((sha, expanded)) = stack.pop() {
            let Some(commit) = self.commits.get(&sha) else { continue };
            if expanded {
                order.push(commit);
            } else if done.insert(sha.clone()) {
                stack.push((sha, true));
                stack.extend(commit.parents.iter().rev().map(|parent| (parent.clone(), false)));
            }
        }
        order.reverse();
        order
    }

    /// Returns the newest common commit of both histories.
    pub(crate) fn merge_base(&self, one: &str, other: &str) -> Option<&Commit> {
        let known = self.ancestors(one);
        self.log(other).into_iter().find(|commit| known.contains(&commit.sha))
    }

    /// Returns the changes from one commit to another, or from nothing when `from` is `None`. A
    /// file that moved without changes is renamed.
    pub(crate) fn diff(&self, from: Option<&str>, to: &str) -> Vec<FileChange> {
        let nothing = Files::new();
        let before = from.and_then(|sha| self.commits.get(sha)).map_or(&nothing, |commit| &commit.files);
        let after = self.commits.get(to).map_or(&nothing, |commit| &commit.files);
        let mut gone: Vec<(&String, &String)> =
            before.iter().filter(|(path, text)| !text.is_empty() && !after.contains_key(*path)).collect();
        let mut renamed: BTreeMap<&String, &String> = BTreeMap::new();
        for (path, text) in after.iter().filter(|(path, _)| !before.contains_key(*path)) {
            if let Some(place) = gone.iter().position(|(_, known)| *known == text) {
                renamed.insert(path, gone.remove(place).0);
            }
        }
        let moved: BTreeSet<&String> = renamed.values().copied().collect();
        let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        paths
            .into_iter()
            .filter(|path| before.get(*path) != after.get(*path) && !moved.contains(path))
            .map(|path| match renamed.get(path) {
                Some(previous) => FileChange {
                    previous: Some((*previous).clone()),
                    status: "renamed",
                    ..change(path, after.get(path), after.get(path))
                },
                None => change(path, before.get(path), after.get(path)),
            })
            .collect()
    }
}

fn change(path: &str, before: Option<&String>, after: Option<&String>) -> FileChange {
    let old: Vec<&str> = before.map_or_else(Vec::new, |text| text.lines().collect());
    let new: Vec<&str> = after.map_or_else(Vec::new, |text| text.lines().collect());
    let status = match (before, after) {
        (None, _) => "added",
        (_, None) => "removed",
        _ => "modified",
    };
    // Hunks between the common head and tail of the whole file: coarse, but a valid diff.
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let removed = &old[head..old.len() - tail];
    let added = &new[head..new.len() - tail];
    let start = |lines: usize| if lines == 0 { head } else { head + 1 };
    let mut hunk =
        format!("@@ -{},{} +{},{} @@", start(removed.len()), removed.len(), start(added.len()), added.len());
    for (sign, lines) in [('-', removed), ('+', added)] {
        for line in lines {
            hunk.push('\n');
            hunk.push(sign);
            hunk.push_str(line);
        }
    }
    FileChange {
        path: path.to_owned(),
        previous: None,
        status,
        additions: added.len(),
        deletions: removed.len(),
        patch: hunk,
    }
}
