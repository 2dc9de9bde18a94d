//! The sequential model that fuzz targets and property tests compare against.
