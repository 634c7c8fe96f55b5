//! Exports of a region, and who imports them.

use super::super::form::invalid;
use super::super::paging;
use super::super::state::State;
use super::Call;
use crate::error::ApiError;
use crate::xml::Writer;

pub(super) fn list_exports(
    state: &State,
    call: &Call<'_>,
    out: &mut Writer,
) -> Result<(), ApiError> {
    let mut exports: Vec<(&str, &str, &str)> = state
        .exports(call.account, call.region)
        .map(|(stack, output)| {
            (output.export.as_deref().unwrap_or_default(), stack.id(), output.value.as_str())
        })
        .collect();
    exports.sort_unstable();
    let size = state.settings.page_size;
    let page =
        paging::page(exports, call.form.get("NextToken"), size, |(name, _, _)| (*name).to_owned())?;
    out.nest("Exports", |out| {
        for (name, stack, value) in page.entries {
            out.nest("member", |out| {
                out.text("ExportingStackId", stack);
                out.text("Name", name);
                out.text("Value", value);
            });
        }
    });
    if let Some(next) = page.next {
        out.text("NextToken", &next);
    }
    Ok(())
}

pub(super) fn list_imports(
    state: &State,
    call: &Call<'_>,
    out: &mut Writer,
) -> Result<(), ApiError> {
    let name = call.form.require("ExportName")?;
    let exporter = state
        .exports(call.account, call.region)
        .find(|(_, output)| output.export.as_deref() == Some(name))
        .map(|(stack, _)| stack)
        .ok_or_else(|| invalid(format!("Export '{name}' is not exported.")))?;
    let importers = state.importers(exporter, name);
    if importers.is_empty() {
        return Err(invalid(format!("Export '{name}' is not imported by any stack.")));
    }
    out.nest("Imports", |out| importers.iter().for_each(|stack| out.text("member", stack)));
    Ok(())
}
