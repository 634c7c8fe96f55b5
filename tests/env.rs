//! `mtlog env`: what stacks know, as settings for other programs.

use crate::deploy::deployed;

#[test]
fn the_settings_of_an_environment_are_written_and_read_back() {
    let (_fake, mtlog) = deployed();
    let file = mtlog.run(&["env", "dotenv"]).exits(0).stdout;
    for part in ["SQS_QUEUE_URL=http", "TENANT_CONFIG_TABLE=multi-", "ENVIRONMENT=development\n"] {
        assert!(file.contains(part), "{part} is not in\n{file}");
    }
    mtlog.write(".env", &file);
    let shown = mtlog.run(&["config", "show"]).exits(0).stdout;
    assert!(shown.contains("TENANT_CONFIG_TABLE in .env"), "{shown}");
    mtlog.run(&["doctor", "--only", "MT104"]).exits(0);
    let shell = mtlog.run(&["env", "shell"]).exits(0).stdout;
    assert!(shell.contains("export SQS_QUEUE_URL='http"), "{shell}");
}
