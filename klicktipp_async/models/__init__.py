"""What KlickTipp answers, as frozen values: one noun a file, no I/O."""
