use super::*;

fn check<R: Rule>(good: &[&str], bad: &[&str]) {
    for text in good {
        assert!(Name::<R>::parse(text).is_ok(), "{text:?} should pass: {}", R::RULE);
    }
    for text in bad {
        assert!(Name::<R>::parse(text).is_err(), "{text:?} should not pass: {}", R::RULE);
    }
}

#[test]
fn nothing_that_a_shell_or_an_option_parser_reads_passes_any_rule() {
    let hostile = [
        "",
        " ",
        "-oProxyCommand=id",
        "--",
        "a b",
        "a\nb",
        "a;b",
        "$(id)",
        "`id`",
        "a|b",
        "a&b",
        "a'b",
        "a\"b",
        "a\\b",
        "a>b",
        "{{ a }}",
        "${a}",
        "a\0b",
        "é",
        "a*",
    ];
    fn refuses_all<R: Rule>(hostile: &[&str]) {
        check::<R>(&[], hostile);
    }
    refuses_all::<ClusterRule>(&hostile);
    refuses_all::<HostRule>(&hostile);
    refuses_all::<AddressRule>(&hostile);
    refuses_all::<UserRule>(&hostile);
    refuses_all::<UnitRule>(&hostile);
    refuses_all::<PathRule>(&hostile);
    refuses_all::<ConnectorRule>(&hostile);
    refuses_all::<GroupRule>(&hostile);
    refuses_all::<PrincipalRule>(&hostile);
    refuses_all::<ClassRule>(&hostile);
    refuses_all::<VariableRule>(&hostile);
    refuses_all::<VersionRule>(&hostile);
    refuses_all::<FingerprintRule>(&hostile);
    refuses_all::<RepositoryUrlRule>(&hostile);
}

#[test]
fn each_rule_takes_its_own_kind() {
    check::<ClusterRule>(&["orders", "a1-b2"], &["Orders", "1a", "a--b", "a-", &"a".repeat(41)]);
    check::<HostRule>(&["connect-1", "a.b.c"], &["a..b", "a-", "_a", &"a".repeat(64)]);
    check::<AddressRule>(
        &["10.0.1.11", "fd00::1", "::1", "broker-1.kafka.internal", "xn--bcher-kva.example"],
        &["10.0.1.256", "10.0.1", "[::1]", "fe80::1%eth0", "host:22"],
    );
    check::<UserRule>(&["deploy", "_apt", "first.last"], &["1a", &"a".repeat(33)]);
    check::<UnitRule>(&["confluent-kafka-connect", "a@b.service"], &["../a", "a/b"]);
    check::<PathRule>(&["/opt/connect", "/a.b/c_d"], &["opt", "/", "/a//b", "/a/../b", "/a/", "~/a"]);
    check::<TopicRule>(&["orders", "-a", "a.b_c", &"a".repeat(249)], &[".", "..", "a/b", &"a".repeat(250)]);
    check::<ClassRule>(&["DatagenConnector", "a.b.C$D"], &["a..b", "1a", ".a"]);
    check::<VersionRule>(&["4.3.1", "10.0.0"], &["4.3", "4.3.1.2", "v4.3.1", "4.3.x"]);
    check::<FingerprintRule>(&["9DC858229FC7DD38854AE2D88D81803C0EBFCD88"], &["9DC8", &"g".repeat(40)]);
    check::<RepositoryUrlRule>(
        &["https://download.docker.com/linux/debian", "http://10.0.0.1:8080/docker"],
        &["ftp://a/b", "https://user@host/", "https://a/?q", "https://a:0/", "https://a:x/"],
    );
}
