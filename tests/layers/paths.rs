//! Finds every path in a file: in `use` trees, in code, in types and in the arguments of macros.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// A path as written, with `use` trees split into paths. A glob ends in `*`, a renamed import in
/// `as`.
pub struct Found {
    pub path: Vec<String>,
    /// Names of its modules from the crate's root.
    pub module: Vec<String>,
}

/// Returns every path in the code of the module.
pub fn paths(code: &str, module: &[String]) -> Vec<Found> {
    let tokens: TokenStream = code.parse().unwrap_or_else(|error| panic!("{module:?}: {error}"));
    let mut found = Vec::new();
    scan(tokens, module, &mut found);
    found
}

fn scan(tokens: TokenStream, module: &[String], found: &mut Vec<Found>) {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < trees.len() {
        match &trees[at..] {
            [TokenTree::Ident(word), TokenTree::Ident(name), TokenTree::Group(body), ..] if word == "mod" => {
                let inner = [module, &[name.to_string()]].concat();
                scan(body.stream(), &inner, found);
                at += 3;
            }
            [TokenTree::Ident(_), ..] => at = path(&trees, at, &[], module, found),
            [TokenTree::Group(group), ..] => {
                scan(group.stream(), module, found);
                at += 1;
            }
            _ => at += 1,
        }
    }
}

/// Records the path that begins at an identifier or a `*`, with its prefix. Returns where it ends.
fn path(
    trees: &[TokenTree],
    start: usize,
    prefix: &[String],
    module: &[String],
    found: &mut Vec<Found>,
) -> usize {
    let mut path = prefix.to_vec();
    path.push(trees[start].to_string());
    let mut at = start + 1;
    while is_path_separator(&trees[at..]) {
        match trees.get(at + 2) {
            Some(TokenTree::Ident(next)) => path.push(next.to_string()),
            Some(TokenTree::Punct(star)) if star.as_char() == '*' => path.push("*".to_owned()),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                branches(group, &path, module, found);
                return at + 3;
            }
            // A turbofish.
            _ => break,
        }
        at += 3;
    }
    if matches!(trees.get(at), Some(TokenTree::Ident(word)) if word == "as") {
        path.push("as".to_owned());
        at += 1;
    }
    found.push(Found { path, module: module.to_vec() });
    at
}

/// Records the part of a `use` tree in braces.
fn branches(group: &Group, prefix: &[String], module: &[String], found: &mut Vec<Found>) {
    let trees: Vec<TokenTree> = group.stream().into_iter().collect();
    let mut at = 0;
    while at < trees.len() {
        match &trees[at] {
            tree if is_word_or_star(tree) => {
                at = path(&trees, at, prefix, module, found);
                // The new name is not a path.
                at += usize::from(matches!(trees.get(at - 1), Some(TokenTree::Ident(word)) if word == "as"));
            }
            _ => at += 1,
        }
    }
}

fn is_word_or_star(tree: &TokenTree) -> bool {
    match tree {
        TokenTree::Ident(_) => true,
        TokenTree::Punct(punct) => punct.as_char() == '*',
        _ => false,
    }
}

fn is_path_separator(trees: &[TokenTree]) -> bool {
    matches!(
        trees,
        [TokenTree::Punct(first), TokenTree::Punct(second), ..] if first.as_char() == ':' && second.as_char() == ':'
    )
}
