"""The TFLite file format: read, written, cut apart, and what a file says without being run."""
