"""What models cost, and their cards."""
