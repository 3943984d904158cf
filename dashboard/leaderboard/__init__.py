"""The Leaderboard tab and report."""
