"""One short script for each result that a person wants to see."""
