//! Looking after a pipeline that is deployed: what is read about it, and how it is judged and shown. Pure.

pub mod alarm;
pub mod metric;
pub mod pipeline;
pub mod reading;
pub mod screen;
pub mod spark;
pub mod view;
