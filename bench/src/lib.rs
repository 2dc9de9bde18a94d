//! Benchmarks and the scoreboard.
