//! A line cut into words as a shell does it, so that names with spaces can be written.
//!
//! `'…'` keeps everything, `"…"` keeps everything but `\"` and `\\`, `\x` outside quotes is `x`.
//! There is no expansion of any kind. A quote that is not closed is an error, not a guess.

/// Why a line cannot be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// A quote is open at the end of the line.
    #[error("a {0} quote is not closed")]
    Open(char),
    /// The line ends in a backslash.
    #[error("a backslash at the end of the line escapes nothing")]
    Backslash,
}

/// The words of `line`.
///
/// # Errors
/// An open quote or a lone backslash at the end.
pub fn split(line: &str) -> Result<Vec<String>, WordsError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' | '"' => quoted(c, &mut chars, word.get_or_insert_default())?,
            '\\' => {
                let escaped = chars.next().ok_or(WordsError::Backslash)?;
                word.get_or_insert_default().push(escaped);
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(
    quote: char,
    chars: &mut std::str::Chars<'_>,
    out: &mut String,
) -> Result<(), WordsError> {
    loop {
        match chars.next().ok_or(WordsError::Open(quote))? {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => match chars.next().ok_or(WordsError::Open(quote))? {
                c @ ('"' | '\\') => out.push(c),
                c => out.extend(['\\', c]),
            },
            c => out.push(c),
        }
    }
}

/// The word that `line` ends in, for completion: where it starts, and what it says so far (an open
/// quote is taken as closed).
pub fn last(line: &str) -> (usize, String) {
    let (mut start, mut quote, mut escaped) = (0, None, false);
    for (at, c) in line.char_indices() {
        match (c, quote) {
            _ if escaped => escaped = false,
            ('\\', None | Some('"')) => escaped = true,
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => quote = Some(c),
            (c, None) if c.is_whitespace() => start = at + c.len_utf8(),
            _ => {}
        }
    }
    let mut closed = line[start..].trim_end_matches('\\').to_owned();
    closed.extend(quote);
    (start, split(&closed).ok().and_then(|mut w| w.pop()).unwrap_or_default())
}

/// `word` written so that `split` gives it back.
pub fn quote(word: &str) -> String {
    let plain = |c: char| !c.is_whitespace() && !matches!(c, '\'' | '"' | '\\');
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_cut_as_a_shell_would() {
        let table: [(&str, &[&str]); 8] = [
            ("", &[]),
            ("  a   b ", &["a", "b"]),
            ("download \"my file.txt\"", &["download", "my file.txt"]),
            ("a\\ b", &["a b"]),
            ("'a \"b\" \\c'", &["a \"b\" \\c"]),
            ("\"a\\\"b\\\\c\\d\"", &["a\"b\\c\\d"]),
            ("x''y \"\"", &["xy", ""]),
            ("it\\'s", &["it's"]),
        ];
        for (line, words) in table {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
    }

    #[test]
    fn what_is_left_open_is_an_error() {
        assert_eq!(split("a 'b"), Err(WordsError::Open('\'')));
        assert_eq!(split("a \"b\\"), Err(WordsError::Open('"')));
        assert_eq!(split("a\\"), Err(WordsError::Backslash));
    }

    #[test]
    fn the_last_word_is_found_inside_quotes_too() {
        let table = [
            ("", (0, "")),
            ("download ", (9, "")),
            ("download ab", (9, "ab")),
            ("download \"my fi", (9, "my fi")),
            ("download my\\ fi", (9, "my fi")),
            ("download 'a' b", (13, "b")),
        ];
        for (line, (start, word)) in table {
            assert_eq!(last(line), (start, word.to_owned()), "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back_as_it_was(words in proptest::collection::vec(".*", 0..5)) {
            let line: Vec<String> = words.iter().map(|w| quote(w)).collect();
            prop_assert_eq!(split(&line.join(" ")).unwrap(), words);
        }
    }
}
