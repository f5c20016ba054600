//! Renders the files of `templates/`, which are compiled in. Pure: the same context gives the same bytes.
//!
//! Tera escapes nothing outside HTML, so every value in a template goes through one of the filters here.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Serialize;
use tera::{Tera, Value};

/// Template name -> text.
const TEMPLATES: [(&str, &str); 3] = [
    ("compose.yml", include_str!("../templates/compose.yml.tera")),
    ("worker.properties", include_str!("../templates/worker.properties.tera")),
    ("Dockerfile", include_str!("../templates/Dockerfile.tera")),
];

/// The Compose file of one host. Both generations of Compose read it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Compose {
    pub(crate) cluster: String,
    /// The image with its tag.
    pub(crate) image: String,
    pub(crate) container: String,
    pub(crate) uid: u32,
    /// Bytes.
    pub(crate) memory: u64,
    /// `1.5`; `None` sets no limit.
    pub(crate) cpus: Option<String>,
    pub(crate) pids: u32,
    /// Folder on the host that the container sees as `/etc/connect`.
    pub(crate) worker_folder: String,
    /// `10.0.1.11:8083:8083`.
    pub(crate) ports: Vec<String>,
    /// `name:address`.
    pub(crate) extra_hosts: Vec<String>,
    /// Of everything the worker reads at start: another digest recreates the container.
    pub(crate) digest: String,
}

/// A worker's properties.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct WorkerProperties {
    pub(crate) cluster: String,
    pub(crate) properties: Vec<Property>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Property {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// The recipe of the worker image.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Dockerfile {
    pub(crate) uid: u32,
    pub(crate) rest_port: u16,
    pub(crate) metrics_port: u16,
}

pub(crate) fn compose(context: &Compose) -> String {
    render("compose.yml", context)
}

pub(crate) fn worker_properties(context: &WorkerProperties) -> String {
    render("worker.properties", context)
}

pub(crate) fn dockerfile(context: &Dockerfile) -> String {
    render("Dockerfile", context)
}

/// The value of `sasl.jaas.config` for a login module that takes user and password.
pub(crate) fn jaas(module: &str, username: &str, password: &str) -> String {
    format!("{module} required username={} password={};", jaas_quoted(username), jaas_quoted(password))
}

fn render(name: &str, context: &impl Serialize) -> String {
    let context = tera::Context::from_serialize(context).expect("a context is a struct of plain values");
    TERA.render(name, &context).expect("every context has what its template asks for, as a test shows")
}

/// All templates, parsed once.
static TERA: LazyLock<Tera> = LazyLock::new(|| {
    let mut tera = Tera::default();
    tera.autoescape_on(Vec::new());
    tera.add_raw_templates(TEMPLATES).expect("the templates are compiled in and parsed by a test");
    tera.register_filter("yaml", filter(yaml_quoted));
    tera.register_filter("properties_key", filter(properties_key));
    tera.register_filter("properties_value", filter(properties_value));
    tera
});

fn filter(text: fn(&str) -> String) -> impl tera::Filter {
    move |value: &Value, _: &HashMap<String, Value>| match value {
        Value::String(string) => Ok(Value::String(text(string))),
        other => Ok(Value::String(text(&other.to_string()))),
    }
}

/// A double-quoted YAML scalar that Compose does not interpolate: `$` is doubled.
pub(crate) fn yaml_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '$' => out.push_str("$$"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                out.push_str(&format!("\\U{:08X}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A key of a Java `.properties` file.
pub(crate) fn properties_key(text: &str) -> String {
    properties_escaped(text, |c| matches!(c, '=' | ':' | ' ' | '#' | '!'))
}

/// A value of a Java `.properties` file: only a leading blank would be lost.
pub(crate) fn properties_value(text: &str) -> String {
    let blanks = text.len() - text.trim_start_matches(' ').len();
    let escaped = properties_escaped(&text[blanks..], |_| false);
    format!("{}{escaped}", "\\ ".repeat(blanks))
}

fn properties_escaped(text: &str, is_special: fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{c}' => out.push_str("\\f"),
            c if is_special(c) => out.extend(['\\', c]),
            // Java reads these files as Latin-1 by tradition: everything else goes as UTF-16 escapes.
            c if !c.is_ascii() || c.is_control() => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04X}"));
                }
            }
            c => out.push(c),
        }
    }
    out
}

/// A quoted value of a JAAS configuration.
fn jaas_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '\\' | '"' => out.extend(['\\', c]),
            // Java's tokenizer ends a quoted value at a line end.
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn context() -> Compose {
        Compose {
            cluster: "orders".to_owned(),
            image: "provision/connect-worker:0123456789ab".to_owned(),
            container: "provision-orders-worker".to_owned(),
            uid: 65532,
            memory: 512 << 20,
            cpus: Some("1.5".to_owned()),
            pids: 256,
            worker_folder: "/etc/provision/orders/worker".to_owned(),
            ports: vec!["10.0.1.11:8083:8083".to_owned()],
            extra_hosts: vec!["broker-1.kafka.internal:10.0.9.1".to_owned()],
            digest: "abc".to_owned(),
        }
    }

    #[test]
    fn the_compose_file_is_hardened_and_renders_the_same_twice() {
        let text = compose(&context());
        assert_eq!(text, compose(&context()));
        let yaml: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
        let worker = &yaml["services"]["connect-worker"];
        assert_eq!(worker["read_only"], true);
        assert_eq!(worker["cap_drop"][0], "ALL");
        assert_eq!(worker["security_opt"][0], "no-new-privileges:true");
        assert_eq!(worker["cpus"], 1.5);
        assert_eq!(worker["volumes"][0], "/etc/provision/orders/worker:/etc/connect:ro");
        assert_eq!(worker["labels"]["provision.digest"], "abc");
        assert!(yaml.get("name").is_none() && yaml.get("version").is_none());
    }

    #[test]
    fn limits_and_hosts_that_are_not_set_leave_no_trace() {
        let text = compose(&Compose { cpus: None, extra_hosts: Vec::new(), ..context() });
        assert!(!text.contains("cpus") && !text.contains("extra_hosts"), "{text}");
        assert!(serde_yaml::from_str::<serde_yaml::Value>(&text).is_ok());
    }

    #[test]
    fn properties_have_one_line_each() {
        let property = |key: &str, value: &str| Property { key: key.to_owned(), value: value.to_owned() };
        let properties = vec![property("group.id", "orders"), property("a b", " x\ny=z")];
        let text = worker_properties(&WorkerProperties { cluster: "orders".to_owned(), properties });
        assert!(text.ends_with("\ngroup.id=orders\na\\ b=\\ x\\ny=z\n"), "{text}");
    }

    #[test]
    fn jaas_values_are_quoted() {
        let text = jaas("Module", "u\"ser", "p\\w\n");
        assert_eq!(text, r#"Module required username="u\"ser" password="p\\w\n";"#);
    }

    /// What `java.util.Properties` makes of one line's value.
    fn properties_unescaped(text: &str) -> String {
        let mut units: Vec<u16> = Vec::new();
        let mut chars = text.trim_start_matches([' ', '\t', '\u{c}']).chars();
        while let Some(c) = chars.next() {
            if c != '\\' {
                units.extend(c.encode_utf16(&mut [0; 2]).iter());
                continue;
            }
            match chars.next().unwrap() {
                'n' => units.push(10),
                'r' => units.push(13),
                't' => units.push(9),
                'f' => units.push(12),
                'u' => {
                    let digits: String = chars.by_ref().take(4).collect();
                    units.push(u16::from_str_radix(&digits, 16).unwrap());
                }
                other => units.extend(other.encode_utf16(&mut [0; 2]).iter()),
            }
        }
        String::from_utf16(&units).unwrap()
    }

    proptest! {
        #[test]
        fn yaml_reads_back_what_was_quoted(text in any::<String>()) {
            let read: String = serde_yaml::from_str(&yaml_quoted(&text)).unwrap();
            prop_assert_eq!(read.replace("$$", "$"), text);
        }

        #[test]
        fn properties_read_back_what_was_escaped(text in any::<String>()) {
            prop_assert_eq!(properties_unescaped(&properties_value(&text)), text.clone());
            prop_assert!(!properties_value(&text).contains(['\n', '\r']));
            prop_assert_eq!(properties_unescaped(&properties_key(&text)), text);
        }
    }
}
