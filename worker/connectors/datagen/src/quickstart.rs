//! The bundled schemas.

/// A bundled schema and the field that keys its records.
#[derive(Debug)]
pub(crate) struct Quickstart {
    pub(crate) name: &'static str,
    /// What `schema.filename` calls it.
    pub(crate) file_name: &'static str,
    pub(crate) key_field: &'static str,
    pub(crate) schema: &'static str,
}

pub(crate) const QUICKSTARTS: [Quickstart; 2] = [
    Quickstart {
        name: "users",
        file_name: "users_schema.avro",
        key_field: "userid",
        schema: include_str!("../schemas/users.avsc"),
    },
    Quickstart {
        name: "pageviews",
        file_name: "pageviews_schema.avro",
        key_field: "viewtime",
        schema: include_str!("../schemas/pageviews.avsc"),
    },
];

/// The quickstart of a name, in any case.
pub(crate) fn find(name: &str) -> Option<&'static Quickstart> {
    QUICKSTARTS.iter().find(|quickstart| quickstart.name.eq_ignore_ascii_case(name))
}
