//! `sasl.jaas.config`: one login module with its options.
//!
//! `org.apache.kafka.common.security.scram.ScramLoginModule required username="u" password="p";`

use secrecy::SecretString;

/// A user name and a password, whatever login module they were written for.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) module: LoginModule,
    pub(crate) username: String,
    pub(crate) password: SecretString,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginModule {
    Plain,
    Scram,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JaasError {
    #[error("expected 'LoginModule required username=\"..\" password=\"..\";'")]
    Shape,
    #[error("a quoted value is not closed")]
    OpenQuote,
    #[error("the entry does not end with ';'")]
    NoSemicolon,
    #[error("login module {0} is not supported, only ScramLoginModule and PlainLoginModule are")]
    Module(String),
    // What stands there may be a password that lost its place.
    #[error("after the login module comes one of required, requisite, sufficient, optional")]
    Flag,
    #[error("option {0:?} is missing")]
    Missing(&'static str),
}

pub(crate) fn parse(text: &str) -> Result<Login, JaasError> {
    let mut tokens = tokens(text)?.into_iter();
    let module = match tokens.next() {
        Some(Token::Word(name)) => match name.rsplit('.').next() {
            Some("ScramLoginModule") => LoginModule::Scram,
            Some("PlainLoginModule") => LoginModule::Plain,
            Some(class) if class.ends_with("LoginModule") => return Err(JaasError::Module(name)),
            _ => return Err(JaasError::Shape),
        },
        _ => return Err(JaasError::Shape),
    };
    match tokens.next() {
        Some(Token::Word(flag))
            if ["required", "requisite", "sufficient", "optional"]
                .iter()
                .any(|known| known.eq_ignore_ascii_case(&flag)) => {}
        Some(Token::Word(_)) => return Err(JaasError::Flag),
        _ => return Err(JaasError::Shape),
    }
    let (mut username, mut password) = (None, None);
    loop {
        match tokens.next() {
            Some(Token::Semicolon) => break,
            Some(Token::Word(key)) => {
                let (Some(Token::Equals), Some(Token::Word(value))) = (tokens.next(), tokens.next()) else {
                    return Err(JaasError::Shape);
                };
                match key.as_str() {
                    "username" => username = Some(value),
                    "password" => password = Some(SecretString::from(value)),
                    _ => {}
                }
            }
            Some(Token::Equals) => return Err(JaasError::Shape),
            None => return Err(JaasError::NoSemicolon),
        }
    }
    if tokens.next().is_some() {
        return Err(JaasError::Shape);
    }
    Ok(Login {
        module,
        username: username.ok_or(JaasError::Missing("username"))?,
        password: password.ok_or(JaasError::Missing("password"))?,
    })
}

#[derive(PartialEq)]
enum Token {
    Word(String),
    Equals,
    Semicolon,
}

/// Words may be quoted with `"` or `'`; a backslash inside quotes escapes the next character.
fn tokens(text: &str) -> Result<Vec<Token>, JaasError> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            _ if c.is_whitespace() => {}
            '=' => tokens.push(Token::Equals),
            ';' => tokens.push(Token::Semicolon),
            '"' | '\'' => {
                let mut word = String::new();
                loop {
                    match chars.next() {
                        None => return Err(JaasError::OpenQuote),
                        Some(end) if end == c => break,
                        Some('\\') => match chars.next() {
                            None => return Err(JaasError::OpenQuote),
                            Some('n') => word.push('\n'),
                            Some('t') => word.push('\t'),
                            Some('r') => word.push('\r'),
                            Some(other) => word.push(other),
                        },
                        Some(other) => word.push(other),
                    }
                }
                tokens.push(Token::Word(word));
            }
            _ => {
                let mut word = String::from(c);
                while let Some(&next) = chars.peek() {
                    if next.is_whitespace() || matches!(next, '=' | ';' | '"' | '\'') {
                        break;
                    }
                    word.push(next);
                    chars.next();
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn check(text: &str, module: LoginModule, username: &str, password: &str) {
        let login = parse(text).unwrap();
        assert_eq!(login.module, module);
        assert_eq!((login.username.as_str(), login.password.expose_secret()), (username, password));
    }

    #[test]
    fn quoting_is_java_s() {
        let scram = "org.apache.kafka.common.security.scram.ScramLoginModule";
        let plain = "org.apache.kafka.common.security.plain.PlainLoginModule";
        check(&format!("{scram} required username=\"u\" password=\"p\";"), LoginModule::Scram, "u", "p");
        check(&format!("{plain} REQUIRED username=u password=p ;"), LoginModule::Plain, "u", "p");
        check(
            &format!("{scram} required\n  username='a b' password=\"x\\\"y\\\\z;=\" tokenauth=\"true\";\n"),
            LoginModule::Scram,
            "a b",
            "x\"y\\z;=",
        );
    }

    #[test]
    fn mistakes_are_named_without_the_password() {
        for (text, expected) in [
            ("ScramLoginModule required username=\"u\" password=\"p\"", JaasError::NoSemicolon),
            ("ScramLoginModule required username=\"u\" password=\"p;", JaasError::OpenQuote),
            ("ScramLoginModule required username=\"u\";", JaasError::Missing("password")),
            ("Krb5LoginModule required;", JaasError::Module("Krb5LoginModule".into())),
            ("ScramLoginModule username=\"u\";", JaasError::Flag),
            ("hunter2;", JaasError::Shape),
            ("", JaasError::Shape),
        ] {
            assert_eq!(parse(text).unwrap_err(), expected, "{text}");
        }
    }
}
