//! Suites that run against every host.
