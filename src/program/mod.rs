//! The `frigate` program: options, configuration, start-up and the event loop.

pub(crate) mod check_plans;
pub(crate) mod command_line;
pub(crate) mod config;
pub(crate) mod event_loop;
pub(crate) mod exec;
pub(crate) mod init;
pub(crate) mod options;
pub(crate) mod pause;
pub(crate) mod prepared_command;
pub(crate) mod probe;
pub(crate) mod process_tree;
pub(crate) mod shown_status;
pub(crate) mod signal_sender;
pub(crate) mod start_up;
pub(crate) mod status_reader;
pub(crate) mod terminal;
pub(crate) mod watched_files;
