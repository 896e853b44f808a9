"""What Doxie answers, as frozen values: what the reference names, and everything else beside it."""
