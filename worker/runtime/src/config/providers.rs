//! `${provider:path:key}` in worker properties and connector configs.
//!
//! Values are looked up when they are used and never written back: the config topic and REST answers
//! keep the raw text. An unknown provider or key leaves the text as it is, as in the JVM worker; a file
//! that cannot be read is an error.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

use crate::config::properties::{MalformedEscape, Properties};

static VARIABLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\$\{([^}]*?):(([^}]*?):)?([^}]*?)\}").expect("the pattern is constant and valid")
});

/// The providers of one worker by the name they were given.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConfigProviders {
    providers: BTreeMap<String, Provider>,
}

#[derive(Clone, Debug)]
enum Provider {
    File { allowed_paths: Vec<PathBuf> },
    Directory { allowed_paths: Vec<PathBuf> },
    EnvVar { allowlist: Regex, variables: BTreeMap<String, String> },
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ProviderError {
    #[error("config.providers.{name}.class is missing")]
    NoClass { name: String },
    #[error("config.providers.{name}.class: {class} is not a known provider")]
    UnknownClass { name: String, class: String },
    #[error("config.providers.{name}.param.allowlist.pattern")]
    Pattern {
        name: String,
        #[source]
        source: regex::Error,
    },
    #[error("could not read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("could not parse {path}")]
    Parse {
        path: PathBuf,
        #[source]
        source: MalformedEscape,
    },
}

impl ConfigProviders {
    /// Reads `config.providers` and its parameters. `environment` is what `EnvVarConfigProvider` may see.
    pub(crate) fn from_properties(
        properties: &Properties,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, ProviderError> {
        let mut providers = BTreeMap::new();
        let names = properties.get("config.providers").unwrap_or_default();
        for name in names.split(',').map(str::trim).filter(|n| !n.is_empty()) {
            let class = properties
                .get(&format!("config.providers.{name}.class"))
                .ok_or_else(|| ProviderError::NoClass { name: name.to_owned() })?
                .trim();
            let param = |key: &str| properties.get(&format!("config.providers.{name}.param.{key}"));
            let allowed_paths = || {
                let paths = param("allowed.paths").unwrap_or_default().split(',').map(str::trim);
                paths.filter(|p| !p.is_empty()).map(PathBuf::from).collect()
            };
            let provider = match class.strip_prefix("org.apache.kafka.common.config.provider.") {
                Some("FileConfigProvider") => Provider::File { allowed_paths: allowed_paths() },
                Some("DirectoryConfigProvider") => Provider::Directory { allowed_paths: allowed_paths() },
                Some("EnvVarConfigProvider") => {
                    let pattern = param("allowlist.pattern").unwrap_or(".*");
                    let allowlist = Regex::new(&format!("^(?:{pattern})$"))
                        .map_err(|source| ProviderError::Pattern { name: name.to_owned(), source })?;
                    Provider::EnvVar { allowlist, variables: environment.clone() }
                }
                _ => {
                    let (name, class) = (name.to_owned(), class.to_owned());
                    return Err(ProviderError::UnknownClass { name, class });
                }
            };
            providers.insert(name.to_owned(), provider);
        }
        Ok(Self { providers })
    }

    /// `raw` with every variable that a provider knows replaced; what a provider returns is not looked at again.
    pub(crate) fn resolve(&self, raw: &str) -> Result<String, ProviderError> {
        let mut out = String::with_capacity(raw.len());
        let mut end = 0;
        for found in VARIABLE.captures_iter(raw) {
            let whole = found.get(0).expect("group 0 is the match itself");
            let group = |n: usize| found.get(n).map_or("", |m| m.as_str());
            if let Some(provider) = self.providers.get(group(1))
                && let Some(value) = provider.get(group(3), group(4))?
            {
                out.push_str(&raw[end..whole.start()]);
                out.push_str(&value);
                end = whole.end();
            }
        }
        out.push_str(&raw[end..]);
        Ok(out)
    }

    pub(crate) fn resolve_map(
        &self,
        raw: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, ProviderError> {
        raw.iter().map(|(k, v)| Ok((k.clone(), self.resolve(v)?))).collect()
    }

    /// True when `raw` holds a variable of any provider, so that its resolved form is treated as a secret.
    pub(crate) fn has_variable(raw: &str) -> bool {
        VARIABLE.is_match(raw)
    }
}

impl Provider {
    fn get(&self, path: &str, key: &str) -> Result<Option<String>, ProviderError> {
        match self {
            Self::File { allowed_paths } => {
                let Some(path) = allowed(path, allowed_paths) else { return Ok(None) };
                let bytes = read(&path)?;
                let values = Properties::parse_bytes(&bytes)
                    .map_err(|source| ProviderError::Parse { path, source })?;
                Ok(values.get(key).map(str::to_owned))
            }
            Self::Directory { allowed_paths } => {
                let Some(directory) = allowed(path, allowed_paths) else { return Ok(None) };
                if key.is_empty() || key.contains('/') {
                    return Ok(None);
                }
                let file = directory.join(key);
                if !file.is_file() {
                    return Ok(None);
                }
                Ok(Some(String::from_utf8_lossy(&read(&file)?).into_owned()))
            }
            Self::EnvVar { allowlist, variables } => {
                Ok(variables.get(key).filter(|_| path.is_empty() && allowlist.is_match(key)).cloned())
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ProviderError> {
    std::fs::read(path).map_err(|source| ProviderError::Read { path: path.to_owned(), source })
}

/// The path without `..`, when it lies under one of `allowed_paths` or these are empty.
fn allowed(path: &str, allowed_paths: &[PathBuf]) -> Option<PathBuf> {
    if path.is_empty() {
        return None;
    }
    let mut normal = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            std::path::Component::ParentDir => {
                normal.pop();
            }
            std::path::Component::CurDir => {}
            other => normal.push(other),
        }
    }
    (allowed_paths.is_empty() || allowed_paths.iter().any(|a| normal.starts_with(a))).then_some(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn providers(extra: &str) -> ConfigProviders {
        let package = "org.apache.kafka.common.config.provider";
        let text = format!(
            "config.providers=file,dir,env\nconfig.providers.file.class={package}.FileConfigProvider\n\
             config.providers.dir.class={package}.DirectoryConfigProvider\n\
             config.providers.env.class={package}.EnvVarConfigProvider\n{extra}"
        );
        let environment = BTreeMap::from([("HOME".to_owned(), "/root".to_owned())]);
        ConfigProviders::from_properties(&Properties::parse(&text).unwrap(), &environment).unwrap()
    }

    #[test]
    fn every_kind_of_provider_is_looked_up() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display().to_string();
        std::fs::write(dir.path().join("secrets.properties"), "db.password=s3cret\n").unwrap();
        let p = providers("");
        let check = |raw: &str, expected: &str| assert_eq!(p.resolve(raw).unwrap(), expected, "{raw}");
        check(&format!("a${{file:{at}/secrets.properties:db.password}}b"), "as3cretb");
        check(&format!("${{dir:{at}:secrets.properties}}"), "db.password=s3cret\n");
        check("${env:HOME}/x", "/root/x");
        check("${env:NOT_THERE} ${vault:a:b} ${plain}", "${env:NOT_THERE} ${vault:a:b} ${plain}");
        check(
            &format!("${{file:{at}/secrets.properties:absent}}"),
            &format!("${{file:{at}/secrets.properties:absent}}"),
        );
    }

    #[test]
    fn unreadable_file_is_an_error_that_names_it() {
        let error = providers("").resolve("${file:/does/not/exist:k}").unwrap_err();
        assert_eq!(error.to_string(), "could not read /does/not/exist");
    }

    #[test]
    fn paths_outside_the_allowed_ones_stay_raw() {
        let p = providers("config.providers.file.param.allowed.paths=/etc/connect\n");
        let raw = "${file:/etc/connect/../passwd:root}";
        assert_eq!(p.resolve(raw).unwrap(), raw);
    }

    #[test]
    fn environment_is_limited_by_the_pattern() {
        let p = providers("config.providers.env.param.allowlist.pattern=CONNECT_.*\n");
        assert_eq!(p.resolve("${env:HOME}").unwrap(), "${env:HOME}");
    }
}
