"""Everything between the page and strangers: flags, passwords, limits, health, figures, logs, the public link."""
