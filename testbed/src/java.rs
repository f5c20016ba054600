//! The Java launcher with everything in an argument file: main class, options and arguments.
//!
//! Some of Kafka's tools take secrets as arguments. In an `@file` of mode 0600 nobody sees them on a command line.

use std::path::{Path, PathBuf};

use crate::jars::Jars;
use crate::{Error, command, paths};

/// Options that make small JVMs start quickly and stay small.
const SMALL: [&str; 3] = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"];

/// Logs everything of note to stdout.
pub(crate) const LOG4J: &str = "\
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c{1}: %m%n
rootLogger.level = INFO
rootLogger.appenderRef.out.ref = out
";

/// One run of a Java main class.
#[derive(Debug, Clone)]
pub struct Java {
    /// Options of the JVM itself.
    pub options: Vec<String>,
    /// The main class.
    pub main: &'static str,
    /// Its arguments; may hold secrets.
    pub args: Vec<String>,
}

impl Java {
    /// A tool, which needs no JIT at its best.
    pub fn small(main: &'static str, args: Vec<String>) -> Self {
        Self { options: SMALL.iter().map(|option| (*option).to_owned()).collect(), main, args }
    }

    /// Writes the argument file and returns the launcher's one argument, `@FILE`.
    pub fn argument_file(&self, jars: &Jars, path: &Path) -> Result<String, Error> {
        let mut words = self.options.clone();
        words.extend(["-cp".to_owned(), jars.class_path(), self.main.to_owned()]);
        words.extend(self.args.iter().cloned());
        let text: String = words.iter().map(|word| quote(word) + "\n").collect();
        paths::write_private(path, text)?;
        Ok(format!("@{}", path.display()))
    }

    /// Runs to its end on this machine, with its files in `dir`.
    pub async fn run(&self, jars: &Jars, dir: &Path) -> Result<String, Error> {
        let file = self.argument_file(jars, &dir.join(format!("{}.args", short_name(self.main))))?;
        command::run(&program().to_string_lossy(), PACKAGE, &[&file]).await
    }
}

/// Debian's package with a Java runtime.
pub(crate) const PACKAGE: &str = "default-jre-headless";

/// The launcher: of `JAVA_HOME`, or from `PATH`.
pub(crate) fn program() -> PathBuf {
    match std::env::var_os("JAVA_HOME") {
        Some(home) => Path::new(&home).join("bin/java"),
        None => PathBuf::from("java"),
    }
}

/// The last part of a class name.
pub(crate) fn short_name(class: &str) -> &str {
    class.rsplit('.').next().unwrap_or(class)
}

/// Quotes a word for the launcher's argument file.
fn quote(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_the_launcher() {
        assert_eq!(quote(r#"SCRAM=[name="a b",x=\]"#), r#""SCRAM=[name=\"a b\",x=\\]""#);
    }
}
