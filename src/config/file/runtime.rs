//! Section `runtime`: settings of Go, which have no effect.

use crate::config::yaml::value::Value;

/// Checks the section and warns of a setting.
pub(super) fn parse(section: &Value<'_>) {
    let Some(mut runtime) = section.mapping() else { return };
    if let Some(percent) = runtime.get("gogc")
        && percent.integer().is_some()
    {
        percent.warning("has no effect: narthex has no garbage collector");
    }
    runtime.finish();
}
