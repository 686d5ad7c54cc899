use super::*;
use crate::logic::dice::{Dice, rounds};

fn matcher(pattern: &Pattern) -> Matcher {
    Matcher::new(pattern).unwrap()
}

fn glob(text: &str, ignore_case: bool) -> Matcher {
    matcher(&Pattern::Glob { text: Text::of(text), ignore_case })
}

fn is_meant(matcher: &Matcher, name: &str) -> bool {
    matcher.means(name, &Root::of(b""))
}

#[test]
fn a_glob_means_what_people_expect() {
    let table = [
        ("*.txt", "a.txt d/b.txt", "a.txtx d.txt/b"),
        ("d/*.txt", "d/a.txt", "a.txt d/e/a.txt x/d/a.txt"),
        ("d/**", "d/a d/e/f", "a e/d"),
        ("**/a", "a d/a d/e/a", "ba d/ba"),
        ("d/**/a", "d/a d/e/a d/e/f/a", "da x/d/a d/ea"),
        ("a?c", "abc d/aüc", "ac abbc"),
        ("[a-c]x", "ax cx", "dx x"),
        ("[!a-c]x", "dx", "ax bx"),
        ("[]x]", "] x", "a"),
        ("a[1].txt", "a1.txt a[1].txt", "a[1]xtxt"),
        ("a\\*b", "a*b", "aab"),
        ("a**b", "ab axb", "a"),
        ("**/**/a", "a d/a d/e/a", "ba d/ba"),
        ("d/**/**/**/a", "d/a d/e/a d/e/f/a", "a da d/ea"),
        ("*", "a d/a", ""),
        ("A*", "A", "a"),
    ];
    for (pattern, meant, others) in table {
        let glob = glob(pattern, false);
        for name in meant.split_whitespace() {
            assert!(is_meant(&glob, name), "{pattern} means {name}");
        }
        for name in others.split_whitespace() {
            assert!(!is_meant(&glob, name), "{pattern} does not mean {name}");
        }
    }
}

#[test]
fn case_is_ignored_on_demand_beyond_ascii_too() {
    assert!(is_meant(&glob("*.TXT", true), "d/a.txt") && is_meant(&glob("äÖ*", true), "ÄöX"));
    let part = |text: &str, ignore_case| {
        let matcher = matcher(&Pattern::Contains { text: Text::of(text), ignore_case });
        (is_meant(&matcher, "d/Straße"), is_meant(&matcher, "D/STRAẞE"))
    };
    assert_eq!((part("d/str", true), part("STRA", false)), ((true, true), (false, true)));
}

#[test]
fn case_is_ignored_letter_by_letter_wherever_a_letter_stands_and_in_classes() {
    // A capital sigma is small in two ways; where it stands in the name says nothing of the pattern.
    for name in ["ΟΔΥΣΣΕΥΣ", "οδυσσευς", "ΟΔΥΣΣΕΥΣ.txt"] {
        for part in ["ΕΥΣ", "ευσ", "ευς", "ΔΥΣ", "δυς"] {
            let pattern = Pattern::Contains { text: Text::of(part), ignore_case: true };
            assert!(is_meant(&matcher(&pattern), name), "{part} in {name}");
        }
        assert!(is_meant(&glob("οδυσσευσ*", true), name), "{name}");
    }
    for (class, meant, others) in [
        ("[a-c]x", "Ax bX", "dx"),
        ("[A-C]x", "ax BX", "Dx"),
        ("[!A-C]x", "dx DX", "ax BX"),
        // From Z to a there are six signs, and both letters.
        ("[Z-a]x", "zx ZX ax AX _x", "bx YX"),
        ("[ς]x", "Σx σx ςx", "sx"),
        ("[Ä-Ö]x", "äx ÖX", "ax"),
    ] {
        let glob = glob(class, true);
        assert!(meant.split(' ').all(|name| is_meant(&glob, name)), "{class} means {meant}");
        assert!(!others.split(' ').any(|name| is_meant(&glob, name)), "{class}, not {others}");
    }
}

#[test]
fn any_folders_behind_any_folders_cost_no_more_than_one() {
    let many = format!("{}a", "**/".repeat(80));
    assert_eq!(glob(&many, false).cost(10), glob("**/a", false).cost(10));
}

#[test]
fn words_are_names_globs_parts_or_roots_and_bad_ones_are_told() {
    assert_eq!(root_or_glob("a b", false), Ok(None));
    assert!(matches!(root_or_glob("a", true), Ok(Some(Pattern::Glob { ignore_case: true, .. }))));
    assert!(matches!(part_or_glob("a", false), Ok(Pattern::Contains { .. })));
    assert!(matches!(part_or_glob("a*", true), Ok(Pattern::Glob { ignore_case: true, .. })));
    let long = "*".repeat(257);
    for of in
        [|w: &str| part_or_glob(w, false), |w: &str| root_or_glob(w, false).map(Option::unwrap)]
    {
        assert!(matches!(of("@0123abcd"), Ok(Pattern::Root(_))));
        assert_eq!(of("a[b"), Err(PatternError::OpenClass));
        assert_eq!(of("*[z-a]"), Err(PatternError::Backwards));
        assert_eq!(of("*\\"), Err(PatternError::Backslash));
        assert_eq!(of(&long), Err(PatternError::TooLong));
    }
    assert_eq!(part_or_glob("", false), Err(PatternError::Empty));
}

/// The same, said by trying everything.
fn naive(glob: &[char], text: &[char]) -> bool {
    match (glob, text) {
        ([], []) => true,
        (['*', '*', rest @ ..], _) => (0..=text.len()).any(|n| naive(rest, &text[n..])),
        (['*', rest @ ..], _) => {
            let end = text.iter().position(|c| *c == '/').unwrap_or(text.len());
            (0..=end).any(|n| naive(rest, &text[n..]))
        }
        (['?', rest @ ..], [c, text @ ..]) => *c != '/' && naive(rest, text),
        ([g, rest @ ..], [c, text @ ..]) => g == c && naive(rest, text),
        _ => false,
    }
}

#[test]
fn a_glob_means_what_trying_everything_says_and_has_its_needle() {
    let draw = |dice: &mut Dice, from: &[char]| -> String {
        (0..dice.below(7)).map(|_| from[dice.below(from.len() as u64) as usize]).collect()
    };
    rounds(|dice| {
        let text = format!("x/{}", draw(dice, &['a', 'b', '*', '?', '/', '*']));
        // `**/` behind a slash may be nothing, and three stars are two: the table above has these.
        if text.contains("**/") || text.contains("***") {
            return;
        }
        let glob = glob(&text, false);
        let pattern: Vec<char> = text.chars().collect();
        for _ in 0..40 {
            let name = format!("x/{}", draw(dice, &['a', 'b', '/']));
            let meant = naive(&pattern, &name.chars().collect::<Vec<_>>());
            assert_eq!(is_meant(&glob, &name), meant, "{text} and {name}");
            let has = |needle: &Finder<'_>| needle.find(name.as_bytes()).is_some();
            assert!(!meant || glob.needle().is_none_or(has), "{text} and {name}");
        }
    });
}
