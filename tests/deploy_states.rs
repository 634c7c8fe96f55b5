//! What `mtlog deploy` and `mtlog destroy` do about stacks that somebody else works on, or that resist.

use std::process::Stdio;

use fake_aws::cloudformation::{During, Pace, PlannedFailure, StackStatus};

use crate::deploy::{GLOBAL, REGIONAL, deployed, names_of_writes, parameter, status};

#[test]
fn somebody_elses_operation_is_waited_for_when_that_is_asked() {
    let (fake, mtlog) = deployed();
    fake.cloudformation().set_pace(Pace::StepsPerRead(1));
    let theirs = ["deploy", "regional", "--param", "S3DeleteAfterDays=9", "-y"];
    let mut child = mtlog
        .command(&theirs)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("mtlog runs");
    while fake.calls("cloudformation:ExecuteChangeSet") == 0 {
        assert!(child.try_wait().expect("a child").is_none(), "mtlog ended before its change");
        std::thread::yield_now();
    }
    child.kill().expect("killed");
    child.wait().expect("an end");

    let ours = ["deploy", "regional", "--param", "MaxReceiveCount=9", "-y"];
    mtlog.run(&ours).exits(8).says(&["is busy", "--wait-for-other"]);
    fake.cloudformation().set_pace(Pace::StepsPerRead(20));
    mtlog
        .run(&[&ours[..], &["--wait-for-other"]].concat())
        .exits(0)
        .says(&["Waiting until somebody else's operation on stack"]);
    assert_eq!(parameter(&fake, REGIONAL, "S3DeleteAfterDays").as_deref(), Some("9"));
    assert_eq!(parameter(&fake, REGIONAL, "MaxReceiveCount").as_deref(), Some("9"));
}

#[test]
fn what_cannot_be_deleted_is_left_behind_only_when_that_is_asked() {
    let (fake, mtlog) = deployed();
    let destroy = ["destroy", "global", "--confirm", GLOBAL];
    let force = [&destroy[..], &["--force-delete"]].concat();
    mtlog.run(&force).exits(6).says(&["is for a stack whose deletion failed", "CREATE_COMPLETE"]);
    assert_eq!(names_of_writes(&fake), Vec::<String>::new());

    let resists = PlannedFailure::new("CentralLogDistributionRole", "still in use");
    fake.cloudformation().fail(resists.during(During::Delete));
    mtlog.run(&destroy).exits(5).says(&["still in use", "--force-delete"]);
    assert_eq!(status(&fake, GLOBAL), Some(StackStatus::DeleteFailed));
    mtlog.run(&["deploy", "global", "-y"]).exits(5).says(&[
        "could not be deleted",
        "next: mtlog destroy global",
        "--force-delete",
    ]);
    mtlog
        .run(&["destroy", "global", "--force-delete", "-y"])
        .exits(7)
        .says(&["stays in the account"]);
    mtlog.run(&force).exits(0).says(&["was deleted"]);
    assert_eq!(status(&fake, GLOBAL), None);
}
