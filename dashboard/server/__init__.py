"""Everything between the page and its visitors: flags, passwords, limits, health, metrics, logs, the public link."""
