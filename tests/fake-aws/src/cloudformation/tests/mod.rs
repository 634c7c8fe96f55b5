//! The service as its callers see it: requests in, XML out, over a world that is kept here.

mod bed;
mod change_sets;
mod conflicts;
mod lifecycle;
mod nested;
mod project;
mod reads;
mod recovery;
mod seeds;
