"""Scores to verdicts and actions; pure."""
