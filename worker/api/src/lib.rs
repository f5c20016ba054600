//! What the author of a connector, converter or transform sees.
