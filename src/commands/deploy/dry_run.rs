//! One stack in a dry run: what would happen, and why it cannot be carried out. Makes no write call.

use super::{
    Foresight, Run, failure, preflight,
    stack::{Look, look},
    stakes,
    view::{Estimate, estimate, missing_bucket, note, view},
};
use crate::{
    deploy::{reconcile::Reconciled, saved::SavedStack, state::Approach, target::Target},
    error::CliError,
    ui::plan::{Basis, PlanView},
};

/// The plan of a dry run, and why it cannot be carried out.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) view: PlanView,
    pub(super) refusal: Option<CliError>,
    pub(super) saved: SavedStack,
    pub(super) imagined: bool,
}

/// Plans for one stack without a write call.
pub(super) async fn planned(run: &Run<'_>, target: Target) -> Result<Planned, CliError> {
    let client = run.opened.session.cloudformation();
    let Look { observed, plan, imagined } = look(run, target, &client, Foresight::Imagined).await?;
    let Estimate { changes, claims } = estimate(run, &client, &plan, &observed).await?;
    let stakes = stakes::find(&run.opened.session, &observed, &changes).await;
    let saved = SavedStack::of(&plan, &observed, &run.opened.place, &changes);
    let mut view = view(run, &plan, Reconciled { changes, hidden: 0 }, Basis::Templates);
    view.stakes = stakes;
    if imagined {
        for parameter in &mut view.parameters {
            if view.wired.contains_key(&parameter.name) {
                parameter.after = Some("known once that is deployed".to_owned());
            }
        }
    }
    let mut refusal = None;
    if let Approach::Refuse(why) = &plan.approach {
        let error =
            failure::refused(&plan, observed.presence.stack(), why, &run.opened.typed_flags());
        view.note = Some(error.to_string());
        refusal = Some(error);
    } else {
        view.note = note(&plan.approach, observed.presence.stack());
        view.new_bucket = missing_bucket(run, &plan).await?;
        preflight::check(run, &plan, &claims).await?;
    }
    Ok(Planned { view, refusal, saved, imagined })
}
