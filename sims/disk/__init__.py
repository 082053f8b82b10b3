"""Files that are whole or not there: atomic writing, checksums, locks, strict JSON and its log."""
