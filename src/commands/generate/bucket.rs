//! Objects into the bucket: made on one thread, uploaded a few at a time.

use std::io;

use mtlog_processor::model::ids::BucketName;
use tokio::{
    sync::mpsc::{self, Sender},
    task::JoinSet,
};

use super::{Finished, ended, request::BucketTarget};
use crate::{
    aws::{s3::S3, session::Session},
    commands::Context,
    config::connection::{self, ConnectionFlags},
    error::{CliError, ExitStatus},
    generate::{
        manifest::Manifest,
        pace::Stop,
        run::{self, Destination, FinishedObject, Work},
    },
    ui::counter::Counter,
};

/// So many uploads run at once, and as many objects may wait for one, which bounds what is held in memory.
const UPLOADS: usize = 4;

/// Makes the objects and uploads them.
pub(super) async fn write(
    context: &Context<'_>,
    connection: &ConnectionFlags,
    work: Work,
    target: BucketTarget,
    stop: Stop,
    counter: Counter,
) -> Result<Finished, CliError> {
    let BucketTarget { name, prefix, layout } = target;
    let connection = connection::resolve(&context.layers, connection)?;
    let client = Session::open(&connection.session).await.s3();
    let (sender, mut ready) = mpsc::channel(UPLOADS);
    let maker = tokio::task::spawn_blocking(move || {
        let mut queue = UploadQueue(sender);
        run::objects(work, layout, &mut queue, &stop, &mut |written| counter.set(written))
    });
    let mut manifest = Manifest::default();
    let mut uploads = JoinSet::new();
    while let Some((body, finished)) = ready.recv().await {
        if uploads.len() >= UPLOADS {
            settle(&mut uploads, &mut manifest).await?;
        }
        let key = finished.object.key(&prefix);
        uploads.spawn(upload(client.clone(), name.clone(), key, body, finished));
    }
    while !uploads.is_empty() {
        settle(&mut uploads, &mut manifest).await?;
    }
    let made = maker.await.map_err(|error| CliError::new(ExitStatus::Unexpected, error))?;
    Ok(Finished { ending: ended(made)?, manifest })
}

/// Waits for one upload. A failure drops the queue, which ends the maker.
async fn settle(
    uploads: &mut JoinSet<Result<FinishedObject, CliError>>,
    manifest: &mut Manifest,
) -> Result<(), CliError> {
    let Some(joined) = uploads.join_next().await else { return Ok(()) };
    let FinishedObject { object, tally } =
        joined.map_err(|error| CliError::new(ExitStatus::Unexpected, error))??;
    manifest.add(&object.tenant, &object.application, &tally);
    Ok(())
}

async fn upload(
    client: S3,
    bucket: BucketName,
    key: String,
    body: Vec<u8>,
    finished: FinishedObject,
) -> Result<FinishedObject, CliError> {
    client.put_log_object(&bucket, &key, body).await.map_err(|fault| {
        CliError::aws(format!("failed to write `{key}` to bucket `{bucket}`"), fault)
    })?;
    Ok(finished)
}

/// Hands complete objects to the uploads, and waits while they are behind.
struct UploadQueue(Sender<(Vec<u8>, FinishedObject)>);

impl Destination for UploadQueue {
    type Body = Vec<u8>;

    fn open(&mut self) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn commit(&mut self, body: Vec<u8>, finished: FinishedObject) -> io::Result<()> {
        // The uploads are gone only after one of them failed, and that failure is the one to report.
        self.0.blocking_send((body, finished)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
