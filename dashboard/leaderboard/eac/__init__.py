"""EAC on the leaderboard: the label noise study, and what of the paper was reproduced."""
