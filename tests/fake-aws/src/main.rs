//! Runs the fake by itself: prints its endpoint and serves until it is told to stop.
