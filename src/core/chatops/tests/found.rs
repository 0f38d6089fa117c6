use proptest::prelude::*;

use super::super::{MAX_LINES, lines};

#[test]
fn commands_stand_at_the_start_of_a_line() {
    for (body, found) in [
        ("/deploy staging", &["/deploy staging"][..]),
        ("Looks good!\n/deploy staging tag=1_2_3 \nThanks", &["/deploy staging tag=1_2_3"]),
        ("/Deploy staging\r\n\r\n/WHERE\r\n", &["/Deploy staging", "/WHERE"]),
        ("hard break\\\n/where", &["/where"]),
        ("two spaces  \n/where", &["/where"]),
        // Markdown reads the line above a signature as a heading.
        ("/deploy staging\n-- \nAda", &["/deploy staging"]),
        ("<details>\n\n/where\n\n</details>", &["/where"]),
        ("> quoted\n\n/where", &["/where"]),
        ("/lock staging we <3 *stable* `code`", &["/lock staging we <3 *stable* `code`"]),
        ("please /deploy staging", &[]),
        (" /deploy staging", &[]),
        ("/ deploy staging", &[]),
        ("/deployed staging", &[]),
        ("/usr/bin/where", &[]),
        ("//where", &[]),
        ("", &[]),
    ] {
        assert_eq!(lines(body), found, "{body:?}");
    }
}

#[test]
fn quotes_code_and_hidden_text_contain_no_commands() {
    for body in [
        "> /deploy staging",
        "> as ada said:\n/deploy staging",
        ">> a\n> b\n/deploy staging",
        "```\n/deploy staging\n```",
        "```\n/deploy staging",
        "~~~text\n/deploy staging\n~~~",
        "````\n```\n/deploy staging\n````",
        "    /deploy staging",
        "\t/deploy staging",
        "`a\n/deploy staging\nb`",
        "<!-- /deploy staging -->",
        "<!--\n/deploy staging\n-->",
        "<!--\n\n/deploy staging",
        "text <!--\n/deploy staging\n-->",
        "- item\n/deploy staging",
        "1. item\n\n   /deploy staging",
        "[a\n/deploy staging](https://x.example)",
        "*a\n/deploy staging*",
        "<pre>\n/deploy staging\n</pre>",
        "<script>\n\n/deploy staging\n</script>",
        "a | b\n-- | --\n/deploy staging",
        "[^1]: note\n/deploy staging",
    ] {
        assert_eq!(lines(body), Vec::<String>::new(), "{body:?}");
    }
}

#[test]
fn at_most_five_are_read_and_none_is_longer_than_a_command_may_be() {
    assert_eq!(lines(&"/where\n".repeat(9)).len(), MAX_LINES);
    let long = lines(&format!("/lock staging {}", "é".repeat(3_000)));
    assert_eq!(long[0].chars().count(), 1_000);
}

proptest! {
    #[test]
    fn each_command_is_a_line_of_the_comment(body in "([ -~\n\r\t>`~|*_é]|/where|/deploy x|<!--|-->|```|\n    |\n> |\n- ){0,60}") {
        let found = lines(&body);
        prop_assert!(found.len() <= MAX_LINES);
        for line in found {
            prop_assert!(body.split(['\n', '\r']).any(|there| there.trim_end() == line), "{line:?}");
        }
    }

    #[test]
    fn nothing_in_a_quote_is_a_command(body in "([ -~\té]|/where|\n){0,60}") {
        let quoted = format!("> {}", body.replace('\n', "\n> "));
        prop_assert_eq!(lines(&quoted), Vec::<String>::new());
    }

    #[test]
    fn nothing_in_a_fence_is_a_command(body in "([ -_a-}\té]|/where|\n){0,60}") {
        prop_assert_eq!(lines(&format!("~~~~\n{body}\n~~~~")), Vec::<String>::new());
    }

    #[test]
    fn nothing_in_an_html_comment_is_a_command(body in "([ -=?-~\té]|/where|\n){0,60}") {
        prop_assert_eq!(lines(&format!("<!--x{body}\n-->")), Vec::<String>::new());
    }

    #[test]
    fn a_command_after_an_empty_line_is_found(before in "[a-z ,.!\n]{0,80}") {
        prop_assert_eq!(lines(&format!("{before}\n\n/where")), ["/where"]);
    }
}
