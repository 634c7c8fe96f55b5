//! What one heartbeat showed.

use serde::Serialize;

use super::{
    beat::{Beat, Letter, Waiting},
    place::Place,
};
use crate::{
    probe::{self, Outcome, Stages},
    ui::{Report, table::Table},
};

#[derive(Debug, Serialize)]
pub(super) struct ProbeReport {
    id: String,
    tenant: String,
    outcome: Outcome,
    stages: Stages,
    object: String,
    log_group: String,
    log_stream: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<Waiting>,
    #[serde(skip_serializing_if = "Option::is_none")]
    letter: Option<Letter>,
}

impl ProbeReport {
    pub(super) fn new(place: &Place, beat: &Beat) -> Self {
        Self {
            id: beat.id.clone(),
            tenant: place.tenant.to_string(),
            outcome: beat.outcome,
            stages: beat.stages,
            object: format!("s3://{}/{}", place.bucket, beat.key),
            log_group: place.group.to_string(),
            log_stream: beat.stream.clone(),
            queue: beat.queue,
            letter: beat.letter.clone(),
        }
    }
}

impl Report for ProbeReport {
    fn tables(&self) -> Vec<Table> {
        let title = match self.outcome {
            Outcome::Arrived => "arrived",
            Outcome::Late | Outcome::Failed => "has not arrived",
            Outcome::DeadLetter => "is a dead letter",
        };
        let mut table = Table::new([])
            .titled(format!("heartbeat {} of tenant {} {title}", self.id, self.tenant));
        for (stage, value) in self.stages.known() {
            let name = match stage {
                "put" => "put into the bucket",
                "delivered" => "queue and engine",
                "visible" => "visible to readers",
                _ => "in all",
            };
            table.row([name.to_owned(), format!("{} s", probe::seconds(value))]);
        }
        if let Some(letter) = &self.letter {
            table.row(["reason".to_owned(), letter.reason.clone()]);
            if let Some(detail) = &letter.detail {
                table.row(["detail".to_owned(), detail.clone()]);
            }
        }
        if let Some(Waiting { visible, in_flight }) = self.queue {
            let text = format!("{visible} waiting, {in_flight} in work");
            table.row(["in the queue".to_owned(), text]);
        }
        table.row(["log group".to_owned(), self.log_group.clone()]);
        table.row(["log stream".to_owned(), self.log_stream.clone()]);
        vec![table]
    }
}
