"""The leaderboard as one file: the page without a server, and the command that writes it."""
